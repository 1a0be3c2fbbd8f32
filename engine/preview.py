"""Pictures made smaller for quick looks: what is shown while something moves."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from .alpha import premultiplied, straight
from .renderer import SourceImage


def shrunk(image: SourceImage, size: tuple[int, int]) -> SourceImage:
    """A picture at a smaller size, each pixel the mean of those that it covers.

    size  (width, height) in pixels, at least 1 and no more than the picture's own
    Clear pixels lend no colour to those beside them, glows stay. Read-only, same dtype.
    """
    pixels = image.pixels
    is_byte = pixels.dtype == np.uint8
    if cv2.extractChannel(pixels, 3).min() >= (255 if is_byte else 1.0):
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    else:
        unit = pixels.astype(np.float32) / 255.0 if is_byte else pixels
        small = premultiplied(unit, image.has_emission)
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
        small = straight(small, image.has_emission)
        if is_byte:
            small = np.rint(np.clip(small, 0.0, 1.0) * 255.0).astype(np.uint8)
    small.flags.writeable = False
    return replace(image, pixels=small)
