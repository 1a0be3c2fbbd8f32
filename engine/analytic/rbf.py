"""Smooth interpolation of values given at scattered points of the plane."""

from __future__ import annotations

import numpy as np


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
        system[:count, :count] = self._kernel(self._points) - smoothing * np.eye(count)
        system[count, count] = 0.0
        right = np.zeros((count + 1, values.shape[1]))
        right[:count] = values
        self._weights = np.linalg.solve(system, right)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(M, 2) points → (M, K) float32 values."""
        kernel = self._kernel(np.asarray(points, np.float64)).astype(np.float32)
        weights = self._weights.astype(np.float32)
        return kernel @ weights[:-1] + weights[-1]

    def _kernel(self, points: np.ndarray) -> np.ndarray:
        centres = self._points
        squared = (
            (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1) - 2 * points @ centres.T
        )
        return np.sqrt(np.maximum(squared, 0.0) + self._softness_squared)
