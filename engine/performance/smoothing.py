"""Temporal smoothing of motion: a random-walk Kalman smoother (Rauch, Tung and Striebel)."""

from __future__ import annotations

import numpy as np

PROCESS_VARIANCE = 1e-5
MOTION_OBSERVATION_VARIANCE = 3e-7
LIP_OBSERVATION_VARIANCE = 3e-6


def smooth(
    observations: np.ndarray,
    observation_variance: float = MOTION_OBSERVATION_VARIANCE,
    process_variance: float = PROCESS_VARIANCE,
) -> np.ndarray:
    """Smooth every scalar of (T, …) observations along the first axis, forward and backward.

    observation_variance  larger is smoother; the official range is 1e-11 to 1e-2
    The walk starts at the first observation with variance 1. One frame, or none, is returned as
    it is. Returns float32 of the same shape.
    """
    values = np.asarray(observations, np.float64)
    count = len(values)
    if count < 2:
        return values.astype(np.float32)
    filtered = np.empty_like(values)
    variance = np.empty(count)
    predicted, prior = values[0], 1.0
    for i in range(count):
        gain = prior / (prior + observation_variance)
        filtered[i] = predicted + gain * (values[i] - predicted)
        variance[i] = (1.0 - gain) * prior
        predicted, prior = filtered[i], variance[i] + process_variance
    for i in range(count - 2, -1, -1):
        gain = variance[i] / (variance[i] + process_variance)
        filtered[i] += gain * (filtered[i + 1] - filtered[i])
    return filtered.astype(np.float32)
