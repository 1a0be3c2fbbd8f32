"""Puts an EXIF orientation into JPEG, PNG, WebP and TIFF bytes. Standard library only."""

from __future__ import annotations

import struct
import zlib


def exif_block(orientation: int, order: str = "<") -> bytes:
    """The smallest EXIF that tells an orientation; order "<" (II) or ">" (MM)."""
    head = b"II*\x00" if order == "<" else b"MM\x00*"
    maker = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(f"{order}IH", 8, 1) + maker + struct.pack(f"{order}I", 0)


def with_orientation(data: bytes, orientation: int, order: str = "<") -> bytes:
    """A picture file's bytes with an orientation."""
    block = exif_block(orientation, order)
    if data.startswith(b"\xff\xd8"):
        content = b"Exif\x00\x00" + block
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]
    if data.startswith(b"\x89PNG"):
        chunk = b"eXIf" + block
        header_end = 8 + 25
        packed = struct.pack(">I", len(block)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        return data[:header_end] + packed + data[header_end:]
    if data.startswith(b"RIFF"):
        return _webp(data, block)
    return _tiff(data, orientation)


def _webp(data: bytes, block: bytes) -> bytes:
    """Extended WebP: a VP8X chunk that announces EXIF, the picture, the EXIF chunk."""
    body = data[12:]
    if body.startswith(b"VP8X"):
        body = body[:8] + bytes([body[8] | 8]) + body[9:]
    else:
        width, height = _webp_size(body)
        flags = struct.pack("<I", 8)
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        body = b"VP8X" + struct.pack("<I", 10) + flags + size + body
    body += b"EXIF" + struct.pack("<I", len(block)) + block + b"\x00" * (len(block) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp_size(body: bytes) -> tuple[int, int]:
    if body.startswith(b"VP8 "):
        width, height = struct.unpack_from("<HH", body, 8 + 6)
        return width & 0x3FFF, height & 0x3FFF
    bits = int.from_bytes(body[9:13], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _tiff(data: bytes, orientation: int) -> bytes:
    """Move the first directory to the end of the file, with one more entry."""
    order = "<" if data.startswith(b"II") else ">"
    (place,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, place)
    entries = [data[place + 2 + 12 * i : place + 14 + 12 * i] for i in range(count)]
    entries = [e for e in entries if struct.unpack_from(f"{order}H", e)[0] != 0x0112]
    entries.append(struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0))
    entries.sort(key=lambda e: struct.unpack_from(f"{order}H", e)[0])
    data += b"\x00" * (len(data) % 2)
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + b"\x00" * 4
    return data[:4] + struct.pack(f"{order}I", len(data)) + data[8:] + directory
