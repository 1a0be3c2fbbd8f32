"""Slider values that show what captured expression offsets show.

A captured blink moves LivePortrait's keypoints far less than the slider that closes the same eyes,
so that sliders are not fitted to keypoints but to what is seen: both sides go through the decoder,
and the sliders are chosen that move its deformers alike. What then remains of the offsets is the
take's `expression`, with which the sum is exact.

Many mixtures of sliders look alike. The one is taken that an animator would: sliders of both sides
before those of one, which only answer what is clearly one-sided, and no wandering in time between
mixtures that show the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from ..controls import CONTROLS_BY_NAME, slider_expression
from ..faces.canonical import CANONICAL
from ..faces.measures import Measures, measure
from . import carried
from .decoder import MOUTH_HIGHEST, MOUTH_LOWEST, decode_rows
from .deformers import BROW_DEFORMERS, MOUTH_DEFORMERS

# Fitted to what is seen; the others are told by their carriers.
_BY_SIGHT = (
    "blink", "wink_left", "wink_right", "gaze_x", "gaze_y", "brows",
    "smile", "mouth_open", "grin", "purse", "pout", "smile_left", "smile_right",
)  # fmt: skip
FITTED = (*_BY_SIGHT, *(name for name in carried.NAMES if name not in _BY_SIGHT))
SEEN = (
    "blink_left",
    "blink_right",
    "gaze_x",
    "gaze_y",
    *MOUTH_DEFORMERS,
    "closing",
    *BROW_DEFORMERS,
)
# How much a deviation counts, by what is seen; lids, lips and gaze are what people look at.
_TRUST = {
    "blink_left": 2.0, "blink_right": 2.0, "gaze_x": 1.5, "gaze_y": 1.5, "jaw": 1.5, "closing": 0.5,
}  # fmt: skip
# Of mixtures of the mouth that show the same the one is taken whose sum is least: by how much each
# slider is drawn to rest.
_THRIFT = {"smile": 0.01, "mouth_open": 0.01, "grin": 0.02, "purse": 0.02, "pout": 0.02}
# Sliders of one side stay at rest for less than this, and are as large as they look from three
# times as much on.
_ONE_SIDED, _DEAD, _FIRM = ("wink_left", "wink_right", "smile_left", "smile_right"), 0.06, 3.0
_CARRIED_DEAD = 0.03
# What parts do together is said by the slider of the whole.
_WHOLES = {
    "blink": ("wink_left", "wink_right"),
    "smile": ("smile_left", "smile_right"),
    "brows": tuple(name for name in carried.NAMES if name.startswith("brow_")),
}
_WHOLE_BOTH_WAYS = ("smile",)
_RIDGE = 0.002
# Against wandering between mixtures: of the square of a step in time, where a slider at 1 shows 1.
_STEADINESS = 0.1
_SWEEPS = 40
_SETTLED = 3e-4
_FARTHEST = 3.0
_PIECE = 4096  # rows that are decoded between two ticks
# What is seen is not quite proportional to the sliders.
_CORRECTIONS, _LARGEST_CORRECTION = 1, 0.25


class Responses(NamedTuple):
    """What sliders do; a direction is one slider going up, or going down.

    index, sign  (D,) of every direction: place in FITTED and _BY_SIGHT, 1 or -1
    reach        (D,) how far it can go
    seen         (S, D) what it shows at 1
    """

    index: np.ndarray
    sign: np.ndarray
    reach: np.ndarray
    seen: np.ndarray


def expression_of(values: np.ndarray) -> np.ndarray:
    """(T, 63) offsets of (T, len(FITTED)) slider values, as the controls themselves make them."""
    up, down = _offsets()
    values = np.asarray(values, np.float64)
    return np.maximum(values, 0.0) @ up - np.minimum(values, 0.0) @ down


def fit_sliders(
    expression: np.ndarray,
    cuts: Sequence[int] = (),
    tick: Callable[[], None] | None = None,
) -> np.ndarray:
    """(T, len(FITTED)) values inside the controls' limits for (T, 63) captured offsets.

    cuts  rows that begin a new shot: nothing is steadied across them
    tick  called every few milliseconds of the work; may raise to stop it
    """
    expression = np.asarray(expression, np.float64)
    own = np.zeros((len(expression), len(FITTED)))
    asked = carried.read_carriers(expression)[0]
    own[:, [FITTED.index(name) for name in carried.NAMES]] = np.sign(asked) * firm(
        np.abs(asked), _CARRIED_DEAD
    )
    wanted = np.clip(_seen_in_pieces(expression - expression_of(own), tick), *_reach())
    is_linked = np.ones(max(len(wanted) - 1, 0))
    is_linked[[cut - 1 for cut in cuts if 0 < cut < len(wanted)]] = 0.0
    target, values = wanted, own
    halves = np.zeros((len(wanted), len(_responses().index)))
    for _ in range(1 + _CORRECTIONS):
        halves = _solve(target, halves, is_linked, tick)
        values = _values(halves)
        error = wanted - _seen_in_pieces(expression_of(values), tick)
        target = wanted + np.clip(error, -_LARGEST_CORRECTION, _LARGEST_CORRECTION)
    return joined(values + own)


def seen_rows(expression: np.ndarray) -> np.ndarray:
    """(T, len(SEEN)) what (T, 63) offsets do on an average face: lids, gaze, deformers."""
    rows = decode_rows(np.asarray(expression, np.float64), _rest(), is_limited=False)
    seen = np.stack([rows[name] for name in SEEN], axis=1)
    seen[:, :2] = np.clip(seen[:, :2], -1.0, 1.0)
    return np.clip(seen, -_FARTHEST, _FARTHEST)


def _seen_in_pieces(expression: np.ndarray, tick: Callable[[], None] | None) -> np.ndarray:
    pieces = []
    for first in range(0, max(1, len(expression)), _PIECE):
        if tick is not None:
            tick()
        pieces.append(seen_rows(expression[first : first + _PIECE]))
    return np.concatenate(pieces)


def _solve(
    target: np.ndarray,
    start: np.ndarray,
    is_linked: np.ndarray,
    tick: Callable[[], None] | None,
) -> np.ndarray:
    """(T, D) directions within their bounds that show a target.

    Coordinate descent; every direction is solved for all even moments at once, then for all odd
    ones, so that its neighbours in time hold still.
    """
    responses = _responses()
    trust = np.array([_TRUST.get(name, 1.0) for name in SEEN])
    weighted = responses.seen * trust[:, None]
    normal = weighted.T @ weighted + _RIDGE * np.eye(weighted.shape[1])
    residual = (target * trust) @ weighted - start @ normal
    halves = start.copy()
    names = [_BY_SIGHT[index] for index in responses.index]
    stiffness = _STEADINESS * normal.diagonal()
    for _ in range(_SWEEPS):
        largest = 0.0
        for j in range(halves.shape[1]):
            if tick is not None:
                tick()
            for parity in (0, 1):
                rows = slice(parity, None, 2)
                before = halves[rows, j]
                neighbours, count = _neighbours(halves[:, j], is_linked, parity)
                pull = residual[rows, j] + normal[j, j] * before + stiffness[j] * neighbours
                after = _thrifty(pull / (normal[j, j] + stiffness[j] * count), names[j])
                step = np.clip(after, 0.0, responses.reach[j]) - before
                if np.abs(step).max(initial=0.0) < _SETTLED:
                    continue
                largest = _SETTLED
                halves[rows, j] += step
                residual[rows] -= step[:, None] * normal[j]
        if largest == 0.0:
            break
    return halves


def _neighbours(
    column: np.ndarray, is_linked: np.ndarray, parity: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the neighbours in time of every second moment, and how many each has."""
    total, count = np.zeros(len(column)), np.zeros(len(column))
    total[1:] += column[:-1] * is_linked
    total[:-1] += column[1:] * is_linked
    count[1:] += is_linked
    count[:-1] += is_linked
    return total[parity::2], count[parity::2]


def _thrifty(plain: np.ndarray, name: str) -> np.ndarray:
    """What a direction does that would do `plain` if it cost nothing."""
    if name in _ONE_SIDED:
        return firm(plain, _DEAD)
    return np.maximum(plain - _THRIFT.get(name, 0.0), 0.0)


def firm(plain: np.ndarray, dead: float) -> np.ndarray:
    """Values that are 0 up to `dead` and themselves from _FIRM times that on; no jump between."""
    between = (plain - dead) / (1.0 - 1.0 / _FIRM)
    return np.where(plain < _FIRM * dead, np.maximum(between, 0.0), plain)


def _values(halves: np.ndarray) -> np.ndarray:
    """(T, len(FITTED)) of (T, D) directions."""
    responses = _responses()
    values = np.zeros((len(halves), len(FITTED)))
    for column, (index, sign) in enumerate(zip(responses.index, responses.sign, strict=True)):
        values[:, index] += sign * halves[:, column]
    return values


def joined(values: np.ndarray) -> np.ndarray:
    """(T, len(FITTED)) within their limits, with what both sides do in the slider of both."""
    values = values.copy()
    for whole, parts in _WHOLES.items():
        columns = [FITTED.index(name) for name in parts]
        control, place = CONTROLS_BY_NAME[whole], FITTED.index(whole)
        for sign, end in ((1.0, control.maximum), (-1.0, -control.minimum)):
            if sign < 0.0 and whole not in _WHOLE_BOTH_WAYS:
                continue
            room = np.maximum(end - np.maximum(sign * values[:, place], 0.0), 0.0)
            shared = sign * np.clip((sign * values[:, columns]).min(axis=1), 0.0, room)
            values[:, place] += shared
            values[:, columns] -= shared[:, None]
    limits = [(CONTROLS_BY_NAME[name].minimum, CONTROLS_BY_NAME[name].maximum) for name in FITTED]
    low, high = np.array(limits).T
    return np.clip(values, low, high)


@cache
def _reach() -> tuple[np.ndarray, np.ndarray]:
    """(len(SEEN),) lowest and highest that a face shows; performers go beyond it."""
    low, high = np.full(len(SEEN), -_FARTHEST), np.full(len(SEEN), _FARTHEST)
    for name, lowest, highest in zip(MOUTH_DEFORMERS, MOUTH_LOWEST, MOUTH_HIGHEST, strict=True):
        low[SEEN.index(name)], high[SEEN.index(name)] = 1.1 * lowest, 1.1 * highest
    return low, high


@cache
def _rest() -> Measures:
    return measure(CANONICAL)


@cache
def _offsets() -> tuple[np.ndarray, np.ndarray]:
    """(len(FITTED), 63) offsets of every slider at 1 and at -1."""
    up, down = (
        np.array(
            [
                slider_expression({CONTROLS_BY_NAME[n].target: CONTROLS_BY_NAME[n].raw(sign)})
                for n in FITTED
            ]
        )
        for sign in (1.0, -1.0)
    )
    return up, down


@cache
def _responses() -> Responses:
    directions = []
    for index, name in enumerate(_BY_SIGHT):
        control = CONTROLS_BY_NAME[name]
        directions.append((index, 1.0, control.maximum))
        if control.minimum < 0.0:
            directions.append((index, -1.0, -control.minimum))
    index, sign, reach = (np.array(column) for column in zip(*directions, strict=True))
    values = np.zeros((len(directions), len(FITTED)))
    values[np.arange(len(directions)), index] = sign * reach
    seen = seen_rows(expression_of(values)) / reach[:, None]
    return Responses(index, sign, reach, seen.T)
