"""The sound of a file, with or without pictures, opened by its path."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from . import sound
from .decoding import open_container
from .errors import ClipError
from .facts import Damage
from .stamp import Stamp
from .times import MICROSECONDS, first_moment, own_seconds

HINT = "Choose a file with sound, or another of its sounds."
BEST = -1
LEAST_MISSING_S = 0.1
# An MP3 that counts its pieces says so in the first of them, which may stand behind a picture.
MP3_BEGINNING = 1 << 20
MP3_COUNTS = (b"Xing", b"Info", b"VBRI")


class SoundFile:
    """One of a file's sounds. Use it as a context manager, which closes the file.

    duration_s  seconds, 0 where the file does not say
    damage      what could not be read so far
    """

    def __init__(self, path: Path, index: int = BEST) -> None:
        """index  counted from 0 among the file's sounds. Raises ClipError."""
        self._path = path
        self.damage = Damage()
        with contextlib.ExitStack() as stack:
            self._container = stack.enter_context(open_container(path))
            self._stamp = Stamp.of(path)
            self._stream = self._chosen(index)
            self._first_s = self._first_moment()
            own = own_seconds(self._container, self._stream)
            self.duration_s = own or max(0, self._container.duration or 0) / MICROSECONDS
            self._stack = stack.pop_all()

    def part_s(self, start_s: float | None, end_s: float | None) -> float:
        """Seconds of a part, 0 where they are not known."""
        end = self.duration_s if end_s is None else min(end_s, self.duration_s or end_s)
        return max(0.0, end - (start_s or 0.0))

    def blocks(
        self, rate: int, start_s: float | None = None, end_s: float | None = None
    ) -> Iterator[np.ndarray]:
        """(N, 1) float32 blocks in -1..1, all channels mixed; see clip.Clip.sound.

        Can be read once. Raises ClipError for a file without any, and for one that changes.
        """
        count = 0
        part = (start_s, end_s)
        for block in sound.blocks(
            self._container, self._stream, (rate, 1), self._first_s, part, self.damage
        ):
            count += len(block)
            yield block
        self._stamp.check()
        missing_s = self._announced_s() - (start_s or 0.0) - count / rate
        if end_s is None and missing_s > LEAST_MISSING_S:
            self.damage.missing_s = missing_s
        if not count and self.damage.packets:
            text = f"No sound of '{self._path.name}' can be decoded."
            raise ClipError(text, "Convert it to WAV or FLAC, or choose another file.")

    def _announced_s(self) -> float:
        """Seconds of sound that the file says it has, 0 where that is an estimate or not told."""
        length_s = own_seconds(self._container, self._stream)
        if self._container.format.name == "flac":
            return length_s
        # What an MP3 lost in its middle, it lacks at its end, too, as its pieces have no times.
        if self._container.format.name != "mp3" or self.damage:
            return 0.0
        with self._path.open("rb") as file:
            beginning = file.read(MP3_BEGINNING)
        return length_s if any(mark in beginning for mark in MP3_COUNTS) else 0.0

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()

    def _chosen(self, index: int) -> Any:
        streams = self._container.streams.audio
        name = self._path.name
        if not streams:
            raise ClipError(f"'{name}' has no sound.", HINT)
        if index >= len(streams):
            raise ClipError(f"'{name}' has {len(streams)} sounds, no number {index + 1}.", HINT)
        stream = streams[index] if index >= 0 else sound.sound_stream(self._container, self._path)
        if stream.codec_context is None:
            text = f"The sound of '{name}' is coded in a way that cannot be decoded here."
            raise ClipError(text, "Convert it to WAV or FLAC, or choose another file.")
        return stream

    def _first_moment(self) -> float:
        """What the file calls the moment that counts as 0: of its pictures where it has some."""
        pictures = self._container.streams.video
        if pictures and self._container.format.name != "mp3":
            return first_moment(self._container, pictures[0])
        start = self._stream.start_time
        return 0.0 if start is None else float(start * self._stream.time_base)
