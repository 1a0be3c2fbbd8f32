"""The camera's picture as an icon of the panel."""

from __future__ import annotations

import numpy as np

from ..engine.protocol import Array
from .picture_icons import PictureIcons

SIDE = 192  # pixels
_NAME = "camera"

_icons = PictureIcons(SIDE)


def show(pixels: Array) -> None:
    """Show a picture, (H, W, 4) uint8 sRGB, top row first, at most SIDE pixels a side."""
    _icons.show(_NAME, np.frombuffer(pixels.data, np.uint8).reshape(pixels.shape))


def icon_id() -> int:
    """The icon with the newest picture, 0 where there is none."""
    return _icons.icon_id(_NAME)


def forget() -> None:
    """Show nothing more."""
    _icons.forget()


def free() -> None:
    """Give the icon back to Blender."""
    _icons.free()
