"""The official driving loop in its own order, for parity.

Pictures and videos are driven by the engine's Motions. What differs from the product is here:
stitching comes before retargeted ratios and the multiplier, and the smoothed rotations of a source
video shear; docs/quirks.md has a row for each. All frames are computed at once; "frame 0" is the
first driving frame, the performance's rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from engine.liveportrait.driving import drive, read_face
from engine.liveportrait.model_set import Retargeting
from engine.liveportrait.retargeting import eye_delta, lip_delta, stitched
from engine.liveportrait.sliders import moved_points
from engine.performance.geometry import (
    KeypointMotion,
    convex_hull_volume,
    euler_degrees,
    flat,
    orthonormal,
    rotation_matrix,
    transform_keypoints,
)
from engine.performance.lip_rest import LIP_REST
from engine.performance.openings import BLINK_RATIO
from engine.performance.performance import Performance
from engine.performance.ratios import OpeningRatios
from engine.performance.smoothing import MOTION_OBSERVATION_VARIANCE, smooth
from engine.performance.template import MotionTemplate
from engine.performance.transfer import (
    EXPRESSION_MASK,
    EYE_MASK,
    LIP_NORMALIZATION_THRESHOLD,
    REGION_MASKS,
    MotionTrack,
    transfer,
)
from engine.take import TakeOptions
from engine.wish import Wish

Region = Literal["all", "exp", "pose", "lip", "eyes"]

# Eyes of a source video are held at its first frame's opening, or at this one if it blinks there.
OPEN_EYE_RATIO = 0.39


@dataclass(frozen=True)
class DrivingOptions:
    """How a performance moves a source.

    use_relative_motion  move by the difference to the performance's first frame, else copy it
    region               what is driven: everything, expression, head pose, lips or eyes
    is_expression_friendly  scale relative motion by the faces' sizes (picture sources only)
    driving_multiplier   factor on the finished motion, 1 for as it is
    use_stitching        keep shoulders and hair joined to the rest of the picture
    use_lip_normalization  close the source's lips first (relative motion only)
    use_eye_retargeting, use_lip_retargeting  follow the performer's opening ratios
    use_source_eye_retargeting  hold a source video's own eyes open
    smoothing_variance   observation variance of the smoother (source videos only)
    """

    use_relative_motion: bool = True
    region: Region = "all"
    is_expression_friendly: bool = True
    driving_multiplier: float = 1.0
    use_stitching: bool = True
    use_lip_normalization: bool = False
    use_eye_retargeting: bool = False
    use_lip_retargeting: bool = False
    use_source_eye_retargeting: bool = False
    smoothing_variance: float = MOTION_OBSERVATION_VARIANCE

    @property
    def moves_pose(self) -> bool:
        """Whether the head turns and moves."""
        return self.region in ("all", "pose")


@dataclass(frozen=True)
class DrivenSource:
    """The face that is moved: one picture, or the frames of a video.

    motion  M's reading of the picture (1 row) or of every frame
    ratios  opening ratios in the same rows, or None where there are no landmarks
    """

    motion: KeypointMotion
    ratios: OpeningRatios | None = None
    is_video: bool = False

    def frames(self, count: int) -> DrivenSource:
        """The first `count` frames of a video; a picture stays one row."""
        if not self.is_video:
            return self
        ratios = None if self.ratios is None else self.ratios[:count]
        return DrivenSource(self.motion[:count], ratios, is_video=True)


def frame_count(source: DrivenSource, driving: MotionTemplate) -> int:
    """Frames of the result: a single driving frame serves every frame of a source video."""
    if not source.is_video:
        return len(driving)
    return len(source.motion) if len(driving) == 1 else min(len(source.motion), len(driving))


def official_keypoints(
    source: DrivenSource, driving: MotionTemplate, options: DrivingOptions, networks: Retargeting
) -> np.ndarray:
    """Keypoints x_d for the warping network: (T, 21, 3) float32, T = frame_count.

    Raises KeyError where the template has no opening ratios, as the official loop does.
    """
    if driving.ratios is None:
        raise KeyError("c_eyes_lst")
    count = frame_count(source, driving)
    source, driving = source.frames(count), driving[:count]
    x_source = source.motion.points
    if source.is_video:
        x_driving = _moved_video(source, driving, options)
    else:
        x_driving = _moved_picture(source, driving, options)
    x_driving = _retargeted(source, driving, options, networks, x_source, x_driving)
    return x_source + (x_driving - x_source) * np.float32(options.driving_multiplier)


def drive_animal(
    source: KeypointMotion,
    driving: MotionTemplate,
    networks: Retargeting | None = None,
    *,
    driving_multiplier: float = 1.0,
) -> np.ndarray:
    """Keypoints x_d of an animal: absolute pose and expression, the motion scaled to its face.

    networks  stitching, or None for none: it was trained on people only
    """
    x_source = source.points
    x_driving = transform_keypoints(
        source.keypoints, driving.rotation, driving.expression, source.scale,
        flat(driving.translation),
    )  # fmt: skip
    factor = motion_multiplier(x_source[0], x_driving[0])
    x_driving = x_source + (x_driving - x_driving[:1]) * np.float32(factor)
    if networks is not None:
        x_driving = stitched(networks, x_source, x_driving)
    return x_source + (x_driving - x_source) * np.float32(driving_multiplier)


def _moved_picture(
    source: DrivenSource, driving: MotionTemplate, options: DrivingOptions
) -> np.ndarray:
    wanted = TakeOptions(
        region=options.region, use_relative_motion=options.use_relative_motion
    )  # fmt: skip
    track = drive(source.motion, None, Performance.from_template(driving), wanted)
    x_driving = moved_points(source.motion, track.motions())
    if not options.use_relative_motion:
        return x_driving
    if options.region == "eyes" and len(driving) == 1:
        # Nothing is subtracted from eyes that one picture drives.
        x_driving = x_driving + source.motion.scale[0] * np.where(EYE_MASK, LIP_REST, 0.0)
    if options.is_expression_friendly and len(driving) > 1:
        x_source = source.motion.points
        factor = motion_multiplier(x_source[0], x_driving[0])
        x_driving = x_source + (x_driving - x_driving[:1]) * np.float32(factor)
    return x_driving


def _moved_video(
    source: DrivenSource, driving: MotionTemplate, options: DrivingOptions
) -> np.ndarray:
    """The engine's wishes; the shear of smoothed rotations, which no Motion has, is added."""
    wanted = TakeOptions(region=options.region, use_relative_motion=options.use_relative_motion)
    performance = Performance.from_template(driving)
    variance = options.smoothing_variance
    wishes = drive_clip(source.motion, None, performance, wanted, 0, variance)
    x_driving = wished_points(source.motion, wishes)
    s = source.motion
    rotation = _video_rotation(source, driving, options)
    sheared = s.keypoints @ (rotation - orthonormal(rotation))
    return (x_driving + s.scale[:, None, None] * sheared).astype(np.float32)


def drive_clip(
    source: KeypointMotion,
    ratios: OpeningRatios | None,
    performance: Performance,
    options: TakeOptions,
    reference: int = 0,
    observation_variance: float | None = None,
) -> list[Wish]:
    """What the face of a moving source does: a wish per frame, by LivePortrait's rules for videos.

    source, ratios  M's reading and the opening ratios of every source frame
    performance     a row per source frame, or one for all of them
    observation_variance  of the smoother of what is shown, see smoothing.smooth; None for none
    The source keeps its own size, and where motion is relative its own place.
    """
    is_single = len(performance) == 1
    count = len(source) if is_single else min(len(source), len(performance))
    tracks: list[MotionTrack] = []
    for frame in range(count):
        row = slice(frame, frame + 1)
        face = read_face(source[row], None if ratios is None else ratios[row])
        driven = performance if is_single else _pair(performance, reference, frame)
        tracks.append(transfer(driven, face, options)[-1:])
    own = source[:count]
    angles = np.stack([own.pitch, own.yaw, own.roll], axis=1).astype(np.float64)
    pose = np.concatenate([track.pose for track in tracks])
    offsets = np.concatenate([track.expression for track in tracks]).reshape(count, -1, 3)
    if observation_variance is not None and not is_single:
        offsets = smooth(own.expression + offsets, observation_variance) - own.expression
        if options.region in ("all", "pose"):
            turned = rotation_matrix(*(angles + pose).T)
            pose = euler_degrees(orthonormal(smooth(turned, observation_variance))) - angles
    mask = REGION_MASKS.get(options.region, EXPRESSION_MASK)
    offsets = np.where(mask & (options.region != "pose"), offsets, 0.0)
    wishes: list[Wish] = []
    for frame, track in enumerate(tracks):
        moved = replace(
            track,
            pose=pose[frame : frame + 1],
            translation=track.translation * (0.0 if options.use_relative_motion else 1.0),
            scale=np.ones(1),
            expression=offsets[frame].reshape(1, -1),
        )
        wishes.append(Wish(frame, tuple(moved.motions())))
    return wishes


def wished_points(source: KeypointMotion, wishes: Sequence[Wish]) -> np.ndarray:
    """(T, 21, 3) keypoints of wishes for one face, before openings and stitching.

    source  M's reading of every source frame
    """
    rows = [
        moved_points(source[wish.source_frame : wish.source_frame + 1], list(wish.motions))
        for wish in wishes
    ]
    return np.concatenate(rows)


def _pair(performance: Performance, reference: int, moment: int) -> Performance:
    """Two rows of a performance: its rest, and one moment."""
    rows = [reference, moment]
    ratios = performance.ratios
    return replace(
        performance,
        times=np.array([0.0, 1.0]),
        rotation=performance.rotation[rows],
        translation=performance.translation[rows],
        scale=performance.scale[rows],
        expression=performance.expression[rows],
        ratios=None if ratios is None else OpeningRatios(ratios.eyes[rows], ratios.lips[rows]),
        is_seen=performance.is_seen[rows],
        cuts=(),
        sliders={},
    )


def _video_rotation(
    source: DrivenSource, driving: MotionTemplate, options: DrivingOptions
) -> np.ndarray:
    rotation = source.motion.rotation
    if not options.moves_pose:
        return rotation
    if options.use_relative_motion:
        rotation = driving.rotation @ driving.rotation[0].T @ rotation
    else:
        rotation = driving.rotation
    # The smoothed matrices are no rotations any more: the head shrinks and shears a little.
    return smooth(rotation, options.smoothing_variance) if len(driving) > 1 else rotation


def _retargeted(
    source: DrivenSource,
    driving: MotionTemplate,
    options: DrivingOptions,
    networks: Retargeting,
    x_source: np.ndarray,
    x_driving: np.ndarray,
) -> np.ndarray:
    """Eyes and lips brought to their ratios, then or before that stitching."""
    before, after = _deltas(source, driving, options, networks, x_source)
    follows_ratios = options.use_eye_retargeting or options.use_lip_retargeting
    if follows_ratios and options.use_relative_motion:
        # The performer's motion is thrown away.
        x_driving = np.broadcast_to(x_source, x_driving.shape)
    x_driving = x_driving + before
    if options.use_stitching:
        x_driving = stitched(networks, x_source, x_driving)
    return (x_driving + after).astype(np.float32)


def _deltas(
    source: DrivenSource,
    driving: MotionTemplate,
    options: DrivingOptions,
    networks: Retargeting,
    x_source: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Retargeting offsets that are added before stitching, and those added after it."""
    before = after = np.zeros((1, 21, 3), np.float32)
    own, wanted = source.ratios, driving.ratios
    if own is None or wanted is None:
        return before, after
    if options.use_eye_retargeting:
        # Both eyes follow the first one.
        before = before + eye_delta(networks, x_source, own, wanted.eyes[:, 0])
    if options.use_lip_retargeting:
        before = before + lip_delta(networks, x_source, own, wanted.lips[:, 0])
    if options.use_eye_retargeting or options.use_lip_retargeting:
        return before, after
    if options.use_lip_normalization and options.use_relative_motion:
        is_open = own.lips >= LIP_NORMALIZATION_THRESHOLD
        after = after + is_open[:, :, None] * lip_delta(networks, x_source, own, 0.0)
    if options.use_source_eye_retargeting and source.is_video:
        first = float(own.eyes[0].mean())
        target = OPEN_EYE_RATIO if first < BLINK_RATIO else first
        after = after + eye_delta(networks, x_source, own, target)
    return before, after


def motion_multiplier(x_source: np.ndarray, x_driving_first: np.ndarray) -> float:
    """How much larger the source face moves than the driving one; both (21, 3) points.

    The ratio of the square roots of the two convex hulls' volumes; 1.0 for a flat driving face.
    """
    driving = convex_hull_volume(x_driving_first)
    if driving <= 0.0:
        return 1.0
    return float(np.sqrt(convex_hull_volume(x_source)) / np.sqrt(driving))
