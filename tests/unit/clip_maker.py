"""Makes clips whose frames can be told apart, for the tests of everything that reads clips."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

BITS = 10
# Colours of the corners of an upright frame: top left, top right, bottom right, bottom left.
CORNERS = ("red", "green", "blue", "white")
_COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 200, 40),
    "blue": (50, 50, 220),
    "white": (235, 235, 235),
    "grey": (128, 128, 128),
}


def picture(number: int, width: int, height: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB: coloured corners, and the number in a row of blocks."""
    image = np.full((height, width, 3), _COLOURS["grey"], np.uint8)
    h, w = height // 4, width // 4
    places = ((0, 0), (0, width - w), (height - h, width - w), (height - h, 0))
    for name, (y, x) in zip(CORNERS, places, strict=True):
        image[y : y + h, x : x + w] = _COLOURS[name]
    for bit, (rows, columns) in enumerate(_blocks(width, height)):
        image[rows, columns] = 235 if number >> bit & 1 else 20
    return image


def number_of(image: np.ndarray) -> int:
    """The number in an upright frame of `picture`, at any size."""
    height, width = image.shape[:2]
    bits = [image[block].mean() > 128 for block in _blocks(width, height, inset=0.25)]
    return sum(1 << bit for bit, is_set in enumerate(bits) if is_set)


def corners_of(image: np.ndarray) -> tuple[str, ...]:
    """Names of the nearest colours in the corners, as in CORNERS."""
    height, width = image.shape[:2]
    y, x = height // 10, width // 10
    points = ((y, x), (y, width - x), (height - y, width - x), (height - y, x))
    return tuple(_nearest(image[point].astype(int)) for point in points)


def _nearest(colour: np.ndarray) -> str:
    return min(_COLOURS, key=lambda name: float(np.abs(colour - _COLOURS[name]).sum()))


def _blocks(width: int, height: int, inset: float = 0.0) -> list[tuple[slice, slice]]:
    step = width / BITS
    top, bottom = height * (0.4 + 0.2 * inset), height * (0.6 - 0.2 * inset)
    return [
        (
            slice(round(top), round(bottom)),
            slice(round((i + inset) * step), round((i + 1 - inset) * step)),
        )
        for i in range(BITS)
    ]


def make_clip(
    path: Path,
    count: int = 10,
    size: tuple[int, int] = (320, 180),
    rate: Fraction | int = 30,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    degrees: int = 0,
    is_flipped: bool = False,
    times: Sequence[Fraction | float] | None = None,
    options: dict[str, str] | None = None,
    pixel_aspect: Fraction | None = None,
    images: Sequence[np.ndarray] | None = None,
) -> Path:
    """Write a clip of pictures with the numbers 0, 1, 2…; returns its path. Skips where this build
    of FFmpeg lacks the encoder.

    size     (width, height) of the stored frames
    degrees  clockwise that a player must turn them, after mirroring them if is_flipped
    times    presentation times in seconds, instead of an even rate
    images   (H, W, 3) uint8 RGB, upright, instead of the numbered pictures; they set count and size
    """
    if images is not None:
        count = len(images)
        size = images[0].shape[:2] if degrees in (90, 270) else images[0].shape[1::-1]
    upright = size[::-1] if degrees in (90, 270) else size
    if codec not in av.codec.codecs_available:
        pytest.skip(f"no encoder {codec}")
    base = Fraction(1, 90000) if times is not None else 1 / Fraction(rate)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        stream.time_base = stream.codec_context.time_base = base
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if degrees or is_flipped:
            stream.set_display_matrix(_matrix(degrees, is_flipped))
        for number in range(count):
            shown = picture(number, *upright) if images is None else images[number]
            stored = np.rot90(shown, degrees // 90)
            if is_flipped:
                stored = stored[:, ::-1]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), "rgb24")
            frame.time_base = base
            frame.pts = number if times is None else round(times[number] / base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _matrix(degrees: int, is_flipped: bool) -> list[int]:
    """FFmpeg's display matrix: x' = a x + c y, y' = b x + d y, y downwards."""
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[degrees // 90]
    side = -1 if is_flipped else 1
    one = 1 << 16
    return [side * cosine * one, side * sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30]
