"""Pictures as icons of panels: no data-blocks, so nothing of them is ever saved."""

from __future__ import annotations

import bpy
import bpy.utils.previews
import numpy as np


class PictureIcons:
    """Square icons by name."""

    def __init__(self, side_px: int) -> None:
        self._side_px = side_px
        self._icons: bpy.utils.previews.ImagePreviewCollection | None = None

    def show(self, name: str, image: np.ndarray) -> None:
        """Show a picture, (H, W, 4) uint8 sRGB, top row first, no larger than an icon."""
        if self._icons is None:
            self._icons = bpy.utils.previews.new()
        side = self._side_px
        icon = self._icons.get(name) or self._icons.new(name)
        height, width = image.shape[:2]
        # Icons are square; what the picture does not fill is clear.
        square = np.zeros((side, side, 4), np.uint8)
        top, left = (side - height) // 2, (side - width) // 2
        square[top : top + height, left : left + width] = image
        if tuple(icon.image_size) != (side, side):
            icon.image_size = (side, side)
        icon.image_pixels.foreach_set(np.ascontiguousarray(square[::-1]).view(np.int32).ravel())

    def icon_id(self, name: str) -> int:
        """The icon with the newest picture, 0 where there is none."""
        icon = None if self._icons is None else self._icons.get(name)
        return 0 if icon is None else icon.icon_id

    def forget(self) -> None:
        """Show nothing more."""
        if self._icons is not None:
            self._icons.clear()

    def free(self) -> None:
        """Give the icons back to Blender."""
        if self._icons is not None:
            bpy.utils.previews.remove(self._icons)
            self._icons = None
