"""How stored frames are turned, mirrored and stretched to stand upright."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

# Shapes that differ by less were rounded to whole pixels.
ALIKE = 0.97


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


# By quarter turns against the clock.
_TURNED = (
    Orientation(),
    Orientation(True, flip_y=True),
    Orientation(False, flip_x=True, flip_y=True),
    Orientation(True, flip_x=True),
)


class Orientations:
    """The orientations of a clip's frames.

    A frame's side data and the frame hold each other, and with them the decoder's whole memory,
    until Python's collector runs. So side data is looked at once, and when the angle changes.
    """

    def __init__(self) -> None:
        self._known: dict[int, Orientation] = {}

    def of(self, frame: Any) -> Orientation:
        """The orientation of an av.VideoFrame."""
        angle = frame.rotation
        if angle not in self._known:
            self._known[angle] = orientation_of(frame)
        return self._known[angle]


def orientation_of(frame: Any) -> Orientation:
    """The nearest of the eight orientations in an av.VideoFrame's display matrix."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # Beside it lies something that PyAV has no name for, EXIF for one; the angle is known.
        return _TURNED[round(frame.rotation / 90) % 4]
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


def fitted_size(own: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """The largest size of `own`'s shape inside `size`; `size` where they differ by little."""
    scale = min(size[0] / own[0], size[1] / own[1])
    width, height = max(1, round(own[0] * scale)), max(1, round(own[1] * scale))
    is_same = width >= ALIKE * size[0] and height >= ALIKE * size[1]
    return size if is_same else (width, height)
