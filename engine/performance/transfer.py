"""Carrying a performance over to a face, in LivePortrait's motion space.

The result is a Motion for every moment, which every renderer takes; stitching is the renderer's.
Frame 0 of the official loop is the reference here, see docs/quirks.md for what differs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..motion import Face, Motion
from ..take import REGION_GROUPS, TakeOptions
from .geometry import KEYPOINT_COUNT, convex_hull_volume, euler_degrees, rotation_matrix
from .lip_rest import LIP_REST
from .mirror import mirrored_performance
from .openings import HIGHEST_RATIO, eye_targets, lip_targets, without_blinks, without_lip_gap
from .performance import Performance

LIP_KEYPOINTS = (6, 12, 14, 17, 19, 20)
EYE_KEYPOINTS = (11, 13, 15, 16, 18)
# Closed enough already: lips below this opening are not normalised.
LIP_NORMALIZATION_THRESHOLD = 0.03


def _expression_mask() -> np.ndarray:
    """(21, 3) entries of exp that carry expression rather than head pose."""
    mask = np.zeros((KEYPOINT_COUNT, 3), bool)
    mask[[1, 2, 6, *range(11, 21)]] = True
    mask[[3, 4], 1] = True
    mask[[5, 8], 2] = True
    mask[9, 1:] = True
    return mask


def _row_mask(keypoints: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros((KEYPOINT_COUNT, 3), bool)
    mask[list(keypoints)] = True
    return mask


EXPRESSION_MASK = _expression_mask()
LIP_MASK = _row_mask(LIP_KEYPOINTS)
EYE_MASK = _row_mask(EYE_KEYPOINTS)
REGION_MASKS = {"lip": LIP_MASK, "eyes": EYE_MASK}


@dataclass(frozen=True)
class TargetFace:
    """The face that shall do it, as its picture shows it.

    pose         (3,) pitch, yaw, roll in degrees
    eyes_open, lips_open  own opening ratios, None where nobody measured them
    expression   (21, 3) difference of the own exp to that of a resting face; None for one at rest
    translation  (3,) own t in half crop widths, or None
    keypoints    (21, 3) canonical keypoints of M, or None
    """

    pose: np.ndarray
    eyes_open: float | None = None
    lips_open: float | None = None
    expression: np.ndarray | None = None
    translation: np.ndarray | None = None
    keypoints: np.ndarray | None = None

    @classmethod
    def from_face(cls, face: Face) -> TargetFace:
        """What M says, else the landmarks. Ratios that are both 0 have not been measured."""
        is_measured = face.eyes_open > 0.0 or face.lips_open > 0.0
        target = cls(
            pose=np.array([face.pitch, face.yaw, face.roll], np.float64),
            eyes_open=face.eyes_open if is_measured else None,
            lips_open=face.lips_open if is_measured else None,
        )
        if not face.reading:
            return target
        pose, translation, *points = np.split(np.array(face.reading), (3, 6, 69))
        expression, keypoints = (part.reshape(KEYPOINT_COUNT, 3) for part in points)
        return replace(
            target,
            pose=pose,
            translation=translation,
            expression=expression - LIP_REST[0],
            keypoints=keypoints,
        )


@dataclass(frozen=True)
class MotionTrack:
    """A Motion for each of T moments, as arrays of its fields.

    pose (T, 3) degrees, translation (T, 3), scale (T,), expression (T, 63) float64;
    eyes_open, lips_open (T,), or None where they are left alone
    """

    pose: np.ndarray
    translation: np.ndarray
    scale: np.ndarray
    expression: np.ndarray
    eyes_open: np.ndarray | None = None
    lips_open: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pose)

    def __getitem__(self, moments: slice) -> MotionTrack:
        """Some of the moments."""
        eyes, lips = self.eyes_open, self.lips_open
        return MotionTrack(
            self.pose[moments],
            self.translation[moments],
            self.scale[moments],
            self.expression[moments],
            None if eyes is None else eyes[moments],
            None if lips is None else lips[moments],
        )

    def motions(self) -> list[Motion]:
        """What a renderer is asked for at each moment."""
        eyes, lips = self.eyes_open, self.lips_open
        return [
            Motion(
                *map(float, self.pose[i]),
                translation=tuple(map(float, self.translation[i])),  # type: ignore[arg-type]
                scale=float(self.scale[i]),
                expression=tuple(map(float, self.expression[i])),
                eyes_open=None if eyes is None else float(eyes[i]),
                lips_open=None if lips is None else float(lips[i]),
            )
            for i in range(len(self))
        ]


def transfer(
    performance: Performance, face: TargetFace, options: TakeOptions, reference: int = 0
) -> MotionTrack:
    """What a face does that follows a performer.

    reference  the frame that is the performer's rest
    """
    if options.use_mirror:
        performance = mirrored_performance(performance)
    translation, scale = _moves(performance, face, options, reference)
    eyes, lips = _openings(performance, face, options, reference)
    expression = _expression(performance, face, options, reference)
    expression *= options.multiplier
    if eyes is not None:
        expression = without_blinks(expression)
    if options.use_lip_retargeting and lips is not None:
        expression = without_lip_gap(expression)
    return MotionTrack(
        pose=_pose(performance, face, options, reference),
        translation=translation,
        scale=scale,
        expression=expression.reshape(len(performance), -1),
        eyes_open=eyes,
        lips_open=lips,
    )


def neutral_expression(performance: Performance) -> np.ndarray:
    """(21, 3) expression of a resting face, as whoever has read the performance would read it."""
    return LIP_REST[0] if performance.neutral is None else performance.neutral


def _expression(
    performance: Performance, face: TargetFace, options: TakeOptions, reference: int
) -> np.ndarray:
    """(T, 21, 3) offsets from the face's own exp, before the multiplier."""
    driven = performance.expression.astype(np.float64)
    if options.region == "pose":
        return np.zeros_like(driven)
    if options.use_relative_motion:
        # A single picture has no rest of its own: it is measured from a resting face.
        rest = driven[reference] if len(driven) > 1 else neutral_expression(performance)
        mask = REGION_MASKS.get(options.region, np.ones_like(EXPRESSION_MASK))
        # In place: long performances would need it many times over.
        driven -= rest.copy()
        driven *= _size_factor(performance, face) if options.is_expression_friendly else 1.0
        driven[:, ~mask] = 0.0
        return driven
    own = neutral_expression(performance)
    if face.expression is not None:
        own = own + face.expression
    return np.where(REGION_MASKS.get(options.region, EXPRESSION_MASK), driven - own, 0.0)


def _size_factor(performance: Performance, face: TargetFace) -> float:
    """How much larger the face is than the performer's, by the hulls of M's keypoints."""
    if performance.keypoints is None or face.keypoints is None:
        return 1.0
    performer = convex_hull_volume(performance.keypoints)
    own = convex_hull_volume(face.keypoints)
    return float(np.cbrt(own / performer)) if performer > 0.0 else 1.0


def _pose(
    performance: Performance, face: TargetFace, options: TakeOptions, reference: int
) -> np.ndarray:
    """(T, 3) pitch, yaw, roll in degrees, added to the face's own pose."""
    if options.region not in ("all", "pose"):
        return np.zeros((len(performance), 3))
    turned = performance.rotation.astype(np.float64)
    if options.use_relative_motion:
        source = rotation_matrix(*face.pose[:, None])[0]
        turned = turned @ turned[reference].T @ source
    change = np.unwrap(euler_degrees(turned) - face.pose, axis=0, period=360.0)
    return options.multiplier * (change - 360.0 * np.round(change[reference] / 360.0))


def _moves(
    performance: Performance, face: TargetFace, options: TakeOptions, reference: int
) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) translation and (T,) scale; depth is no part of the official motion."""
    translation = np.zeros((len(performance), 3))
    scale = np.ones(len(performance))
    is_relative = options.use_relative_motion
    if options.region in ("all", "pose"):
        own = None if is_relative else face.translation
        rest = performance.translation[reference] if own is None else own
        moved = performance.translation.astype(np.float64) - rest
        translation[:, :2] = options.multiplier * moved[:, :2]
    if options.region == "all" and is_relative:
        factor = performance.scale.astype(np.float64) / performance.scale[reference]
        scale += options.multiplier * (factor - 1.0)
    return translation, scale


def _openings(
    performance: Performance, face: TargetFace, options: TakeOptions, reference: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(T,) eyes_open and lips_open, None where the expression says it all."""
    ratios, groups = performance.ratios, REGION_GROUPS[options.region]
    eyes = lips = None
    if ratios is not None and options.use_eye_retargeting and face.eyes_open and "Eyes" in groups:
        is_relative = options.use_relative_motion
        targets = eye_targets(ratios, face.eyes_open, reference, is_relative=is_relative)
        eyes = _multiplied(targets, face.eyes_open, options.multiplier)
    if face.lips_open is None or "Mouth" not in groups:
        return eyes, None
    if ratios is not None and options.use_lip_retargeting:
        lips = _multiplied(lip_targets(ratios), face.lips_open, options.multiplier)
    elif options.use_lip_normalization and options.use_relative_motion:
        is_open = face.lips_open >= LIP_NORMALIZATION_THRESHOLD
        lips = np.zeros(len(performance)) if is_open else None
    return eyes, lips


def _multiplied(targets: np.ndarray, own: float, multiplier: float) -> np.ndarray:
    return np.clip(own + multiplier * (targets - own), 0.0, HIGHEST_RATIO)
