"""From a performance to the takes of faces: relative motion, sliders, and the rest of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .analytic.slider_fit import FITTED, expression_of, fit_sliders, seen
from .controls import CONTROLS_BY_NAME
from .motion import Face
from .performance.curve_keys import key_mask
from .performance.geometry import euler_degrees, rotation_matrix
from .performance.performance import Performance
from .take import NEUTRAL, REGION_GROUPS, TakeOptions

POSE = ("head_pitch", "head_yaw", "head_roll")
COLUMNS = (*POSE, "head_scale", *FITTED)
LIP_KEYPOINTS = (6, 12, 14, 17, 19, 20)
EYE_KEYPOINTS = (11, 13, 15, 16, 18)


@dataclass(frozen=True)
class Taken:
    """The takes of some faces that do the same performance.

    times        (T,) float64 seconds
    values       (F, T, C) float32, columns as in COLUMNS
    keys         (F, T, C) bool: the frames that a reduced curve needs
    expression   (T, 63) float32, what the sliders leave over
    translation  (T, 3) float32, half crop widths
    is_seen      (T,) bool: where the performer's face was found
    cuts         frames that begin a new shot
    reference    the frame that counts as the performer's rest
    """

    times: np.ndarray
    values: np.ndarray
    keys: np.ndarray
    expression: np.ndarray
    translation: np.ndarray
    is_seen: np.ndarray
    cuts: tuple[int, ...]
    reference: int
    columns = COLUMNS

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of `captured`."""
        return {
            "times": self.times,
            "values": self.values,
            "keys": self.keys.astype(np.uint8),
            "expression": self.expression,
            "translation": self.translation,
            "is_seen": self.is_seen.astype(np.uint8),
        }


def make_takes(performance: Performance, faces: Sequence[Face], options: TakeOptions) -> Taken:
    """The takes of faces that do what a performer did."""
    expression = performance.expression.reshape(len(performance), -1).astype(np.float64)
    reference = neutral_frame(expression) if options.reference == NEUTRAL else 0
    offsets = _of_region(expression - expression[reference], options.region) * options.multiplier
    sliders = _of_groups(fit_sliders(offsets), options.region)
    rest = offsets - expression_of(sliders)
    translation, scale = _moves(performance, reference, options)
    values = [
        np.column_stack([_pose(performance, reference, face, options), scale, sliders])
        for face in faces
    ]
    limited = np.stack([_limited(columns) for columns in values]).astype(np.float32)
    return Taken(
        times=performance.times,
        values=limited,
        keys=np.stack([_keys(columns, options.tolerance) for columns in limited]),
        expression=rest.astype(np.float32),
        translation=translation.astype(np.float32),
        is_seen=performance.is_seen,
        cuts=performance.cuts,
        reference=reference,
    )


def neutral_frame(expression: np.ndarray) -> int:
    """The frame of (T, 63) offsets in which eyes are open, lips shut and nothing is pulled."""
    shown = np.stack([seen(row) for row in expression - np.median(expression, axis=0)])
    low, high = np.percentile(shown, (10.0, 90.0), axis=0)
    # Eyes and jaw have a rest at their end, everything else in its middle.
    is_one_sided = np.zeros(shown.shape[1], bool)
    is_one_sided[[0, 1, 4]] = True
    middle = np.where(is_one_sided, low, np.median(shown, axis=0))
    distance = np.abs(shown - middle) / np.maximum(high - low, 0.1)
    return int(np.argmin(distance.mean(axis=1)))


def _of_region(offsets: np.ndarray, region: str) -> np.ndarray:
    if region == "pose":
        return np.zeros_like(offsets)
    chosen = {"lip": LIP_KEYPOINTS, "eyes": EYE_KEYPOINTS}.get(region)
    if chosen is None:
        return offsets
    mask = np.zeros((21, 3))
    mask[list(chosen)] = 1.0
    return offsets * mask.reshape(-1)


def _of_groups(sliders: np.ndarray, region: str) -> np.ndarray:
    groups = REGION_GROUPS[region]
    return sliders * [CONTROLS_BY_NAME[name].group in groups for name in FITTED]


def _moves(
    performance: Performance, reference: int, options: TakeOptions
) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) translation and (T,) scale, as LivePortrait's relative motion has them."""
    translation = np.zeros((len(performance), 3))
    scale = np.ones(len(performance))
    if options.region in ("all", "pose"):
        moved = performance.translation - performance.translation[reference]
        translation[:, :2] = options.multiplier * moved[:, :2]
    if options.region == "all":
        scale += options.multiplier * (performance.scale / performance.scale[reference] - 1.0)
    return translation, scale


def _pose(performance: Performance, reference: int, face: Face, options: TakeOptions) -> np.ndarray:
    """(T, 3) pitch, yaw, roll in degrees, added to the face's own pose."""
    if options.region not in ("all", "pose"):
        return np.zeros((len(performance), 3))
    own = np.array([face.pitch, face.yaw, face.roll])
    source = rotation_matrix(*(own[i : i + 1] for i in range(3)))[0]
    turned = performance.rotation @ performance.rotation[reference].T @ source
    return options.multiplier * _unwrapped(euler_degrees(turned) - own)


def _unwrapped(degrees: np.ndarray) -> np.ndarray:
    return np.degrees(np.unwrap(np.radians(degrees), axis=0))


def _limited(columns: np.ndarray) -> np.ndarray:
    limits = [(CONTROLS_BY_NAME[n].minimum, CONTROLS_BY_NAME[n].maximum) for n in COLUMNS]
    low, high = np.array(limits).T
    return np.clip(columns, low, high)


def _keys(columns: np.ndarray, tolerance: float) -> np.ndarray:
    """(T, C) bool; the tolerance is a part of each control's slider range."""
    keys = np.zeros(columns.shape, bool)
    for index, name in enumerate(COLUMNS):
        low, high = CONTROLS_BY_NAME[name].soft_range
        keys[:, index] = key_mask(columns[:, index], tolerance * max(abs(low), abs(high)))
    return keys
