"""How fast the picture follows the camera: pictures a second, how late, and what drawing takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import bpy

if TYPE_CHECKING:
    from .wishes import Wish

OVER_S = 2.0
MOST_WAITING = 16
SLOW_S = 0.1  # that a window may take to be drawn, and still keep up with a camera
MOST_HELD_S = 1.0  # that a picture is waited for: its view may be hidden


class Meter:
    """Notes what is wanted for which frame of the camera, and when it is seen.

    look  says what the portrait's image holds now

    In a window a picture is seen when it was drawn, without one as soon as the image holds it.
    """

    def __init__(self, look: Callable[[], Wish | None]) -> None:
        self._look = look
        self._waiting: deque[tuple[Wish, float]] = deque(maxlen=MOST_WAITING)
        self._seen: deque[tuple[float, float]] = deque()  # when, and seconds since the frame
        self._drawings: deque[tuple[float, float]] = deque()  # when, and seconds that it took
        self._beat_s = time.monotonic()
        self._drawn: Wish | None = None
        self._held: tuple[Wish | None, float] = (None, 0.0)
        self._is_drawn = False
        self._handlers: list[tuple[Any, Any]] = []

    def begin(self) -> None:
        """Notice what is drawn in windows, until `end`."""
        for space in (bpy.types.SpaceView3D, bpy.types.SpaceImageEditor):
            handler = space.draw_handler_add(self._note_drawn, (), "WINDOW", "POST_PIXEL")
            self._handlers.append((space, handler))

    def end(self) -> None:
        """Notice nothing more."""
        for space, handler in self._handlers:
            space.draw_handler_remove(handler, "WINDOW")
        self._handlers.clear()

    def want(self, wish: Wish, time_s: float) -> None:
        """The portrait is asked for this by the camera's frame of a moment."""
        self._waiting.append((wish, time_s))

    def beat(self) -> None:
        """Call as often as Blender's timers come: it draws between two of them."""
        now_s, before_s = time.monotonic(), self._beat_s
        self._beat_s = now_s
        if self._is_drawn:
            self._is_drawn = False
            self._drawings.append((now_s, now_s - before_s))
        shown = self._drawn if self._handlers else self._look()
        times = [time_s for wish, time_s in self._waiting if wish is shown]
        if times:
            self._seen.append((now_s, now_s - times[0]))
            while self._waiting[0][0] is not shown:
                self._waiting.popleft()
            self._waiting.popleft()
        for noted in (self._seen, self._drawings):
            while noted and now_s - noted[0][0] > OVER_S:
                noted.popleft()

    @property
    def is_drawing_due(self) -> bool:
        """Whether the image holds a picture that is about to be drawn."""
        shown = self._look()
        if not self._handlers or shown is self._drawn:
            return False
        now_s = time.monotonic()
        if shown is not self._held[0]:
            self._held = shown, now_s
        return now_s - self._held[1] < MOST_HELD_S

    @property
    def fps(self) -> float:
        """Pictures a second that were seen."""
        if len(self._seen) < 2:
            return len(self._seen) / OVER_S
        return (len(self._seen) - 1) / max(self._seen[-1][0] - self._seen[0][0], 1e-3)

    @property
    def latency_s(self) -> float:
        """Seconds from the camera's frame until it is seen, the median of the last; 0 for none."""
        return _median(self._seen)

    @property
    def draw_s(self) -> float:
        """Seconds that Blender takes to draw the window, the median of the last; 0 for none."""
        return _median(self._drawings)

    @property
    def is_slow(self) -> bool:
        """Whether drawing the window takes most of the time."""
        return self.draw_s > SLOW_S

    def _note_drawn(self) -> None:
        self._is_drawn = True
        self._drawn = self._look()


def _median(noted: deque[tuple[float, float]]) -> float:
    values = sorted(value for _, value in noted)
    return values[len(values) // 2] if values else 0.0
