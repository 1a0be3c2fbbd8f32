"""True times: presentation times of frames, the clip's first moment, seeking."""

from __future__ import annotations

from typing import Any

from .errors import load_av

MICROSECONDS = 1_000_000
# Containers round times, at worst to a millisecond.
TOLERANCE_S = 0.001
# A step back by more than this is another recording behind the first, not a frame out of order.
RESTART_S = 0.5
# How long before the wanted time a keyframe is looked for, one after the other, where the container
# led to a later one.
LOOK_BACK_S = (0.0, 2.0, 10.0, 60.0, float("inf"))


class Clock:
    """Gives the frames of one reading their times, rising, from the clip's first moment on."""

    tolerance_s = TOLERANCE_S

    def __init__(self, first_moment_s: float, frame_rate: float) -> None:
        self._shift_s = -first_moment_s
        self._step_s = 1.0 / frame_rate if frame_rate > 0 else 0.0
        self._last_s: float | None = None

    @property
    def first_moment_s(self) -> float:
        """What the file calls time 0."""
        return -self._shift_s

    def is_before(self, frame: Any, time_s: float) -> bool:
        """Whether a frame lies at a time or before it, as far as it says."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is None:
            return False
        return float(stamp * frame.time_base) + self._shift_s <= time_s + TOLERANCE_S

    def time_of(self, frame: Any) -> float | None:
        """Seconds, or None for a frame that has no time of its own behind the one before it."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is not None:
            time_s = float(stamp * frame.time_base) + self._shift_s
        elif self._step_s:
            time_s = 0.0 if self._last_s is None else self._last_s + self._step_s
        else:
            return None
        if self._last_s is not None and time_s <= self._last_s:
            if self._last_s - time_s < RESTART_S:
                return None
            moved = self._last_s + self._step_s - time_s
            self._shift_s += moved
            time_s += moved
        self._last_s = time_s
        return time_s


def first_moment(container: Any) -> float:
    """What a file calls its first moment, seconds: players show it as 0."""
    return (container.start_time or 0) / MICROSECONDS


def seconds_of(container: Any, stream: Any) -> float:
    """How long the pictures last; 0 where the file does not say."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return max(0, container.duration or 0) / MICROSECONDS


def seek(container: Any, stream: Any, wanted_s: float) -> None:
    """Go to the keyframe before a time of the file's own; to the beginning where that fails."""
    av = load_av()
    try:
        container.seek(int(wanted_s / stream.time_base), stream=stream)
    except av.error.FFmpegError:
        container.seek(container.start_time or 0)
