"""The gallery's pictures come out of their packages whole, and its strips show what moved."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
pytest.importorskip("skimage.data")
Image = pytest.importorskip("PIL.Image")
gallery_pictures = pytest.importorskip("gallery_pictures")
gallery = pytest.importorskip("gallery")

from engine.controls import CONTROLS_BY_NAME  # noqa: E402


def resource(files: dict[str, bytes], version: int = 2) -> bytes:
    """A compiled Qt resource with one folder; every other file is compressed."""
    names = contents = b""
    entries = []
    for number, (name, content) in enumerate({"folder": b"", **files}.items()):
        encoded = name.encode("utf-16-be")
        at = len(names)
        names += struct.pack(">HI", len(name), 0) + encoded
        if number == 0:
            entries.append(struct.pack(">IHII", at, 2, len(files), 2))
            continue
        is_compressed = number % 2
        stored = struct.pack(">I", len(content)) + zlib.compress(content)
        stored = stored if is_compressed else content
        entries.append(struct.pack(">IHHHI", at, is_compressed, 0, 0, len(contents)))
        contents += struct.pack(">I", len(stored)) + stored
    root = struct.pack(">IHII", 0, 2, 1, 1)
    time = b"\0" * 8 if version > 1 else b""
    tree = b"".join(entry + time for entry in (root, *entries))
    head = struct.pack(">4sIIII", b"qres", version, 20, 20 + len(tree) + len(names), 20 + len(tree))
    return head + tree + names + contents


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_resource_gives_its_files(version):
    files = {"a.qml": b"text" * 50, "b.webp": b"\x00\x01\x02", "ü.txt": b""}
    assert gallery_pictures.read_resources(resource(files, version)) == files


def test_other_files_are_refused():
    with pytest.raises(ValueError, match="no compiled Qt resource"):
        gallery_pictures.read_resources(b"RIFF" + b"\0" * 40)


def test_a_jigsaw_becomes_the_painting_again():
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 255, (4, 6, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
    painting = Image.fromarray(colours)
    files, pieces = {}, []
    for row in range(2):
        for column in range(3):
            box = (column * 40, row * 40, column * 40 + 40, row * 40 + 40)
            stream = io.BytesIO()
            painting.crop(box).save(stream, "webp", lossless=True)
            files[f"p{row}{column}.webp"] = stream.getvalue()
            # A margin of 10 pixels around, as the board has.
            x, y = (10 + box[0] + 20) / 140, (10 + box[1] + 20) / 100
            pieces.append(
                f'{{"pixmapfile" : "image/p{row}{column}.webp", "x" : "{x}", "y" : "{y}"}}'
            )
    board = '{"width": 140, "height": 100},' + ",".join(pieces)
    files[gallery_pictures.BOARDS["mona_lisa"]] = board.encode()
    found = gallery_pictures._assemble(files, "mona_lisa")
    assert np.array_equal(np.asarray(found), colours[2:-2, 2:-2])


def test_a_missing_package_is_told_with_its_command(tmp_path):
    for name, command in (("hopper", "pip download"), ("mona_lisa", "apt-get download")):
        with pytest.raises(FileNotFoundError, match=command):
            gallery_pictures.open_picture(name, tmp_path)


def test_a_strip_shows_the_source_and_each_pose(tmp_path):
    subject = gallery.open_in_memory(gallery_pictures.open_picture("collins", tmp_path))
    strip = np.asarray(gallery.strip_of(subject, {"nothing": {}, "wide": {"mouth_open": 1.0}}))
    assert strip.shape == (gallery.CELL + gallery.LABEL, 3 * gallery.CELL, 3)
    cells = [strip[: gallery.CELL, n * gallery.CELL : (n + 1) * gallery.CELL] for n in range(3)]
    change = [np.abs(cells[0].astype(int) - cell).mean() for cell in cells[1:]]
    assert change[0] == 0
    assert change[1] > 0.5
    sheet = np.asarray(
        gallery.stacked(Image.new("RGB", strip.shape[1::-1]), Image.fromarray(strip))
    )
    assert (sheet[: gallery.CELL] == 0).all()
    assert np.array_equal(sheet[gallery.CELL :], strip)


def test_poses_are_of_controls():
    assert set(gallery.POSES) == set(gallery_pictures.NAMES)
    known = set(CONTROLS_BY_NAME)
    for poses in (*gallery.POSES.values(), gallery.HARD):
        assert all(set(values) <= known for values in poses.values())
