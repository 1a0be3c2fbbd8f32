"""The per-frame driving loop: what keypoints a source face gets from a driving performance.

All frames are computed at once; "frame 0" is the first driving frame, the performance's rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..performance.geometry import (
    KeypointMotion,
    flat,
    motion_multiplier,
    orthonormal,
    transform_keypoints,
)
from ..performance.lip_rest import LIP_REST
from ..performance.ratios import OpeningRatios
from ..performance.smoothing import MOTION_OBSERVATION_VARIANCE, smooth
from ..performance.template import MotionTemplate
from .model_set import Retargeting
from .quirks import SENSIBLE, Quirks
from .retargeting import eye_delta, lip_delta, stitched

Region = Literal["all", "exp", "pose", "lip", "eyes"]

LIP_KEYPOINTS = (6, 12, 14, 17, 19, 20)
EYE_KEYPOINTS = (11, 13, 15, 16, 18)
# Closed enough already: lips below this opening are not normalised.
LIP_NORMALIZATION_THRESHOLD = 0.03
# Eyes of a source video are held at its first frame's opening, or at this one if it blinks there.
BLINK_RATIO = 0.18
OPEN_EYE_RATIO = 0.39


def _expression_mask() -> np.ndarray:
    """(21, 3) entries of exp that carry expression rather than head pose."""
    mask = np.zeros((21, 3), bool)
    mask[[1, 2, 6, *range(11, 21)]] = True
    mask[[3, 4], 1] = True
    mask[[5, 8], 2] = True
    mask[9, 1:] = True
    return mask


def _row_mask(keypoints: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros((21, 3), bool)
    mask[list(keypoints)] = True
    return mask


EXPRESSION_MASK = _expression_mask()
LIP_MASK = _row_mask(LIP_KEYPOINTS)
EYE_MASK = _row_mask(EYE_KEYPOINTS)


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


def drive(
    source: DrivenSource,
    driving: MotionTemplate,
    options: DrivingOptions,
    networks: Retargeting,
    quirks: Quirks = SENSIBLE,
) -> np.ndarray:
    """Keypoints x_d for the warping network: (T, 21, 3) float32, T = frame_count.

    Raises KeyError where `quirks.needs_ratio_lists` and the template has no opening ratios.
    """
    if quirks.needs_ratio_lists and driving.ratios is None:
        raise KeyError("c_eyes_lst")
    count = frame_count(source, driving)
    source, driving = source.frames(count), driving[:count]
    x_source = source.motion.points
    x_driving = _moved_keypoints(source, driving, options, quirks)
    if (
        options.use_relative_motion
        and options.is_expression_friendly
        and not source.is_video
        and len(driving) > 1
    ):
        factor = motion_multiplier(x_source[0], x_driving[0])
        x_driving = x_source + (x_driving - x_driving[:1]) * np.float32(factor)
    x_driving = _retargeted(source, driving, options, networks, quirks, x_source, x_driving)
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


def _moved_keypoints(
    source: DrivenSource, driving: MotionTemplate, options: DrivingOptions, quirks: Quirks
) -> np.ndarray:
    s = source.motion
    rotation = _rotation(source, driving, options, quirks)
    expression = _expression(source, driving, options, quirks)
    scale, translation = s.scale, s.translation
    if options.use_relative_motion and not source.is_video:
        if options.region == "all":
            scale = scale * (driving.scale / driving.scale[0])
        if options.moves_pose:
            translation = translation + (driving.translation - driving.translation[:1])
    elif not options.use_relative_motion and options.moves_pose:
        translation = driving.translation
    return transform_keypoints(s.keypoints, rotation, expression, scale, flat(translation))


def _rotation(
    source: DrivenSource, driving: MotionTemplate, options: DrivingOptions, quirks: Quirks
) -> np.ndarray:
    rotation = source.motion.rotation
    if not options.moves_pose:
        return rotation
    if options.use_relative_motion:
        rotation = driving.rotation @ driving.rotation[0].T @ rotation
    else:
        rotation = driving.rotation
    if source.is_video and len(driving) > 1:
        rotation = smooth(rotation, options.smoothing_variance)
        if not quirks.keeps_skewed_rotations:
            rotation = orthonormal(rotation)
    return rotation


def _expression(
    source: DrivenSource, driving: MotionTemplate, options: DrivingOptions, quirks: Quirks
) -> np.ndarray:
    own = source.motion.expression
    if options.region == "pose":
        return own
    driven = driving.expression
    if options.use_relative_motion:
        rest = driving.expression[:1] if len(driving) > 1 else LIP_REST
        if options.region == "eyes" and quirks.single_frame_eyes_keep_rest:
            rest = rest if len(driving) > 1 or source.is_video else 0.0
        driven = own + (driven - rest)
    if source.is_video and len(driving) > 1:
        driven = smooth(driven, options.smoothing_variance)
    masks = {"lip": LIP_MASK, "eyes": EYE_MASK}
    mask = masks.get(options.region, EXPRESSION_MASK)
    if options.use_relative_motion and not source.is_video and options.region in ("all", "exp"):
        mask = np.ones_like(mask)
    return np.where(mask, driven, own).astype(np.float32)


def _retargeted(
    source: DrivenSource,
    driving: MotionTemplate,
    options: DrivingOptions,
    networks: Retargeting,
    quirks: Quirks,
    x_source: np.ndarray,
    x_driving: np.ndarray,
) -> np.ndarray:
    """Eyes and lips brought to their ratios, then or before that stitching, in official order."""
    before, after = _deltas(source, driving, options, networks, quirks, x_source)
    follows_ratios = options.use_eye_retargeting or options.use_lip_retargeting
    if follows_ratios and options.use_relative_motion and quirks.retargeting_replaces_motion:
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
    quirks: Quirks,
    x_source: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Retargeting offsets that are added before stitching, and those added after it."""
    before = after = np.zeros((1, 21, 3), np.float32)
    if source.ratios is None:
        return before, after
    own, wanted = source.ratios, driving.ratios
    uses_eyes = options.use_eye_retargeting and wanted is not None
    uses_lips = options.use_lip_retargeting and wanted is not None
    if uses_eyes and wanted is not None:
        target = wanted.eyes[:, 0] if quirks.eye_target_is_first_eye else wanted.eyes.mean(axis=1)
        before = before + eye_delta(networks, x_source, own, target)
    if uses_lips and wanted is not None:
        before = before + lip_delta(networks, x_source, own, wanted.lips[:, 0])
    drops_all = quirks.retargeting_drops_source_deltas and (uses_eyes or uses_lips)
    normalizes = options.use_lip_normalization and options.use_relative_motion
    if normalizes and not (uses_lips or drops_all):
        is_open = own.lips >= LIP_NORMALIZATION_THRESHOLD
        after = after + is_open[:, :, None] * lip_delta(networks, x_source, own, 0.0)
    holds_eyes = options.use_source_eye_retargeting and source.is_video
    if holds_eyes and not (uses_eyes or drops_all):
        first = float(own.eyes[0].mean())
        target = OPEN_EYE_RATIO if first < BLINK_RATIO else first
        after = after + eye_delta(networks, x_source, own, target)
    return before, after
