"""From how the skin of an actor moves to weights of face shapes.

Weights between 0 and 1 are looked for whose shapes together are like the motion, preferring few,
small, even and symmetric ones: the least-squares problem that NVIDIA's program solves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

# Of the published program: how its settings count in the problem.
_SPARSE, _SMALL, _STEADY, _EVEN = 0.25, 10.0, 100.0, 10.0
_SWEEPS, _PRECISION = 300, 1e-5


class Regularization(NamedTuple):
    """What weights cost, in units of the actor's size squared."""

    sparse: float
    small: float
    steady: float
    even: float
    scale: float

    @classmethod
    def of(cls, settings: Mapping[str, Any], size: float) -> Regularization:
        """From bs_skin_config.json.

        size  diagonal of the actor's bounding box
        Raises KeyError, TypeError or ValueError.
        """
        template = float(settings["templateBBSize"])
        if not template > 0.0:
            raise ValueError(f"a template of size {template:g}")
        names = ("L1regularization", "L2regularization", "TemporalSmoothing", "Symmetry")
        values = [float(settings[f"strength{name}"]) for name in names]
        return cls(*values, scale=(size / template) ** 2)


class ShapeSolver:
    """Weights of shapes from what the network says of the skin."""

    def __init__(
        self,
        *,
        names: tuple[str, ...],
        shapes: np.ndarray,
        motion: np.ndarray,
        rest: np.ndarray,
        regularization: Regularization,
        settings: Mapping[str, Any],
    ) -> None:
        """
        names     of N shapes
        shapes    (N, M) how each moves the M coordinates that count
        motion    (K, M) how each of the network's K numbers does
        rest      (M,) where they are, against the shapes' rest, while all of those are 0
        settings  of bs_skin_config.json, lists of N
        Raises KeyError, TypeError or ValueError.
        """
        self.names = names
        lists = {key: _list(settings, key, len(names)) for key in _LISTS}
        self._active = np.flatnonzero(lists["bsSolveActivePoses"])
        if not len(self._active):
            raise ValueError("no shape is in use")
        used = shapes[self._active].astype(np.float64)
        self._projection = motion.astype(np.float64) @ used.T
        self._rest = used @ rest.astype(np.float64)
        self._steady = regularization.steady * regularization.scale
        self._rivals = _pairs(lists["bsSolveCancelPoses"][self._active])
        twins = _pairs(lists["bsSolveSymmetryPoses"][self._active])
        self._normal = used @ used.T + _costs(len(used), regularization, twins)
        if not (np.diag(self._normal) > 0.0).all():
            raise ValueError("a shape that moves nothing")
        self._multipliers = lists["bsWeightMultipliers"]
        self._offsets = lists["bsWeightOffsets"]
        self._before = np.zeros(len(used))

    def weights(self, numbers: np.ndarray) -> np.ndarray:
        """(T, N) weights from (T, K) of the network; frames follow those of the call before."""
        wanted = numbers.astype(np.float64) @ self._projection + self._rest
        highest = np.ones_like(wanted)
        found = self._solved(wanted, highest)
        for first, second in self._rivals:
            weaker = np.where(found[:, first] < found[:, second], first, second)
            highest[np.arange(len(wanted)), weaker] = 0.0
        if self._rivals:
            found = self._solved(wanted, highest)
        if len(found):
            self._before = found[-1]
        result = np.zeros((len(found), len(self.names)))
        result[:, self._active] = found
        return result * self._multipliers + self._offsets

    def _solved(self, wanted: np.ndarray, highest: np.ndarray) -> np.ndarray:
        """(T, A) of all frames together, one shape after the other until nothing changes."""
        found = np.zeros_like(wanted)
        diagonal = np.diag(self._normal)
        for _ in range(_SWEEPS):
            last = np.concatenate([self._before[None], found[:-1]])[: len(found)]
            aim = wanted + self._steady * last
            change = 0.0
            for shape in range(found.shape[1]):
                step = (aim[:, shape] - found @ self._normal[:, shape]) / diagonal[shape]
                value = np.clip(found[:, shape] + step, 0.0, highest[:, shape])
                change = max(change, float(np.abs(value - found[:, shape]).max(initial=0.0)))
                found[:, shape] = value
            if change < _PRECISION:
                break
        return found


_LISTS = (
    "bsSolveActivePoses",
    "bsSolveCancelPoses",
    "bsSolveSymmetryPoses",
    "bsWeightMultipliers",
    "bsWeightOffsets",
)


def _list(settings: Mapping[str, Any], key: str, count: int) -> np.ndarray:
    values = np.asarray(settings[key], np.float64)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise ValueError(f"{key} is no list of {count} numbers")
    return values


def _pairs(groups: np.ndarray) -> list[tuple[int, int]]:
    """Indices that share a number of 0 or above, where exactly two do."""
    members = [np.flatnonzero(groups == group) for group in np.unique(groups[groups >= 0])]
    return [(int(pair[0]), int(pair[1])) for pair in members if len(pair) == 2]


def _costs(count: int, costs: Regularization, twins: Sequence[tuple[int, int]]) -> np.ndarray:
    """(A, A) what is added to the products of the shapes."""
    result = np.full((count, count), _SPARSE * costs.sparse**2)
    result += np.eye(count) * (_SMALL * costs.small + _STEADY * costs.steady)
    for first, second in twins:
        apart = np.zeros(count)
        apart[first], apart[second] = 1.0, -1.0
        result += _EVEN * costs.even * np.outer(apart, apart)
    return result * costs.scale
