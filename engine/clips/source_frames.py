"""Frames of a moving source by number, with alpha and full depth, and what stays of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from .errors import ClipError
from .facts import ClipFacts
from .frame_index import FrameIndex, Tick, index_of, no_tick
from .frame_reader import FrameReader
from .orientation import Orientations, limited_size, orientation_of
from .pixels import Converter, has_alpha, is_deep, is_float, unit_rgba
from .sequence import (
    PICTURE_SUFFIXES,
    decoded_picture,
    facts_of_pictures,
    pictures_beside,
)
from .stamp import Stamp
from .video import VideoClip

# Decoded frames that are kept, and the bytes that they may take beyond the last one.
_KEPT_FRAMES, _KEPT_BYTES = 4, 160_000_000
CHANGED_HINT = "Open it again: the faces of the changed clip must be followed anew."


class SourceFrames(Protocol):
    """The frames of a clip by number; those used last are kept.

    facts     what is known of the clip
    times     (T,) float64 seconds from the clip's first moment, rising
    numbers   of a sequence's files, rising; empty for a movie
    encoding  "srgb" or "linear"
    dtype     of the pixels: uint8, or float32 0..1 for display values
    stamps    of the files, by which a change is seen
    damage    what could not be read so far, "" where all is well
    """

    facts: ClipFacts
    times: np.ndarray
    numbers: tuple[int, ...]
    encoding: str
    dtype: np.dtype
    stamps: tuple[Stamp, ...]

    @property
    def damage(self) -> str: ...

    def pixels(self, number: int, tick: Tick = no_tick) -> np.ndarray:
        """(H, W, 4), read-only, straight alpha, upright; 0 <= number < T.

        Raises ClipError for a clip that has changed, is gone or cannot be decoded there.
        """
        ...

    def check(self, number: int) -> None:
        """Raise ClipError unless the file of a frame is as it was when it was opened."""
        ...

    def view(self, number: int, max_side: int, tick: Tick = no_tick) -> np.ndarray | None:
        """(H, W, 3) uint8 sRGB, no side longer, fast; None where it must follow from `pixels`."""
        ...

    def close(self) -> None: ...


def open_frames(path: Path, sequence_rate: float, tick: Tick = no_tick) -> SourceFrames:
    """Open a movie, or the whole sequence that a picture belongs to.

    tick  called while the file is looked through; may raise to stop
    Raises ClipError.
    """
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return PictureFrames(path, sequence_rate)
    return VideoFrames(path, tick)


class _Kept:
    """The frames that were used last."""

    def __init__(self) -> None:
        self._frames: OrderedDict[int, np.ndarray] = OrderedDict()

    def get(self, number: int, read: Callable[[], np.ndarray]) -> np.ndarray:
        """A frame, read where it is not kept."""
        if number in self._frames:
            self._frames.move_to_end(number)
            return self._frames[number]
        pixels = read()
        pixels.flags.writeable = False
        self._frames[number] = pixels
        most = min(_KEPT_FRAMES, 1 + _KEPT_BYTES // max(pixels.nbytes, 1))
        while len(self._frames) > most:
            self._frames.popitem(last=False)
        return pixels


class VideoFrames:
    """A movie, see SourceFrames."""

    numbers: tuple[int, ...] = ()
    encoding = "srgb"
    dtype = np.dtype(np.uint8)

    def __init__(self, path: Path, tick: Tick = no_tick) -> None:
        with VideoClip(path) as clip:
            self.facts = clip.facts
        self.stamps = (Stamp.of(path),)
        index = _index_of(self.stamps[0], tick)
        self.times = index.times
        self._reader = FrameReader(path, index)
        self._converter, self._orientations = Converter(), Orientations()
        self._kept = _Kept()

    @property
    def damage(self) -> str:
        """See SourceFrames."""
        return str(self._reader.damage)

    def pixels(self, number: int, tick: Tick = no_tick) -> np.ndarray:
        """See SourceFrames.pixels."""
        self.check(number)
        return self._kept.get(number, lambda: self._upright(number, None, tick))

    def check(self, number: int) -> None:
        """See SourceFrames.check."""
        check_stamp(self.stamps[0])

    def view(self, number: int, max_side: int, tick: Tick = no_tick) -> np.ndarray | None:
        """See SourceFrames.view."""
        if self.facts.has_alpha:
            return None
        check_stamp(self.stamps[0])
        return self._upright(number, max_side, tick)

    def _upright(self, number: int, max_side: int | None, tick: Tick) -> np.ndarray:
        frame = self._reader.frame(number, tick)
        facts = self.facts
        size = limited_size(facts.width, facts.height, max_side)
        orientation = self._orientations.of(frame)
        convert = self._converter.upright_rgba if max_side is None else self._converter.upright
        return convert(frame, orientation, facts.pixel_aspect, size)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class PictureFrames:
    """A sequence of pictures, see SourceFrames."""

    def __init__(self, path: Path, rate: float) -> None:
        pictures = pictures_beside(path)
        self._paths = list(pictures.values())
        self.stamps = tuple(Stamp.of(picture) for picture in self._paths)
        self.facts = facts_of_pictures(pictures, rate)
        first, _, _ = decoded_picture(self._paths[0], is_linear=True)
        self._is_float, self._is_deep = is_float(first), is_deep(first)
        self.encoding = "linear" if self._is_float else "srgb"
        self.dtype = np.dtype(np.float32 if self._is_float or self._is_deep else np.uint8)
        self.numbers = tuple(pictures)
        self.times = np.arange(len(pictures)) / rate
        self._converter = Converter()
        self._kept = _Kept()

    @property
    def damage(self) -> str:
        """See SourceFrames: a damaged picture is an error where it is wanted."""
        return ""

    def pixels(self, number: int, tick: Tick = no_tick) -> np.ndarray:
        """See SourceFrames.pixels."""
        tick()
        self.check(number)
        return self._kept.get(number, lambda: self._read(self._paths[number]))

    def check(self, number: int) -> None:
        """See SourceFrames.check."""
        check_stamp(self.stamps[number])

    def view(self, number: int, max_side: int, tick: Tick = no_tick) -> np.ndarray | None:
        """See SourceFrames.view."""
        return None

    def _read(self, path: Path) -> np.ndarray:
        picture, _, _ = decoded_picture(path, is_linear=True)
        orientation = orientation_of(picture)
        size = orientation.size(picture.width, picture.height)
        if size != (self.facts.width, self.facts.height):
            text = f"'{path.name}' has {size[0]} × {size[1]} px, the first picture of its sequence "
            text += f"{self.facts.width} × {self.facts.height}."
            raise ClipError(text, "Give all pictures of the sequence one size.")
        if self.dtype == np.uint8:
            return self._converter.upright_rgba(picture, orientation, 1.0, size)
        values = unit_rgba(picture)
        if self._is_float and has_alpha(picture):
            # OpenEXR stores colours multiplied by alpha.
            colour, alpha = values[..., :3], values[..., 3:]
            np.divide(colour, alpha, out=colour, where=alpha > 0.0)
        return np.ascontiguousarray(orientation.apply(values))

    def close(self) -> None:
        """Nothing stays open between pictures."""


# A clip is looked at, followed and opened one after the other.
_KEPT_INDICES = 4
_indices: OrderedDict[Stamp, FrameIndex] = OrderedDict()


def _index_of(stamp: Stamp, tick: Tick) -> FrameIndex:
    """The frames of a file; looked for once while it stays as it is."""
    if stamp not in _indices:
        index = index_of(stamp.path, tick)
        check_stamp(stamp)
        _indices[stamp] = index
    _indices.move_to_end(stamp)
    while len(_indices) > _KEPT_INDICES:
        _indices.popitem(last=False)
    return _indices[stamp]


def check_stamp(stamp: Stamp) -> None:
    """Raise ClipError unless a file is as it was when it was opened."""
    try:
        now = Stamp.of(stamp.path)
    except ClipError as error:
        text = f"'{stamp.path.name}' is not there any more."
        raise ClipError(text, "Bring the file back, or choose another clip.") from error
    if now != stamp:
        raise ClipError(f"'{stamp.path.name}' has changed since it was opened.", CHANGED_HINT)
