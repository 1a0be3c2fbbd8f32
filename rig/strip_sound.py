"""The sound that goes into the movie of a strip's bake: where it is, and where in it to begin."""

from __future__ import annotations

from typing import Any, NamedTuple

import bpy

from .. import compat
from . import capture_settings, strip_reading
from .capture_choices import choices_of
from .clip_sources import scene_fps, source_of
from .errors import AddonError
from .portraits import Portrait
from .strip_settings import AUTO, NONE, STRIP

# A performance that is stretched by more than this has no sound that fits.
STRETCH_TOLERANCE = 1e-3


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
    has_own = strip.type == "MOVIE" and not strip_reading.why_unreadable(strip)
    if has_own and choice in {AUTO, STRIP}:
        return _own_sound(scene, strip, frame, is_optional=is_auto)
    if choice == STRIP:
        raise AddonError(
            f"The strip '{strip.name}' has no sound of its own that plays as it does.",
            "Choose another Sound under Bake Options.",
        )
    return _performance_sound(scene, item, frame, is_optional=is_auto)


def _own_sound(scene: bpy.types.Scene, strip: Any, frame: int, *, is_optional: bool) -> StripSound:
    place, (trimmed, _) = compat.strip_place(strip), compat.strip_trims(strip)
    skipped = trimmed + frame - place.content_start
    path = bpy.path.abspath(strip.filepath)
    return StripSound(path, skipped / scene_fps(scene), is_optional)


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
