"""rig.picture_files: what is told from a picture file's bytes. No Blender needed."""

from __future__ import annotations

import random
import struct

import cv2
import numpy as np
import pytest
from fakes.exif import exif_block, with_orientation
from keyportrait.rig import picture_files

KINDS = (".jpg", ".png", ".webp", ".tiff")


def encoded(kind: str, *options: int) -> bytes:
    """A picture of noise over a gradient as a file, 96 x 64 px."""
    rng = np.random.default_rng(5)
    picture = np.linspace(0, 200, 96)[None, :, None] + rng.integers(0, 50, (64, 96, 3))
    return cv2.imencode(kind, picture.astype(np.uint8), list(options))[1].tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_orientation_is_read(kind: str, order: str) -> None:
    data = encoded(kind)
    assert picture_files.orientation(data) == 1
    for value in range(1, 9):
        turned = with_orientation(data, value, order)
        pixels = np.frombuffer(turned, np.uint8)
        assert cv2.imdecode(pixels, cv2.IMREAD_IGNORE_ORIENTATION) is not None
        assert picture_files.orientation(turned) == value


def test_an_orientation_that_does_not_exist_is_upright() -> None:
    for value in (0, 9, 65535):
        assert picture_files.orientation(with_orientation(encoded(".jpg"), value)) == 1


def test_the_jpeg_in_a_jpeg_is_not_asked() -> None:
    """The thumbnail's own EXIF lies behind the start of the picture's pixels."""
    data = encoded(".jpg")
    assert picture_files.orientation(data + with_orientation(data, 6)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_garbage_never_raises(kind: str) -> None:
    rng = random.Random(3)
    data = bytearray(with_orientation(encoded(kind), 6))
    for _ in range(300):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 8)):
            broken[rng.randrange(min(len(broken), 400))] = rng.randrange(256)
        broken = broken[: rng.randrange(len(broken))]
        assert 1 <= picture_files.orientation(bytes(broken)) <= 8
        picture_files.fault(bytes(broken))


def test_an_endless_directory_is_left_alone() -> None:
    block = exif_block(6)[:8] + struct.pack("<H", 65535) + b"\x00" * 24
    assert picture_files.orientation(block) == 1


@pytest.mark.parametrize("kind", [".jpg", ".webp", ".tiff"])
def test_whole_files_are_told_from_parts(kind: str) -> None:
    data = encoded(kind)
    assert picture_files.silent_fault(data) is None
    for part in (0.3, 0.6, 0.9):
        found = picture_files.silent_fault(data[: int(part * len(data))])
        assert found is not None or kind == ".tiff", part
        if found is not None:
            assert "its end is missing" in found.message


def test_a_tiff_without_its_pixels_is_a_part() -> None:
    # The directory is at the beginning here, as scanners write it.
    head = b"II*\x00" + struct.pack("<IH", 8, 2)
    entries = struct.pack("<HHII", 273, 4, 1, 100) + struct.pack("<HHII", 279, 4, 1, 5000)
    data = (head + entries + b"\x00" * 4).ljust(5100, b"\x00")
    assert picture_files.silent_fault(data) is None
    assert "TIFF" in picture_files.silent_fault(data[:3000]).message


@pytest.mark.parametrize(
    "options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)]
)
def test_jpegs_of_all_kinds_are_whole(options: tuple[int, ...]) -> None:
    data = encoded(".jpg", *options)
    assert picture_files.silent_fault(data) is None
    # Phones append a second picture, or their own data.
    assert picture_files.silent_fault(data + b"trailer of a phone" * 50) is None
    assert picture_files.silent_fault(data[:-20]) is not None
    assert picture_files.is_progressive_jpeg(data) == (
        options[:1] == (cv2.IMWRITE_JPEG_PROGRESSIVE,)
    )


def test_a_thumbnail_s_end_is_not_the_picture_s() -> None:
    data = encoded(".jpg")
    content = b"Exif\x00\x00" + exif_block(1) + encoded(".jpg")
    inside = data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]
    assert picture_files.silent_fault(inside) is None
    assert picture_files.silent_fault(inside[: len(inside) - len(data) // 2]) is not None


def test_an_animated_webp() -> None:
    body = b"VP8X" + struct.pack("<I", 10) + b"\x02\x00\x00\x00" + b"\x5f\x00\x00\x3f\x00\x00"
    data = b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    assert "animated WebP" in picture_files.silent_fault(data).message
    assert picture_files.silent_fault(with_orientation(encoded(".webp"), 6)) is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIC photo"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "HEIC photo"),
        (b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1", "AVIF"),
        (b'<?xml version="1.0"?>\n<!-- made -->\n<svg xmlns="x"/>', "SVG"),
        (b"\xef\xbb\xbf  <!DOCTYPE html><html>", "web page"),
        (b"8BPS\x00\x01", "Photoshop"),
        (b"%PDF-1.7", "PDF"),
        (b"gimp xcf v011", "GIMP"),
        (b"PK\x03\x04mimetypeapplication/x-krita", "project"),
        (b"II\x2a\x00\x10\x00\x00\x00CR\x02\x00", "raw file"),
        (b"GIF89a", "GIF"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR half of it", "part of a PNG"),
        (b"\xff\x0a\x00", "JPEG XL"),
    ],
)
def test_what_blender_cannot_read_is_named(data: bytes, words: str) -> None:
    found = picture_files.fault(data)
    assert words in found.message
    assert found.hint.endswith(".")


@pytest.mark.parametrize("data", [b"", b"hello", b"\x00" * 50])
def test_what_cannot_be_told_is_not_named(data: bytes) -> None:
    assert picture_files.fault(data) is None
