"""Whole pictures written to PNG and OpenEXR files, each one complete or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from . import openexr, part_files
from .alpha import premultiplied
from .renderer import Rectangle, ReportedError, SourceImage
from .srgb import linear_from_srgb, srgb_from_linear

# format → colour depths as Blender names them, default first.
FORMATS = {"PNG": ("8", "16"), "OPEN_EXR": ("16", "32")}
HALF_MAX = 65504.0  # largest finite half float
_STRIP_PIXELS = 1 << 20  # pictures are converted in strips, to bound memory

# Trying libpng's filters on each row and looking for what repeats takes twice as long; photographs
# get no smaller by it.
_PNG_OPTIONS = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
)


class FileFormat(NamedTuple):
    """How a picture is written.

    kind   "PNG" (display values, straight alpha) or "OPEN_EXR"
    depth  bits per channel: "8" or "16" for PNG, "16" or "32" (float) for OPEN_EXR
    color  OPEN_EXR: "linear" turns sRGB into linear Rec.709, "source" keeps the picture's values
    alpha  OPEN_EXR: "associated" multiplies colours by alpha, "straight" leaves them alone
    """

    kind: str
    depth: str
    color: str = "linear"
    alpha: str = "associated"

    @classmethod
    def read(cls, options: dict[str, Any]) -> FileFormat:
        """The format of a save option. Raises ReportedError "bad_request"."""
        kind = options.get("format", "PNG")
        if not isinstance(kind, str) or kind not in FORMATS:
            raise ReportedError("bad_request", f"Cannot write the format '{kind}'.")
        depth = str(options.get("color_depth", FORMATS[kind][0]))
        if depth not in FORMATS[kind]:
            raise ReportedError("bad_request", f"{kind} has no colour depth of {depth} bits.")
        color = options.get("color", "linear")
        alpha = options.get("alpha", "associated")
        if color not in ("linear", "source") or alpha not in ("associated", "straight"):
            raise ReportedError("bad_request", f"Cannot write color '{color}', alpha '{alpha}'.")
        return cls(kind, depth, color, alpha)


class PictureFile:
    """Writes variants of one picture; the unchanged part is converted only once."""

    def __init__(self, image: SourceImage, form: FileFormat) -> None:
        self._encoding, self._has_emission = image.encoding, image.has_emission
        self._form = form
        self._source = self._convert(image.pixels)

    def converted(self, canvas: np.ndarray, area: Rectangle) -> np.ndarray:
        """As `convert`, of a picture that differs from the image in an area alone; it may share
        the canvas's memory."""
        return canvas if self._is_as_it_is(canvas) else self.convert(canvas[area.slices], area)

    def convert(self, pixels: np.ndarray, area: Rectangle) -> np.ndarray:
        """The image, with other pixels in an area of it, as the file will hold it.

        pixels   (height, width, 4) of the image's dtype, or float32 in its encoding, 0..1 for
                 display values
        """
        picture = self._source.copy()
        picture[area.slices] = self._convert(pixels)
        return picture

    def write(self, path: str, picture: np.ndarray) -> None:
        """Encode and write what `convert` has made; may be called from any thread.

        The folder is made if need be; an older file stays until the new one is complete.
        Raises ReportedError "write_failed".
        """
        write_whole(Path(path), self._encode(picture))

    def _encode(self, picture: np.ndarray) -> bytes | memoryview:
        if self._form.kind == "OPEN_EXR":
            return openexr.encode(picture)
        # OpenCV's order is BGRA.
        bgra = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA)
        return cv2.imencode(".png", bgra, _PNG_OPTIONS)[1].data

    def _convert(self, pixels: np.ndarray) -> np.ndarray:
        if self._is_as_it_is(pixels):
            return pixels
        height, width = pixels.shape[:2]
        picture = np.empty((height, width, 4), self._dtype)
        rows = max(1, _STRIP_PIXELS // max(1, width))
        for top in range(0, height, rows):
            picture[top : top + rows] = self._convert_strip(pixels[top : top + rows])
        return picture

    @property
    def _dtype(self) -> type[np.generic]:
        if self._form.kind == "OPEN_EXR":
            return np.float16 if self._form.depth == "16" else np.float32
        return np.uint8 if self._form.depth == "8" else np.uint16

    def _is_as_it_is(self, pixels: np.ndarray) -> bool:
        is_byte = pixels.dtype == np.uint8 and self._encoding == "srgb"
        return is_byte and self._form.kind == "PNG" and self._form.depth == "8"

    def _convert_strip(self, strip: np.ndarray) -> np.ndarray:
        is_byte = strip.dtype == np.uint8
        if self._form.kind == "PNG" and is_byte and self._encoding == "srgb":
            return strip.astype(np.uint16) * 257
        values = strip.astype(np.float32) / 255.0 if is_byte else strip
        values = np.nan_to_num(values, nan=0.0, posinf=HALF_MAX, neginf=-HALF_MAX)
        if self._form.kind == "PNG":
            if self._encoding == "linear":
                values = np.dstack((srgb_from_linear(values[..., :3]), values[..., 3:]))
            top = 255.0 if self._form.depth == "8" else 65535.0
            return np.rint(np.clip(values, 0.0, 1.0) * top).astype(self._dtype)
        if self._encoding == "srgb" and self._form.color == "linear":
            values = np.dstack((linear_from_srgb(values[..., :3]), values[..., 3:]))
        if self._form.alpha == "associated":
            values = premultiplied(values, self._has_emission)
        return np.clip(values, -HALF_MAX, HALF_MAX) if self._form.depth == "16" else values


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file by a temporary neighbour and a rename, so that no half file is ever seen.

    Raises ReportedError "write_failed" with the path, the reason and what to do.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part_files.write_whole(path, lambda part: part.write_bytes(data))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReportedError(
            "write_failed", f"Cannot write '{path}': {reason}.", part_files.hint_of(error)
        ) from error
