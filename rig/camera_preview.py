"""The camera's picture as an icon of the panel: no data-block, so nothing of it is ever saved."""

from __future__ import annotations

import bpy
import bpy.utils.previews
import numpy as np

from ..engine.protocol import Array

SIDE = 192  # pixels
_NAME = "camera"

_icons: bpy.utils.previews.ImagePreviewCollection | None = None


def show(pixels: Array) -> None:
    """Show a picture, (H, W, 4) uint8 sRGB, top row first, at most SIDE pixels a side."""
    global _icons
    if _icons is None:
        _icons = bpy.utils.previews.new()
    icon = _icons.get(_NAME) or _icons.new(_NAME)
    image = np.frombuffer(pixels.data, np.uint8).reshape(pixels.shape)
    height, width = image.shape[:2]
    # Icons are square; what the picture does not fill is clear.
    square = np.zeros((SIDE, SIDE, 4), np.uint8)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    square[top : top + height, left : left + width] = image
    if tuple(icon.image_size) != (SIDE, SIDE):
        icon.image_size = (SIDE, SIDE)
    packed = np.ascontiguousarray(square[::-1]).view(np.int32).ravel()
    icon.image_pixels.foreach_set(packed)


def icon_id() -> int:
    """The icon with the newest picture, 0 where there is none."""
    icon = None if _icons is None else _icons.get(_NAME)
    return 0 if icon is None else icon.icon_id


def forget() -> None:
    """Show nothing more."""
    if _icons is not None:
        _icons.clear()


def free() -> None:
    """Give the icon back to Blender."""
    global _icons
    if _icons is not None:
        bpy.utils.previews.remove(_icons)
        _icons = None
