"""What a picture file is, from its bytes: kinds that Blender cannot show, files cut off, turns.

Blender shows half a JPEG in grey, half a TIFF in black and an animated WebP as nothing at all,
without a word. It does not turn photographs as their EXIF data asks. Nothing here raises for bytes
that make no sense.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

AS_PICTURE = "Export it as PNG or JPEG."
COPY_AGAIN = "Copy or download it again."
ONE_FRAME = "Save one of its frames as PNG or JPEG."

_TEXT_BYTES = 1024
# A marker in the middle of compressed JPEG data: not a stuffed byte, not a restart.
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_JPEG_END = 0xD9
_JPEG_SCAN = 0xDA
_JPEG_APP1 = 0xE1
_JPEG_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ORIENTATION = 0x0112
_STRIPS_AND_TILES = ((273, 279), (324, 325))  # where they begin, how long they are
_UNTURNED = 1


class Fault(NamedTuple):
    """Why a file cannot be shown: goes on after the file's name; and what to do."""

    message: str
    hint: str


# Bytes at an offset → what they are the beginning of.
_SIGNATURES = (
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "an EPS or PostScript file"),
    (0, b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (0, b"gimp xcf", "a GIMP project"),
    (0, b"II\x2a\x00\x10\x00\x00\x00CR", "a camera's raw file"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (0, b"IIRO", "a camera's raw file"),
    (0, b"IIU\x00", "a camera's raw file"),
    (8, b"CRAW", "a camera's raw file"),
    (4, b"ftypcrx", "a camera's raw file"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftypavis", "an AVIF picture"),
    (4, b"ftyphei", "a HEIC photo"),
    (4, b"ftyphev", "a HEIC photo"),
    (4, b"ftypmif1", "a HEIC photo"),
    (4, b"ftypmsf1", "a HEIC photo"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (0, b"\x00\x00\x01\x00", "an icon file"),
    (0, b"8BPS", "a Photoshop file of a kind"),
    (0, b"8BPB", "a large Photoshop document"),
    (0, b"PK\x03\x04", "a ZIP archive or a painting program's project"),
    (0, b"BLENDER", "a Blender file"),
    (0, b"\x28\xb5\x2f\xfd", "a compressed file"),
    (0, b"\x1f\x8b", "a compressed file"),
    (4, b"ftyp", "a film"),
)


def silent_fault(data: bytes) -> Fault | None:
    """What Blender would show wrongly without a word, None when nothing is known against it."""
    if data.startswith(b"\xff\xd8\xff"):
        return None if _is_whole_jpeg(data) else _cut("a JPEG")
    if _is_webp(data):
        if _is_animated_webp(data):
            return Fault("is an animated WebP, which Blender cannot show.", ONE_FRAME)
        return _cut("a WebP picture") if _webp_size(data) > len(data) else None
    if data[:4] in {b"II*\x00", b"MM\x00*"} and _tiff_end(data) > len(data):
        return _cut("a TIFF picture")
    return None


def fault(data: bytes) -> Fault | None:
    """Why Blender could not read a file, None when its bytes do not tell."""
    found = silent_fault(data)
    if found is not None:
        return found
    if data.startswith(b"\x89PNG") and data[12:16] == b"IHDR":
        return None if b"IEND" in data[-64:] else _cut("a PNG picture")
    if data.startswith((b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")):
        return None if b"\xff\xd9" in data[-64:] else _cut("a JPEG 2000 picture")
    if data.startswith(b"\x76\x2f\x31\x01"):
        return Fault("is a damaged or unfinished OpenEXR file.", "Render or copy it again.")
    if data.startswith(b"GIF8"):
        return Fault("is a GIF, which Blender can only read as a film.", ONE_FRAME)
    for offset, signature, name in _SIGNATURES:
        if data.startswith(signature, offset):
            return Fault(f"is {name} that Blender cannot read as a picture.", AS_PICTURE)
    return _text_fault(data[:_TEXT_BYTES])


def _text_fault(start: bytes) -> Fault | None:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        return Fault("is an SVG drawing, which has no pixels.", AS_PICTURE)
    if text.startswith((b"<!doctype html", b"<html")):
        return Fault("is a web page, not a picture.", "Download the picture itself.")
    return None


def _cut(kind: str) -> Fault:
    return Fault(f"is only a part of {kind}: its end is missing.", COPY_AGAIN)


def orientation(data: bytes) -> int:
    """The EXIF orientation of JPEG, PNG, WebP or TIFF bytes: 1 (upright) to 8."""
    try:
        for block in _exif_blocks(data):
            value = _tiff_orientation(block)
            if value:
                return value
    except (struct.error, IndexError, ValueError, OverflowError):
        pass
    return _UNTURNED


def _exif_blocks(data: bytes) -> Iterator[bytes]:
    """TIFF structures that may tell the orientation."""
    if data.startswith(b"\xff\xd8\xff"):
        for marker, start, end in _jpeg_segments(data):
            if marker == _JPEG_APP1 and data.startswith(b"Exif\x00\x00", start):
                yield data[start + 6 : end]
            if marker == _JPEG_SCAN:
                return
    elif data.startswith(b"\x89PNG"):
        yield from (block for name, block in _png_chunks(data) if name == b"eXIf")
    elif _is_webp(data):
        for name, block in _riff_chunks(data):
            if name == b"EXIF":
                yield block.removeprefix(b"Exif\x00\x00")
    else:
        yield data


def _tiff_orientation(block: bytes) -> int:
    for tag, _kind, values in _tiff_entries(block):
        if tag == _ORIENTATION and values and 1 <= values[0] <= 8:
            return values[0]
    return 0


# --- JPEG -------------------------------------------------------------------------------------


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment's content; a scan's pixels are passed over."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker == _JPEG_END:
            yield marker, position + 2, position + 2
            return
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        yield marker, position + 4, end
        position = end
        if marker == _JPEG_SCAN:
            found = _JPEG_MARKER.search(data, end)
            if found is None:
                return
            position = found.start(1) - 1
    if data.startswith(b"\xff\xd9", position):
        yield _JPEG_END, position + 2, position + 2


def _is_whole_jpeg(data: bytes) -> bool:
    last = 0
    for marker, _start, _end in _jpeg_segments(data):
        last = marker
    # Garbage between segments: decoders look for the next marker, and so does this.
    return last == _JPEG_END or (last != _JPEG_SCAN and b"\xff\xd9" in data[-64:])


def is_progressive_jpeg(data: bytes) -> bool:
    """Whether every part of a JPEG's data refines the whole picture."""
    return any(marker in _JPEG_PROGRESSIVE for marker, _start, _end in _jpeg_segments(data))


# --- PNG and WebP -----------------------------------------------------------------------------


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 8
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        yield name, data[position + 8 : position + 8 + length] if name == b"eXIf" else b""
        position += 12 + length


def _is_webp(data: bytes) -> bool:
    return data.startswith(b"RIFF") and data[8:12] == b"WEBP"


def _webp_size(data: bytes) -> int:
    return 8 + int.from_bytes(data[4:8], "little")


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        yield name, data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _is_animated_webp(data: bytes) -> bool:
    return data[12:16] == b"VP8X" and len(data) > 20 and bool(data[20] & 2)


# --- TIFF, and EXIF which is one --------------------------------------------------------------


def _tiff_entries(block: bytes) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """(tag, type, values) of the first directory, for whole numbers of two or four bytes."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or struct.unpack_from(f"{order}H", block, 2)[0] != 42:
        return
    (place,) = struct.unpack_from(f"{order}I", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, place)
    for number in range(count):
        entry = place + 2 + 12 * number
        tag, kind, length = struct.unpack_from(f"{order}HHI", block, entry)
        code, size = {3: ("H", 2), 4: ("I", 4)}.get(kind, ("", 0))
        if not code:
            continue
        start = entry + 8
        if length * size > 4:
            (start,) = struct.unpack_from(f"{order}I", block, start)
        if start + length * size > len(block):
            continue
        yield tag, kind, struct.unpack_from(f"{order}{length}{code}", block, start)


def _tiff_end(data: bytes) -> int:
    """Where the first picture of a TIFF file ends; 0 when that is not known."""
    try:
        tags = {tag: values for tag, _kind, values in _tiff_entries(data)}
    except struct.error:
        return 0
    ends = [
        start + length
        for starts, lengths in _STRIPS_AND_TILES
        for start, length in zip(tags.get(starts, ()), tags.get(lengths, ()), strict=False)
    ]
    return max(ends, default=0)
