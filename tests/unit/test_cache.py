"""host.cache: keys, whole files, the size limit, other Blenders and bad folders."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from keyportrait.host import cache
from keyportrait.host.cache import CacheError, FrameCache, frame_key

from engine import part_files
from engine.motion import Face, Motion


def png(value: int = 0, padding: int = 0) -> bytes:
    """A valid grey 1 × 1 PNG, made larger by a text chunk."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes([0, value])))
    return (
        cache.PNG_SIGNATURE + header + chunk(b"tEXt", bytes(padding)) + body + chunk(b"IEND", b"")
    )


def exr(width: int = 4, height: int = 40) -> bytes:
    """An OpenEXR scan-line file of one uncompressed half channel, by the published layout."""

    def attribute(name: str, kind: str, value: bytes) -> bytes:
        return f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value

    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    channel = b"Y\0" + struct.pack("<iBxxxii", 1, 0, 1, 1) + b"\0"
    head = cache.EXR_MAGIC + struct.pack("<i", 2)
    head += attribute("channels", "chlist", channel) + attribute(
        "compression", "compression", b"\0"
    )
    head += attribute("dataWindow", "box2i", window) + attribute("displayWindow", "box2i", window)
    head += attribute("lineOrder", "lineOrder", b"\0") + b"\0"
    lines = [struct.pack("<2i", y, 2 * width) + bytes(2 * width) for y in range(height)]
    first = len(head) + 8 * height
    offsets = [first + y * len(lines[0]) for y in range(height)]
    return head + struct.pack(f"<{height}Q", *offsets) + b"".join(lines)


def key_of(motion: Motion, **changes: object) -> str:
    parts: dict[str, object] = {
        "source": "ab" * 32,
        "faces": [Face((1.0, 2.0, 30.0, 40.0)).to_json()],
        "motions": [motion.to_json()],
        "renderer": {"name": "analytic", "model_set": "", "version": "1"},
        "output": {"format": "PNG", "color_depth": 8},
    }
    return frame_key(**{**parts, **changes})  # type: ignore[arg-type]


def numbered(index: int) -> str:
    return f"{index:02x}" + "0" * 62


def fill(store: FrameCache, count: int, size: int) -> list[Path]:
    """Put `count` pictures of about `size` bytes, each used a minute after the one before."""
    paths: list[Path] = []
    for index in range(count):
        path = store.prepare(numbered(index), "png")
        path.write_bytes(png(index, size))
        os.utime(path, (1_000_000 + 60 * index,) * 2)
        store.note_written(path)
        paths.append(path)
    return paths


def test_equal_content_has_equal_keys_and_noise_does_not_matter() -> None:
    assert key_of(Motion(yaw=10.0)) == key_of(Motion(yaw=10.0 + 1e-9))
    assert key_of(Motion(yaw=0.0)) == key_of(Motion(yaw=-0.0))
    assert len(key_of(Motion())) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "cd" * 32},
        {"faces": []},
        {"renderer": {"name": "liveportrait", "model_set": "human", "version": "1"}},
        {"renderer": {"name": "analytic", "model_set": "", "version": "2"}},
        {"output": {"format": "OPEN_EXR", "color_depth": 8}},
        {"output": {"format": "PNG", "color_depth": 16}},
    ],
)
def test_anything_that_changes_the_picture_changes_the_key(changes: dict[str, object]) -> None:
    assert key_of(Motion(), **changes) != key_of(Motion())


def test_a_small_but_visible_motion_changes_the_key() -> None:
    nudged = (0.0,) * 62 + (2e-5,)
    assert key_of(Motion(expression=nudged)) != key_of(Motion())


def test_numbers_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        key_of(Motion(yaw=float("nan")))


@pytest.mark.parametrize(("extension", "content"), [("png", png(7)), ("exr", exr())])
def test_a_picture_comes_back_as_it_was_put(tmp_path: Path, extension: str, content: bytes) -> None:
    store = FrameCache(tmp_path / "cache", 10**6)
    picture = tmp_path / f"rendered.{extension}"
    picture.write_bytes(content)
    assert store.find(numbered(1), extension) is None
    store.put(numbered(1), extension, picture)
    target = tmp_path / f"out.{extension}"
    assert store.copy_to(numbered(1), extension, target)
    assert target.read_bytes() == content
    target.write_bytes(b"painted over")
    again = store.find(numbered(1), extension)
    assert again is not None and again.read_bytes() == content


@pytest.mark.parametrize(("extension", "content"), [("png", png(7)), ("exr", exr())])
@pytest.mark.parametrize("part", [0.0, 0.02, 0.5, 0.999])
def test_a_cut_file_is_a_miss_and_goes(
    tmp_path: Path, extension: str, content: bytes, part: float
) -> None:
    store = FrameCache(tmp_path, 10**6)
    path = store.prepare(numbered(1), extension)
    path.write_bytes(content[: int(len(content) * part)])
    assert store.find(numbered(1), extension) is None
    assert not path.exists()


@pytest.mark.parametrize("extension", ["png", "exr"])
def test_a_file_of_noise_is_a_miss(tmp_path: Path, extension: str) -> None:
    store = FrameCache(tmp_path, 10**6)
    store.prepare(numbered(1), extension).write_bytes(cache.EXR_MAGIC + os.urandom(5000))
    assert not store.copy_to(numbered(1), extension, tmp_path / "out")


def test_a_damaged_header_claims_no_memory(tmp_path: Path) -> None:
    """An OpenEXR file of 4 billion lines would have a table of 34 GB."""
    content = exr()
    window = content.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    tall = struct.pack("<4i", 0, -(2**31) + 2, 19, 2**31 - 1)
    path = tmp_path / "tall.exr"
    path.write_bytes(content[:window] + tall + content[window + 16 :])
    tracemalloc.start()
    is_whole = cache.is_whole(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not is_whole
    assert peak < 10**6


def test_over_the_limit_the_longest_unused_go_first(tmp_path: Path) -> None:
    store = FrameCache(tmp_path, 10_500)
    paths = fill(store, 10, 1000 - len(png()))
    assert all(path.exists() for path in paths)
    store.find(numbered(0), "png")  # used just now: stays
    (last,) = fill(FrameCache(tmp_path, 10**9), 11, 1000 - len(png()))[10:]
    os.utime(last)
    os.utime(paths[0])
    store.trim()
    left = [path.exists() for path in paths]
    assert left[0] and last.exists() and not left[1] and left[9]
    assert store.total_bytes() <= 10_500


def test_the_picture_just_written_stays_even_over_a_tiny_limit(tmp_path: Path) -> None:
    store = FrameCache(tmp_path, 10)
    paths = fill(store, 3, 1000)
    assert [path.exists() for path in paths] == [False, False, True]


def test_clear_counts_and_leaves_other_files_alone(tmp_path: Path) -> None:
    store = FrameCache(tmp_path, 10**6)
    size = sum(path.stat().st_size for path in fill(store, 3, 100))
    mine = tmp_path / "00" / "holiday.png"
    mine.write_bytes(png())
    (tmp_path / "notes.txt").write_text("mine")
    assert store.total_bytes() == size
    assert store.clear() == (3, size)
    assert store.total_bytes() == 0 and mine.exists() and (tmp_path / "notes.txt").exists()


def test_half_written_parts_of_a_dead_blender_go_once_they_are_old(tmp_path: Path) -> None:
    store = FrameCache(tmp_path, 10**6)
    folder = store.prepare(numbered(0), "png").parent
    old, fresh = folder / f"{part_files.PREFIX}old", folder / f"{part_files.PREFIX}fresh"
    old.write_bytes(b"x")
    fresh.write_bytes(b"x")
    os.utime(old, (1.0, 1.0))
    store.trim()
    assert not old.exists() and fresh.exists()
    assert store.total_bytes() == 0


def test_two_blenders_may_share_and_clear_one_folder(tmp_path: Path) -> None:
    """Writers, readers and a clearing Blender at once: each copy is whole or reported missing."""
    picture = tmp_path / "picture.png"
    picture.write_bytes(png(1, 50_000))
    content = picture.read_bytes()
    folder = tmp_path / "cache"

    def work(worker: int) -> list[bool]:
        store = FrameCache(folder, 300_000)
        found: list[bool] = []
        for step in range(60):
            key = numbered((worker * 7 + step) % 9)
            if step % 20 == 19:
                store.clear()
            store.put(key, "png", picture)
            target = tmp_path / f"{worker}.png"
            if store.copy_to(key, "png", target):
                found.append(target.read_bytes() == content)
        return found

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, range(4)))
    assert all(all(found) for found in results)
    assert any(results)


def test_a_folder_that_is_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    blocked = tmp_path / "cache"
    blocked.write_text("not a folder")
    store = FrameCache(blocked, 10**6)
    with pytest.raises(CacheError, match="cache"):
        store.prepare(numbered(1), "png")
    assert store.find(numbered(1), "png") is None
    assert store.total_bytes() == 0 and store.clear() == (0, 0)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_cache_still_serves(tmp_path: Path) -> None:
    store = FrameCache(tmp_path, 10**6)
    path = store.prepare(numbered(1), "png")
    path.write_bytes(png())
    path.parent.chmod(0o500)
    try:
        assert store.find(numbered(1), "png") == path
        with pytest.raises(CacheError):
            store.prepare(numbered(1), "png")
    finally:
        path.parent.chmod(0o700)


def test_a_copy_to_a_missing_folder_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    store = FrameCache(tmp_path / "cache", 10**6)
    picture = tmp_path / "picture.png"
    picture.write_bytes(png())
    store.put(numbered(1), "png", picture)
    with pytest.raises(OSError, match="gone"):
        store.copy_to(numbered(1), "png", tmp_path / "gone" / "out.png")


def test_keys_do_not_depend_on_the_order_of_dictionaries() -> None:
    one = key_of(Motion(), renderer={"name": "analytic", "version": "1"})
    two = key_of(Motion(), renderer={"version": "1", "name": "analytic"})
    assert one == two
