"""The disk cache of baked frames: where it lies, and how full it was when last looked at."""

from __future__ import annotations

from ..host.cache import FrameCache
from ..preferences import preferences, user_folder

FOLDER = "cache"

_size_bytes: int | None = None


def frame_cache() -> FrameCache:
    """The cache with the limit of the preferences."""
    return FrameCache(user_folder(FOLDER), preferences().cache_limit_mb * 10**6)


def size_bytes() -> int | None:
    """Size when last measured; None before. Cheap, for panels."""
    return _size_bytes


def measure() -> int:
    """Measure the cache, in bytes; walks its folder."""
    global _size_bytes
    _size_bytes = frame_cache().total_bytes()
    return _size_bytes


def clear() -> tuple[int, int]:
    """Empty the cache. Returns (files, bytes) that went."""
    removed = frame_cache().clear()
    measure()
    return removed
