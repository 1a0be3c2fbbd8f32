"""A moving source: a movie or a sequence whose frames are pictures like any other."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from .clips.errors import ClipError
from .clips.frame_index import no_tick
from .clips.orientation import limited_size
from .clips.source_frames import check_stamp, open_frames
from .clips.stamp import Stamp
from .faces.find import MAXIMUM_PIXELS, MAXIMUM_SIDE, view_8bit
from .renderer import ReportedError, SourceImage, Step
from .source_clip import SourceClip

MAX_SIDE = 1920  # pixels; larger frames are looked at smaller
_HASHED = 1 << 20  # bytes at either end of a file that tell its content
_TICK_S = 0.05


class MovingSource:
    """The frames of a clip as source pictures.

    name         of its file, for messages
    frame_count  number of source frames
    times        (T,) float64 seconds from the clip's first moment
    size         (width, height) in pixels
    fingerprint  text that tells its content, wherever the file lies
    """

    def __init__(self, clip: SourceClip, step: Step = no_tick) -> None:
        """Look through the file. Raises ReportedError "bad_clip"."""
        path = Path(clip.path)
        self.name = path.name
        with clip_errors(path):
            self._frames = open_frames(path, float(clip.frame_rate), _seldom(step))
            self.fingerprint = self._fingerprint()
        facts = self._frames.facts
        self.size = facts.width, facts.height
        self.frame_count = len(self._frames.times)
        self.times = self._frames.times
        if max(self.size) >= MAXIMUM_SIDE or facts.width * facts.height > MAXIMUM_PIXELS:
            text = f"'{self.name}' of {facts.width} × {facts.height} px is too large."
            raise ReportedError("bad_clip", text, "Convert it to a smaller size.")

    @property
    def facts(self) -> dict[str, object]:
        """What `opened` tells of it."""
        facts = self._frames.facts
        return {
            "frame_count": self.frame_count,
            "fps": facts.frame_rate,
            "size": list(self.size),
            "has_alpha": facts.has_alpha,
            "encoding": self._frames.encoding,
            "dtype": self._frames.dtype.name,
            "numbers": _ranges(self._frames.numbers),
        }

    @property
    def damage(self) -> str:
        """What could not be read so far, "" where all is well."""
        return self._frames.damage

    def at(self, frame: int, step: Step = no_tick) -> SourceImage:
        """One source frame. Raises ReportedError "bad_clip"."""
        self.check(frame)
        with clip_errors(Path(self.name)):
            pixels = self._frames.pixels(frame, _seldom(step))
        encoding = self._frames.encoding
        has_emission = encoding == "linear" and self._frames.facts.has_alpha
        return SourceImage(pixels, encoding, has_emission)

    def view(self, frame: int, step: Step = no_tick) -> np.ndarray:
        """(H, W, 3) uint8 sRGB of a source frame, no side above MAX_SIDE, for finding faces."""
        with clip_errors(Path(self.name)):
            view = self._frames.view(frame, MAX_SIDE, _seldom(step))
        if view is not None:
            return view
        view = view_8bit(self.at(frame, step))
        size = limited_size(view.shape[1], view.shape[0], MAX_SIDE)
        same = size == view.shape[1::-1]
        return view if same else cv2.resize(view, size, interpolation=cv2.INTER_AREA)

    def check(self, frame: object) -> int:
        """The number of a source frame that there is.

        Raises ReportedError (bad_request, bad_clip).
        """
        if type(frame) is not int:
            raise ReportedError("bad_request", f"'{frame}' is no number of a source frame.")
        if 0 <= frame < self.frame_count:
            return frame
        text = f"'{self.name}' has {self.frame_count} frames, no source frame {frame}."
        raise ReportedError("bad_clip", text, f"The last one is {self.frame_count - 1}.")

    def check_frame(self, frame: int) -> None:
        """Raise ReportedError "bad_clip" unless there is such a frame, in a file as it was."""
        self.check(frame)
        with clip_errors(Path(self.name)):
            self._frames.check(frame)

    def check_unchanged(self) -> None:
        """Raise ReportedError "bad_clip" unless the files are as they were."""
        with clip_errors(Path(self.name)):
            for stamp in self._frames.stamps:
                check_stamp(stamp)

    def close(self) -> None:
        """Close the file."""
        self._frames.close()

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        stamps: Sequence[Stamp] = self._frames.stamps
        for stamp in stamps:
            name = stamp.path.name if len(stamps) > 1 else ""
            digest.update(repr((name, stamp.size)).encode())
        for stamp in dict.fromkeys([*stamps[:1], *stamps[-1:]]):
            with stamp.path.open("rb") as stream:
                digest.update(stream.read(_HASHED))
                stream.seek(max(0, stamp.size - _HASHED))
                digest.update(stream.read(_HASHED))
        return digest.hexdigest()[:32]


@contextmanager
def clip_errors(path: Path) -> Iterator[None]:
    """Turn what opening and decoding raise into the engine's errors."""
    try:
        yield
    except ClipError as error:
        code = "bad_clip" if error.code == "bad_performance" else error.code
        raise ReportedError(code, str(error), error.hint) from error
    except OSError as error:
        text = f"'{path.name}' cannot be read: {error.strerror or error}."
        raise ReportedError("bad_clip", text, "Choose another file.") from error


def _seldom(step: Step) -> Callable[[], None]:
    """The step, called no more often than it makes sense."""
    told_s = time.monotonic()

    def tick() -> None:
        nonlocal told_s
        if time.monotonic() - told_s > _TICK_S:
            step()
            told_s = time.monotonic()

    return tick


def _ranges(numbers: tuple[int, ...]) -> list[list[int]]:
    """Rising numbers as [first, last] of those that follow one another."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges
