"""Temporal smoothing of motion: LivePortrait's Kalman smoother, one for whole files, one for live.

`smooth` is the random-walk smoother of Rauch, Tung and Striebel. `steadied` looks forward and back
alike, so that nothing comes late, and leaves alone what moves by more than noise does: a still
head rests and a blink of three frames stays one. `OneEuro` (Casiez, Roussel and Vogel 2012) knows
only the past.
"""

from __future__ import annotations

import numpy as np

PROCESS_VARIANCE = 1e-5
MOTION_OBSERVATION_VARIANCE = 3e-7
LIP_OBSERVATION_VARIANCE = 3e-6


_REACH = 2.5  # of the filter, in its time constants
_MAX_NEIGHBOURS = 120  # frames on either side; bounds the work at high frame rates
# Noise is measured, between these factors of what is usual.
_QUIETEST, _NOISIEST = 0.5, 3.0
_NOISE_REACH = 2.5  # noises that two samples of one pose may differ by, at an amount of 0.5


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


def steadied(
    values: np.ndarray,
    times: np.ndarray,
    noise: np.ndarray,
    window_s: np.ndarray,
    amount: float,
) -> np.ndarray:
    """Smooth (T, C) samples without delay: the mean of the neighbours that differ by noise alone.

    times     (T,) seconds, rising, at any steps
    noise     (C,) the usual standard deviation of each channel's noise
    window_s  (C,) each channel's time constant in seconds at an amount of 0.5
    amount    0 returns the samples as they are, 1 is very smooth
    Returns (T, C) float64.
    """
    samples = np.asarray(values, np.float64)
    count = len(samples)
    if count < 3 or amount <= 0.0:
        return samples.copy()
    reach = 2.0 * amount * _NOISE_REACH * _measured_noise(samples, noise)
    window = np.maximum(2.0 * amount * np.asarray(window_s, np.float64), 1e-6)
    longest = _REACH * float(window.max())
    total, weights = samples.copy(), np.ones_like(samples)
    for step in range(1, min(count, _MAX_NEIGHBOURS + 1)):
        gap = (times[step:] - times[:-step])[:, None]
        if float(gap.min()) > longest:
            break
        change = samples[step:] - samples[:-step]
        weight = np.exp(-0.5 * ((gap / window) ** 2 + (change / reach) ** 2))
        total[step:] += weight * samples[:-step]
        weights[step:] += weight
        total[:-step] += weight * samples[step:]
        weights[:-step] += weight
    return total / weights


def _measured_noise(samples: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """(C,) standard deviation of what changes from frame to frame, near the usual one."""
    bends = np.abs(np.diff(samples, 2, axis=0))
    measured = np.median(bends, axis=0) / (0.6745 * np.sqrt(6.0))
    return np.clip(measured, _QUIETEST * usual, _NOISIEST * usual)


class OneEuro:
    """Causal smoothing of a stream of (C,) samples: still ones much, fast ones little."""

    def __init__(
        self,
        cutoff_hz: np.ndarray | float,
        speed_gain: np.ndarray | float,
        speed_cutoff_hz: float = 1.0,
    ) -> None:
        """Begin a stream.

        cutoff_hz   of samples that stand still, for all or for each channel
        speed_gain  Hz more per unit and second of speed
        """
        self._cutoff_hz, self._gain, self._speed_cutoff_hz = cutoff_hz, speed_gain, speed_cutoff_hz
        self._time_s = 0.0
        self._value: np.ndarray | None = None
        self._speed = np.zeros(1)

    def step(self, sample: np.ndarray, time_s: float) -> np.ndarray:
        """The smoothed (C,) value at a time later than the one before."""
        value = np.asarray(sample, np.float64)
        if self._value is None or time_s <= self._time_s:
            self._value, self._speed, self._time_s = value, np.zeros_like(value), time_s
            return value
        passed_s = time_s - self._time_s
        speed = (value - self._value) / passed_s
        self._speed = self._speed + _share(self._speed_cutoff_hz, passed_s) * (speed - self._speed)
        cutoff = self._cutoff_hz + self._gain * np.abs(self._speed)
        self._value = self._value + _share(cutoff, passed_s) * (value - self._value)
        self._time_s = time_s
        return self._value


def _share(cutoff_hz: np.ndarray | float, passed_s: float) -> np.ndarray | float:
    turn = 2.0 * np.pi * passed_s * cutoff_hz
    return turn / (turn + 1.0)
