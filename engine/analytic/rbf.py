"""Smooth interpolation of values given at scattered points of the plane."""

from __future__ import annotations

import numpy as np

_ROWS = 2048  # evaluated at a time, to bound memory


class MultiquadricInterpolator:
    """Multiquadric radial basis functions sqrt(r² + softness²) and a constant."""

    def __init__(
        self, points: np.ndarray, values: np.ndarray, *, softness: float, smoothing: float
    ) -> None:
        """Solve for the weights.

        points     (N, 2)
        values     (N, K)
        softness   pixels; rounds the kernel's tip
        smoothing  0 passes through the values, more lets neighbours average out
        """
        count = len(points)
        self._points = np.asarray(points, np.float64)
        self._softness_squared = softness * softness
        system = np.ones((count + 1, count + 1))
        system[:count, :count] = self._kernel(self._points, self._points)
        system[:count, :count] -= smoothing * np.eye(count)
        system[count, count] = 0.0
        right = np.zeros((count + 1, values.shape[1]))
        right[:count] = values
        self._weights = np.linalg.solve(system, right)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(M, 2) points → (M, K) float32 values."""
        # Single precision is enough once coordinates are small.
        middle = self._points.mean(axis=0)
        points = (np.asarray(points, np.float64) - middle).astype(np.float32)
        centres = (self._points - middle).astype(np.float32)
        weights = self._weights.astype(np.float32)
        result = np.empty((len(points), weights.shape[1]), np.float32)
        for start in range(0, len(points), _ROWS):
            rows = slice(start, start + _ROWS)
            result[rows] = self._kernel(points[rows], centres) @ weights[:-1] + weights[-1]
        return result

    def _kernel(self, points: np.ndarray, centres: np.ndarray) -> np.ndarray:
        squared = -2.0 * points @ centres.T
        squared += (points**2).sum(axis=1)[:, None]
        squared += (centres**2).sum(axis=1)
        np.maximum(squared, 0.0, out=squared)
        squared += self._softness_squared
        return np.sqrt(squared, out=squared)
