"""A clip in one file: what it is, its frames in order of time, its sound."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from . import sound
from .decoding import decoded, open_container, open_decoder, video_stream
from .errors import CONVERT_HINT, ClipError
from .facts import ClipFacts, ClipFrame, Damage
from .interlace import deinterlaced
from .orientation import Orientations, limited_size, square_size
from .pixels import Converter, has_alpha
from .stamp import Stamp
from .times import (
    LOOK_BACK_S,
    TOLERANCE_S,
    Clock,
    can_seek,
    first_moment,
    has_presentation_times,
    own_seconds,
    seconds_of,
    seek,
)
from .tone import HDR

# Less is rounding of the file's own duration.
MISSING_S = 0.5
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
            stream = video_stream(container, path)
            self._orientations = Orientations()
            self.facts = _facts(container, stream, path, self._orientations)
            # The file's whole duration may be that of its sound.
            self._pictures_s = own_seconds(container, stream)
            self._is_by_order = not has_presentation_times(container, stream)
            self._can_seek = can_seek(container, stream)
        gc.collect(1)  # see Orientations

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
        count, time_s = 0, 0.0
        for time_s, frame in self._timed(start_s or 0.0, end_s, tick):
            count += 1
            orientation = self._orientations.of(frame)
            image = converter.upright(frame, orientation, self.facts.pixel_aspect, size)
            yield ClipFrame(time_s, image)
        self._stamp.check()
        if not count:
            raise self._nothing(start_s, end_s)
        if end_s is None:
            self.damage.missing_s = self._missing_s(time_s)

    def _missing_s(self, last_s: float) -> float:
        missing = self._pictures_s - last_s - 1.0 / (self.facts.frame_rate or 1.0)
        return missing if missing > MISSING_S else 0.0

    def sound(
        self,
        rate: int,
        channels: int = 1,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> Iterator[np.ndarray]:
        """See clip.Clip.sound."""
        with self._container() as container:
            stream = sound.sound_stream(container, self._path)
            yield from sound.blocks(
                container,
                stream,
                (rate, channels),
                self.facts.start_s,
                (start_s, end_s),
                self.damage,
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
        self, start_s: float, end_s: float | None, tick: Callable[[], None] | None
    ) -> Iterator[tuple[float, Any]]:
        """(time_s, av.VideoFrame) of the wanted part, deinterlaced, times rising."""
        clock = self._clock()
        for frame in deinterlaced(self._decoded(start_s, tick)):
            time_s = clock.time_of(frame)
            if time_s is None:
                self.damage.frames += 1
            elif end_s is not None and time_s >= end_s - TOLERANCE_S:
                return
            elif time_s >= start_s - TOLERANCE_S:
                yield time_s, frame

    def _clock(self) -> Clock:
        return Clock(self.facts.start_s, self.facts.frame_rate, is_by_order=self._is_by_order)

    def _decoded(self, start_s: float, tick: Callable[[], None] | None) -> Iterator[Any]:
        """Frames as they are stored, from a keyframe before a time on."""
        for back_s in LOOK_BACK_S:
            jump_s = start_s - back_s
            if jump_s > 0.0 and not self._can_seek:
                continue
            with self._container() as container:
                stream = video_stream(container, self._path)
                if jump_s > 0.0:
                    seek(container, stream, jump_s + self.facts.start_s)
                decoder = open_decoder(stream)
                frames = decoded(container, stream, decoder, self.damage, tick=tick)
                first = next(frames, None)
                if first is None:
                    continue
                first_s = self._clock().seconds(first)
                if jump_s <= 0.0 or (first_s is not None and first_s <= start_s + TOLERANCE_S):
                    yield first
                    yield from frames
                    return

    def _nothing(self, start_s: float | None, end_s: float | None) -> ClipError:
        name = self._path.name
        if start_s or end_s is not None:
            text = f"'{name}' has no frames in the part from {start_s or 0.0:g} s"
            text += "." if end_s is None else f" to {end_s:g} s."
            return ClipError(text, f"It lasts {self.facts.duration_s:.1f} s: choose another part.")
        return ClipError(f"No frame of '{name}' can be decoded.", CONVERT_HINT)


def _facts(container: Any, stream: Any, path: Path, orientations: Orientations) -> ClipFacts:
    frame = _first_frame(container, stream, path)
    aspect = float(stream.sample_aspect_ratio or 1.0)
    aspect = aspect if 0.1 <= aspect <= 10.0 else 1.0
    orientation = orientations.of(frame)
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
        start_s=first_moment(container, stream),
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
