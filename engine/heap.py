"""Giving memory back to the system that was freed and is kept for later."""

from __future__ import annotations

import ctypes
import sys


def trim_heap() -> None:
    """Give the system back what was freed; glibc alone keeps it, hundreds of megabytes."""
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
