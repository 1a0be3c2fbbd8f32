"""A clip in one file: what it is, its frames in order of time, its sound."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from . import sound
from .decoding import decoded, open_container, open_decoder, video_stream
from .errors import CONVERT_HINT, ClipError
from .facts import ClipFacts, ClipFrame, Damage
from .interlace import deinterlaced
from .orientation import limited_size, orientation_of, square_size
from .pixels import Converter, has_alpha
from .stamp import Stamp
from .times import LOOK_BACK_S, TOLERANCE_S, Clock, first_moment, seconds_of, seek
from .tone import HDR

# Decoded at opening to learn what the frames are; a clip without one among so many is refused.
PROBED_PACKETS = 300


class VideoClip:
    """One file, see clip.Clip. Each reading opens it anew: none disturbs another."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[Any] = []
        self.damage = Damage()
        with self._container() as container:
            self._stamp = Stamp.of(path)
            self.facts = _facts(container, path)

    def frames(
        self,
        start_s: float | None = None,
        end_s: float | None = None,
        max_side: int | None = None,
        tick: Callable[[], None] | None = None,
    ) -> Iterator[ClipFrame]:
        """See clip.Clip.frames."""
        size = limited_size(self.facts.width, self.facts.height, max_side)
        converter = Converter()
        count = 0
        with self._container() as container:
            for time_s, frame in self._timed(container, start_s, end_s, tick):
                image = _upright(converter, frame, size)
                count += 1
                yield ClipFrame(time_s, image)
        self._stamp.check()
        if not count:
            raise self._nothing(start_s, end_s)

    def sound(
        self,
        rate: int,
        channels: int = 1,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> Iterator[np.ndarray]:
        """See clip.Clip.sound."""
        with self._container() as container:
            yield from sound.blocks(
                container, self._path, rate, channels, start_s, end_s, self.damage
            )
        self._stamp.check()

    def close(self) -> None:
        """Close the file, also for readings that have not come to their end."""
        while self._open:
            self._open.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _container(self) -> Iterator[Any]:
        container = open_container(self._path)
        self._open.append(container)
        try:
            yield container
        finally:
            container.close()
            if container in self._open:
                self._open.remove(container)

    def _timed(
        self,
        container: Any,
        start_s: float | None,
        end_s: float | None,
        tick: Callable[[], None] | None,
    ) -> Iterator[tuple[float, Any]]:
        """(time_s, av.VideoFrame) of the wanted part, deinterlaced, times rising."""
        stream = video_stream(container, self._path)
        clock = Clock(self.facts.start_s, self.facts.frame_rate)
        if start_s is None or start_s <= 0.0:
            frames = decoded(container, stream, open_decoder(stream), self.damage)
        else:
            frames = self._from(container, stream, clock, start_s)
        for frame in deinterlaced(frames, stream.time_base):
            if tick is not None:
                tick()
            time_s = clock.time_of(frame)
            if time_s is None:
                self.damage.frames += 1
            elif end_s is not None and time_s >= end_s - TOLERANCE_S:
                return
            elif start_s is None or time_s >= start_s - TOLERANCE_S:
                yield time_s, frame

    def _from(self, container: Any, stream: Any, clock: Clock, start_s: float) -> Iterator[Any]:
        """Frames from a keyframe on that lies before a time."""
        decoder = open_decoder(stream)
        for back_s in LOOK_BACK_S:
            wanted_s = max(0.0, start_s - back_s)
            seek(container, stream, wanted_s + self.facts.start_s)
            decoder.flush_buffers()
            frames = decoded(container, stream, decoder, self.damage)
            first = next(frames, None)
            if first is not None and (not wanted_s or clock.is_before(first, start_s)):
                return itertools.chain((first,), frames)
        return iter(())

    def _nothing(self, start_s: float | None, end_s: float | None) -> ClipError:
        name = self._path.name
        if start_s or end_s is not None:
            text = f"'{name}' has no frames in the part from {start_s or 0.0:g} s"
            text += "." if end_s is None else f" to {end_s:g} s."
            return ClipError(text, f"It lasts {self.facts.duration_s:.1f} s: choose another part.")
        return ClipError(f"No frame of '{name}' can be decoded.", CONVERT_HINT)


def _upright(converter: Converter, frame: Any, size: tuple[int, int]) -> np.ndarray:
    orientation = orientation_of(frame)
    width, height = orientation.size(*size)
    return np.ascontiguousarray(orientation.apply(converter.rgb(frame, width, height)))


def _facts(container: Any, path: Path) -> ClipFacts:
    stream = video_stream(container, path)
    frame = _first_frame(container, stream, path)
    aspect = float(stream.sample_aspect_ratio or 1.0)
    aspect = aspect if 0.1 <= aspect <= 10.0 else 1.0
    orientation = orientation_of(frame)
    width, height = orientation.size(*square_size(frame.width, frame.height, aspect))
    rate = float(stream.average_rate or stream.guessed_rate or 0.0)
    duration = seconds_of(container, stream)
    pixel_format = frame.format.name
    return ClipFacts(
        width=width,
        height=height,
        stored_size=(frame.width, frame.height),
        rotation=orientation.rotation,
        is_mirrored=orientation.is_mirrored,
        pixel_aspect=aspect,
        frame_rate=rate,
        duration_s=duration,
        frame_count=stream.frames or round(duration * rate),
        start_s=first_moment(container),
        container=container.format.name.partition(",")[0],
        codec=stream.codec_context.codec.canonical_name,
        pixel_format=pixel_format,
        has_alpha=has_alpha(frame),
        is_hdr=frame.color_trc in HDR,
        has_sound=bool(container.streams.audio),
    )


def _first_frame(container: Any, stream: Any, path: Path) -> Any:
    decoder = open_decoder(stream, is_quick=True)
    for frame in decoded(container, stream, decoder, Damage(), PROBED_PACKETS):
        return frame
    raise ClipError(f"No frame of '{path.name}' can be decoded.", CONVERT_HINT)
