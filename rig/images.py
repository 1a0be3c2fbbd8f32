"""Pictures between Blender and the engine: the only place that flips rows or converts pixels.

Blender keeps rows bottom first, floats in 0..1 for byte images, and float images scene-linear with
premultiplied alpha. The engine wants rows top first, uint8 or float32, straight alpha.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import bpy
import numpy as np

from .. import compat
from ..engine.protocol import Array
from .errors import ImageError
from .image_files import check_readable, no_pixels

# What EXIF's orientations need to stand upright, for (H, W, 4) pixels with row 0 at the top.
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}
# Pixels are turned to bytes in parts that fit a processor's cache.
_PART = 1 << 18
# More memory than this is given back after each use, in the interface when nobody has used it for
# a while: new memory costs more than what is done with it.
_KEPT_FLOATS = 4 * 16_000_000
_KEPT_S = 30.0
_BYTE_TO_UNIT = np.float32(1.0 / 255.0)


@dataclass(frozen=True)
class Picture:
    """A still picture.

    pixels     (H, W, 4) RGBA, row 0 at the top; uint8, or float32 scene-linear
    encoding   "srgb" (uint8) or "linear" (float32)
    is_premultiplied  whether the colours are already multiplied by alpha (float32 only)
    """

    pixels: np.ndarray
    encoding: str
    is_premultiplied: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def fingerprint(self) -> str:
        """Tells pictures of one image apart, quickly and almost surely."""
        pixels = memoryview(np.ascontiguousarray(self.pixels)).cast("B")
        return f"{pixels.nbytes} {self.size} {zlib.crc32(pixels)}"

    def equals(self, other: Picture) -> bool:
        """Whether all that is in another picture is the same."""
        mine, theirs = self.pixels, other.pixels
        kinds = [(p.encoding, p.is_premultiplied, p.pixels.shape) for p in (self, other)]
        if kinds[0] != kinds[1] or mine.dtype != theirs.dtype:
            return False
        rows = max(_PART // max(mine.shape[1], 1), 1)
        parts = (slice(start, start + rows) for start in range(0, len(mine), rows))
        # As bytes, for undefined numbers are equal here.
        return all((_bytes_of(mine[part]) == _bytes_of(theirs[part])).all() for part in parts)

    def turned(self, orientation: int) -> Picture:
        """The picture turned and mirrored upright, from an EXIF orientation (1 to 8)."""
        if orientation == 1:
            return self
        pixels = np.ascontiguousarray(_UPRIGHT[orientation](self.pixels))
        return replace(self, pixels=pixels)

    @cached_property
    def is_transparent(self) -> bool:
        """Whether any pixel is not opaque."""
        return bool((self.pixels[..., 3] < (255 if self.encoding == "srgb" else 1.0)).any())

    @cached_property
    def has_emission(self) -> bool:
        """Whether clear pixels glow: associated colours where alpha is 0."""
        if not self.is_premultiplied:
            return False
        glows = (self.pixels[..., :3] != 0.0).any(axis=2) & (self.pixels[..., 3] == 0.0)
        return bool(glows.any())

    @property
    def wire_fields(self) -> dict[str, Any]:
        """What `open` says about the pixels of to_wire."""
        glow = {"has_emission": True} if self.has_emission else {}
        return {"encoding": self.encoding, **glow}

    def to_wire(self) -> Array:
        """The picture for the engine, straight alpha; invalid floats become 0.

        Where alpha is 0 colours stay as they are: the light of a glow.
        """
        pixels = self.pixels
        if pixels.dtype != np.uint8:
            pixels = np.nan_to_num(pixels, nan=0.0, posinf=6.5e4, neginf=0.0)
            if self.is_premultiplied:
                pixels = _straight(pixels)
        pixels = np.ascontiguousarray(pixels)
        return Array(str(pixels.dtype), pixels.shape, memoryview(pixels).cast("B"))

    def from_wire(self, array: Array) -> np.ndarray:
        """Pixels from the engine in this picture's own form: (h, w, 4), same dtype and alpha."""
        pixels = np.frombuffer(array.data, array.dtype).reshape(array.shape)
        if pixels.dtype != self.pixels.dtype:
            raise ImageError(f"The engine answered {array.dtype} for {self.pixels.dtype} pixels.")
        if self.is_premultiplied:
            pixels = pixels.copy()
            alpha = pixels[..., 3:]
            is_kept = self.has_emission & (alpha == 0.0)
            np.multiply(pixels[..., :3], alpha, out=pixels[..., :3], where=~is_kept)
        return pixels


def picture_from(array: Array, encoding: str, *, is_float: bool) -> Picture:
    """A whole picture from the engine, (H, W, 4) with straight alpha, as Blender keeps it.

    encoding  "srgb" or "linear"; floats with the curve of sRGB are those of 16-bit files
    is_float  whether it is for an image of floats: Blender reads some movies as such
    """
    pixels = np.frombuffer(array.data, array.dtype).reshape(array.shape)
    if pixels.dtype == np.uint8 and not is_float:
        return Picture(pixels, "srgb")
    if pixels.dtype == np.uint8:
        pixels = pixels * _BYTE_TO_UNIT
    pixels = pixels.copy()
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    if encoding == "srgb":
        bent = ((np.maximum(colours, 0.0) + 0.055) / 1.055) ** 2.4
        colours[...] = np.where(colours <= 0.04045, colours / 12.92, bent)
    # Where alpha is 0 colours are glows, associated as they are.
    np.multiply(colours, alpha, out=colours, where=alpha != 0.0)
    return Picture(pixels, "linear", True)


def _bytes_of(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels).view(np.uint8)


def _straight(pixels: np.ndarray) -> np.ndarray:
    alpha = pixels[..., 3:]
    if bool((alpha == 1.0).all()):
        return pixels
    result = pixels.copy()
    np.divide(pixels[..., :3], alpha, out=result[..., :3], where=alpha != 0.0)
    return result


def read_picture(image: bpy.types.Image) -> Picture:
    """The pixels of an image data-block as it is now. Raises ImageError."""
    check_readable(image)
    width, height = image.size
    channels = image.channels
    with _scratch(width * height * channels) as flat:
        try:
            image.pixels.foreach_get(flat)
        except (TypeError, RuntimeError) as error:
            raise no_pixels(image) from error
        pixels = _to_rgba(flat.reshape(height, width, channels)[::-1])
        if image.is_float:
            is_premultiplied = image.alpha_mode not in {"CHANNEL_PACKED", "NONE"}
            return Picture(pixels.copy(), "linear", is_premultiplied)
        return Picture(_to_bytes(pixels), "srgb")


def shows(image: bpy.types.Image, picture: Picture) -> bool:
    """Whether the pixels of an image are those of a picture; False where that is hard to tell.

    Takes less memory and time than reading the image. Raises ImageError.
    """
    check_readable(image)
    is_float = picture.pixels.dtype != np.uint8
    if image.channels != 4 or tuple(image.size) != picture.size or image.is_float != is_float:
        return False
    height, width = picture.pixels.shape[:2]
    rows = max(_PART // (4 * width), 1)
    with _scratch(4 * width * height) as flat:
        try:
            image.pixels.foreach_get(flat)
        except (TypeError, RuntimeError) as error:
            raise no_pixels(image) from error
        top_first = flat.reshape(height, width, 4)[::-1]
        for start in range(0, height, rows):
            now, then = top_first[start : start + rows], picture.pixels[start : start + rows]
            now = now if is_float else np.rint(now * np.float32(255.0)).astype(np.uint8)
            # As bytes, for undefined numbers are equal here.
            if (_bytes_of(now) != _bytes_of(then)).any():
                return False
    return True


_buffer = np.empty(0, np.float32)
_buffer_lock = threading.RLock()
_used_at = 0.0
keeps_buffer = not bpy.app.background


@contextmanager
def _scratch(count: int) -> Iterator[np.ndarray]:
    """Room for the pixels of one image; new memory costs more than reading them."""
    global _buffer, _used_at
    with _buffer_lock:
        if _buffer.size < count:
            _buffer = np.empty(count, np.float32)
        try:
            yield _buffer[:count]
        finally:
            _used_at = time.monotonic()
            if _buffer.size > _KEPT_FLOATS:
                _give_back_later()


def _give_back_later() -> None:
    """In the background no timer ticks: there at once."""
    is_main = threading.current_thread() is threading.main_thread()
    if not keeps_buffer:
        give_back()
    elif is_main and not bpy.app.timers.is_registered(_give_back_when_idle):
        bpy.app.timers.register(_give_back_when_idle, first_interval=_KEPT_S, persistent=True)


def _give_back_when_idle() -> float | None:
    left = _used_at + _KEPT_S - time.monotonic()
    if left > 0.0:
        return left
    give_back()
    return None


def unregister() -> None:
    """Keep nothing for later."""
    if bpy.app.timers.is_registered(_give_back_when_idle):
        bpy.app.timers.unregister(_give_back_when_idle)
    give_back()


def give_back() -> None:
    """Free the room for the pixels of large images; it is made again when it is needed."""
    global _buffer
    with _buffer_lock:
        if _buffer.size > _KEPT_FLOATS:
            _buffer = np.empty(0, np.float32)


def _to_bytes(pixels: np.ndarray) -> np.ndarray:
    result = np.empty(pixels.shape, np.uint8)
    rows = max(_PART // (pixels.shape[1] * pixels.shape[2]), 1)
    for start in range(0, len(pixels), rows):
        part = pixels[start : start + rows] * np.float32(255.0)
        result[start : start + rows] = np.rint(part, out=part)
    return result


def _to_rgba(pixels: np.ndarray) -> np.ndarray:
    channels = pixels.shape[2]
    if channels == 4:
        return pixels
    result = np.ones((*pixels.shape[:2], 4), np.float32)
    result[..., :3] = pixels[..., :3] if channels == 3 else pixels[..., :1]
    if channels == 2:
        result[..., 3] = pixels[..., 1]
    return result


def is_blank(image: bpy.types.Image) -> bool:
    """Whether an image has no pixels of its own: undo brings removed ones back empty."""
    return image.source == "GENERATED" and not image.has_data


def new_image(
    name: str, picture: Picture, template: bpy.types.Image | None = None
) -> bpy.types.Image:
    """A local image data-block that shows `picture`, with the colour space of `template`."""
    width, height = picture.size
    is_float = picture.pixels.dtype != np.uint8
    image = bpy.data.images.new(name, width, height, alpha=True, float_buffer=is_float)
    if is_float:
        image.alpha_mode = "PREMUL" if picture.is_premultiplied else "CHANNEL_PACKED"
    elif template is not None:
        image.colorspace_settings.name = template.colorspace_settings.name
        # Bytes in memory are straight, however a file of them is to be read.
        is_premultiplied = template.alpha_mode == "PREMUL"
        image.alpha_mode = "STRAIGHT" if is_premultiplied else template.alpha_mode
    Canvas(picture).push(image)
    return image


class Canvas:
    """The picture that an image data-block shows: a still with a changed rectangle."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self._rectangle = (0, 0, 0, 0)
        self._changed: np.ndarray | None = None

    def restore(self) -> None:
        """Go back to the still picture."""
        self._rectangle, self._changed = (0, 0, 0, 0), None

    def show(self, rectangle: tuple[int, int, int, int], pixels: np.ndarray) -> None:
        """Show `pixels` at `rectangle` (x, y, width, height from the top left), else the still."""
        x, y, width, height = rectangle
        limit_x, limit_y = self.picture.size
        is_inside = x >= 0 and y >= 0 and x + width <= limit_x and y + height <= limit_y
        if not is_inside or pixels.shape != (height, width, 4):
            raise ImageError(f"The engine's rectangle {rectangle} does not fit the picture.")
        self._rectangle, self._changed = rectangle, pixels

    def push(self, image: bpy.types.Image) -> None:
        """Write everything into an image data-block, which takes this picture's size."""
        width, height = self.picture.size
        _fit(image, (width, height))
        with _scratch(width * height * 4) as flat:
            top_first = flat.reshape(height, width, 4)[::-1]
            _write(top_first, self.picture.pixels)
            if self._changed is not None:
                x, y, columns, rows = self._rectangle
                _write(top_first[y : y + rows, x : x + columns], self._changed)
            image.pixels.foreach_set(flat)
        compat.refresh_image(image)


def _write(target: np.ndarray, pixels: np.ndarray) -> None:
    if pixels.dtype == np.uint8:
        np.multiply(pixels, _BYTE_TO_UNIT, out=target)
    else:
        target[...] = pixels


def _fit(image: bpy.types.Image, size: tuple[int, int]) -> None:
    """Give an image another size; its pixels are written next."""
    if tuple(image.size) == size:
        return
    if image.source == "GENERATED":
        # Scaling would resample pixels that nobody needs. While Cycles renders, scripts may call
        # functions but set no property.
        with suppress(AttributeError):
            image.generated_width, image.generated_height = size
    if tuple(image.size) != size:
        image.scale(*size)
