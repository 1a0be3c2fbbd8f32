"""True times: presentation times of frames, the clip's first moment, seeking."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from .errors import load_av

_DURATION = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")
# Formats that are bare packets, and those whose duration is the time at which they end.
UNTIMED = frozenset({"h264", "hevc", "mpegvideo", "m4v", "vc1", "obu", "av1"})
ENDS = frozenset({"matroska", "flv"})
MICROSECONDS = 1_000_000
# Containers round times, at worst to a millisecond.
TOLERANCE_S = 0.001
# A step back by more than this is another recording behind the first, not a frame out of order.
RESTART_S = 0.5
# How long before the wanted time a keyframe is looked for, one after the other, where the container
# led to a later one.
LOOK_BACK_S = (0.0, 2.0, 10.0, 60.0, float("inf"))


class Clock:
    """Gives the frames of one reading their times, rising, from the clip's first moment on.

    first_moment_s  what the file calls time 0
    is_by_order     the file has no presentation times: frames follow by the order of decoding, and
                    the first one is at 0
    """

    def __init__(self, first_moment_s: float, frame_rate: float, *, is_by_order: bool) -> None:
        self._shift_s = -first_moment_s
        self._step_s = 1.0 / frame_rate if frame_rate > 0 else 0.0
        self._is_by_order = is_by_order
        self._last_s: float | None = None

    def seconds(self, frame: Any) -> float | None:
        """Seconds by the frame's own stamp, None where it has none."""
        stamp = frame.dts if self._is_by_order or frame.pts is None else frame.pts
        return None if stamp is None else float(stamp * frame.time_base) + self._shift_s

    def time_of(self, frame: Any) -> float | None:
        """Seconds, or None for a frame that has no time of its own behind the one before it."""
        time_s = self.seconds(frame)
        if self._last_s is None and (time_s is None or self._is_by_order):
            self._shift_s -= time_s or 0.0
            time_s = 0.0
        elif time_s is None:
            if not self._step_s:
                return None
            time_s = (self._last_s or 0.0) + self._step_s
        if self._last_s is not None and time_s <= self._last_s:
            if self._last_s - time_s < RESTART_S:
                return None
            moved = self._last_s + self._step_s - time_s
            self._shift_s += moved
            time_s += moved
        self._last_s = time_s
        return time_s


def first_moment(container: Any, stream: Any) -> float:
    """What a file calls its first moment, seconds: players show it as 0.

    stream  of the pictures, which never begin before that moment
    """
    # Coded sound begins a little early, with samples that are not meant to be heard.
    first = max(0, container.start_time or 0) / MICROSECONDS
    if stream.start_time is None:
        return first
    return min(first, float(stream.start_time * stream.time_base))


def seconds_of(container: Any, stream: Any) -> float:
    """How long the pictures last; 0 where the file does not say."""
    own = own_seconds(container, stream)
    return own or _from_first(container, max(0, container.duration or 0) / MICROSECONDS)


def own_seconds(container: Any, stream: Any) -> float:
    """What a file says of the duration of one stream alone; 0 where it does not."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    # Matroska's muxers note it as text: 00:01:02.345000000.
    match = _DURATION.match(stream.metadata.get("DURATION", ""))
    if match is None:
        return 0.0
    hours, minutes, seconds = (float(part) for part in match.groups())
    return _from_first(container, 3600.0 * hours + 60.0 * minutes + seconds)


def _from_first(container: Any, end_s: float) -> float:
    if container.format.name.partition(",")[0] not in ENDS:
        return end_s
    return max(0.0, end_s - max(0, container.start_time or 0) / MICROSECONDS)


def has_presentation_times(container: Any, stream: Any) -> bool:
    """Whether the file notes when frames are shown, not only in which order they are decoded."""
    name = container.format.name
    return name not in UNTIMED and not (name == "avi" and stream.codec_context.has_b_frames)


def can_seek(container: Any, stream: Any) -> bool:
    """Whether times behind a jump can be trusted. MPEG program streams stamp few frames."""
    return container.format.name != "mpeg" and has_presentation_times(container, stream)


def seek(container: Any, stream: Any, wanted_s: float) -> None:
    """Go to the keyframe before a time of the file's own; stay where that fails."""
    with contextlib.suppress(load_av().error.FFmpegError):
        container.seek(int(wanted_s / stream.time_base), stream=stream)
