"""Picture files that tests make, and what is in them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import bpy
import numpy as np


def save_picture(path: Path, pixels: np.ndarray) -> str:
    """Write (H, W, 4) pixels, row 0 at the top, as .png or (linear, premultiplied) .exr."""
    height, width = pixels.shape[:2]
    is_float = path.suffix == ".exr"
    image = bpy.data.images.new("made", width, height, alpha=True, float_buffer=is_float)
    image.colorspace_settings.name = "Non-Color"  # write the numbers as they are
    image.pixels.foreach_set(np.ascontiguousarray(pixels[::-1], np.float32).ravel())
    image.filepath_raw = str(path)
    image.file_format = "OPEN_EXR" if is_float else "PNG"
    image.save()
    bpy.data.images.remove(image)
    return str(path)


def save_deep(path: Path, pixels: np.ndarray) -> str:
    """Write (H, W, 4) pixels, row 0 at the top, as a .png of 16 bits."""
    height, width = pixels.shape[:2]
    values = np.rint(pixels * 65535).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 1)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return str(path)


def read_picture(path: str, pixels: Any) -> np.ndarray:
    """(H, W, 4) float32 of a file, row 0 at the top; `pixels` is the fixture."""
    image = bpy.data.images.load(path)
    found = pixels(image).copy()
    bpy.data.images.remove(image)
    return found
