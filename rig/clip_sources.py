"""Where a capture reads from: a file, a strip of the Video Sequencer, or a movie clip."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from .capture_choices import CLIP, FRAMES, Choices
from .errors import AddonError
from .take_choices import STRIP

STRIP_TYPES = {"MOVIE": "movie", "IMAGE": "image", "MOVIECLIP": "movie clip"}
# A strip whose speed is that far from the two that Blender gives a movie plays at another one.
SPEED_TOLERANCE = 0.02


@dataclass(frozen=True)
class ClipSource:
    """A performance's file, the part of it that is meant, and its place in the scene.

    start_s, end_s  seconds of the clip; None for its ends
    start_frame     scene frame of the moment `lead_s` after that start
    stretch         2 takes twice the clip's own time
    frame_rate      of a sequence of pictures; 0 for files that know their own
    """

    path: Path
    start_s: float | None
    end_s: float | None
    start_frame: float
    stretch: float = 1.0
    frame_rate: float = 0.0
    lead_s: float = 0.0


def scene_fps(scene: bpy.types.Scene) -> float:
    """Frames per second of a scene."""
    return scene.render.fps / scene.render.fps_base


def source_of(context: bpy.types.Context, choices: Choices) -> ClipSource:
    """What choices mean. Raises AddonError where there is nothing to read."""
    if choices.source == STRIP:
        source = _strip_source(context, choices)
    elif choices.source == CLIP:
        source = _clip_source(context, choices)
    else:
        source = _file_source(context, choices)
    if not source.path.is_file():
        raise AddonError(
            f"There is no file '{source.path}'.",
            "Choose a clip, the first picture of a sequence, or a motion template.",
        )
    return source


def _file_source(context: bpy.types.Context, choices: Choices) -> ClipSource:
    if not choices.filepath:
        raise AddonError("No file is chosen.", "Choose a clip in the Performance panel.")
    fps = scene_fps(context.scene)
    path = Path(bpy.path.abspath(choices.filepath))
    start_s, end_s = _range(choices, fps)
    start_frame, stretch = choices.start_frame, choices.stretch
    return ClipSource(path, start_s, end_s, start_frame, stretch, fps)


def _range(choices: Choices, fps: float) -> tuple[float | None, float | None]:
    """(in, out) in seconds; None where the clip's own end is meant."""
    unit = fps if choices.range_unit == FRAMES else 1.0
    start, end = choices.range_start / unit, choices.range_end / unit
    if 0.0 < end <= start:
        raise AddonError(
            f"The range from {choices.range_start:g} to {choices.range_end:g} is empty.",
            "Let Out be after In, or 0 for the clip's end.",
        )
    return start or None, end or None


def _clip_source(context: bpy.types.Context, choices: Choices) -> ClipSource:
    clip = bpy.data.movieclips.get(choices.clip)
    if clip is None:
        text = f"There is no movie clip '{choices.clip}'." if choices.clip else "No clip is chosen."
        raise AddonError(text, "Choose one in the Performance panel.")
    fps = scene_fps(context.scene)
    start_s, end_s = _range(choices, fps)
    rate = fps if clip.source == "SEQUENCE" else 0.0
    skipped = clip.frame_offset / (rate or clip.fps or fps)
    begin_s = (start_s or 0.0) + skipped
    return ClipSource(
        path=Path(bpy.path.abspath(clip.filepath, library=clip.library)),
        start_s=begin_s or None,
        end_s=None if end_s is None else end_s + skipped,
        start_frame=float(clip.frame_start),
        stretch=choices.stretch,
        frame_rate=rate,
    )


def _strip_source(context: bpy.types.Context, choices: Choices) -> ClipSource:
    if choices.strip:
        strip, scene = compat.strip_named(context, choices.strip)
    else:
        strip, scene = compat.active_strip(context)
    if strip is None:
        wanted = f"There is no strip '{choices.strip}'" if choices.strip else "No strip is active"
        raise AddonError(f"{wanted} in '{scene.name}'.", "Select one in the Video Sequencer.")
    if strip.type not in STRIP_TYPES:
        raise AddonError(
            f"The strip '{strip.name}' has no clip of its own.",
            "Select a movie, image or movie clip strip.",
        )
    if len(getattr(strip, "retiming_keys", ())) > 0:
        raise AddonError(
            f"The strip '{strip.name}' is retimed, and Blender does not tell how.",
            "Reset its retiming and use Stretch, or render the strip to a file first.",
        )
    return part_of_strip(context, strip, scene, choices.stretch)


def part_of_strip(
    context: bpy.types.Context, strip: Any, scene: bpy.types.Scene, stretch: float = 1.0
) -> ClipSource:
    """The part of a movie, image or movie clip strip that it plays. Raises AddonError.

    scene    that the strip lies in
    stretch  2 takes twice the strip's own time
    """
    path, frame_rate, clip_fps = _strip_file(strip, scene_fps(scene))
    return _strip_part(context, stretch, strip, scene, (path, frame_rate, clip_fps))


def active_strip_name(context: bpy.types.Context) -> str:
    """Name of the active strip of the Video Sequencer; "" when there is none."""
    strip, _ = compat.active_strip(context)
    return "" if strip is None else strip.name


def _strip_file(strip: Any, fps: float) -> tuple[Path, float, float]:
    """(path, frame rate for the reader, the clip's frames per second) of a strip."""
    if strip.type == "IMAGE":
        return _first_picture(strip), fps, fps
    if strip.type == "MOVIE":
        return Path(bpy.path.abspath(strip.filepath)), 0.0, float(strip.fps) or fps
    clip = compat.clip_of_strip(strip)
    if clip is None:
        raise AddonError(
            f"The movie clip of the strip '{strip.name}' is not known.",
            "Choose Movie Clip as the source, and the clip itself.",
        )
    path = Path(bpy.path.abspath(clip.filepath, library=clip.library))
    is_sequence = clip.source == "SEQUENCE"
    return path, fps if is_sequence else 0.0, fps if is_sequence else float(clip.fps) or fps


def _first_picture(strip: Any) -> Path:
    names = [element.filename for element in strip.elements]
    numbers = [re.search(r"(\d+)\D*$", name) for name in names]
    counts = [int(match[1]) for match in numbers if match is not None]
    is_sequence = counts == list(range(counts[0], counts[0] + len(names))) if counts else False
    if len(names) > 1 and not is_sequence:
        raise AddonError(
            f"The pictures of the strip '{strip.name}' are not numbered one after the other.",
            "Render the strip to a movie or to a numbered sequence first.",
        )
    return Path(bpy.path.abspath(strip.directory), names[0])


def _strip_part(
    context: bpy.types.Context,
    stretch: float,
    strip: Any,
    scene: bpy.types.Scene,
    file: tuple[Path, float, float],
) -> ClipSource:
    """The part of a file that lies between a strip's handles, as the strip plays it."""
    path, frame_rate, clip_fps = file
    place, fps = compat.strip_place(strip), scene_fps(scene)
    skipped, dropped = compat.strip_trims(strip)
    speed = 1.0
    if strip.type == "MOVIE" and abs(clip_fps - fps) > 1e-3:
        left_over = _movie_frames(path) - skipped - dropped
        speed = _speed(strip, left_over / (place.content_end - place.content_start), clip_fps / fps)
    start_s = (skipped + (place.left - place.content_start) * speed) / clip_fps
    length_s = (place.right - place.left) * speed / clip_fps
    # Frames have rounded times: the range begins and ends between two of them.
    lead_s = min(start_s, 0.25 / clip_fps)
    return ClipSource(
        path=path,
        start_s=start_s - lead_s or None,
        end_s=start_s + length_s - 0.5 / clip_fps,
        start_frame=place.left * scene_fps(context.scene) / fps,
        stretch=stretch * clip_fps / (speed * fps),
        frame_rate=frame_rate,
        lead_s=lead_s,
    )


def _speed(strip: Any, measured: float, adjusted: float) -> float:
    """Clip frames per scene frame: 1, or what *Adjust Playback Rate* makes of it."""
    for speed in (adjusted, 1.0):
        if abs(measured / speed - 1.0) < SPEED_TOLERANCE:
            return speed
    raise AddonError(
        f"The strip '{strip.name}' plays at another speed than its clip.",
        "Use the file itself and Stretch, or render the strip to a file first.",
    )


def _movie_frames(path: Path) -> int:
    clip = bpy.data.movieclips.load(str(path))
    try:
        return clip.frame_duration
    finally:
        bpy.data.movieclips.remove(clip)
