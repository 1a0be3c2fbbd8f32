"""A sequence of numbered pictures as a clip."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from .decoding import PICTURE_FORMATS, decoded, open_container, open_decoder, video_stream
from .errors import ClipError
from .facts import ClipFacts, ClipFrame, Damage
from .orientation import Orientations, limited_size, orientation_of
from .pixels import Converter, has_alpha
from .stamp import Stamp
from .times import TOLERANCE_S

_SUFFIXES = "png jpg jpeg jpe tif tiff exr webp bmp dpx jp2 j2k tga qoi avif"
PICTURE_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split(" "))
_NUMBERED = re.compile(r"^(.*?)(\d+)(\D*)$", re.DOTALL)
CONVERT_HINT = "Save the picture as PNG or JPEG, or choose another."


class PictureSequence:
    """Pictures from the chosen one on, see clip.Clip; missing numbers stay gaps in time."""

    def __init__(self, path: Path, rate: float) -> None:
        self.damage = Damage()
        self._rate = rate
        self._pictures = pictures_from(path)
        self._first = min(self._pictures)
        self.facts = facts_of_pictures(self._pictures, rate, path)

    def frames(
        self,
        start_s: float | None = None,
        end_s: float | None = None,
        max_side: int | None = None,
        tick: Callable[[], None] | None = None,
    ) -> Iterator[ClipFrame]:
        """See clip.Clip.frames."""
        size = limited_size(self.facts.width, self.facts.height, max_side)
        tools = Converter(), Orientations()
        count = 0
        for number, path in self._pictures.items():
            time_s = (number - self._first) / self._rate
            if end_s is not None and time_s >= end_s - TOLERANCE_S:
                break
            if start_s is not None and time_s < start_s - TOLERANCE_S:
                continue
            if tick is not None:
                tick()
            image = self._image(path, tools, size)
            if image is not None:
                count += 1
                yield ClipFrame(time_s, image)
        if not count:
            raise ClipError("The part has no pictures.", "Choose another part of the sequence.")

    def _image(
        self, path: Path, tools: tuple[Converter, Orientations], size: tuple[int, int]
    ) -> np.ndarray | None:
        converter, orientations = tools
        try:
            stamp = Stamp.of(path)
            picture, _, _ = decoded_picture(path)
        except ClipError:
            self.damage.frames += 1
            return None
        image = converter.upright(picture, orientations.of(picture), 1.0, size)
        stamp.check()
        return image

    def sound(
        self,
        rate: int,
        channels: int = 1,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> Iterator[np.ndarray]:
        """See clip.Clip.sound."""
        raise ClipError("A sequence of pictures has no sound.", "Choose a clip with sound.")

    def close(self) -> None:
        """Nothing stays open between pictures."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()


def facts_of_pictures(
    pictures: dict[int, Path], rate: float, shown: Path | None = None
) -> ClipFacts:
    """What is known of a sequence.

    shown  the picture that tells size and format, else the first
    Raises ClipError.
    """
    first, last = min(pictures), max(pictures)
    picture, container, codec = decoded_picture(shown or pictures[first])
    orientation = orientation_of(picture)
    width, height = orientation.size(picture.width, picture.height)
    return ClipFacts(
        width=width,
        height=height,
        stored_size=(picture.width, picture.height),
        rotation=orientation.rotation,
        is_mirrored=orientation.is_mirrored,
        pixel_aspect=1.0,
        frame_rate=rate,
        duration_s=(last - first + 1) / rate,
        frame_count=len(pictures),
        start_s=0.0,
        container=container,
        codec=codec,
        pixel_format=picture.format.name,
        has_alpha=has_alpha(picture),
        is_hdr=False,
        has_sound=False,
        missing=tuple(n for n in range(first, last) if n not in pictures),
    )


def pictures_from(path: Path) -> dict[int, Path]:
    """Number → path of the pictures that are numbered like this one, from this one on."""
    pictures = pictures_beside(path)
    own = next(number for number, other in pictures.items() if other == path)
    return {number: other for number, other in pictures.items() if number >= own}


def pictures_beside(path: Path) -> dict[int, Path]:
    """Number → path of all pictures that are numbered like this one, lower numbers first."""
    match = _NUMBERED.match(path.stem)
    if match is None:
        return {0: path}
    before, digits, after = match.groups()
    name = re.compile(re.escape(before) + r"(\d+)" + re.escape(after + path.suffix), re.DOTALL)
    found: dict[int, Path] = {}
    for other in path.parent.iterdir() if path.parent.is_dir() else ():
        numbered = name.fullmatch(other.name)
        # Of frame_7 and frame_007 the one that is padded like the chosen picture.
        if numbered and (len(numbered[1]) == len(digits) or digits[0] != "0"):
            found.setdefault(int(numbered[1]), other)
    found[int(digits)] = path
    return dict(sorted(found.items()))


def decoded_picture(path: Path, *, is_linear: bool = False) -> tuple[Any, str, str]:
    """(av.VideoFrame, container, codec) of a picture file. Raises ClipError.

    is_linear  see decoding.open_decoder
    """
    with open_container(path, PICTURE_FORMATS) as container:
        stream = video_stream(container, path)
        decoder = open_decoder(stream, is_quick=True, is_linear=is_linear)
        for frame in decoded(container, stream, decoder, Damage()):
            return frame, container.format.name, decoder.codec.canonical_name
    raise ClipError(f"'{path.name}' cannot be decoded.", CONVERT_HINT)
