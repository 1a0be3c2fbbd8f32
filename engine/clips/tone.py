"""High dynamic range and wide gamuts brought to 8-bit sRGB: faces look as on a usual display."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

# AVColorTransferCharacteristic and AVColorPrimaries.
PQ, HLG = 16, 18
BT2020, DISPLAY_P3 = 9, 12
HDR = frozenset({PQ, HLG})
_WIDE = {
    # Linear light to that of BT.709, whose white is the same.
    BT2020: (
        (1.660491, -0.587641, -0.072850),
        (-0.124550, 1.132900, -0.008349),
        (-0.018151, -0.100579, 1.118730),
    ),
    DISPLAY_P3: (
        (1.224940, -0.224940, 0.0),
        (-0.042057, 1.042057, 0.0),
        (-0.019638, -0.078636, 1.098274),
    ),
}
_LUMINANCE = np.array((0.2627, 0.6780, 0.0593), np.float32)  # of BT.2020
WHITE_NITS = 203.0  # diffuse white of HDR programmes (ITU-R BT.2408)
PEAK_NITS = 1000.0
KNEE = 0.75  # of white; darker tones stay as they are
STEPS = 4096


def is_wide(transfer: int, primaries: int) -> bool:
    """Whether a frame needs `tone_mapped`; both are FFmpeg's numbers."""
    return transfer in HDR or primaries in _WIDE


def tone_mapped(pixels: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
    """(H, W, 3) uint8 sRGB from (H, W, 3) uint16 full-range RGB of a wide frame."""
    linear = _to_linear(transfer)[pixels >> 4]
    if transfer == HLG:
        # The display's own gamma for 1000 nits acts on the luminance.
        luminance = np.maximum(linear @ _LUMINANCE, 1e-6)
        linear *= (PEAK_NITS / WHITE_NITS) * luminance[..., None] ** 0.2
    if primaries in _WIDE:
        linear = linear @ np.array(_WIDE[primaries], np.float32).T
    if transfer in HDR:
        linear = _compressed(linear)
    # The square root spreads the steps as the eye does.
    steps = np.sqrt(np.clip(linear, 0.0, 1.0)) * (STEPS - 1) + 0.5
    return _to_srgb()[steps.astype(np.uint16)]


def _compressed(linear: np.ndarray) -> np.ndarray:
    """Highlights squeezed smoothly: KNEE stays, the peak becomes white (Reinhard's curve)."""
    room = 1.0 - KNEE
    over = np.maximum(linear - KNEE, 0.0) / room
    peak = (PEAK_NITS / WHITE_NITS - KNEE) / room
    return np.minimum(linear, KNEE) + room * over * (1.0 + over / peak**2) / (1.0 + over)


@lru_cache(maxsize=4)
def _to_linear(transfer: int) -> np.ndarray:
    """(STEPS,) float32 light of a 12-bit value; 1 is white, for HLG the scene's light."""
    value = np.arange(STEPS) / (STEPS - 1)
    if transfer == PQ:
        root = value ** (1.0 / 78.84375)
        light = np.maximum(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)
        linear = 10000.0 / WHITE_NITS * light ** (1.0 / 0.1593017578125)
    elif transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        linear = np.where(value <= 0.5, value**2 / 3.0, (np.exp((value - c) / a) + b) / 12.0)
    else:
        linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


@lru_cache(maxsize=1)
def _to_srgb() -> np.ndarray:
    """(STEPS,) uint8 for the square root of light."""
    linear = (np.arange(STEPS) / (STEPS - 1)) ** 2
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255.0).astype(np.uint8)
