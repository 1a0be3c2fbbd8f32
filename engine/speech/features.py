"""Cepstra of speech, as the acoustic model was trained on them: 16 kHz, a row every 10 ms."""

from __future__ import annotations

import numpy as np

RATE = 16_000
HOP, WINDOW, FFT = 160, 410, 512
STEP_S = HOP / RATE
# A row tells of the time around the middle of its window.
CENTRE_S = WINDOW / 2 / RATE
FILTERS, CEPSTRA, LIFTER = 25, 13, 22
LOW_HZ, HIGH_HZ = 130.0, 6800.0
PREEMPHASIS = 0.97
SAMPLE_SCALE = 32_768.0  # of the training's whole numbers
# Rows on either side that a row's differences look at.
REACH = 3
_LEAST_ENERGY = 1e-5


def _mel(hertz: float) -> float:
    return 2595.0 * np.log10(1.0 + hertz / 700.0)


def _filter_bank() -> np.ndarray:
    """(FFT // 2 + 1, FILTERS) triangles of the same area, even in mel, on the spectrum's lines."""
    line_hz = RATE / FFT
    edges = 700.0 * (10.0 ** (np.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), FILTERS + 2) / 2595.0) - 1.0)
    edges = np.round(edges / line_hz) * line_hz
    lines = np.arange(FFT // 2 + 1)[:, None] * line_hz
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (lines - left) / (centre - left), (right - lines) / (right - centre)
    return np.maximum(np.minimum(rising, falling), 0.0) * 2.0 / (right - left)


def _cosines() -> np.ndarray:
    """(FILTERS, CEPSTRA) orthonormal DCT-II, and the lifter."""
    order = np.arange(CEPSTRA)
    table = np.cos(np.pi * order * (np.arange(FILTERS)[:, None] + 0.5) / FILTERS)
    table *= np.sqrt(2.0 / FILTERS)
    table[:, 0] *= np.sqrt(0.5)
    return table * (1.0 + LIFTER / 2 * np.sin(np.pi * order / LIFTER))


_WINDOW = np.hamming(WINDOW)
_BANK = _filter_bank()
_COSINES = _cosines()


def row_count(samples: int) -> int:
    """How many whole windows lie in so many samples."""
    return max(0, 1 + (samples - WINDOW) // HOP)


def spectra(samples: np.ndarray) -> np.ndarray:
    """(T, FILTERS) float64: logarithm of the energy in each band, from (N,) samples in -1..1."""
    samples = np.asarray(samples, np.float64) * SAMPLE_SCALE
    sharpened = np.append(samples[:1], samples[1:] - PREEMPHASIS * samples[:-1])
    count = row_count(len(samples))
    if not count:
        return np.zeros((0, FILTERS))
    windows = np.lib.stride_tricks.sliding_window_view(sharpened, WINDOW)[::HOP][:count]
    power = np.abs(np.fft.rfft(windows * _WINDOW, FFT)) ** 2
    return np.log(np.maximum(power @ _BANK, _LEAST_ENERGY))


def cepstra(bands: np.ndarray) -> np.ndarray:
    """(T, CEPSTRA) from spectra()."""
    return bands @ _COSINES


def streams(centred: np.ndarray) -> np.ndarray:
    """(T, 3, CEPSTRA) float32: cepstra, their differences over 40 ms, and the differences of those.

    centred  cepstra without their mean
    """
    padded = np.pad(centred, ((REACH, REACH), (0, 0)), "edge")
    count = len(centred)

    def at(offset: int) -> np.ndarray:
        return padded[REACH + offset : REACH + offset + count]

    slopes = at(2) - at(-2)
    curvature = (at(3) - at(-1)) - (at(1) - at(-3))
    return np.stack([centred, slopes, curvature], axis=1).astype(np.float32)
