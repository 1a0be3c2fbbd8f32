"""The request that makes a movie of a bake's pictures, with the sound of a clip."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .clips.errors import ClipError
from .clips.movie_writer import SoundPart, write_movie
from .movie_table import MOVIE_SUFFIXES
from .part_files import hint_of, remove_left, write_whole
from .protocol import Message
from .renderer import ReportedError

MOST_FPS = 1000


def answer_movie(message: Message, report: Callable[[float, str], None]) -> Message:
    """The reply to `write_movie`: the movie is whole, or the one of before is still there.

    Raises ReportedError.
    """
    path, folder = (Path(str(message.fields[name])) for name in ("path", "folder"))
    names, codec = message.fields["names"], message.fields["codec"]
    if not isinstance(names, list) or not names or codec not in MOVIE_SUFFIXES:
        raise ReportedError("bad_request", "A movie needs pictures and a known codec.")
    rate, sound = _rate(message.fields["rate"]), _sound(message.fields.get("sound"))
    files = [folder / str(name) for name in names]
    how = ""

    def write(part: Path) -> None:
        nonlocal how
        tell = _teller(path.name, report)
        how = write_movie(part, codec, _pictures(files), len(files), rate, sound, tell)

    remove_left(path.parent)
    try:
        write_whole(path, write)
    except ClipError as error:
        raise ReportedError(error.code, str(error), error.hint) from error
    except OSError as error:
        text = f"'{path}' could not be written: {error.strerror or error}."
        raise ReportedError("write_failed", text, hint_of(error)) from error
    fields = {"path": str(path), "frame_count": len(files), "sound": how}
    return Message("movie_written", message.id, fields)


def _teller(name: str, report: Callable[[float, str], None]) -> Callable[[float], None]:
    return lambda fraction: report(fraction, f"Writing '{name}'")


def _rate(value: Any) -> Fraction:
    try:
        rate = Fraction(int(value[0]), int(value[1]))
    except (TypeError, ValueError, IndexError, KeyError, ZeroDivisionError) as error:
        raise ReportedError("bad_request", f"'{value}' is no frame rate.") from error
    if not 0 < rate <= MOST_FPS:
        raise ReportedError(
            "bad_request", f"A movie cannot have {float(rate):g} frames per second."
        )
    return rate


def _sound(value: Any) -> SoundPart | None:
    if value is None:
        return None
    try:
        is_optional = bool(value.get("is_optional", False))
        part = SoundPart(Path(value["path"]), float(value["start_s"]), is_optional)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ReportedError("bad_request", "The sound is no path with a second.") from error
    if not math.isfinite(part.start_s):
        raise ReportedError("bad_request", "The sound begins at no moment.")
    return part


def _pictures(files: list[Path]) -> Iterator[np.ndarray]:
    """RGB or RGBA of each file, all of the first one's size. Raises ReportedError."""
    shape: tuple[int, ...] = ()
    for path in files:
        pixels = _decoded(path)
        if pixels is None or pixels.ndim != 3:
            raise ReportedError("bad_image", f"'{path}' cannot be read.", "Bake it again.")
        shape = shape or pixels.shape
        if pixels.shape != shape:
            text = f"'{path.name}' has another size than the picture before it."
            raise ReportedError("bad_image", text, "Bake all frames again.")
        has_alpha = pixels.shape[2] > 3
        yield cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if has_alpha else cv2.COLOR_BGR2RGB)


def _decoded(path: Path) -> np.ndarray | None:
    # OpenCV itself opens no file with other than Latin letters in its path on Windows.
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
