"""What the commands of `--command keyportrait` share: exit statuses, output, progress, scenes."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Protocol

import bpy

from . import portraits
from .errors import AddonError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
LINE_INTERVAL_S = 2.0


class UsageError(Exception):
    """The arguments make no sense together, or name something that is not in the file."""


class Running(Protocol):
    """Work that says how far it is, 0..1."""

    @property
    def text(self) -> str: ...
    @property
    def fraction(self) -> float: ...
    @property
    def is_done(self) -> bool: ...


class Progress:
    """Says how far work is: one line that is written over, or seldom a new one in a log."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._interval_s = 0.1 if self._is_terminal else LINE_INTERVAL_S
        self._last = 0.0

    def __call__(self, running: Running) -> None:
        now = time.monotonic()
        if not running.is_done and now - self._last < self._interval_s:
            return
        self._last = now
        line = f"{running.fraction:6.1%}  {running.text}"
        if self._is_terminal:
            end = "\n" if running.is_done else ""
            sys.stdout.write(f"\r\x1b[K{line}{end}")
            sys.stdout.flush()
        else:
            say(line)


def say(text: str) -> None:
    """A line on stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_error(text: str) -> None:
    """A line on stderr."""
    sys.stderr.write(f"keyportrait: {text}\n")
    sys.stderr.flush()


def scene_named(name: str | None) -> bpy.types.Scene:
    """A scene of the open file, its active one for None. Raises UsageError."""
    if not bpy.data.filepath and not portraits.all_portraits():
        raise UsageError(
            "No .blend file is open. Name it before the command: "
            "blender -b FILE.blend --command keyportrait …"
        )
    if name is None:
        return bpy.context.scene
    scene = bpy.data.scenes.get(name)
    if scene is None:
        known = ", ".join(f"'{scene.name}'" for scene in bpy.data.scenes)
        raise UsageError(f"There is no scene '{name}'. There are {known}.")
    return scene


def save_file(name: str, option: str) -> None:
    """Save the .blend, under another name where one is given. Raises UsageError, AddonError.

    option  how a name is given on the command line
    """
    path = str(Path(name).absolute()) if name else bpy.data.filepath
    if not path:
        raise UsageError(f"The file has no name yet: give one with {option} FILE.")
    try:
        bpy.ops.wm.save_as_mainfile(filepath=path, copy=False)
    except RuntimeError as error:
        raise AddonError(f"'{path}' could not be saved: {error}.") from error
    say(f"Saved '{path}'.")
