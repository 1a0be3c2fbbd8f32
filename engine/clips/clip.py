"""The door: a clip or a sequence of pictures, opened by its path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from .sequence import PICTURE_SUFFIXES, PictureSequence
from .video import VideoClip

if TYPE_CHECKING:
    import numpy as np

    from .facts import ClipFacts, ClipFrame, Damage

SEQUENCE_RATE = 24.0


class Clip(Protocol):
    """Pictures over time and their sound. Use it as a context manager, which closes the file.

    facts   what is known before reading
    damage  what could not be read so far
    """

    @property
    def facts(self) -> ClipFacts: ...

    @property
    def damage(self) -> Damage: ...

    def frames(
        self,
        start_s: float | None = None,
        end_s: float | None = None,
        max_side: int | None = None,
        tick: Callable[[], None] | None = None,
    ) -> Iterator[ClipFrame]:
        """Frames with start_s <= time < end_s, in rising order of time, one in memory at a time.

        max_side  longest side in pixels; larger frames are scaled down while they are converted
        tick      called for every packet or picture, also those before start_s and damaged ones;
                  what it raises ends the reading
        Raises ClipError for a clip without such frames, and for one that changes meanwhile.
        """
        ...

    def sound(
        self,
        rate: int,
        channels: int = 1,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> Iterator[np.ndarray]:
        """(N, channels) float32 blocks in -1..1, without gaps: sample i is heard i / rate seconds
        after start_s, or after the clip's first moment. Gaps and a late start are silence.

        Raises ClipError for a clip without sound, and for one that changes meanwhile.
        """
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_args: object) -> None: ...


def open_clip(path: Path, sequence_rate: float = SEQUENCE_RATE) -> Clip:
    """Open a clip, or the sequence of pictures that begins with this one.

    sequence_rate  frames per second of a sequence of pictures
    Raises ClipError, with a hint and a code of protocol.ERROR_CODES.
    """
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return PictureSequence(path, sequence_rate)
    return VideoClip(path)
