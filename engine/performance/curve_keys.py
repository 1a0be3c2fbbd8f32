"""Which samples a curve needs, when straight lines between them may be a little off."""

from __future__ import annotations

import numpy as np


def key_mask(values: np.ndarray, tolerance: float) -> np.ndarray:
    """(T,) bool: samples to keep, so that lines between them miss none by more (Douglas-Peucker).

    values     (T,) samples at even steps
    tolerance  in the values' unit; a curve that never leaves it keeps one key
    """
    count = len(values)
    keep = np.zeros(count, bool)
    if not count:
        return keep
    keep[0] = True
    if np.ptp(values) <= tolerance * 1e-3:
        return keep
    keep[-1] = True
    spans = [(0, count - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        line = np.linspace(values[first], values[last], last - first + 1)
        distance = np.abs(values[first : last + 1] - line)
        worst = int(distance.argmax())
        if distance[worst] > tolerance:
            keep[first + worst] = True
            spans += [(first, first + worst), (first + worst, last)]
    return keep
