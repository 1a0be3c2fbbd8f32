"""Slider values that show what captured expression offsets show.

A captured blink moves LivePortrait's keypoints far less than the slider that closes the same eyes,
so that sliders are not fitted to keypoints but to what is seen: both sides go through the decoder,
and the sliders are chosen that move its deformers alike. What then remains of the offsets is the
take's `expression`, with which the sum is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from ..controls import CONTROLS_BY_NAME, slider_expression
from ..faces.canonical import CANONICAL
from ..faces.measures import Measures, measure
from ..motion import Motion
from .decoder import Amounts, decode
from .deformers import BROW_DEFORMERS, MOUTH_DEFORMERS

FITTED = (
    "blink", "wink_left", "wink_right", "gaze_x", "gaze_y", "brows",
    "smile", "mouth_open", "grin", "purse", "pout",
)  # fmt: skip
# How much a deviation counts, by what is seen; lids, lips and gaze are what people look at.
_BLINK_TRUST, _GAZE_TRUST, _JAW_TRUST = 2.0, 1.5, 1.5
_RIDGE = 0.02
_SWEEPS = 60


def expression_of(values: np.ndarray) -> np.ndarray:
    """(T, 63) offsets of (T, len(FITTED)) slider values, as the controls themselves make them."""
    rows = []
    for row in values:
        raw = {
            CONTROLS_BY_NAME[name].target: CONTROLS_BY_NAME[name].raw(float(value))
            for name, value in zip(FITTED, row, strict=True)
        }
        rows.append(slider_expression(raw))
    return np.array(rows, np.float64).reshape(len(values), -1)


def fit_sliders(expression: np.ndarray) -> np.ndarray:
    """(T, len(FITTED)) values inside the controls' limits for (T, 63) captured offsets."""
    wanted = np.stack([seen(row) for row in np.asarray(expression, np.float64)])
    response, low, high = _response()
    trust = _trust()
    weighted = response * trust[:, None]
    normal = weighted.T @ weighted + _RIDGE * np.eye(response.shape[1])
    right = wanted @ (trust[:, None] * weighted)
    halves = np.zeros((len(wanted), response.shape[1]))
    # Coordinate descent with bounds: every column is one direction of one slider.
    for _ in range(_SWEEPS):
        for j in range(response.shape[1]):
            step = (right[:, j] - halves @ normal[:, j]) / normal[j, j]
            halves[:, j] = np.clip(halves[:, j] + step, low[j], high[j])
    return _joined(halves)


def _joined(halves: np.ndarray) -> np.ndarray:
    values = np.zeros((len(halves), len(FITTED)))
    for column, (index, sign) in enumerate(_directions()):
        values[:, index] += sign * halves[:, column]
    left, right = FITTED.index("wink_left"), FITTED.index("wink_right")
    blink = FITTED.index("blink")
    # What both eyes do is a blink, even where winks would say the same.
    both = np.clip(np.minimum(values[:, left], values[:, right]), 0.0, 1.0)
    both = np.minimum(both, 1.0 - np.maximum(values[:, blink], 0.0))
    values[:, blink] += both
    values[:, left] -= both
    values[:, right] -= both
    return values


@cache
def _rest() -> Measures:
    return measure(CANONICAL)


def seen(expression: np.ndarray) -> np.ndarray:
    """What (63,) offsets do on an average face, one number per thing: lids, gaze, deformers."""
    rest = _rest()
    motion = Motion(expression=tuple(float(v) for v in expression))
    return _numbers(decode(motion, rest, rest.eyes_open, rest.lips_open))


def _numbers(amounts: Amounts) -> np.ndarray:
    names = (*MOUTH_DEFORMERS, *BROW_DEFORMERS)
    return np.array([*amounts.blink, *amounts.gaze, *(amounts.deformers[name] for name in names)])


def _trust() -> np.ndarray:
    trust = np.ones(4 + len(MOUTH_DEFORMERS) + len(BROW_DEFORMERS))
    trust[:2], trust[2:4] = _BLINK_TRUST, _GAZE_TRUST
    trust[4 + MOUTH_DEFORMERS.index("jaw")] = _JAW_TRUST
    return trust


@cache
def _directions() -> Sequence[tuple[int, float]]:
    """(index in FITTED, sign) of every direction that a slider can go."""
    found = []
    for index, name in enumerate(FITTED):
        found.append((index, 1.0))
        if CONTROLS_BY_NAME[name].minimum < 0.0:
            found.append((index, -1.0))
    return tuple(found)


@cache
def _response() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(seen, directions) what each direction shows at full reach, and the directions' bounds."""
    columns, high = [], []
    for index, sign in _directions():
        control = CONTROLS_BY_NAME[FITTED[index]]
        reach = control.maximum if sign > 0.0 else -control.minimum
        values = np.zeros((1, len(FITTED)))
        values[0, index] = sign * reach
        columns.append(seen(expression_of(values)[0]) / reach)
        high.append(reach)
    return np.stack(columns, axis=1), np.zeros(len(high)), np.array(high)
