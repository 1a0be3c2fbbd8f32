"""How fast the picture follows the camera: pictures a second, and from the camera to the image."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .wishes import Wish

OVER_S = 2.0
MOST_WAITING = 16


class Meter:
    """Notes what is wanted for which frame of the camera, and when it is shown."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Wish, float]] = deque(maxlen=MOST_WAITING)
        self._shown: deque[tuple[float, float]] = deque()  # when, and seconds since the frame

    def want(self, wish: Wish, time_s: float) -> None:
        """A portrait is asked for this by the camera's frame of a moment."""
        self._waiting.append((wish, time_s))

    def look(self, shown: Wish | None) -> None:
        """What a portrait's image shows now."""
        now_s = time.monotonic()
        times = [time_s for wish, time_s in self._waiting if wish is shown]
        if times:
            self._shown.append((now_s, now_s - times[0]))
            while self._waiting[0][0] is not shown:
                self._waiting.popleft()
            self._waiting.popleft()
        while self._shown and now_s - self._shown[0][0] > OVER_S:
            self._shown.popleft()

    @property
    def fps(self) -> float:
        """Pictures a second that were brought to the image."""
        return len(self._shown) / OVER_S

    @property
    def latency_s(self) -> float:
        """Seconds from the camera's frame to the image, the median of the last ones; 0 for none."""
        late = sorted(item[1] for item in self._shown)
        return late[len(late) // 2] if late else 0.0
