"""From a decoded frame to 8-bit RGB of a wanted size: matrix, range, transfer and primaries."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import load_av
from .orientation import Orientation, fitted_size, square_size
from .tone import is_wide, tone_mapped

# AVColorSpace, as av.VideoFrame.colorspace tells it.
UNSPECIFIED, BT709, SMPTE170M = 2, 1, 6
RGB_SPACES = frozenset({0, UNSPECIFIED})
HD_HEIGHT = 720  # from here on pictures that say nothing are BT.709, below BT.601


class Converter:
    """Converts the frames of one clip; keeps swscale's tables between frames."""

    def __init__(self) -> None:
        self._av = load_av()
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._filter = self._av.video.reformatter.Interpolation

    def upright(
        self, frame: Any, orientation: Orientation, pixel_aspect: float, size: tuple[int, int]
    ) -> np.ndarray:
        """(H, W, 3) uint8 sRGB of an av.VideoFrame, upright, in square pixels.

        size  (width, height) of the result; frames of another shape get black borders
        """
        own = orientation.size(*square_size(frame.width, frame.height, pixel_aspect))
        inner = fitted_size(own, size)
        image = orientation.apply(self.rgb(frame, *orientation.size(*inner)))
        if inner == size:
            return np.ascontiguousarray(image)
        canvas = np.zeros((size[1], size[0], 3), np.uint8)
        left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
        canvas[top : top + inner[1], left : left + inner[0]] = image
        return canvas

    def rgb(self, frame: Any, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8 sRGB of an av.VideoFrame, lying as it is stored.

        Raises av.error.FFmpegError for a frame that cannot be converted.
        """
        if not is_wide(frame.color_trc, frame.color_primaries):
            return self._scaled(frame, width, height, "rgb24")
        deep = self._scaled(frame, width, height, "rgb48le")
        return tone_mapped(deep, frame.color_trc, frame.color_primaries)

    def _scaled(self, frame: Any, width: int, height: int, pixel_format: str) -> np.ndarray:
        is_smaller = width < frame.width or height < frame.height
        # Averaging keeps a small face from flickering; what is not shrunk needs no wide filter.
        kernel = self._filter.AREA if is_smaller else self._filter.BICUBIC
        result = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=pixel_format,
            src_colorspace=_colour_space(frame),
            interpolation=kernel,
        )
        return result.to_ndarray()


def has_alpha(frame: Any) -> bool:
    """Whether an av.VideoFrame's format stores transparency."""
    return any(component.is_alpha for component in frame.format.components)


def _colour_space(frame: Any) -> int | None:
    """What the frame's matrix is taken for where the file does not say, as players do."""
    if frame.colorspace != UNSPECIFIED or not frame.format.components:
        return None
    if frame.format.is_rgb:
        return None
    return BT709 if frame.height >= HD_HEIGHT else 5
