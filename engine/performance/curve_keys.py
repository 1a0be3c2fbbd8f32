"""Few keys for a curve of many moments, when it may be a little off between them.

Between two keys runs a cubic that leaves and meets them with the slopes there: what an animator
gets from aligned Bezier handles a third of the way along. The first keys lie where the curve turns,
more are added where it is furthest off, in all parts at once, and all of them are fitted to the
moments around them in turn. Then keys go again that the curve does without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

_PASSES = 3  # of fitting all keys, after each round of new ones
_MOST_ROUNDS = 200
_APART = 4  # keys that are tried to do without at once do not touch each other
_MOST_THINNINGS = 3
_PASSES_WITHOUT = 2  # of fitting the keys beside those that are tried to do without
MOST_RELAXED = 3.0  # how often its tolerance a curve may be off for the sake of few keys
_RELAXING = 1.2
_SINGULAR = 1e-9


class CurveKeys(NamedTuple):
    """Keys of one curve, and the curve that they make.

    is_key  (T,) bool
    values  (T,) the curve at every moment
    slopes  (T,) its slope there, value per second; those at keys are the keys'
    """

    is_key: np.ndarray
    values: np.ndarray
    slopes: np.ndarray


def fit_keys(
    values: np.ndarray,
    times: np.ndarray,
    tolerance: float,
    *,
    is_moving: bool = True,
    enough_per_s: float = np.inf,
    most_relaxed: float = MOST_RELAXED,
    tick: Callable[[], None] | None = None,
) -> CurveKeys:
    """The keys of a curve that no moment is further off from than a tolerance.

    values     (T,) and `times` (T,) seconds, rising
    tolerance  in the values' unit; 0 keeps every moment that is no straight going on
    is_moving  keys may leave their moment's value by the tolerance; else they lie on it
    enough_per_s  a curve that needs more keys per second may be off by more than the tolerance
    most_relaxed  by how many times the tolerance at most
    tick       called for every round of the work; may raise to stop it
    A curve that stays within the tolerance of its first value, or of 0, keeps one key.
    """
    values, times = np.asarray(values, np.float64), np.asarray(times, np.float64)
    count = len(values)
    still = _still_value(values, tolerance, is_moving)
    if still is not None or count < 2:
        is_key = np.arange(count) == 0
        level = values if still is None else np.full(count, still)
        return CurveKeys(is_key, level, np.zeros(count))
    curve = _Curve(values, times, turning_points(values, 2.0 * tolerance), is_moving)
    for _ in range(_MOST_ROUNDS):
        if tick is not None:
            tick()
        if not curve.refine(tolerance):
            break
    enough = 1.0 + enough_per_s * (times[-1] - times[0])
    allowed = tolerance
    curve.thin(allowed, tick)
    while len(curve.keys) > enough and allowed * _RELAXING <= most_relaxed * tolerance > 0.0:
        allowed *= _RELAXING
        curve.thin(allowed, tick)
    is_key = np.zeros(count, bool)
    is_key[curve.keys] = True
    return CurveKeys(is_key, *curve.sampled())


def fit_curves(
    values: np.ndarray,
    times: np.ndarray,
    tolerances: np.ndarray,
    *,
    is_seen: np.ndarray,
    starts: np.ndarray,
    is_moving: bool = True,
    enough_per_s: float = np.inf,
    most_relaxed: float = MOST_RELAXED,
    tick: Callable[[], None] | None = None,
) -> CurveKeys:
    """fit_keys for (T, C) curves: is_key, values and slopes are (T, C).

    tolerances  (C,)
    is_seen     (T,) bool: other moments have no keys, and keep their values
    starts      (T,) bool: moments with which something new begins: nothing goes on into them
    """
    result = CurveKeys(np.zeros(values.shape, bool), np.array(values), np.zeros(values.shape))
    is_edge = np.append(True, is_seen[1:] != is_seen[:-1]) | starts
    edges = np.append(np.flatnonzero(is_edge), len(values))
    for first, last in pairwise(edges):
        if not is_seen[first]:
            continue
        for column, tolerance in enumerate(tolerances):
            piece = fit_keys(
                values[first:last, column],
                times[first:last],
                tolerance,
                is_moving=is_moving,
                enough_per_s=enough_per_s,
                most_relaxed=most_relaxed,
                tick=tick,
            )
            for whole, part in zip(result, piece, strict=True):
                whole[first:last, column] = part
    return result


def beside(parts: Sequence[CurveKeys]) -> CurveKeys:
    """(T, C) curves of the same moments as one table."""
    return CurveKeys(*(np.concatenate(each, axis=1) for each in zip(*parts, strict=True)))


def _still_value(values: np.ndarray, tolerance: float, is_moving: bool) -> float | None:
    if not len(values):
        return None
    for still in (0.0, float(values[0])) if is_moving else (float(values[0]),):
        if np.abs(values - still).max() <= tolerance:
            return still
    return None


def turning_points(values: np.ndarray, least: float) -> np.ndarray:
    """Indices of the first and the last value, and of the peaks and valleys between them.

    least  by how much a peak stands above the valleys beside it
    """
    places = [0]
    low = high = 0  # places of the lowest and the highest value since the last turn
    is_rising: bool | None = None
    for place, value in enumerate(values.tolist()):
        if value > values[high]:
            high = place
        if value < values[low]:
            low = place
        if is_rising is not False and values[high] - value > least:
            places.append(high)
            is_rising, low, high = False, place, place
        elif is_rising is not True and value - values[low] > least:
            places.append(low)
            is_rising, low, high = True, place, place
    return np.unique([*places, len(values) - 1])


class _Curve:
    """A curve through keys at some of the moments; `levels` and `slopes` are the keys'."""

    def __init__(
        self, values: np.ndarray, times: np.ndarray, keys: np.ndarray, is_moving: bool
    ) -> None:
        self.values, self.times, self.keys = values, times, keys
        self._is_pinned = np.full(len(values), not is_moving)
        self.levels = values[self.keys].copy()
        self.slopes = np.gradient(values, times)[self.keys]

    def refine(self, tolerance: float) -> bool:
        """Fit the keys, and add some where the curve is too far off. Whether any were added."""
        part = self._parts()
        self._fit(part)
        curve = self._between(part)
        off = np.abs(curve - self.values)
        worst = np.maximum.reduceat(off, self.keys[:-1])
        worst[-1] = max(worst[-1], off[-1])
        is_bad = worst > tolerance
        if not is_bad.any():
            return False
        # Where there is no moment left to add, its two keys go to their own values.
        full = np.flatnonzero(is_bad & (np.diff(self.keys) == 1))
        for keys in (self.keys[full], self.keys[full + 1]):
            self._is_pinned[keys] = True
        is_new = (off == worst[part]) & is_bad[part]
        new = np.flatnonzero(is_new)
        new = new[np.unique(part[new], return_index=True)[1]]
        self._is_pinned[new[np.isin(new, self.keys)]] = True
        self._insert(np.setdiff1d(new, self.keys), curve)
        pinned = self._is_pinned[self.keys]
        self.levels[pinned] = self.values[self.keys[pinned]]
        return True

    def thin(self, tolerance: float, tick: Callable[[], None] | None = None) -> None:
        """Take out the keys that the curve does without when those beside them move."""
        in_vain = 0
        for start in range(_MOST_THINNINGS * _APART):
            if tick is not None:
                tick()
            tried = np.arange(1 + start % _APART, len(self.keys) - 1, _APART)
            has_gone = bool(len(tried)) and self._try_without(tried, tolerance)
            in_vain = 0 if has_gone else in_vain + 1
            if in_vain == _APART:
                return

    def _try_without(self, tried: np.ndarray, tolerance: float) -> bool:
        """Take out keys, at least _APART from each other, where that fits. Whether any went."""
        before = self.keys, self.levels, self.slopes
        stays = np.ones(len(self.keys), bool)
        stays[tried] = False
        self.keys, self.levels, self.slopes = (part[stays].copy() for part in before)
        places = tried - np.arange(len(tried))  # of the keys after those that went
        movable = np.zeros(len(self.keys), bool)
        movable[places] = movable[places - 1] = True
        part = self._parts()
        self._fit(part, movable, _PASSES_WITHOUT)
        off = np.abs(self._between(part) - self.values)
        worst = np.maximum.reduceat(off, self.keys[:-1])
        worst[-1] = max(worst[-1], off[-1])
        around = [np.clip(places + step, 0, len(worst) - 1) for step in (-2, -1, 0)]
        is_fit = np.max([worst[place] for place in around], axis=0) <= tolerance
        if is_fit.all():
            return True
        # What does not fit comes back, and with it the keys beside.
        moved = self.levels, self.slopes
        stays[tried[~is_fit]] = True
        keys, levels, slopes = (part.copy() for part in before)
        for place, index in zip(places[is_fit], tried[is_fit], strict=True):
            for new, old in ((place - 1, index - 1), (place, index + 1)):
                levels[old], slopes[old] = moved[0][new], moved[1][new]
        self.keys, self.levels, self.slopes = keys[stays], levels[stays], slopes[stays]
        return bool(is_fit.any())

    def sampled(self) -> tuple[np.ndarray, np.ndarray]:
        """(T,) values and (T,) slopes of the curve."""
        part = self._parts()
        span = np.diff(self.times[self.keys])[part]
        t = (self.times - self.times[self.keys[part]]) / span
        rise = self.levels[part + 1] - self.levels[part]
        start, end = self.slopes[part] * span, self.slopes[part + 1] * span
        slopes = start + t * (6 * rise - 4 * start - 2 * end + t * 3 * (start + end - 2 * rise))
        return self._between(part), slopes / span

    def _parts(self) -> np.ndarray:
        """(T,) which part of the curve, between two keys, each moment belongs to."""
        found = np.searchsorted(self.keys, np.arange(len(self.values)), side="right") - 1
        return np.minimum(found, len(self.keys) - 2)

    def _basis(self, part: np.ndarray) -> tuple[np.ndarray, ...]:
        """(T,) weights of level and slope of the key before and of the key after."""
        span = np.diff(self.times[self.keys])[part]
        t = (self.times - self.times[self.keys[part]]) / span
        after = t * t * (3.0 - 2.0 * t)
        return 1.0 - after, t * (1.0 - t) ** 2 * span, after, t * t * (t - 1.0) * span

    def _between(self, part: np.ndarray) -> np.ndarray:
        before, leave, after, meet = self._basis(part)
        curve = before * self.levels[part] + leave * self.slopes[part]
        return curve + after * self.levels[part + 1] + meet * self.slopes[part + 1]

    def _fit(
        self, part: np.ndarray, is_free: np.ndarray | None = None, passes: int = _PASSES
    ) -> None:
        """Move every key, or those that are free, to where the moments around it want it.

        A key's neighbours are held still meanwhile.
        """
        basis = self._basis(part)
        for number in range(2 * passes):
            residual = self.values - self._between(part)
            a, b, c, d, e = self._normal(basis, residual)
            is_pinned = self._is_pinned[self.keys]
            b, d = np.where(is_pinned, 0.0, b), np.where(is_pinned, 0.0, d)
            determinant = a * c - b * b
            is_solved = determinant > _SINGULAR * a * c
            safe = np.where(is_solved, determinant, 1.0)
            is_solved[1 - number % 2 :: 2] = False
            if is_free is not None:
                is_solved &= is_free
            self.levels += np.where(is_solved, (c * d - b * e) / safe, 0.0)
            self.slopes += np.where(is_solved, (a * e - b * d) / safe, 0.0)

    def _normal(self, basis: tuple[np.ndarray, ...], residual: np.ndarray) -> list[np.ndarray]:
        """Sums over the moments around each key: level², level·slope, slope², and what is left."""
        before, leave, after, meet = basis
        sums = []
        for left, right in (
            (before * before, after * after),
            (before * leave, after * meet),
            (leave * leave, meet * meet),
            (before * residual, after * residual),
            (leave * residual, meet * residual),
        ):
            total = np.zeros(len(self.keys))
            total[:-1] += np.add.reduceat(left, self.keys[:-1])
            total[1:] += np.add.reduceat(right, self.keys[:-1])
            sums.append(total)
        return sums

    def _insert(self, new: np.ndarray, curve: np.ndarray) -> None:
        keys = np.union1d(self.keys, new)
        levels, slopes = curve[keys], np.gradient(self.values, self.times)[keys]
        places = np.searchsorted(keys, self.keys)
        levels[places], slopes[places] = self.levels, self.slopes
        is_new = ~np.isin(keys, self.keys)
        levels[is_new] = self.values[keys[is_new]]
        self.keys, self.levels, self.slopes = keys, levels, slopes
