"""Smooth interpolation of values given at scattered points of the plane."""

from __future__ import annotations

import numpy as np

_ROWS = 1024  # evaluated at a time: they stay in the processor's cache


class Multiquadric:
    """Multiquadric radial basis functions sqrt(r² + softness²) around points, and a constant."""

    def __init__(self, points: np.ndarray, *, softness: float) -> None:
        """Prepare the kernel.

        points    (N, 2)
        softness  pixels, 1 or more; rounds the kernel's tip
        """
        # Single precision is enough once coordinates are small.
        self._middle = np.mean(points, axis=0)
        self._points = np.asarray(points, np.float64) - self._middle
        self._softness_squared = softness * softness

    def system(self, smoothing: float) -> np.ndarray:
        """(N + 1, N + 1) matrix from weights to values at the points; the last row and column are
        the constant's.

        smoothing  0 passes through the values, more lets neighbours average out
        """
        count = len(self._points)
        system = np.ones((count + 1, count + 1))
        points = self._points
        squared = -2.0 * points @ points.T
        lengths = (points**2).sum(axis=1)
        squared += lengths[:, None] + lengths
        np.maximum(squared, 0.0, out=squared)
        np.sqrt(squared + self._softness_squared, out=system[:count, :count])
        system[np.arange(count), np.arange(count)] -= smoothing
        system[count, count] = 0.0
        return system

    def __call__(self, positions: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(K, M) float32 values at (M, 2) positions under (N + 1, K) weights."""
        x, y = (np.asarray(positions, np.float64) - self._middle).astype(np.float32).T
        centre_x, centre_y = self._points.astype(np.float32).T
        # Squared distances as one product; softness is far above its rounding errors.
        left = np.stack([x, y, x * x + y * y, np.ones_like(x)], axis=1)
        lengths = centre_x**2 + centre_y**2 + np.float32(self._softness_squared)
        right = np.stack([-2.0 * centre_x, -2.0 * centre_y, np.ones_like(lengths), lengths])
        weights = weights.astype(np.float32)
        values = np.empty((weights.shape[1], len(x)), np.float32)
        kernel = np.empty((min(_ROWS, len(x)), len(lengths)), np.float32)
        for start in range(0, len(x), _ROWS):
            rows = slice(start, min(start + _ROWS, len(x)))
            part = kernel[: rows.stop - start]
            np.matmul(left[rows], right, out=part)
            np.sqrt(part, out=part)
            values[:, rows] = (part @ weights[:-1]).T
        values += weights[-1][:, None]
        return values


class MultiquadricInterpolator:
    """A multiquadric surface through values."""

    def __init__(
        self, points: np.ndarray, values: np.ndarray, *, softness: float, smoothing: float
    ) -> None:
        """Solve for the weights.

        points     (N, 2)
        values     (N, K)
        softness, smoothing  see Multiquadric
        """
        self._kernel = Multiquadric(points, softness=softness)
        right = np.zeros((len(points) + 1, values.shape[1]))
        right[:-1] = values
        self._weights = np.linalg.solve(self._kernel.system(smoothing), right)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(M, 2) points → (M, K) float32 values."""
        return np.ascontiguousarray(self._kernel(points, self._weights).T)


def solve_both(
    system: np.ndarray, right: np.ndarray, left_out: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Solve a symmetric system twice, each time without some of its rows and columns.

    system    (N, N)
    right     (N, K)
    left_out  indices without which the first and the second solution are made; none in both
    Returns (N, K) twice, 0 where a row was left out. What both have in common is factorised once.
    """
    shared = np.setdiff1d(np.arange(len(system)), np.concatenate(left_out))
    # What the first leaves out is the second's own, and the other way round.
    owns = left_out[1], left_out[0]
    columns = np.concatenate([system[np.ix_(shared, own)] for own in owns] + [right[shared]], 1)
    solved = np.linalg.solve(system[np.ix_(shared, shared)], columns)
    sizes = np.cumsum([len(own) for own in owns])
    *across, base = np.split(solved, sizes, axis=1)
    results = []
    for own, towards in zip(owns, across, strict=True):
        beside = system[np.ix_(own, shared)]
        inner = system[np.ix_(own, own)] - beside @ towards
        result = np.zeros_like(right)
        result[own] = np.linalg.solve(inner, right[own] - beside @ base)
        result[shared] = base - towards @ result[own]
        results.append(result)
    return results[0], results[1]
