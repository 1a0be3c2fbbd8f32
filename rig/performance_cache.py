"""What the engine has read from clips, kept on disk so that no clip is read twice."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ..engine.part_files import remove_left
from ..preferences import user_folder

FOLDER = "performances"
# The longest unused performances go first.
LIMIT_BYTES = 500 * 10**6

_size_bytes: int | None = None


def folder() -> Path:
    """Where the engine keeps performances."""
    return user_folder(FOLDER)


def size_bytes() -> int | None:
    """Size when last measured; None before. Cheap, for panels."""
    return _size_bytes


def measure() -> int:
    """Measure the cache, in bytes, and remove the longest unused files above the limit."""
    global _size_bytes
    remove_left(folder())  # by an engine that was killed while it wrote
    entries = sorted(_entries(), key=lambda entry: entry[1])
    total = sum(size for _, _, size in entries)
    for path, _, size in entries:
        if total <= LIMIT_BYTES:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
    _size_bytes = total
    return total


def clear() -> tuple[int, int]:
    """Remove every performance. Returns (files, bytes) that went."""
    global _size_bytes
    count = freed = 0
    for path, _, size in _entries():
        with contextlib.suppress(OSError):
            path.unlink()
            count, freed = count + 1, freed + size
    _size_bytes = None
    measure()
    return count, freed


def _entries() -> list[tuple[Path, float, int]]:
    """(path, when last used, bytes) of every file."""
    found = []
    for path in folder().rglob("*"):
        with contextlib.suppress(OSError):
            status = path.stat()
            if path.is_file():
                found.append((path, status.st_mtime, status.st_size))
    return found
