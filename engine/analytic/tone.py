"""Source values and display values: what the layers are painted in.

Skin is warped in the source's own values. Teeth, cavity and shadows are designed as display (sRGB)
values from 0 to 1 and converted to the source's encoding.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..renderer import SourceImage
from ..srgb import linear_from_srgb, srgb_from_linear

_SHADE_POWER_LINEAR = 2.2
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def to_unit(pixels: np.ndarray) -> np.ndarray:
    """uint8 0..255 → float32 0..1; float pixels as they are, as float32."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / 255.0
    return pixels.astype(np.float32, copy=False)


def weighted(colours: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(H, W, channels) colours times (H, W) weights; much faster than broadcasting, the same."""
    count = colours.shape[2]
    if colours.dtype != np.float32 or weight.dtype != np.float32 or not weight.size:
        return colours * weight[..., None]
    return cv2.multiply(colours, cv2.merge([weight] * count))


@dataclass(frozen=True)
class Tone:
    """How one picture stores light.

    is_linear  scene-linear values instead of display-referred ones
    exposure   factor that brings converted display values to the picture's brightness
    """

    is_linear: bool
    exposure: float = 1.0

    @classmethod
    def measured(
        cls, image: SourceImage, skin_source: np.ndarray, skin_display: np.ndarray
    ) -> Tone:
        """Tone of a picture from the same skin, (3,) in source values and as displayed 0..1."""
        if image.encoding != "linear":
            return cls(is_linear=False)
        shown = float(linear_from_srgb(skin_display) @ _LUMINANCE)
        stored = float(skin_source @ _LUMINANCE)
        return cls(
            is_linear=True, exposure=stored / shown if shown > 1e-3 and stored > 0.0 else 1.0
        )

    def from_display(self, display: np.ndarray) -> np.ndarray:
        """(…, 3) display values 0..1 → source values."""
        if not self.is_linear:
            return display.astype(np.float32, copy=False)
        return linear_from_srgb(display) * np.float32(self.exposure)

    def to_display(self, source: np.ndarray) -> np.ndarray:
        """(…, 3) source values → display values, 0..1 for what a display can show."""
        if not self.is_linear:
            return source.astype(np.float32, copy=False)
        return srgb_from_linear(source / np.float32(self.exposure))

    def shade(self, factor):
        """A darkening designed for display values, as a factor on source values."""
        return factor**_SHADE_POWER_LINEAR if self.is_linear else factor

    def shown(self, ratio: np.ndarray) -> np.ndarray:
        """Ratios of source values as ratios of displayed brightness."""
        ratio = np.maximum(ratio, 0.0)
        return ratio ** np.float32(1.0 / _SHADE_POWER_LINEAR) if self.is_linear else ratio

    def relit(self, factor: np.ndarray) -> np.ndarray:
        """Factors on linear light as factors on source values."""
        return factor if self.is_linear else factor ** np.float32(1.0 / _SHADE_POWER_LINEAR)

    def stored(self, ratio: np.ndarray) -> np.ndarray:
        """The inverse of shown."""
        return ratio ** np.float32(_SHADE_POWER_LINEAR) if self.is_linear else ratio
