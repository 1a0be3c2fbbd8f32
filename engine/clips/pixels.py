"""From a decoded frame to 8-bit RGB of a wanted size: matrix, range, transfer and primaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import load_av
from .orientation import Orientation, fitted_size, square_size
from .tone import is_wide, tone_mapped

# AVColorSpace, as av.VideoFrame.colorspace tells it.
UNSPECIFIED, BT709, SMPTE170M = 2, 1, 6
RGB_SPACES = frozenset({0, UNSPECIFIED})
# Those that PyAV gives as they are; swscale would cut off what is brighter than white.
_FLOATS = frozenset({"gbrpf32le", "gbrapf32le", "grayf32le"})
_WHOLE_COLUMNS = 8  # that swscale converts at once
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
        return self._upright(frame, orientation, pixel_aspect, size, self.rgb)

    def upright_rgba(
        self, frame: Any, orientation: Orientation, pixel_aspect: float, size: tuple[int, int]
    ) -> np.ndarray:
        """(H, W, 4), as `upright`, with straight alpha, 255 where the frame has none."""
        return self._upright(frame, orientation, pixel_aspect, size, self.rgba)

    @staticmethod
    def _upright(
        frame: Any,
        orientation: Orientation,
        pixel_aspect: float,
        size: tuple[int, int],
        convert: Callable[[Any, int, int], np.ndarray],
    ) -> np.ndarray:
        own = orientation.size(*square_size(frame.width, frame.height, pixel_aspect))
        inner = fitted_size(own, size)
        image = orientation.apply(convert(frame, *orientation.size(*inner)))
        if inner == size:
            return np.ascontiguousarray(image)
        canvas = np.zeros((size[1], size[0], image.shape[2]), np.uint8)
        canvas[..., 3:] = 255
        left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
        canvas[top : top + inner[1], left : left + inner[0]] = image
        return canvas

    def rgba(self, frame: Any, width: int, height: int) -> np.ndarray:
        """As `rgb`, with straight alpha."""
        if not is_wide(frame.color_trc, frame.color_primaries):
            return self._scaled(frame, width, height, "rgba")
        deep = self._scaled(frame, width, height, "rgba64le")
        colour = tone_mapped(deep[..., :3], frame.color_trc, frame.color_primaries)
        return np.dstack([colour, (deep[..., 3] >> 8).astype(np.uint8)])

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
        if width == frame.width and width % _WHOLE_COLUMNS:
            # The quick way would leave the last columns as they lie in memory.
            kernel |= self._filter.ACCURATE_RND
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


def is_float(frame: Any) -> bool:
    """Whether an av.VideoFrame holds floating-point numbers: linear light."""
    return "f16" in frame.format.name or "f32" in frame.format.name


def is_deep(frame: Any) -> bool:
    """Whether an av.VideoFrame has more than 8 bits per channel."""
    return max((component.bits for component in frame.format.components), default=8) > 8


def unit_rgba(frame: Any) -> np.ndarray:
    """(H, W, 4) float32 of an av.VideoFrame as it lies: its own numbers, or 0..1 of integers."""
    if not is_float(frame):
        deep = frame.reformat(format="rgba64le", src_colorspace=_colour_space(frame)).to_ndarray()
        return deep.astype(np.float32) / np.float32(65535.0)
    values = frame.to_ndarray() if frame.format.name in _FLOATS else _halves(frame)
    values = values.reshape(frame.height, frame.width, -1)
    if values.shape[2] < 3:
        values = values[..., [0, 0, 0, 1][: 2 + values.shape[2]]]
    result = np.ones((frame.height, frame.width, 4), np.float32)
    result[..., : values.shape[2]] = values
    return result


def _halves(frame: Any) -> np.ndarray:
    """(H, W, C) float16 of a frame of halves, which PyAV does not give."""
    planes = [np.frombuffer(plane, np.float16) for plane in frame.planes]
    count = len(frame.format.components) // len(planes)
    rows = [plane.reshape(frame.height, -1)[:, : count * frame.width] for plane in planes]
    if len(rows) >= 3:
        green, blue, red, *alpha = rows
        return np.dstack([red, green, blue, *alpha])
    return rows[0].reshape(frame.height, frame.width, count)


def _colour_space(frame: Any) -> int | None:
    """What the frame's matrix is taken for where the file does not say, as players do."""
    if frame.colorspace != UNSPECIFIED or not frame.format.components:
        return None
    if frame.format.is_rgb:
        return None
    return BT709 if frame.height >= HD_HEIGHT else 5
