"""How stored frames are turned, mirrored and stretched to stand upright."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Orientation(NamedTuple):
    """One of the eight ways in which a frame can lie.

    is_transposed  rows become columns, first of all
    flip_x, flip_y  then turned round along the width, along the height
    """

    is_transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def is_mirrored(self) -> bool:
        """Whether writing would read backwards without it."""
        return self.is_transposed ^ self.flip_x ^ self.flip_y

    @property
    def rotation(self) -> int:
        """Degrees clockwise, after a mirrored frame was mirrored left to right."""
        if not self.is_transposed:
            return 180 if self.flip_y else 0
        return 90 if self.flip_x else 270

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Upright (width, height) of a stored size, or the other way round."""
        return (height, width) if self.is_transposed else (width, height)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The (H, W, …) image upright; the memory is shared."""
        if self.is_transposed:
            image = image.swapaxes(0, 1)
        return image[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]


def orientation_of(frame: Any) -> Orientation:
    """The nearest of the eight orientations in an av.VideoFrame's display matrix."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation()
    # x' = a x + c y, y' = b x + d y, with y downwards.
    (a, b, _), (c, d, _), _ = np.frombuffer(data, np.int32).reshape(3, 3).tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def square_size(width: int, height: int, pixel_aspect: float) -> tuple[int, int]:
    """Size in square pixels; the height stays."""
    return max(1, round(width * pixel_aspect)), height


def limited_size(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """The size scaled down so that the longer side is at most `max_side` pixels."""
    longer = max(width, height)
    if max_side is None or longer <= max_side:
        return width, height
    return max(1, round(width * max_side / longer)), max(1, round(height * max_side / longer))
