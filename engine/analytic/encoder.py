"""From measures of a performer's face to LivePortrait's expression offsets: the decoder's reverse.

Measures become amounts of the deformers, lids and gaze, and these the offsets that the decoder
reads as the same amounts. Less is read of results than was to move: what is read of a performer is
taken for more, so that the two readings come closer. Sliders come first: what they can
say is said in their terms, so that the networks understand it and the sliders are fitted exactly;
single keypoints say the rest.
Everything is linear, so that differences of expressions are those of measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from ..controls import CONTROLS
from ..faces.canonical import CANONICAL, MESH_COUNT
from ..faces.measures import MEASURE_NAMES, measure
from ..motion import KEYPOINT_COUNT
from ..sliders import AXES, CARRIERS, SLIDERS, slider_expression
from .decoder import decode_rows
from .deformers import BROW_DEFORMERS, MOUTH_DEFORMERS, deformers

# What is read of a performer, by the decoder's names.
_EYES = ("blink_left", "blink_right", "gaze_x", "gaze_y")
_MOUTH = (*MOUTH_DEFORMERS, "jaw_x")
_SHOWN = (*_EYES, *_MOUTH, *BROW_DEFORMERS)
# Of amounts_of: to the picture's right and up.
GAZE_COLUMNS = [_SHOWN.index("gaze_x"), _SHOWN.index("gaze_y")]

_MOUTH_MEASURES = (
    "lip_gap", "mouth_width", "lift_left", "lift_right", "mouth_x", "upper_lip", "jaw_drop",
    "chin_x",
)  # fmt: skip
_MOUTH_TRUST = np.array([2.0, 0.8, 1.0, 1.0, 0.8, 0.35, 0.2, 0.8])
_MOUTH_RIDGE = 0.03
_AMOUNT_TRUST = 0.15  # of a deformer's amount, against 1 for what it does to the measures
_BROW_MEASURES = (
    "brow_inner_left", "brow_inner_right", "brow_outer_left", "brow_outer_right", "brow_distance",
)  # fmt: skip
_BROW_RIDGE = 0.003
# What is taken for moved, for 1 that is read; both sides alike. At most 1 over the median slope of
# the reading of rendered frames over what the deformers say, on eleven photographs and paintings
# with keyed sliders, and less where more cost driven pictures their likeness to the driver in time
# (docs/reading_clips.md).
_GAINS = {
    "lid": 1.25, "gaze_x": 1.6, "lip_gap": 1.25, "jaw_drop": 1.25, "mouth_width": 1.25,
    "lift": 1.5, "brow_inner": 1.2, "brow_outer": 1.2,
}  # fmt: skip
# Half eye widths that an iris moves from the middle to the end of the sliders.
_GAZE_X_REACH, _GAZE_Y_REACH = 0.55, 0.25
# Lids of the mesh meet at this share of the open eye's height.
_SHUT_SHARE = 0.30
# The decoder is read where lips can move both ways: of the opening slider, and cm between them.
_REST_JAW, _REST_GAP = 30.0, 0.3
_STEP = 0.05
_SLIDER_COST, _KEYPOINT_COST = 0.002, 0.01
_KEYPOINT_UNIT = 0.01  # what a keypoint moves in an expression
_HEAD_KEYPOINT = 5  # its sliders move the head

# Expression of a resting face, as encoded.
RESTING = np.zeros((KEYPOINT_COUNT, 3), np.float32)


def encode(measures: np.ndarray, lids_open: np.ndarray) -> np.ndarray:
    """(T, 21, 3) float32 expression of (T, M) measures, columns as in MEASURE_NAMES.

    lids_open  (2,) or (T, 2): lid ratios of the performer's open eyes, left and right
    Only differences between frames mean anything.
    """
    shown = amounts_of(np.asarray(measures, np.float64), np.asarray(lids_open, np.float64))
    return (shown @ _encoder()).reshape(-1, KEYPOINT_COUNT, 3).astype(np.float32)


def amounts_of(measures: np.ndarray, lids_open: np.ndarray) -> np.ndarray:
    """(T, S) what the decoder should read of (T, M) measures: lids, gaze, deformers."""
    changes = (measures - measure(CANONICAL).as_array()) * _gains()
    column = MEASURE_NAMES.index
    lids = measures[:, [column("lid_left"), column("lid_right")]]
    blinks = _GAINS["lid"] * (1.0 - lids / lids_open) / (1.0 - _SHUT_SHARE)
    gaze_x = changes[:, column("gaze_x")] / _GAZE_X_REACH
    gaze_y = -changes[:, column("gaze_y")] / _GAZE_Y_REACH
    mouth = changes[:, [column(name) for name in _MOUTH_MEASURES]] @ _mouth_solver().T
    # Lips are pressed where they would be closer than shut; nothing else shows it.
    mouth[:, _MOUTH.index("press")] = 0.0
    brows = changes[:, [column(name) for name in _BROW_MEASURES]] @ _brow_solver().T
    return np.column_stack([blinks, gaze_x, gaze_y, mouth, brows])


@cache
def _gains() -> np.ndarray:
    """(M,) of every measure."""
    sideless = [name.removesuffix("_left").removesuffix("_right") for name in MEASURE_NAMES]
    return np.array([_GAINS.get(name, 1.0) for name in sideless])


def _response(names: Sequence[str], measures: Sequence[str], step: float = 0.5) -> np.ndarray:
    """(measures, names): what each deformer does to each measure of the canonical face."""
    rows = [MEASURE_NAMES.index(name) for name in measures]
    rest = measure(CANONICAL).as_array()[rows]
    columns = []
    for name in names:
        moved = CANONICAL.copy()
        moved[:MESH_COUNT] += step * deformers()[name]
        columns.append((measure(moved).as_array()[rows] - rest) / step)
    return np.stack(columns, axis=1)


@cache
def _mouth_solver() -> np.ndarray:
    weighted = _response(_MOUTH, _MOUTH_MEASURES) * _MOUTH_TRUST[:, None]
    normal = weighted.T @ weighted + _MOUTH_RIDGE * np.eye(weighted.shape[1])
    return np.linalg.solve(normal, weighted.T * _MOUTH_TRUST)


@cache
def _brow_solver() -> np.ndarray:
    response = _response(BROW_DEFORMERS, _BROW_MEASURES)
    normal = response.T @ response + _BROW_RIDGE * np.eye(response.shape[1])
    return np.linalg.solve(normal, response.T)


@cache
def _encoder() -> np.ndarray:
    """(S, 63) offsets for one unit of each thing that is shown."""
    basis, costs = _basis()
    base = np.array(slider_expression({"lip_variation_three": _REST_JAW}))
    shown = _decoded(np.concatenate([base[None], base + _STEP * basis]))
    trust = _shown_trust()
    response = trust @ (shown[1:] - shown[0]).T / _STEP
    normal = response.T @ response + np.diag(costs)
    return np.linalg.solve(normal, response.T @ trust).T @ basis


def _shown_trust() -> np.ndarray:
    """(W, S) what must be right: lids, gaze and brows each by itself, of the mouth its measures."""
    mouth = slice(len(_EYES), len(_EYES) + len(_MOUTH))
    trust = np.eye(len(_SHOWN))
    trust[mouth] *= _AMOUNT_TRUST
    measured = np.zeros((len(_MOUTH_MEASURES), len(_SHOWN)))
    measured[:, mouth] = _MOUTH_TRUST[:, None] * _response(_MOUTH, _MOUTH_MEASURES)
    return np.concatenate([trust, measured])


def _decoded(expression: np.ndarray) -> np.ndarray:
    """(T, S) what the decoder reads of (T, 63) offsets on an average face with parted lips."""
    rows = decode_rows(expression, replace(measure(CANONICAL), lip_gap=_REST_GAP), is_limited=False)
    return np.stack([rows[name] for name in _SHOWN], axis=1)


def _basis() -> tuple[np.ndarray, np.ndarray]:
    """(B, 63) directions of sliders and of the keypoints that they touch, and their costs."""
    controls = [
        control
        for control in CONTROLS
        if control.terms and all(term.keypoint != _HEAD_KEYPOINT for term in control.terms)
    ]
    sliders = [slider_expression({control.target: control.raw(1.0)}) for control in controls]
    touched = {
        3 * term.keypoint + AXES.index(term.axis)
        for terms in SLIDERS.values()
        for term in terms
        if term.keypoint != _HEAD_KEYPOINT
    }
    # A carrier alone is no motion that there is.
    free = sorted(touched - set(CARRIERS.values()))
    keypoints = _KEYPOINT_UNIT * np.eye(3 * KEYPOINT_COUNT)[free]
    costs = [_SLIDER_COST] * len(sliders) + [_KEYPOINT_COST] * len(keypoints)
    return np.concatenate([np.array(sliders), keypoints]), np.array(costs)
