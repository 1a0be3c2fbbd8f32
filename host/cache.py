"""Rendered pictures on disk, found again by what is in them.

A picture's key is the sha256 of everything that decides its pixels (`frame_key`), its place is
`<folder>/<first two digits>/<key>.<extension>`. Several Blenders may share one folder: entries
appear whole by a rename, never change, and may vanish at any time when someone trims or clears.
The caller chooses the folder and is told by CacheError when it cannot be used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..engine.part_files import PREFIX, remove_left, write_whole

# Raise when the meaning of a key or the way pictures are written changes.
CACHE_VERSION = 1
# Finer differences than this are noise of the dependency graph, not motion.
DECIMALS = 6
# After trimming, this part of the limit is filled, so that a bake does not trim at every frame.
FILL_AFTER_TRIM = 0.9

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
EXR_MAGIC = b"\x76\x2f\x31\x01"
# Scan lines in one chunk of an OpenEXR file, by its compression number.
EXR_CHUNK_LINES = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}
EXR_MAX_HEADER_BYTES = 1 << 16


class CacheError(Exception):
    """The cache folder cannot be used (read-only, full, not a folder)."""


def canonical(value: Any) -> Any:
    """`value` as plain JSON with numbers rounded, so that equal motions give equal text."""
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}  # type: ignore[misc]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [canonical(item) for item in value]  # type: ignore[misc]
    return value


def frame_key(
    *,
    source: str,
    faces: Sequence[Any],
    motions: Sequence[Any],
    renderer: Mapping[str, Any],
    output: Mapping[str, Any],
) -> str:
    """Key of one rendered picture, 64 hexadecimal digits.

    source    hash of the source picture's pixels and encoding
    faces     Face.to_json() of each moved face
    motions   Motion.to_json() of each face, same order
    renderer  what renders: name, model set, precision, version, options
    output    how it is written: format, colour depth
    Raises ValueError for NaN or infinite numbers.
    """
    content = {
        "cache": CACHE_VERSION,
        "source": source,
        "faces": faces,
        "motions": motions,
        "renderer": renderer,
        "output": output,
    }
    text = json.dumps(canonical(content), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def is_whole(path: Path) -> bool:
    """Whether a PNG or OpenEXR file exists and begins and ends as one. Reads only its ends."""
    try:
        with path.open("rb") as stream:
            if path.suffix == ".exr":
                return _is_whole_exr(stream)
            size = stream.seek(0, os.SEEK_END)
            if size < len(PNG_SIGNATURE) + len(PNG_END):
                return False
            stream.seek(0)
            if stream.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
                return False
            stream.seek(-len(PNG_END), os.SEEK_END)
            return stream.read() == PNG_END
    except (OSError, ValueError, struct.error):
        return False


def _is_whole_exr(stream: BinaryIO) -> bool:
    """Whether the last chunk of a single-part scan-line OpenEXR file lies inside the file.

    Source: OpenEXR's "File Layout": magic, version, attributes (name, type, size, value) up to an
    empty name, then a table of 64-bit chunk offsets; a chunk is (y, byte count, bytes).
    """
    head = stream.read(EXR_MAX_HEADER_BYTES)
    if head[:4] != EXR_MAGIC:
        return False
    attributes: dict[bytes, bytes] = {}
    at = 8
    while at < len(head) and head[at]:
        name, kind, rest = head[at:].split(b"\0", 2)
        (size,) = struct.unpack_from("<i", rest)
        if size < 0:
            return False
        at += len(name) + len(kind) + 2 + 4 + size
        attributes[name] = rest[4 : 4 + size]
    compression = int.from_bytes(attributes.get(b"compression", b"\xff"), "little")
    if compression not in EXR_CHUNK_LINES or b"dataWindow" not in attributes:
        return False
    _, top, _, bottom = struct.unpack("<4i", attributes[b"dataWindow"])
    chunk_count = -(-(bottom - top + 1) // EXR_CHUNK_LINES[compression])
    # A damaged window may claim a table of gigabytes.
    if 8 * chunk_count > stream.seek(0, os.SEEK_END):
        return False
    stream.seek(at + 1)
    offsets = struct.unpack(f"<{chunk_count}Q", stream.read(8 * chunk_count))
    last = max(offsets)
    if min(offsets) <= at:
        return False
    stream.seek(last)
    _, byte_count = struct.unpack("<2i", stream.read(8))
    return stream.seek(0, os.SEEK_END) >= last + 8 + byte_count


@dataclass(frozen=True)
class Entry:
    """One cached picture: where it lies, its size in bytes, when it was last used (epoch s)."""

    path: Path
    size: int
    used: float


class FrameCache:
    """Pictures of at most `limit_bytes` in `folder`; the longest unused go first.

    Nothing is read or created before the first use.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = Path(folder)
        self.limit_bytes = limit_bytes
        self._total: int | None = None

    def path(self, key: str, extension: str) -> Path:
        """Where the picture of a key lies, whether it exists or not. extension: "png", "exr"."""
        return self.folder / key[:2] / f"{key}.{extension}"

    def find(self, key: str, extension: str) -> Path | None:
        """The cached file, marked as used; None if there is none. Damaged files are removed."""
        path = self.path(key, extension)
        if not is_whole(path):
            self._remove(path)
            return None
        with contextlib.suppress(OSError):  # a read-only cache still serves
            os.utime(path)
        return path

    def copy_to(self, key: str, extension: str, target: Path) -> bool:
        """Copy the cached picture to `target` in one step; False if there is none.

        A copy, not a link: someone who paints over a baked frame must not change the cache.
        Raises OSError when the target cannot be written.
        """
        path = self.find(key, extension)
        if path is None:
            return False
        try:
            copy_whole(path, target)
        except FileNotFoundError:
            if not target.parent.is_dir():
                raise
            return False  # another Blender cleared the cache in between
        return True

    def prepare(self, key: str, extension: str) -> Path:
        """The path to which the picture of a key shall be written, its folder made.

        The writer must write beside it and rename. Raises CacheError if the folder cannot be used.
        """
        path = self.path(key, extension)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Asking the access bits is not enough: root, network drives and Windows lie.
            with tempfile.TemporaryFile(prefix=PREFIX, dir=path.parent):
                pass
        except OSError as error:
            raise CacheError(f"The cache folder '{self.folder}' cannot be used: {error}") from error
        return path

    def put(self, key: str, extension: str, picture: Path) -> Path:
        """Copy a finished picture into the cache. Raises CacheError if that fails."""
        path = self.prepare(key, extension)
        try:
            copy_whole(picture, path)
        except OSError as error:
            raise CacheError(f"'{path}' cannot be written: {error}") from error
        self.note_written(path)
        return path

    def note_written(self, path: Path) -> None:
        """Count a picture that was written to a prepared path, and trim when over the limit."""
        if self._total is None:
            self._total = sum(entry.size for entry in self.entries())
        else:
            try:
                self._total += path.stat().st_size
            except OSError:
                return
        if self._total > self.limit_bytes:
            self.trim(keep=path)

    def entries(self) -> Iterator[Entry]:
        """Every picture in the folder, in no order; unreadable ones are left out."""
        for path in self._files():
            try:
                status = path.stat()
            except OSError:
                continue
            yield Entry(path, status.st_size, status.st_mtime)

    def total_bytes(self) -> int:
        """Size of all pictures, bytes. Walks the folder."""
        self._total = sum(entry.size for entry in self.entries())
        return self._total

    def trim(self, keep: Path | None = None) -> int:
        """Remove the longest unused pictures until well under the limit. Returns how many."""
        self.remove_left_parts()
        entries = sorted(self.entries(), key=lambda entry: entry.used)
        total = sum(entry.size for entry in entries)
        removed = 0
        if total > self.limit_bytes:
            for entry in entries:
                if total <= self.limit_bytes * FILL_AFTER_TRIM:
                    break
                if entry.path != keep and self._remove(entry.path):
                    total -= entry.size
                    removed += 1
        self._total = total
        return removed

    def clear(self) -> tuple[int, int]:
        """Remove every picture. Returns (how many, how many bytes) went."""
        count = size = 0
        for entry in list(self.entries()):
            if self._remove(entry.path):
                count += 1
                size += entry.size
        self.remove_left_parts()
        self._total = None
        return count, size

    def _files(self) -> Iterator[Path]:
        # Only files of our own naming: the user may have pointed the cache at a shared folder.
        for shard in self._listed(self.folder):
            if len(shard.name) == 2 and shard.is_dir():
                for path in self._listed(shard):
                    if path.suffix in (".png", ".exr") and len(path.stem) == 64:
                        yield path

    @staticmethod
    def _listed(folder: Path) -> list[Path]:
        try:
            return list(folder.iterdir())
        except OSError:
            return []

    @staticmethod
    def _remove(path: Path) -> bool:
        try:
            path.unlink()
        except OSError:
            return False
        return True

    def remove_left_parts(self) -> None:
        """Remove what writers that are gone have left half written."""
        for shard in self._listed(self.folder):
            if len(shard.name) == 2 and shard.is_dir():
                remove_left(shard)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file so that `target` is the old or the new file, never half of one.

    Raises OSError; what was half written is removed.
    """
    write_whole(target, lambda part: shutil.copyfile(source, part))
