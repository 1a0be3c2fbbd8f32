"""Which frames a video has, in the order in which they are shown, and where decoding may begin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .decoding import decoded, open_container, open_decoder, packets_of, video_stream
from .errors import CONVERT_HINT, ClipError
from .facts import Damage
from .times import (
    RESTART_S,
    TOLERANCE_S,
    Clock,
    can_seek,
    first_moment,
    has_presentation_times,
)

# Packets of these may give no frame at all: only decoding tells how many there are.
_WITH_HIDDEN = frozenset({"vp8"})

Tick = Callable[[], None]


def no_tick() -> None:
    """A tick for work that nobody waits behind."""


class FrameIndex(NamedTuple):
    """The frames of one stream.

    times   (T,) float64 seconds from the clip's first moment, rising
    stamps  (T,) int64 presentation times in the stream's own units; numbers of frames where frames
            can only be reached by reading from the start
    keys    (K,) int64 numbers of the frames from which decoding may begin, rising
    key_stamps  (K, 2) int64 their presentation and their decoding times
    is_seekable  whether frames can be reached by their stamps
    """

    times: np.ndarray
    stamps: np.ndarray
    keys: np.ndarray
    key_stamps: np.ndarray
    is_seekable: bool

    def key_before(self, number: int) -> int:
        """Which of the keys is the last one that is not behind a frame, -1 for none."""
        return int(np.searchsorted(self.keys, number, side="right")) - 1


def index_of(path: Path, tick: Tick = no_tick) -> FrameIndex:
    """The frames of a video. Reads the whole file, but decodes it only where it must.

    tick  called for every packet; may raise to stop
    Raises ClipError.
    """
    with open_container(path) as container:
        stream = video_stream(container, path)
        is_timed = has_presentation_times(container, stream) and can_seek(container, stream)
        has_hidden = stream.codec_context.codec.canonical_name in _WITH_HIDDEN
        if is_timed and not has_hidden:
            index = _from_packets(container, stream, tick)
            if index is not None:
                return index
    return _by_reading(path, tick)


def _from_packets(container: Any, stream: Any, tick: Tick) -> FrameIndex | None:
    """By what the container says of its packets; None where that is not enough."""
    start_s, base = first_moment(container, stream), float(stream.time_base)
    shown: list[int] = []
    keys: list[tuple[int, int]] = []
    last: int | None = None
    for packet in packets_of(container, stream, Damage()):
        tick()
        if not packet.size:
            continue
        stamp, order = packet.pts, packet.dts
        if stamp is None:
            return None
        if order is not None:
            if last is not None and (last - order) * base > RESTART_S:
                return None  # a second recording behind the first, with the same times
            last = order
        if packet.is_keyframe:
            keys.append((stamp, stamp if order is None else order))
        if not packet.is_discard and stamp * base - start_s > -TOLERANCE_S:
            shown.append(stamp)
    if not shown:
        return None
    stamps = np.unique(np.array(shown, np.int64))
    known = sorted(set(keys))
    places = np.searchsorted(stamps, [stamp for stamp, _ in known], side="left")
    key_stamps = np.array(known, np.int64).reshape(-1, 2)
    return FrameIndex(stamps * base - start_s, stamps, places.astype(np.int64), key_stamps, True)


def _by_reading(path: Path, tick: Tick) -> FrameIndex:
    """By decoding every frame."""
    with open_container(path) as container:
        stream = video_stream(container, path)
        clock = clock_of(container, stream)
        frames = decoded(container, stream, open_decoder(stream), Damage(), tick=tick)
        times = [time_s for frame in frames if (time_s := clock.time_of(frame)) is not None]
    if not times:
        raise ClipError(f"No frame of '{path.name}' can be decoded.", CONVERT_HINT)
    none = np.zeros(0, np.int64)
    return FrameIndex(np.array(times), np.arange(len(times)), none, none.reshape(0, 2), False)


def clock_of(container: Any, stream: Any) -> Clock:
    """What gives the frames of a stream their times while it is read from its start."""
    rate = float(stream.average_rate or stream.guessed_rate or 0.0)
    is_by_order = not has_presentation_times(container, stream)
    return Clock(first_moment(container, stream), rate, is_by_order=is_by_order)
