"""OpenEXR files of one RGBA picture: scan lines, ZIP compression, half or float.

Written by hand because OpenCV's wheels are built without OpenEXR and no other library has one wheel
for every Python of Blender. Layout: "OpenEXR File Layout" (openexr.com), single-part version 2.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

MAGIC, VERSION = 20000630, 2
ZIP_COMPRESSION, ZIP_LINES = 3, 16  # compression method 3 packs 16 lines together
PIXEL_TYPES = {"float16": 1, "float32": 2}
# Files name their channels in alphabetical order; the values are indices into RGBA.
CHANNELS = {"A": 3, "B": 2, "G": 1, "R": 0}
ZLIB_LEVEL = 4  # OpenEXR's own default


def encode(pixels: np.ndarray) -> bytes:
    """The bytes of a file that holds a picture.

    pixels  (H, W, 4) float16 or float32, RGBA, linear, associated alpha, row 0 at the top
    """
    height, width = pixels.shape[:2]
    header = _header(width, height, PIXEL_TYPES[pixels.dtype.name])
    # Each line holds all of A, then all of B, G and R.
    planes = np.ascontiguousarray(pixels[..., list(CHANNELS.values())].transpose(0, 2, 1))
    little = planes.astype(planes.dtype.newbyteorder("<"), copy=False)
    blocks = [
        _block(top, little[top : top + ZIP_LINES].tobytes()) for top in range(0, height, ZIP_LINES)
    ]
    offset = len(header) + 8 * len(blocks)
    offsets: list[int] = []
    for block in blocks:
        offsets.append(offset)
        offset += len(block)
    return b"".join((header, struct.pack(f"<{len(offsets)}Q", *offsets), *blocks))


def _header(width: int, height: int, pixel_type: int) -> bytes:
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    channels = b"".join(
        name.encode() + b"\0" + struct.pack("<iB3xii", pixel_type, 0, 1, 1) for name in CHANNELS
    )
    attributes = (
        ("channels", "chlist", channels + b"\0"),
        ("compression", "compression", bytes([ZIP_COMPRESSION])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),  # from the top
        ("pixelAspectRatio", "float", struct.pack("<f", 1.0)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0.0, 0.0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1.0)),
    )
    parts = [struct.pack("<2i", MAGIC, VERSION)]
    for name, kind, value in attributes:
        parts.append(f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value)
    return b"".join(parts) + b"\0"


def _block(top: int, raw: bytes) -> bytes:
    """Up to 16 lines: their first row, the size, the packed bytes."""
    data = np.frombuffer(raw, np.uint8)
    # Low and high bytes apart, then differences: what ZIP compression of floats needs to pay.
    apart = np.concatenate((data[0::2], data[1::2]))
    differences = np.empty_like(apart)
    differences[:1] = apart[:1]
    differences[1:] = apart[1:] - apart[:-1] + np.uint8(128)
    packed = zlib.compress(differences.tobytes(), ZLIB_LEVEL)
    if len(packed) >= len(raw):
        packed = raw  # readers know it by the size
    return struct.pack("<ii", top, len(packed)) + packed
