"""Pictures between Blender and the engine: the only place that flips rows or converts pixels.

Blender keeps rows bottom first, floats in 0..1 for byte images, and float images scene-linear with
premultiplied alpha. The engine wants rows top first, uint8 or float32, straight alpha.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .. import compat
from ..engine.protocol import Array
from .errors import ImageError

MAX_EDGE_PX = 16384
MAX_PIXEL_BYTES = 2 * 1024**3
_BYTE_TO_UNIT = np.float32(1.0 / 255.0)
_UNREADABLE = {
    "RENDER_RESULT": "Save the render to a file and choose that.",
    "COMPOSITING": "Save the viewer's picture to a file and choose that.",
}


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


def _straight(pixels: np.ndarray) -> np.ndarray:
    alpha = pixels[..., 3:]
    if bool((alpha == 1.0).all()):
        return pixels
    result = pixels.copy()
    np.divide(pixels[..., :3], alpha, out=result[..., :3], where=alpha != 0.0)
    return result


def check_readable(image: bpy.types.Image) -> None:
    """Raise ImageError for an image that cannot be a portrait, with what to do instead."""
    name = f"'{image.name}'"
    if image.type in _UNREADABLE:
        raise ImageError(f"{name} has no pixels of its own.", _UNREADABLE[image.type])
    if image.source == "TILED":
        raise ImageError(f"{name} is a UDIM set.", "Choose the file of one tile.")
    if image.type == "MULTILAYER":
        raise ImageError(f"{name} is a multilayer file.", "Save one layer as an ordinary picture.")
    width, height = image.size
    if not width or not height:
        raise _no_pixels(image)
    if max(width, height) > MAX_EDGE_PX:
        raise ImageError(
            f"{name} is {width} x {height} px; {MAX_EDGE_PX} px a side are the most.",
            "Scale it down first.",
        )
    itemsize = 4 if image.is_float else 1
    if width * height * 4 * itemsize > MAX_PIXEL_BYTES:
        gigabytes = width * height * 4 * itemsize / 1e9
        raise ImageError(
            f"{name} is {width} x {height} px, {gigabytes:.1f} GB.", "Scale it down first."
        )


def _no_pixels(image: bpy.types.Image) -> ImageError:
    name = f"'{image.name}'"
    path = Path(bpy.path.abspath(image.filepath, library=image.library)) if image.filepath else None
    if path is None or image.packed_file is not None:
        return ImageError(f"{name} has no pixels.", "Reload it or choose another picture.")
    if not path.exists():
        return ImageError(
            f"The file of {name} is missing: {path}", "Put it back or choose it again."
        )
    return ImageError(f"The file of {name} cannot be read: {path}", "Save it as PNG or JPEG.")


def read_picture(image: bpy.types.Image) -> Picture:
    """The pixels of an image data-block as it is now. Raises ImageError."""
    check_readable(image)
    width, height = image.size
    channels = image.channels
    flat = np.empty(width * height * channels, np.float32)
    try:
        image.pixels.foreach_get(flat)
    except (TypeError, RuntimeError) as error:
        raise _no_pixels(image) from error
    pixels = _to_rgba(flat.reshape(height, width, channels)[::-1])
    if image.is_float:
        is_premultiplied = image.alpha_mode not in {"CHANNEL_PACKED", "NONE"}
        return Picture(np.ascontiguousarray(pixels), "linear", is_premultiplied)
    return Picture(np.rint(pixels * 255.0).astype(np.uint8), "srgb")


def _to_rgba(pixels: np.ndarray) -> np.ndarray:
    channels = pixels.shape[2]
    if channels == 4:
        return pixels
    result = np.ones((*pixels.shape[:2], 4), np.float32)
    result[..., :3] = pixels[..., :3] if channels == 3 else pixels[..., :1]
    if channels == 2:
        result[..., 3] = pixels[..., 1]
    return result


def load_file(filepath: str) -> tuple[bpy.types.Image, bool]:
    """The image data-block of a file, and whether it is new. Raises ImageError."""
    path = Path(bpy.path.abspath(filepath))
    if not path.is_file():
        raise ImageError(f"There is no file '{path}'.", "Choose a picture file.")
    if path.stat().st_size == 0:
        raise ImageError(f"'{path.name}' is empty (0 bytes).", "Choose another picture.")
    known = set(bpy.data.images)
    try:
        image = bpy.data.images.load(str(path), check_existing=True)
    except RuntimeError as error:
        raise ImageError(f"'{path.name}' cannot be read.", "Save it as PNG or JPEG.") from error
    is_new = image not in known
    try:
        check_readable(image)
    except ImageError:
        if is_new:
            bpy.data.images.remove(image)
        raise
    return image, is_new


def still_of(image: bpy.types.Image) -> bpy.types.Image:
    """A packed copy of what a movie or a sequence shows now; other images are returned as is."""
    if image.source not in {"MOVIE", "SEQUENCE"}:
        return image
    picture = read_picture(image)
    still = new_image(f"{image.name} Still", picture, image)
    still.pack()
    return still


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
        image.alpha_mode = template.alpha_mode
    Canvas(picture).push(image)
    return image


class Canvas:
    """The picture that an image data-block shows: a still with a changed rectangle."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        width, height = picture.size
        self._buffer = np.empty((height, width, 4), np.float32)
        self._top_first = self._buffer[::-1]
        self._rectangle = (0, 0, width, height)
        self.restore()

    def restore(self) -> None:
        """Go back to the still picture."""
        rows, columns = _slices(self._rectangle)
        self._write(rows, columns, self.picture.pixels[rows, columns])
        self._rectangle = (0, 0, 0, 0)

    def show(self, rectangle: tuple[int, int, int, int], pixels: np.ndarray) -> None:
        """Show `pixels` at `rectangle` (x, y, width, height from the top left), else the still."""
        x, y, width, height = rectangle
        limit_x, limit_y = self.picture.size
        is_inside = x >= 0 and y >= 0 and x + width <= limit_x and y + height <= limit_y
        if not is_inside or pixels.shape != (height, width, 4):
            raise ImageError(f"The engine's rectangle {rectangle} does not fit the picture.")
        self.restore()
        rows, columns = _slices(rectangle)
        self._write(rows, columns, pixels)
        self._rectangle = rectangle

    def push(self, image: bpy.types.Image) -> None:
        """Write everything into an image data-block, which is scaled when its size differs."""
        if tuple(image.size) != self.picture.size:
            image.scale(*self.picture.size)
        image.pixels.foreach_set(self._buffer.reshape(-1))
        compat.refresh_image(image)

    def _write(self, rows: slice, columns: slice, pixels: np.ndarray) -> None:
        target = self._top_first[rows, columns]
        if pixels.dtype == np.uint8:
            np.multiply(pixels, _BYTE_TO_UNIT, out=target)
        else:
            target[...] = pixels


def _slices(rectangle: tuple[int, int, int, int]) -> tuple[slice, slice]:
    x, y, width, height = rectangle
    return slice(y, y + height), slice(x, x + width)
