"""The official driving loop in its own order, for parity.

A picture is driven by the engine's Motions. What differs from the product is here: stitching comes
before retargeted ratios and the multiplier, and a source video is smoothed; docs/quirks.md has a
row for each. All frames are computed at once; "frame 0" is the first driving frame, the
performance's rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.liveportrait.driving import drive
from engine.liveportrait.model_set import Retargeting
from engine.liveportrait.retargeting import eye_delta, lip_delta, stitched
from engine.liveportrait.sliders import moved_points
from engine.performance.geometry import (
    KeypointMotion,
    convex_hull_volume,
    flat,
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
)
from engine.take import TakeOptions

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
    s = source.motion
    rotation = _video_rotation(source, driving, options)
    expression = _video_expression(source, driving, options)
    is_placed = options.moves_pose and not options.use_relative_motion
    translation = driving.translation if is_placed else s.translation
    return transform_keypoints(s.keypoints, rotation, expression, s.scale, flat(translation))


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


def _video_expression(
    source: DrivenSource, driving: MotionTemplate, options: DrivingOptions
) -> np.ndarray:
    own = source.motion.expression
    if options.region == "pose":
        return own
    driven = driving.expression
    if options.use_relative_motion:
        driven = own + (driven - (driven[:1] if len(driving) > 1 else LIP_REST))
    if len(driving) > 1:
        driven = smooth(driven, options.smoothing_variance)
    mask = REGION_MASKS.get(options.region, EXPRESSION_MASK)
    return np.where(mask, driven, own).astype(np.float32)


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
