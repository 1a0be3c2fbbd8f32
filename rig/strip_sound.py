"""The sound that goes into the movie of a strip's bake: where it is, and where in it to begin."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import bpy

from .. import compat
from . import capture_settings, strip_mixdown, strip_reading
from .capture_choices import choices_of
from .clip_sources import scene_fps, source_of
from .errors import AddonError
from .portraits import Portrait
from .strip_settings import AUTO, NONE, STRIP

log = logging.getLogger(__name__)

# A performance that is stretched by more than this has no sound that fits.
STRETCH_TOLERANCE = 1e-3
# Handles of a movie and of its sound differ by a part of a frame.
NEAR_FRAMES = 1.0


class StripSound(NamedTuple):
    """A clip's sound.

    start_s      second of it that is heard at the strip's first frame; below 0 it begins later
    is_optional  a clip without sound makes a silent movie
    """

    path: str
    start_s: float
    is_optional: bool

    def to_json(self) -> dict[str, Any]:
        """As `write_movie` takes it."""
        return self._asdict()


def sound_for(
    scene: bpy.types.Scene, item: Portrait, choice: str, begin: tuple[Any, int]
) -> StripSound | None:
    """The sound of a choice of strip_settings.SOUND_ITEMS; None for a silent movie.

    begin  the strip, and the scene frame at which its movie begins
    Raises AddonError where the choice was not left to this and cannot be had.
    """
    if choice == NONE:
        return None
    strip, frame = begin
    is_auto = choice == AUTO
    if choice in {AUTO, STRIP}:
        if strip_reading.keeps_time(strip):
            return _own_sound(scene, strip, frame, is_optional=is_auto)
        # Such a strip is rendered by Blender, and its sound mixed by it.
        sounding = list(_inside(strip)) or list(_beside(scene, strip))
        try:
            if sounding:
                return _mixed_sound(scene, strip, sounding, frame)
        except AddonError as error:  # some builds of Blender have no sound
            if not is_auto:
                raise
            log.warning("%s", error)
    if choice == STRIP:
        raise AddonError(
            f"The strip '{strip.name}' has no sound that plays as it does, nor has a sound strip "
            "beside it.",
            "Choose another Sound under Bake Options.",
        )
    return _performance_sound(scene, item, frame, is_optional=is_auto)


def _own_sound(scene: bpy.types.Scene, strip: Any, frame: int, *, is_optional: bool) -> StripSound:
    place, (trimmed, _) = compat.strip_place(strip), compat.strip_trims(strip)
    skipped = trimmed + frame - place.content_start
    path = bpy.path.abspath(strip.filepath)
    return StripSound(path, skipped / scene_fps(scene), is_optional)


def _inside(strip: Any) -> Iterator[Any]:
    """The strips that are heard where a scene or meta strip plays."""
    if strip.type in {"SCENE", "SOUND"}:
        yield strip
    for inner in compat.strips_in(strip) if strip.type == "META" else ():
        if not inner.mute:
            yield from _inside(inner)


def _beside(scene: bpy.types.Scene, strip: Any) -> Iterator[Any]:
    """The sound strips that go with a strip."""
    for other in compat.strips_beside(scene, strip):
        if other.type == "SOUND" and not other.mute and _belongs(strip, other):
            yield other


def _belongs(strip: Any, sound: Any) -> bool:
    """Whether a sound strip lies where a strip lies, or where a movie of the same file does."""
    place, there = compat.strip_place(strip), compat.strip_place(sound)
    ends = abs(place.left - there.left), abs(place.right - there.right)
    if max(ends) <= NEAR_FRAMES:
        return True
    paths = {_file_of(strip), _file_of(sound)}
    return len(paths) == 1 and there.left < place.right and place.left < there.right


def _file_of(strip: Any) -> str:
    path = strip.sound.filepath if strip.type == "SOUND" else getattr(strip, "filepath", "")
    return bpy.path.abspath(path)


def _mixed_sound(scene: bpy.types.Scene, strip: Any, sounding: list[Any], frame: int) -> StripSound:
    path = strip_mixdown.mixed_together(bpy.context, scene, strip, sounding)
    left = max(int(compat.strip_place(strip).left), 0)
    return StripSound(str(path), (frame - left) / scene_fps(scene), is_optional=False)


def _performance_sound(
    scene: bpy.types.Scene, item: Portrait, frame: int, *, is_optional: bool
) -> StripSound | None:
    captured = (face for face in item.controllers if capture_settings.is_captured(face))
    face = next(captured, None)
    try:
        if face is None:
            raise AddonError(
                f"No face of '{item.plane.name}' was captured.",
                "Choose another Sound under Bake Options, or capture a clip.",
            )
        source = source_of(bpy.context, choices_of(face.keyportrait_capture))
        if abs(source.stretch - 1.0) > STRETCH_TOLERANCE:
            raise AddonError(
                f"The performance of '{face.name}' is stretched; its sound would not fit.",
                "Choose another Sound under Bake Options.",
            )
    except AddonError:
        if is_optional:
            return None
        raise
    begin_s = (source.start_s or 0.0) + source.lead_s
    late = frame - face.keyportrait_capture.frame_offset - source.start_frame
    start_s = begin_s + late / scene_fps(scene)
    return StripSound(str(source.path), start_s, is_optional)
