"""End with the parent. The end of stdin is the usual sign; this watch is for inherited pipes."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

POLL_S = 1.0


def watch_parent(pid: int) -> None:
    """End this process, from a thread of its own, soon after process `pid` has ended."""
    wait = _wait_windows if sys.platform == "win32" else _wait_posix
    threading.Thread(target=_leave_after, args=(wait, pid), name="lifeline", daemon=True).start()


def _leave_after(wait: Callable[[int], None], pid: int) -> None:
    wait(pid)
    os._exit(0)


def _wait_posix(pid: int) -> None:
    # A launcher script may stand in between; then only the process id itself can be asked.
    is_child = os.getppid() == pid
    while os.getppid() == pid if is_child else _is_alive(pid):
        time.sleep(POLL_S)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _wait_windows(pid: int) -> None:
    import ctypes

    synchronize, infinite = 0x00100000, 0xFFFFFFFF
    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = kernel.OpenProcess(synchronize, False, pid)
    if handle:
        kernel.WaitForSingleObject(ctypes.c_void_p(handle), infinite)
