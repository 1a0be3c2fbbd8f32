"""Sliders of a performer whose face is known: what its picture has to do to look like the clip.

A Response says how the landmarks of one face answer every slider, as the landmark model reads them
of that very face. A moment of the clip is explained by few movements that add up to it, the one
first that explains most. The more is left that no slider explains, the more another must explain.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from ..controls import CONTROLS_BY_NAME
from .slider_fit import FITTED, joined

# Parts of a direction's way at which a response is known; between them it is straight.
LEVELS = (1 / 3, 2 / 3, 1.0)

_NOISE_CM = 0.008  # of one coordinate of a landmark
# What a direction must explain to be used: of the squares of deviations, and of those that are
# left. Parts of others, and what hardly anybody does, must explain more.
_LEAST_GAIN, _LEAST_SHARE = 2.0, 0.02
_PART_PRICE = 1.2
_PARTS = frozenset(
    name for name in FITTED if name.startswith(("wink", "brow_", "smile_", "cheek", "upper", "jaw"))
)
_MOST = 10  # directions at a moment
_NEIGHBOURS = 2  # moments on either side that choose together
_FIRM = 1.6
_SWEEPS, _SETTLED = 12, 3e-3


class Direction(NamedTuple):
    """One slider going up, or going down: its place in FITTED, and its value at the end."""

    index: int
    end: float


class Response(NamedTuple):
    """How one face answers; differences from its rest.

    features  (D, len(LEVELS), F) for every one of directions()
    errors    (N, F) what features do that no slider means: turned heads, noise, mixtures of sliders
    """

    features: np.ndarray
    errors: np.ndarray


class Solution(NamedTuple):
    """What sliders say of T moments.

    values       (T, len(FITTED))
    asked, left  (T,) squares of deviations that were to be explained, and that still are
    """

    values: np.ndarray
    asked: np.ndarray
    left: np.ndarray


@cache
def directions() -> tuple[Direction, ...]:
    """Every way that a slider of FITTED can go, up to its hard limits."""
    found = []
    for index, name in enumerate(FITTED):
        control = CONTROLS_BY_NAME[name]
        found += [Direction(index, end) for end in (control.maximum, control.minimum) if end]
    return tuple(found)


def solve(
    features: np.ndarray,
    response: Response,
    tick: Callable[[], None] | None = None,
    doubt: np.ndarray | None = None,
) -> Solution:
    """Slider values of (T, F) features, differences from rest.

    doubt  (T,) from 1 on: how much more a slider must explain than usual at a moment
    tick  called every few milliseconds of the work; may raise to stop it
    """
    solver = _Solver(response)
    fills = solver.solve(features, np.ones(len(features)) if doubt is None else doubt, tick)
    asked, left = solver.squares(features, fills)
    count = len(directions())
    shares = (fills.reshape(len(features), count, len(LEVELS))).sum(axis=2)
    values = np.zeros((len(features), len(FITTED)))
    for column, direction in enumerate(directions()):
        values[:, direction.index] += direction.end * shares[:, column]
    return Solution(joined(values), asked, left)


def _slopes(points: np.ndarray) -> np.ndarray:
    """(D, L, C) change per share of the way, of (D, L, C) differences from rest at LEVELS."""
    widths = np.diff(LEVELS, prepend=0.0)
    return np.diff(points, axis=1, prepend=0.0) / widths[:, None]


class _Solver:
    """Greedy choice of directions, and coordinate descent among them; all moments at once."""

    def __init__(self, response: Response) -> None:
        slopes = _slopes(response.features.astype(np.float64))
        self._count, self._steps, width = slopes.shape
        self._plain = slopes.reshape(-1, width)
        _, size, across = np.linalg.svd(response.errors.astype(np.float64), full_matrices=False)
        self._across, self._share = across, 1.0 - _NOISE_CM / np.hypot(size, _NOISE_CM)
        self._whole = self._whitened(self._plain)
        self._gram = self._whole @ self._whole.T
        self._widths = np.diff(LEVELS, prepend=0.0)
        # Where an answer is steepest: many do their most early on, and stay there.
        levels = self._whitened(response.features.astype(np.float64))
        steepest = (np.linalg.norm(levels, axis=2) / np.array(LEVELS)).max(axis=1)
        self._length = np.maximum(steepest, 1e-6)
        names = [FITTED[direction.index] for direction in directions()]
        self._price = np.array([_PART_PRICE if name in _PARTS else 1.0 for name in names])

    def _whitened(self, rows: np.ndarray) -> np.ndarray:
        inside = rows @ self._across.T
        return (rows - (inside * self._share) @ self._across) / _NOISE_CM

    def solve(
        self, features: np.ndarray, doubt: np.ndarray, tick: Callable[[], None] | None
    ) -> np.ndarray:
        """(T, D * L) how far each step of each direction is gone, shares of the whole way."""
        wanted = self._whitened(np.asarray(features, np.float64))
        pull = wanted @ self._whole.T
        fills = np.zeros_like(pull)
        left = (wanted**2).sum(axis=1)
        is_used = np.zeros((len(wanted), self._count), bool)
        for _ in range(_MOST):
            chosen = self._best_unused(pull, fills, is_used, _least(left, doubt), tick)
            if not chosen.any():
                break
            is_used |= chosen
            fills, pull = self._descend(pull, fills, is_used, tick)
            left = ((wanted - fills @ self._whole) ** 2).sum(axis=1)
        dead = np.sqrt(_least(left, doubt)[:, None] * self._price)
        shares = fills.reshape(len(fills), self._count, self._steps).sum(axis=2)
        firm = _firm(shares, dead / self._length)[:, :, None]
        return np.clip(firm - _starts(), 0.0, self._widths).reshape(fills.shape)

    def squares(self, features: np.ndarray, fills: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T,) squares of deviations of the features, and of what fills leave of them."""
        wanted = self._whitened(np.asarray(features, np.float64))
        return (wanted**2).sum(axis=1), ((wanted - fills @ self._whole) ** 2).sum(axis=1)

    def _best_unused(
        self,
        pull: np.ndarray,
        fills: np.ndarray,
        is_used: np.ndarray,
        least: np.ndarray,
        tick: Callable[[], None] | None,
    ) -> np.ndarray:
        """(T, D) bool: of each moment the unused direction that explains most, and enough.

        least  (T,) that it must explain
        """
        gains = np.zeros(is_used.shape)
        for j in range(self._count):
            if tick is not None:
                tick()
            gains[:, j] = self._along(pull, fills, j)[1]
        # Neighbours choose alike.
        gains = _blurred(gains) / self._price
        gains[is_used] = 0.0
        best = gains.argmax(axis=1)
        rows = np.arange(len(gains))
        is_enough = gains[rows, best] > least
        chosen = np.zeros(is_used.shape, bool)
        chosen[rows[is_enough], best[is_enough]] = True
        return chosen

    def _descend(
        self,
        pull: np.ndarray,
        fills: np.ndarray,
        is_used: np.ndarray,
        tick: Callable[[], None] | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fills and pulls once the used directions have shared out what they explain."""
        fills, pull = fills.copy(), pull.copy()
        for _ in range(_SWEEPS):
            largest = 0.0
            for j in map(int, np.flatnonzero(is_used.any(axis=0))):
                if tick is not None:
                    tick()
                rows = np.flatnonzero(is_used[:, j])
                own = slice(j * self._steps, (j + 1) * self._steps)
                share = self._along(pull[rows], fills[rows], j)[0]
                step = np.clip(share[:, None] - _starts(), 0.0, self._widths) - fills[rows, own]
                fills[rows, own] += step
                pull[rows] -= step @ self._gram[own]
                largest = max(largest, float(np.abs(step.sum(axis=1)).max()))
            if largest < _SETTLED:
                break
        return fills, pull

    def _along(self, pull: np.ndarray, fills: np.ndarray, j: int) -> tuple[np.ndarray, np.ndarray]:
        """(T,) share of direction j that explains most, and the squares that it explains more."""
        own = slice(j * self._steps, (j + 1) * self._steps)
        gram, before = self._gram[own, own], fills[:, own]
        pull = pull[:, own] + before @ gram
        now = ((0.5 * before @ gram - pull) * before).sum(axis=1)
        best, least = np.zeros(len(pull)), np.zeros(len(pull))
        done = np.zeros(self._steps)
        for k, width in enumerate(self._widths):
            slope = pull[:, k] - gram[k] @ done
            step = np.clip(slope / max(gram[k, k], 1e-9), 0.0, width)
            cost = 0.5 * done @ gram @ done - pull @ done + step * (0.5 * step * gram[k, k] - slope)
            is_better = cost < least
            best[is_better] = (_starts()[k] + step)[is_better]
            least[is_better] = cost[is_better]
            done[k] = width
        return best, 2.0 * (now - least)


def _least(left: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    """(T,) squares that a direction must explain, of what is left."""
    return np.asarray(doubt * np.maximum(_LEAST_GAIN, _LEAST_SHARE * left))


def _blurred(rows: np.ndarray) -> np.ndarray:
    """(T, D) means of each moment and its neighbours."""
    total, weight = rows.copy(), np.ones((len(rows), 1))
    for step in range(1, min(len(rows), _NEIGHBOURS + 1)):
        share = 1.0 - step / (_NEIGHBOURS + 1)
        total[step:] += share * rows[:-step]
        total[:-step] += share * rows[step:]
        weight[step:] += share
        weight[:-step] += share
    return total / weight


def _starts() -> np.ndarray:
    return np.array([0.0, *LEVELS[:-1]])


def _firm(plain: np.ndarray, dead: np.ndarray) -> np.ndarray:
    """Values that are 0 up to `dead` and themselves from _FIRM times that on; no jump between."""
    between = (plain - dead) / (1.0 - 1.0 / _FIRM)
    return np.where(plain < _FIRM * dead, np.maximum(between, 0.0), plain)
