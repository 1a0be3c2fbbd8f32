"""Moving sources: the movie or the numbered pictures of a portrait, and which frame it shows.

Frames are told to the engine as it counts them: from 0 in the order in which a movie shows them,
and file by file in a sequence of pictures. Which of them a portrait shows at a frame of the scene
follows Blender's own rule for textures, from settings that begin as those of the texture.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .errors import ImageError
from .portraits import Portrait
from .stills import MOVING, FrameRange, shown_frame

# Files are looked at again after this time where nothing has to be certain, and later where looking
# takes long: a sequence on a slow drive must not hold the interface.
LOOK_S = 1.0
LOOK_SHARE = 50.0
# Files that hold light, not display values.
FLOAT_SUFFIXES = frozenset({".exr", ".hdr"})
_NUMBERED = re.compile(r"^(.*?)(\d+)(\D*)$", re.DOTALL)
_BACK_HINT = "Bring it back, or choose another in the Picture field."

# While settings are set one after the other, nobody follows them.
is_taking = False
_looks: dict[tuple[str, bool], tuple[float, Clip]] = {}


@dataclass(frozen=True)
class Clip:
    """A movie, or the numbered pictures of a folder, as its files are now.

    path   the movie, or the first picture
    files  (number, name, bytes, modified in ns) of every file, by number; 0 for a movie
    """

    path: Path
    files: tuple[tuple[int, str, int, int], ...]

    @cached_property
    def digest(self) -> str:
        """Tells a clip from another one, and from its own older state, wherever it lies."""
        return hashlib.sha256(repr(self.files).encode()).hexdigest()

    @property
    def is_sequence(self) -> bool:
        """Whether it is numbered pictures."""
        return len(self.files) > 1

    @cached_property
    def _places(self) -> dict[int, int]:
        return {number: index for index, (number, *_) in enumerate(self.files)}

    def index_of(self, number: int) -> int | None:
        """The frame of a picture's number; None where that file is missing."""
        return self._places.get(number)

    @property
    def wire_fields(self) -> dict[str, Any]:
        """The clip as requests name it."""
        return {"path": str(self.path)}


def is_moving(settings: bpy.types.PropertyGroup) -> bool:
    """Whether every frame of a portrait's picture is used; `keyportrait.portrait` of a plane."""
    source = settings.source
    return settings.clip.is_used and source is not None and source.source in MOVING


def clip_of(image: bpy.types.Image, *, is_certain: bool = True) -> Clip:
    """The clip of a movie or sequence. Raises ImageError where its file is gone.

    is_certain  look at the disk now, not at what was seen a moment ago
    """
    path = Path(bpy.path.abspath(image.filepath, library=image.library))
    key = str(path), image.source == "SEQUENCE"
    until, clip = _looks.get(key, (0.0, None))
    began = time.monotonic()
    if clip is not None and not is_certain and began < until:
        return clip
    try:
        files = _pictures(path) if image.source == "SEQUENCE" else (_stamp(0, path),)
    except OSError as error:
        raise ImageError(f"The file of '{image.name}' is gone: {path}.", _BACK_HINT) from error
    if not files:
        raise ImageError(f"The pictures of '{image.name}' are gone: {path}.", _BACK_HINT)
    clip = Clip(path.with_name(files[0][1]), files)
    ended = time.monotonic()
    _looks[key] = ended + max(LOOK_S, LOOK_SHARE * (ended - began)), clip
    return clip


def _stamp(number: int, path: Path) -> tuple[int, str, int, int]:
    status = path.stat()
    return number, path.name, status.st_size, status.st_mtime_ns


def _pictures(path: Path) -> tuple[tuple[int, str, int, int], ...]:
    """The pictures that are numbered like this one, in a folder that must be there."""
    match = _NUMBERED.match(path.stem)
    if match is None:
        return (_stamp(0, path),)
    before, digits, after = match.groups()
    name = re.compile(re.escape(before) + r"(\d+)" + re.escape(after + path.suffix), re.DOTALL)
    found = {}
    for other in path.parent.iterdir():
        numbered = name.fullmatch(other.name)
        # Of frame_7 and frame_007 the one that is padded like the chosen picture.
        if numbered is not None and (len(numbered[1]) == len(digits) or digits[0] != "0"):
            found[int(numbered[1])] = other
    return tuple(_stamp(number, found[number]) for number in sorted(found))


def source_frame(item: Portrait, depsgraph: bpy.types.Depsgraph) -> int | None:
    """The frame of a portrait's clip that is shown now; None for a still picture.

    Raises ImageError where the clip, or the file of this frame, is gone.
    """
    if not is_moving(item.settings):
        return None
    settings = item.plane.evaluated_get(depsgraph).keyportrait.portrait.clip
    number = settings.held_frame
    if settings.use_auto_refresh:
        number = shown_frame(settings, depsgraph.scene.frame_current)
    return frame_of(item.settings.source, number)


def frame_of(image: bpy.types.Image, number: int) -> int:
    """The frame, counted from 0, of what Blender calls frame `number` of an image.

    Raises ImageError.
    """
    clip = clip_of(image, is_certain=False)
    if image.source == "MOVIE":
        return max(number - 1, 0)
    # Before its start a sequence holds its first picture.
    frame = clip.index_of(max(number, clip.files[0][0]))
    if frame is None:
        raise ImageError(
            f"'{image.name}' has no picture for its frame {number} in {clip.path.parent}.",
            "Go to another frame, or correct the frames in the portrait's Settings.",
        )
    return frame


def encoding_of(image: bpy.types.Image) -> str:
    """How the engine reads a clip's values: "linear" from float files, else "srgb"."""
    return "linear" if Path(image.filepath).suffix.lower() in FLOAT_SUFFIXES else "srgb"


def numbers_of(image: bpy.types.Image, count: int) -> np.ndarray:
    """What Blender calls each of the first `count` frames of an image. Raises ImageError."""
    if image.source == "MOVIE":
        return np.arange(1, count + 1)
    files = clip_of(image, is_certain=False).files
    return np.array([number for number, *_ in files[:count]])


@dataclass(frozen=True)
class Place:
    """The frame of a clip in which faces are looked for, and which frames are shown when.

    frame   counted from 0
    number  as Blender calls it
    The others are those of an image user.
    """

    clip: Clip
    frame: int
    number: int
    frame_start: int
    frame_duration: int
    frame_offset: int
    use_cyclic: bool
    use_auto_refresh: bool


def place_of(image: bpy.types.Image, user: FrameRange, scene_frame: int) -> Place | None:
    """What an image shows at a frame of the scene; None where it is a single picture.

    user  of the texture that shows it; one that does not follow the scene stays where it is
    Raises ImageError.
    """
    if image.source not in MOVING:
        return None
    clip = clip_of(image)
    if image.source == "SEQUENCE" and not clip.is_sequence:
        return None
    is_following = getattr(user, "use_auto_refresh", True)
    number = shown_frame(user, scene_frame)
    if not is_following:
        number = user.frame_current or number
    return Place(
        clip=clip,
        frame=frame_of(image, number),
        number=number,
        frame_start=user.frame_start,
        frame_duration=user.frame_duration,
        frame_offset=user.frame_offset,
        use_cyclic=user.use_cyclic,
        use_auto_refresh=is_following,
    )


def found_place(item: Portrait) -> Place | None:
    """The frame that the faces of a portrait's clip were found in; None for a still.

    Where there are none yet it becomes the one that is shown now. Raises ImageError.
    """
    if not is_moving(item.settings):
        return None
    settings = item.settings.clip
    if not item.controllers:
        number = settings.held_frame
        if settings.use_auto_refresh:
            number = shown_frame(settings, bpy.context.scene.frame_current)
        settings.found_frame = frame_of(item.settings.source, number)
    return Place(
        clip=clip_of(item.settings.source),
        frame=settings.found_frame,
        number=settings.found_frame,
        frame_start=settings.frame_start,
        frame_duration=settings.frame_duration,
        frame_offset=settings.frame_offset,
        use_cyclic=settings.use_cyclic,
        use_auto_refresh=settings.use_auto_refresh,
    )


def take_place(settings: bpy.types.PropertyGroup, place: Place | None) -> None:
    """Let a portrait (its `keyportrait.portrait.clip`) show frames of a clip, of none if None."""
    global is_taking
    is_taking = True
    try:
        settings.is_used = place is not None
        if place is None:
            return
        settings.found_frame, settings.held_frame = place.frame, place.number
        settings.frame_start, settings.frame_duration = place.frame_start, place.frame_duration
        settings.frame_offset, settings.use_cyclic = place.frame_offset, place.use_cyclic
        settings.use_auto_refresh = place.use_auto_refresh
    finally:
        is_taking = False


def forget() -> None:
    """Look at every file again."""
    _looks.clear()
