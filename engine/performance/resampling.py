"""A performance at even steps, as templates and frame rates want it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .geometry import orthonormal
from .performance import MAX_FRAMES, Performance, PerformanceError
from .ratios import OpeningRatios

_SAME_FRAME = 0.01  # frames that a moment may be beside one


def resampled(performance: Performance, fps: float) -> Performance:
    """The same motion with a row every 1 / fps seconds, from its first moment to its last.

    Rows lie on lines between those that were; nothing is blended over a cut. Raises
    PerformanceError for a rate that would make too many rows.
    """
    times = np.asarray(performance.times, np.float64)
    if not 0.0 < fps <= 1000.0 or (times[-1] - times[0]) * fps >= MAX_FRAMES:
        raise PerformanceError(f"{fps:g} is no frame rate for this performance.", "Use 1 to 240.")
    # A last moment that misses its step by rounding alone still counts.
    count = math.floor((times[-1] - times[0]) * fps + 1e-6) + 1
    steps = times[0] + np.arange(count) / fps
    return replace(_at(performance, steps), times=steps - steps[0])


def on_frames(performance: Performance, first_s: float, fps: float) -> Performance:
    """The same motion with a row at every frame of a scene, so that keys need not be moved.

    first_s  a moment of the performance that is a frame
    fps      frames per second of the performance's time
    The first and the last row lie on the frames next to its ends. A performance whose moments are
    frames, within a hundredth, is returned as it is. Raises PerformanceError for too many rows.
    """
    times = np.asarray(performance.times, np.float64)
    frames = (times - first_s) * fps
    if len(times) < 2 or np.abs(frames - np.round(frames)).max() < _SAME_FRAME:
        return performance
    first, last = round(frames[0]), round(frames[-1])
    if last - first >= MAX_FRAMES:
        raise PerformanceError(f"It has {last - first} frames.", "Choose a part of it.")
    return _at(performance, first_s + np.arange(first, last + 1) / fps)


def _at(performance: Performance, steps: np.ndarray) -> Performance:
    """The rows at some rising (N,) moments; beyond its ends it stays as it is there."""
    times = np.asarray(performance.times, np.float64)
    left, right, share = _neighbours(times, steps, performance.cuts)

    def between(values: np.ndarray) -> np.ndarray:
        weights = share.reshape(-1, *[1] * (values.ndim - 1))
        mixed = values[left] * (1.0 - weights) + values[right] * weights
        return mixed.astype(np.float32)

    ratios = performance.ratios
    nearest = np.where(share < 0.5, left, right)
    cuts = np.unique(np.searchsorted(steps, times[list(performance.cuts)] - 1e-6))
    return replace(
        performance,
        times=steps,
        rotation=orthonormal(between(performance.rotation)),
        translation=between(performance.translation),
        scale=between(performance.scale),
        expression=between(performance.expression),
        ratios=ratios and OpeningRatios(between(ratios.eyes), between(ratios.lips)),
        is_seen=performance.is_seen[nearest],
        cuts=tuple(int(cut) for cut in cuts if 0 < cut < len(steps)),
        sliders={name: between(column) for name, column in performance.sliders.items()},
        lips_shut=None if performance.lips_shut is None else between(performance.lips_shut),
    )


def _neighbours(
    times: np.ndarray, steps: np.ndarray, cuts: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rows before, rows after, share of the row after) of each step."""
    left = np.clip(np.searchsorted(times, steps + 1e-9, side="right") - 1, 0, len(times) - 1)
    right = np.minimum(left + 1, len(times) - 1)
    right = np.where(np.isin(right, cuts), left, right)
    span = times[right] - times[left]
    share = np.divide(steps - times[left], span, out=np.zeros(len(steps)), where=span > 0.0)
    return left, right, np.clip(share, 0.0, 1.0)
