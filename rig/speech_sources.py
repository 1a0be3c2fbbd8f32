"""Where speech is heard: a file, a strip of the Video Sequencer, or a sound of the .blend file."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from ..engine.speech_options import BEST_STREAM
from ..engine.take import MOTION_SUFFIXES
from . import strip_mixdown
from .clip_sources import ClipSource, part_of_strip, scene_fps
from .errors import AddonError
from .speech_choices import SOUND, Speech
from .take_choices import STRIP

STRIP_TYPES = ("SOUND", "MOVIE")
# Frames that differ by less are the same.
NEAR_FRAME = 1e-3


@dataclass(frozen=True)
class SpeechSource(ClipSource):
    """A sound's file, the part of it that is meant, and its place in the scene.

    stream  which of the file's sounds
    """

    stream: int = BEST_STREAM


def source_of(context: bpy.types.Context, speech: Speech) -> SpeechSource:
    """What choices mean. Raises AddonError where there is nothing to hear."""
    if speech.source == STRIP:
        source = _strip_source(context, speech)
    elif speech.source == SOUND:
        source = _sound_source(context, speech)
    else:
        source = _file_source(context, speech)
    if not source.path.is_file():
        raise AddonError(
            f"There is no file '{source.path}'.",
            "Choose another sound, or find the missing one with File, External Data.",
        )
    return _on_frames(context, source) if speech.use_whole_frames else source


def _on_frames(context: bpy.types.Context, source: SpeechSource) -> SpeechSource:
    """The same from its first whole frame on, with a moment for each frame of the scene.

    Moments between frames would have to be moved, and fast lips do not bear that.
    """
    rate = scene_fps(context.scene) * source.stretch
    first = float(math.ceil(source.start_frame - NEAR_FRAME))
    start_s = (source.start_s or 0.0) + max(0.0, first - source.start_frame) / rate
    if source.path.suffix.lower() in MOTION_SUFFIXES:
        # Their moments are counted from the file's begin.
        start_s = math.floor(start_s * rate + NEAR_FRAME) / rate
    return replace(source, start_s=start_s or None, start_frame=first, frame_rate=rate)


def _file_source(context: bpy.types.Context, speech: Speech) -> SpeechSource:
    if not speech.filepath:
        raise AddonError("No sound is chosen.", "Choose one in the Speak panel.")
    start_s, end_s = _range(speech)
    path = Path(bpy.path.abspath(speech.filepath))
    return SpeechSource(path, start_s, end_s, speech.start_frame)


def _sound_source(context: bpy.types.Context, speech: Speech) -> SpeechSource:
    sound = bpy.data.sounds.get(speech.sound)
    if sound is None:
        text = f"There is no sound '{speech.sound}'." if speech.sound else "No sound is chosen."
        raise AddonError(text, "Choose one in the Speak panel.")
    start_s, end_s = _range(speech)
    return SpeechSource(sound_file(sound), start_s, end_s, speech.start_frame)


def _range(speech: Speech) -> tuple[float | None, float | None]:
    """(in, out) in seconds; None where the sound's own end is meant."""
    start, end = speech.range_start, speech.range_end
    if 0.0 < end <= start:
        raise AddonError(
            f"The range from {start:g} s to {end:g} s is empty.",
            "Let Out be after In, or 0 for the sound's end.",
        )
    return start or None, end or None


def sound_file(sound: bpy.types.Sound) -> Path:
    """The file of a sound; a packed one is written to Blender's temporary folder."""
    path = Path(bpy.path.abspath(sound.filepath, library=sound.library))
    if sound.packed_file is None:
        return path
    data = sound.packed_file.data
    folder = Path(bpy.app.tempdir) / "keyportrait_sounds" / hashlib.sha256(data).hexdigest()[:16]
    unpacked = folder / (path.name or f"{bpy.path.clean_name(sound.name)}.wav")
    try:
        if not unpacked.is_file() or unpacked.stat().st_size != len(data):
            folder.mkdir(parents=True, exist_ok=True)
            unpacked.write_bytes(data)
    except OSError as error:
        raise AddonError(
            f"The packed sound '{sound.name}' cannot be unpacked to '{folder}': {error.strerror}.",
            "Free some space, or choose another temporary folder in Preferences, File Paths.",
        ) from error
    return unpacked


# --- strips -----------------------------------------------------------------------------------


def active_strip_name(context: bpy.types.Context) -> str:
    """Name of the strip that speaks: the active one, else the first that is selected; or ""."""
    strip = _active_strip(context)
    return "" if strip is None else strip.name


def _active_strip(context: bpy.types.Context) -> Any:
    active, scene = compat.active_strip(context)
    if active is not None and active.type in STRIP_TYPES:
        return active
    selected = (s for s in compat.all_strips(scene) if s.select and s.type in STRIP_TYPES)
    return next(selected, active)


def _strip_source(context: bpy.types.Context, speech: Speech) -> SpeechSource:
    scene = compat.active_strip(context)[1]
    if speech.strip:
        strip, scene = compat.strip_named(context, speech.strip)
    else:
        strip = _active_strip(context)
    if strip is None:
        wanted = f"There is no strip '{speech.strip}'" if speech.strip else "No strip is active"
        raise AddonError(f"{wanted} in '{scene.name}'.", "Select one in the Video Sequencer.")
    if strip.type not in STRIP_TYPES:
        raise AddonError(
            f"The strip '{strip.name}' has no sound.", "Select a sound or movie strip."
        )
    if strip.type == "MOVIE" and strip_mixdown.is_retimed(strip):
        raise AddonError(
            f"The strip '{strip.name}' is retimed, and Blender does not tell how.",
            "Select its sound strip instead, which may be retimed.",
        )
    if strip.type == "MOVIE":
        found = part_of_strip(context, strip, scene)
        # A sound has no frames to begin between.
        start_s = (found.start_s or 0.0) + found.lead_s
        return SpeechSource(**{**found.__dict__, "start_s": start_s or None, "lead_s": 0.0})
    return _sound_strip_source(context, strip, scene)


def _sound_strip_source(
    context: bpy.types.Context, strip: Any, scene: bpy.types.Scene
) -> SpeechSource:
    if strip.sound is None:
        raise AddonError(f"The strip '{strip.name}' has no sound.", "Select another strip.")
    path, fps = sound_file(strip.sound), scene_fps(scene)
    place = compat.strip_place(strip)
    to_own_frames = scene_fps(context.scene) / fps
    if path.is_file() and strip_mixdown.is_retimed(strip):
        mixed = strip_mixdown.mixed(context, scene, strip)
        return SpeechSource(mixed, None, None, place.left * to_own_frames)
    # Scene frame at which the sound itself begins, before and after trimming alike.
    zero = place.content_start - compat.strip_trims(strip)[0]
    zero += float(getattr(strip, "sound_offset", 0.0)) * fps
    start_s, end_s = (place.left - zero) / fps, (place.right - zero) / fps
    if end_s <= 0.0:
        raise AddonError(
            f"The strip '{strip.name}' shows nothing of its sound.", "Move its handles."
        )
    return SpeechSource(
        path=path,
        start_s=start_s if start_s > 0.0 else None,
        end_s=end_s,
        start_frame=(zero + max(start_s, 0.0) * fps) * to_own_frames,
        # A choice since 5.2.
        stream=int(getattr(strip, "stream_index", BEST_STREAM)),
    )
