"""Start, watch and end the engine's child process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from .errors import StartError

# A pipe of 1 MiB lets a whole 512 x 512 picture pass without waking the other side 16 times.
PIPE_BYTES = 1 << 20
# Variables that would point the child at other modules than the ones it is meant to use.
_FOREIGN_VARIABLES = ("PYTHONHOME", "PYTHONSAFEPATH", "PYTHONSTARTUP", "PYTHONINSPECT")


def _no_variables() -> dict[str, str]:
    return {}


def _unchanged(launch: Launch) -> Launch:
    return launch


@dataclass(frozen=True)
class Launch:
    """How to start the engine.

    python        the interpreter, absolute
    root          the extension's folder: the child's working directory
    log_path      file for the child's stderr, rotated
    python_paths  folders with the bundled wheels' modules, for the child alone
    version       the extension's version; the engine must have the same ("" skips the check)
    arguments     what the interpreter runs
    environment   variables added to the child's environment
    repair_hint   what to do when the interpreter cannot be started
    resolve       finishes the launch where a slow disk may be looked at: called by the thread that
                  starts the child; may raise OSError
    """

    python: str
    root: Path
    log_path: Path
    python_paths: tuple[str, ...] = ()
    version: str = ""
    arguments: tuple[str, ...] = ("-m", "engine")
    environment: Mapping[str, str] = field(default_factory=_no_variables)
    repair_hint: str = "Choose a working Python interpreter in the extension's preferences."
    resolve: Callable[[Launch], Launch] = _unchanged


def child_environment(launch: Launch) -> dict[str, str]:
    """The child's environment: the parent's, minus what redirects Python, plus the wheels."""
    environment = {k: v for k, v in os.environ.items() if k not in _FOREIGN_VARIABLES}
    environment["PYTHONPATH"] = os.pathsep.join(launch.python_paths)
    environment["PYTHONNOUSERSITE"] = "1"
    environment["PYTHONUTF8"] = "1"
    environment["PYTHONUNBUFFERED"] = "1"
    environment.update(launch.environment)
    return environment


def spawn(launch: Launch) -> subprocess.Popen[bytes]:
    """Start the child with its three streams as unbuffered pipes.

    Raises StartError, with the reason and what to do.
    """
    command = [launch.python, *launch.arguments, "--parent-pid", str(os.getpid())]
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    try:
        process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=launch.root,
            env=child_environment(launch),
            close_fds=True,
            # A Ctrl-C in Blender's terminal must reach Blender alone.
            start_new_session=sys.platform != "win32",
            creationflags=flags,
        )
    except (OSError, ValueError) as error:
        raise StartError(
            f"The engine could not be started with '{launch.python}': {error}.",
            launch.repair_hint,
        ) from error
    _widen(process.stdin)
    _widen(process.stdout)
    return process


def _widen(pipe: IO[bytes] | None) -> None:
    if sys.platform == "linux" and pipe is not None:
        import fcntl

        # The system may allow less, to all or to this user: then the pipe stays as it is.
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def end(process: subprocess.Popen[bytes], grace_s: float) -> int | None:
    """Wait for the child to end, kill it after `grace_s` seconds, and reap it.

    Returns its exit status, None if the system did not let it go within two more seconds.
    """
    try:
        return process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
    try:
        return process.wait(2.0)
    except subprocess.TimeoutExpired:
        return None


def exit_text(status: int | None) -> str:
    """An exit status for people: "exit code 3", "signal 9"."""
    if status is None:
        return "still ending"
    return f"signal {-status}" if status < 0 else f"exit code {status}"
