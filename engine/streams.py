"""The engine's own pair of pipes, out of reach of prints and native noise."""

from __future__ import annotations

import io
import os
import sys

BUFFER_BYTES = 1 << 16


def take_streams() -> tuple[io.BufferedReader, io.FileIO]:
    """Move stdin and stdout away from descriptors 0 and 1, for the protocol alone.

    Afterwards print() and C code write to stderr, and whoever reads descriptor 0 finds it empty.
    Returns (requests, replies).
    """
    requests, replies = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(requests, os.O_BINARY)
        msvcrt.setmode(replies, os.O_BINARY)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return io.BufferedReader(io.FileIO(requests, "rb"), BUFFER_BYTES), io.FileIO(replies, "wb")
