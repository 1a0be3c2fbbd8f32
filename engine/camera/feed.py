"""One camera read in a thread of its own: the newest frame is kept, older ones are dropped."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ..camera_table import REFUSED, UNPLUGGED
from .devices import device_frames, first_device
from .errors import CameraError, refused_hint
from .stand_in import stand_in, stand_in_frames

RETRY_S = 1.0  # between tries to open a camera that is not there
SILENT_S = 4.0  # without a frame: it is as good as unplugged
_LEAVE_S = 1.0

Frames = Iterator[tuple[float, np.ndarray]]


class CameraFrame(NamedTuple):
    """A frame of a camera.

    number  counts the frames that came, from 1
    time_s  time.monotonic() when it came
    image   (H, W, 3) uint8 sRGB
    """

    number: int
    time_s: float
    image: np.ndarray


def open_frames(device_id: str, size: tuple[int, int]) -> Frames:
    """The frames of a camera, "" for the first that is found, or of the file that stands in."""
    path = stand_in()
    if path is not None:
        return stand_in_frames(path)
    return device_frames(device_id or first_device(), size)


class Feed:
    """The frames of one camera. It opens it, and again whenever it was gone, until `stop`.

    problem  why there are no frames now, None while they come or the camera is being opened
    """

    def __init__(self, opened: Callable[[], Frames]) -> None:
        self.problem: CameraError | None = None
        self._opened = opened
        self._changed = threading.Condition()
        self._newest: CameraFrame | None = None
        self._count = 0
        self._heard_s = time.monotonic()
        self._is_wanted = True
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def newest(self, after: int, timeout_s: float) -> CameraFrame | None:
        """The newest frame when its number is above `after`, waited for; None where none came."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while self._newest is None or self._newest.number <= after:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0.0 or not self._changed.wait(left_s):
                    self._note_silence()
                    return None
            return self._newest

    @property
    def has_frames(self) -> bool:
        """Whether the camera is open and gives pictures."""
        return self.problem is None and self._newest is not None

    def stop(self) -> None:
        """Close the camera; waits a moment for that."""
        with self._changed:
            self._is_wanted = False
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(_LEAVE_S)

    def _note_silence(self) -> None:
        if self.problem is None and time.monotonic() - self._heard_s > SILENT_S:
            text = "The camera gives no pictures."
            # macOS opens a camera that it has not allowed, and lets it say nothing.
            is_refused = sys.platform == "darwin"
            hint = refused_hint() if is_refused else "Unplug it and plug it in again."
            self.problem = CameraError(REFUSED if is_refused else UNPLUGGED, text, hint)

    def _run(self) -> None:
        while self._is_wanted:
            try:
                self._read(self._opened())
            except CameraError as error:
                self.problem = error
            with self._changed:
                self._newest = None
                if self._is_wanted:
                    self._changed.wait(RETRY_S)

    def _read(self, frames: Frames) -> None:
        try:
            for time_s, image in frames:
                if not self._is_wanted:
                    return
                with self._changed:
                    self._count += 1
                    self._newest = CameraFrame(self._count, time_s, image)
                    self._heard_s = time.monotonic()
                    self.problem = None
                    self._changed.notify_all()
        finally:
            close = getattr(frames, "close", None)
            if close is not None:
                close()
