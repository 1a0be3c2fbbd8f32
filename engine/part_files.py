"""Files that are still being written: how they are named, and who may remove them.

Standard library only; both sides write so. A file is written beside its place under a name of its
own and then renamed, so that nobody sees half of one. A writer that is killed leaves its part
behind. The name says which process of which computer it was: folders may be shared by a farm.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import sys
import time
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

PREFIX = ".part-"
# A writer of another computer, or of unknown name, is taken for dead after this long.
STALE_S = 3600.0


def part_of(target: Path) -> Path:
    """A new name beside `target` for writing it, with its suffix."""
    name = f"{PREFIX}{_computer()}-{os.getpid()}-{uuid.uuid4().hex}{target.suffix}"
    return target.with_name(name)


def is_part(path: Path) -> bool:
    """Whether a file is the part of another one."""
    return path.name.startswith(PREFIX)


def write_whole(target: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a part, then put it in place of `target`. Raises what `write` does, OSError.

    What is half written is removed.
    """
    part = part_of(target)
    is_done = False
    try:
        write(part)
        part.replace(target)
        is_done = True
    finally:
        if not is_done:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def hint_of(error: OSError) -> str:
    """What to do about a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space on this disk, or choose another folder."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Choose a folder that you may write to."
    return "Check the folder's path, or choose another folder."


def remove_left(folder: Path) -> int:
    """Remove the parts in a folder whose writers are gone. Returns how many; raises no OSError."""
    count = 0
    try:
        parts = [path for path in folder.iterdir() if is_part(path)]
    except OSError:
        return 0
    for path in parts:
        with contextlib.suppress(OSError):
            if is_left(path):
                path.unlink()
                count += 1
    return count


def is_left(path: Path) -> bool:
    """Whether nobody writes this part any more. Raises OSError when it vanishes meanwhile."""
    computer, _, rest = path.name.removeprefix(PREFIX).partition("-")
    pid = rest.partition("-")[0]
    # On Windows asking for a process by os.kill would end it.
    if computer == _computer() and pid.isdecimal() and sys.platform != "win32":
        return not _is_running(int(pid))
    return path.stat().st_mtime < time.time() - STALE_S


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's process
    return True


@cache
def _computer() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]
