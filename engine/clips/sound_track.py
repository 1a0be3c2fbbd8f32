"""The sound of a clip in a movie that is written: its own packets, or its samples without loss.

Packets are copied into MP4 where the movie begins with the clip: there they decode to the very
same samples. A part of a clip, which begins within a packet, and sound that MP4 does not hold are
decoded and coded again without loss: Apple Lossless in MP4, PCM in MOV.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .decoding import open_container
from .errors import load_av
from .facts import Damage
from .sound import blocks, sound_stream
from .times import first_moment

# What MP4 holds and players of MP4 know.
COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
STEREO = 2


class SoundTrack(ABC):
    """Sound that is written beside the pictures, so that both lie near each other in the file."""

    how = ""

    @abstractmethod
    def write_until(self, end_s: float) -> None:
        """Write what is heard before a moment of the movie."""

    @abstractmethod
    def end(self) -> None:
        """Write the rest and close the source."""


def track_of(file: Any, path: Path, start_s: float, length_s: float) -> SoundTrack:
    """The sound of a clip from a second on, in an av.container.OutputContainer.

    start_s   second of the clip at the movie's first moment; below 0 there is silence before
    length_s  of the movie
    Raises ClipError for a clip without sound.
    """
    source = open_container(path)
    stream = sound_stream(source, path)
    pictures = next(iter(source.streams.video), stream)
    first_s = first_moment(source, pictures)
    is_mp4 = "mov" not in file.format.name.split(",")
    is_from_start = abs(start_s) * stream.codec_context.rate < 0.5
    if is_mp4 and is_from_start and stream.codec_context.name in COPIED:
        return _Copied(file, source, stream, first_s, length_s)
    encoder = "alac" if is_mp4 else ""
    return _Lossless(file, source, stream, (first_s, start_s, length_s), encoder)


class _Copied(SoundTrack):
    how = "copied"

    def __init__(
        self, file: Any, source: Any, stream: Any, first_s: float, length_s: float
    ) -> None:
        self._file, self._source = file, source
        self._output = file.add_stream_from_template(stream)
        self._length_s = length_s
        self._shift = round(first_s / float(stream.time_base))
        self._packets = self._wanted(stream)
        self._next: Any = next(self._packets, None)

    def _wanted(self, stream: Any) -> Iterator[Any]:
        for packet in self._source.demux(stream):
            if packet.pts is None or not packet.size:
                continue
            packet.pts -= self._shift
            packet.dts = packet.pts
            if float(packet.pts * packet.time_base) >= self._length_s:
                return
            yield packet

    def write_until(self, end_s: float) -> None:
        while self._next is not None and float(self._next.pts * self._next.time_base) < end_s:
            self._next.stream = self._output
            self._file.mux(self._next)
            self._next = next(self._packets, None)

    def end(self) -> None:
        self.write_until(self._length_s)
        self._source.close()


class _Lossless(SoundTrack):
    how = "lossless"

    def __init__(
        self,
        file: Any,
        source: Any,
        stream: Any,
        part: tuple[float, float, float],
        encoder: str,
    ) -> None:
        self._file, self._source = file, source
        own = stream.codec_context
        self._channels = min(own.channels, STEREO)
        is_short = own.format is not None and own.format.name in ("s16", "s16p", "u8", "u8p")
        encoder = encoder or ("pcm_s16le" if is_short else "pcm_s24le")
        self._dtype = np.dtype(np.int16 if is_short else np.int32)
        self._layout = "mono" if self._channels == 1 else "stereo"
        self._stream = file.add_stream(encoder, rate=own.rate, layout=self._layout)
        is_planar = encoder == "alac"
        self._stream.codec_context.format = ("s16" if is_short else "s32") + "p" * is_planar
        self._rate, self._written = own.rate, 0
        self._resampler = load_av().AudioResampler(
            format=self._stream.codec_context.format, layout=self._layout, rate=own.rate
        )
        self._samples = self._parts(stream, *part)

    def _parts(
        self, stream: Any, first_s: float, start_s: float, length_s: float
    ) -> Iterator[np.ndarray]:
        """Float blocks that begin at the movie's first moment."""
        silence_s = min(max(-start_s, 0.0), length_s)
        shape = self._rate, self._channels
        if silence_s:
            yield np.zeros((round(silence_s * self._rate), self._channels), np.float32)
        part = max(start_s, 0.0), max(start_s, 0.0) + length_s - silence_s
        yield from blocks(self._source, stream, shape, first_s, part, Damage())

    def write_until(self, end_s: float) -> None:
        while self._written < end_s * self._rate:
            samples = next(self._samples, None)
            if samples is None:
                return
            self._encode(samples)

    def _encode(self, samples: np.ndarray) -> None:
        highest = float(np.iinfo(self._dtype).max) + 1.0
        scaled = np.rint(samples.astype(np.float64) * highest)
        whole = np.clip(scaled, -highest, highest - 1.0).astype(self._dtype)
        name = "s16" if self._dtype == np.int16 else "s32"
        frame = load_av().AudioFrame.from_ndarray(whole.reshape(1, -1), name, self._layout)
        frame.sample_rate, frame.pts = self._rate, self._written
        frame.time_base = Fraction(1, self._rate)
        self._written += len(samples)
        for piece in self._resampler.resample(frame):
            self._file.mux(self._stream.encode(piece))

    def end(self) -> None:
        self.write_until(float("inf"))
        for piece in self._resampler.resample(None):
            self._file.mux(self._stream.encode(piece))
        self._file.mux(self._stream.encode(None))
        self._source.close()
