"""sRGB's transfer curve (IEC 61966-2-1), for arrays of any shape."""

from __future__ import annotations

import numpy as np


def srgb_from_linear(linear: np.ndarray) -> np.ndarray:
    """Linear light → display values, float32; negative values stay on the straight part."""
    values = np.asarray(linear, np.float32)
    curve = 1.055 * np.power(np.maximum(values, 0.0031308), 1 / 2.4) - 0.055
    return np.where(values <= 0.0031308, values * 12.92, curve).astype(np.float32)


def linear_from_srgb(display: np.ndarray) -> np.ndarray:
    """The inverse of srgb_from_linear, float32."""
    values = np.asarray(display, np.float32)
    curve = np.power((np.maximum(values, 0.04045) + 0.055) / 1.055, 2.4)
    return np.where(values <= 0.04045, values / 12.92, curve).astype(np.float32)
