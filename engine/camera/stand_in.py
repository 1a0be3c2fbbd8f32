"""A clip or a sequence of pictures in a camera's place: paced by its true times, without end."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..camera_table import STAND_IN_VARIABLE, UNPLUGGED
from ..clips.clip import open_clip
from ..clips.errors import ClipError
from .devices import FRAME_RATE, MAX_SIDE
from .errors import CameraError

# A camera waits for nobody: frames that are later than this are gone.
_LATE_S = 0.1
_LOOK_S = 0.2  # between looks whether the file is still there
_HINT = "Choose another file for the stand-in; it is tried again by itself."


def stand_in() -> Path | None:
    """The file that stands in for all cameras, None where none does."""
    named = os.environ.get(STAND_IN_VARIABLE, "")
    return Path(named) if named else None


def stand_in_frames(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """As devices.device_frames, from a file; its frames come when they are due.

    Raises CameraError when it cannot be read, and when it goes.
    """
    try:
        with open_clip(path, FRAME_RATE) as clip:
            step_s = 1.0 / (clip.facts.frame_rate or FRAME_RATE)
            begin_s = time.monotonic()
            while True:
                last_s = 0.0
                for frame in clip.frames(max_side=MAX_SIDE):
                    last_s, due_s = frame.time_s, begin_s + frame.time_s
                    _wait(path, due_s)
                    if time.monotonic() - due_s < _LATE_S:
                        yield due_s, frame.image
                begin_s += last_s + step_s
                # A file that takes longer to read than to play begins anew, as a camera goes on.
                begin_s = max(begin_s, time.monotonic() - _LATE_S)
    except ClipError as error:
        raise CameraError(UNPLUGGED, str(error), error.hint) from error
    except OSError as error:
        text = f"'{path.name}' cannot be read: {error.strerror or error}."
        raise CameraError(UNPLUGGED, text, _HINT) from error


_looked_at: dict[Path, float] = {}


def _wait(path: Path, due_s: float) -> None:
    """Wait for a moment; a file that is gone meanwhile is an unplugged camera."""
    now_s = time.monotonic()
    if now_s - _looked_at.get(path, 0.0) > _LOOK_S:
        _looked_at.clear()
        _looked_at[path] = now_s
        if not path.exists():
            raise CameraError(UNPLUGGED, f"'{path.name}' is gone.", _HINT)
    with contextlib.suppress(ValueError):
        time.sleep(max(0.0, due_s - now_s))
