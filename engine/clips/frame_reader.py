"""Frames of a video in any order: the same pixels, however one came to them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .decoding import decoded, open_container, open_decoder, video_stream
from .errors import CONVERT_HINT, ClipError, load_av
from .facts import Damage
from .frame_index import FrameIndex, Tick, clock_of, no_tick
from .interlace import deinterlaced

# So few frames are read through rather than jumped over.
_NEAR = 8
# Frames before an interlaced one that it is made whole with.
_WOVEN = 2


class FrameReader:
    """Decoded frames by number; reading on is fast, anything else goes to a keyframe first.

    A frame that is damaged is shown as the last good one before it, or as the first good one.
    damage  what could not be read so far
    """

    def __init__(self, path: Path, index: FrameIndex) -> None:
        self._path, self._index = path, index
        self.damage = Damage()
        self._container: Any = None
        self._run: Iterator[tuple[int, Any]] | None = None
        self._tick: Tick = no_tick
        self._given = 0  # frames that the run has given
        self._last: tuple[int, Any] | None = None
        self._next: tuple[int, Any] | None = None
        self._is_woven = self._is_behind_jump = False

    def frame(self, number: int, tick: Tick = no_tick) -> Any:
        """The av.VideoFrame that is shown as this number, 0 <= number < T.

        tick  called for every packet; what it raises ends the reading
        Raises ClipError where nothing can be decoded.
        """
        is_done = False
        try:
            frame = self._found(number, tick)
            is_done = True
        finally:
            if not is_done:
                self._stop()
        return frame

    def close(self) -> None:
        """Close the file."""
        self._stop()

    def _found(self, number: int, tick: Tick) -> Any:
        self._tick = tick
        key = self._index.key_before(number)
        frame = self._read_to(number) if self._can_go_on(number, key) else None
        while frame is None or self._is_cut_short:
            key = self._begin(key, number)
            frame = self._read_to(number)
            if key < 0:
                break
            # Damage, or neighbours that are missing: from further back.
            key -= 1
        if frame is None and self._next is not None:
            frame = self._next[1]
        if frame is None:
            raise ClipError(f"No frame of '{self._path.name}' can be decoded.", CONVERT_HINT)
        return frame

    @property
    def _is_cut_short(self) -> bool:
        """Whether an interlaced frame lacks neighbours that it would have in a longer run."""
        return self._is_woven and self._is_behind_jump and self._given <= _WOVEN

    def _can_go_on(self, number: int, key: int) -> bool:
        if self._run is None:
            return False
        if self._last is None or number < self._last[0]:
            return False
        if not self._index.is_seekable or key < 0:
            return True
        return int(self._index.keys[key]) - self._last[0] <= _NEAR

    def _begin(self, key: int, number: int) -> int:
        """Start a run at a key or an earlier one, or at the start; returns which, -1 for that."""
        self._run = self._last = self._next = None
        self._given = 0
        self._is_behind_jump = True
        while key >= 0 and self._index.is_seekable:
            for stamp in dict.fromkeys(self._index.key_stamps[key].tolist()):
                run = self._frames(int(stamp))
                first = next(run, None)
                if first is not None and first[0] <= number:
                    self._run, self._next = run, first
                    return key
            key -= 1
        self._stop()
        self._is_behind_jump = False
        self._run = self._frames(None)
        return -1

    def _read_to(self, number: int) -> Any | None:
        """The frame, or the last one before it; None where this run has none so early."""
        while True:
            if self._last is not None and self._last[0] == number:
                return self._last[1]
            if self._next is None and self._run is not None:
                self._next = next(self._run, None)
            if self._next is None or self._next[0] > number:
                return None if self._last is None else self._last[1]
            self._last, self._next = self._next, None
            self._given += 1

    def _frames(self, stamp: int | None) -> Iterator[tuple[int, Any]]:
        """(number, frame) from a stamp's keyframe on, or from the start; numbers rise."""
        if self._container is None:
            self._container = open_container(self._path)
            stream = video_stream(self._container, self._path)
            self._decoder = open_decoder(stream)
        else:
            stream = video_stream(self._container, self._path)
        start = _Start(stamp is None)
        if stamp is not None:
            # Where that fails the run begins elsewhere, and is not taken where that is too late.
            with contextlib.suppress(load_av().error.FFmpegError):
                self._container.seek(stamp, stream=stream)
            self._decoder.flush_buffers()
        frames = decoded(
            self._container, stream, self._decoder, self.damage,
            tick=self._ticked, wants=start.wants,
        )  # fmt: skip
        numbered = self._numbered(deinterlaced(self._noted(frames)), stream, start)
        last = -1
        for number, frame in numbered:
            if number > last:
                last = number
                yield number, frame

    def _ticked(self) -> None:
        # Each call for a frame has a tick of its own.
        self._tick()

    def _noted(self, frames: Iterator[Any]) -> Iterator[Any]:
        for frame in frames:
            self._is_woven = self._is_woven or bool(frame.interlaced_frame)
            yield frame

    def _numbered(
        self, frames: Iterator[Any], stream: Any, start: _Start
    ) -> Iterator[tuple[int, Any]]:
        if not self._index.is_seekable:
            clock = clock_of(self._container, stream)
            timed = (frame for frame in frames if clock.time_of(frame) is not None)
            yield from enumerate(timed)
            return
        stamps, base = self._index.stamps, stream.time_base
        for frame in frames:
            stamp = frame.pts
            if stamp is None:
                continue
            if frame.time_base != base:
                stamp = round(stamp * frame.time_base / base)
            # What is shown before the keyframe builds on frames before it.
            if start.stamp is not None and stamp < start.stamp:
                continue
            number = int(np.searchsorted(stamps, stamp))
            if number < len(stamps) and stamps[number] == stamp:
                yield number, frame

    def _stop(self) -> None:
        self._run = None
        self._last = self._next = None
        if self._container is not None:
            self._container.close()
            self._container = None


class _Start:
    """Waits for the first keyframe behind a jump.

    stamp  its presentation time; None until it has come, and where one reads from the start
    """

    def __init__(self, is_from_start: bool) -> None:
        self._is_open = is_from_start
        self.stamp: int | None = None

    def wants(self, packet: Any) -> bool:
        """Whether a packet is to be decoded."""
        if not self._is_open and packet.size:
            self._is_open = packet.is_keyframe and packet.pts is not None
            if self._is_open:
                self.stamp = packet.pts
        return self._is_open
