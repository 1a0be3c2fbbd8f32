"""What a strip of the Video Sequencer shows: its files, and which of them at which scene frame."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from .baked import NEVER

FILE, SEQUENCE, MOVIE = "FILE", "SEQUENCE", "MOVIE"
# A strip whose clip runs at that far from one frame per scene frame shows other frames.
SPEED_TOLERANCE = 1e-3
_NUMBER = re.compile(r"(\d+)(?=\D*$)")
# Property of a strip → the value with which it changes no pixels; what is said otherwise.
_PLAIN = {
    "use_flip_x": (False, "is flipped"),
    "use_flip_y": (False, "is flipped"),
    "use_reverse_frames": (False, "plays backwards"),
    "use_deinterlace": (False, "is deinterlaced"),
    "multiply_alpha": (False, "multiplies its alpha"),
    "color_saturation": (1.0, "has another saturation"),
    "color_multiply": (1.0, "is made brighter or darker"),
    "stream_index": (0, "shows another stream of its file"),
}


@dataclass(frozen=True)
class StripPictures:
    """The pictures of a strip that can be read by path and range.

    kind         FILE: one picture, SEQUENCE: numbered pictures, MOVIE: as bpy.types.Image.source
    path         the movie, or the picture that is shown first
    first        number of the picture that is shown first; of a movie counted from 1
    left, right  scene frames between which it is seen, the right one exclusive
    count        pictures from the first one on
    space        colour space of the file's values
    is_premultiplied  whether the file's colours are multiplied by its alpha
    The other names are those of bpy.types.ImageUser, which shows the same frames.
    """

    kind: str
    path: Path
    first: int
    left: int
    right: int
    count: int
    space: str
    is_premultiplied: bool
    use_cyclic: bool = False

    @property
    def frame_start(self) -> int:
        """Scene frame from which an image user counts: a movie from 1, files from 0."""
        if self.kind == MOVIE:
            return self.left
        return self.left + 1 if self.count > 1 else NEVER

    @property
    def frame_duration(self) -> int:
        """Last number that an image user counts to."""
        return self.count if self.kind == MOVIE else max(self.count - 1, 1)

    @property
    def frame_offset(self) -> int:
        """What an image user adds to its count."""
        return self.first - 1 if self.kind == MOVIE else self.first


def seen_frames(strip: Any) -> range:
    """Scene frames at which a strip is seen."""
    place = compat.strip_place(strip)
    return range(round(place.left), round(place.right))


def why_unreadable(strip: Any) -> str:
    """Why a strip is not just pictures of files, one after the other; "" when it is.

    What Blender then has to make of it is known to Blender alone.
    """
    if strip.type not in {"MOVIE", "IMAGE"}:
        return f"is {_article(strip.type)} strip"
    if len(getattr(strip, "retiming_keys", ())) > 0:
        return "is retimed"
    for name, (plain, text) in _PLAIN.items():
        value = getattr(strip, name, plain)
        if abs(value - plain) > SPEED_TOLERANCE:
            return text
    if strip.strobe > 1.0:
        return "shows only some of its frames"
    if any(not modifier.mute for modifier in strip.modifiers):
        return "has modifiers"
    if _has_other_speed(strip):
        return "plays at another speed"
    is_readable = strip.type == "MOVIE" or _numbers(strip) is not None
    return "" if is_readable else "has pictures that are not numbered in a row"


def _has_other_speed(strip: Any) -> bool:
    place = compat.strip_place(strip)
    speed = compat.strip_length(strip) / max(place.content_end - place.content_start, 1.0)
    return abs(speed - 1.0) > SPEED_TOLERANCE


def keeps_time(strip: Any) -> bool:
    """Whether a strip is a movie that plays on as its file does, whatever it looks like."""
    if strip.type != "MOVIE" or strip.use_reverse_frames:
        return False
    return not len(getattr(strip, "retiming_keys", ())) and not _has_other_speed(strip)


def content_frames(strip: Any) -> range:
    """Scene frames at which a strip is seen, or would be if it were not trimmed."""
    place = compat.strip_place(strip)
    first = min(place.left, place.content_start)
    return range(round(first), round(max(place.right, place.content_end)))


def read(strip: Any, *, use_trimmed: bool = False) -> StripPictures:
    """The pictures of a strip of which why_unreadable says nothing.

    use_trimmed  also those that its handles hide
    """
    place, (trimmed, _) = compat.strip_place(strip), compat.strip_trims(strip)
    frames = content_frames(strip) if use_trimmed else seen_frames(strip)
    # A strip that is longer than its content holds the ends.
    left = max(frames.start, round(place.content_start))
    skipped = left - round(place.content_start) + trimmed
    count = min(compat.strip_length(strip) + trimmed - skipped, frames.stop - left)
    if strip.type == "MOVIE":
        kind, first = MOVIE, skipped + 1
        path = Path(bpy.path.abspath(strip.filepath))
    else:
        numbers = _numbers(strip) or [0]
        kind = SEQUENCE if len(numbers) > 1 else FILE
        skipped = min(skipped, len(numbers) - 1)
        first = numbers[skipped]
        path = Path(bpy.path.abspath(strip.directory), strip.elements[skipped].filename)
        count = min(count, len(numbers) - skipped)
    return StripPictures(
        kind=kind,
        path=path,
        first=first,
        left=left,
        right=frames.stop,
        count=max(count, 1),
        space=strip.colorspace_settings.name,
        is_premultiplied=strip.alpha_mode == "PREMUL",
    )


def names_from(first: Path, count: int) -> list[str]:
    """The names of a row of numbered pictures, from the path of its first."""
    match = _NUMBER.search(first.stem)
    if match is None:
        return [first.name]
    before, digits = first.stem[: match.start()], len(match[1])
    after = first.stem[match.end() :] + first.suffix
    numbers = range(int(match[1]), int(match[1]) + count)
    return [f"{before}{str(number).zfill(digits)}{after}" for number in numbers]


def _numbers(strip: Any) -> list[int] | None:
    """The numbers of an image strip's files; None where they are not consecutive."""
    names = [element.filename for element in strip.elements]
    if len(names) == 1:
        return [0]
    found = [_NUMBER.search(name) for name in names]
    numbers = [int(match[1]) for match in found if match is not None]
    if len(numbers) < len(names) or numbers != list(range(numbers[0], numbers[0] + len(names))):
        return None
    stems = {_NUMBER.sub("", name, count=1) for name in names}
    return numbers if len(stems) == 1 else None


def _article(kind: str) -> str:
    text = kind.lower().replace("_", " ")
    return f"an {text}" if text[0] in "aeiou" else f"a {text}"
