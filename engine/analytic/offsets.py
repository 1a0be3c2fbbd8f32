"""Reading LivePortrait's expression offsets by linear weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# By name: by keypoint and axis, such as "19y", how much a unit of it counts.
Weights = Mapping[str, Mapping[str, float]]


def read(weights: Weights, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """(T,) by name, of (T, 63) offsets."""
    return {
        name: sum(
            (weight * offsets[:, _index(term)] for term, weight in terms.items()),
            np.zeros(len(offsets)),
        )
        for name, terms in weights.items()
    }


def _index(term: str) -> int:
    return 3 * int(term[:-1]) + "xyz".index(term[-1])
