"""The bake of a strip's portrait: its pictures, and a movie of them, for a strip above it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy

from ..engine.movie_table import H264, MOVIE_SUFFIXES, PRORES
from ..host.bake import OPEN_TIMEOUT_S
from ..host.client import EngineError
from ..host.sequence import BakeError
from . import (
    bake,
    bake_settings,
    clips,
    content,
    engine,
    portraits,
    strip_following,
    strip_links,
    strip_reading,
)
from .bake_settings import BakeSettings, safe_name
from .baked import BakedFiles
from .errors import AddonError
from .portraits import Portrait
from .strip_portraits import strip_of
from .strip_results import put_bake
from .strip_settings import AUTO, MOVIE
from .strip_sound import StripSound, sound_for

# Bits of a pixel, in all channels, of pictures with alpha: bytes and floats.
DEPTHS_WITH_ALPHA = {32, 64, 128}
PICTURES_FOLDER = ".keyportrait_strips"
# How the time is divided for the progress bar.
PICTURES_PART = 0.9


_active: StripBake | None = None


class StripBake:
    """The bake of one strip's portrait as a LongRun; `put` makes a strip of it.

    warnings  what the artist should know, besides what the summary says
    Raises AddonError for what cannot be baked.
    """

    def __init__(self, scene: bpy.types.Scene, strip: Any) -> None:
        self._scene_name, self._strip_name = scene.name, strip.name
        item, choices = portrait_of(strip), scene.keyportrait_strips
        self.warnings = _warnings_of(strip)
        settings = settings_for(scene, strip, item)
        is_movie = choices.format == MOVIE or (choices.format == AUTO and strip.type == "MOVIE")
        self._movie: Path | None = None
        self._sound: StripSound | None = None
        self._codec = H264
        if is_movie:
            self._sound = sound_for(scene, item, choices.sound, (strip, settings.frames[0]))
            self._codec = PRORES if is_transparent(item) else H264
            name = f"{safe_name(strip.name)}{MOVIE_SUFFIXES[self._codec]}"
            self._movie = settings.folder_of(item.plane.name) / name
            folder = settings.folder / PICTURES_FOLDER
            depth = settings.color_depth if settings.format == "PNG" else "16"
            settings = replace(settings, folder=folder, format="PNG", color_depth=depth)
        self._rate = rate_of(scene)
        self.text, self.fraction = "Starting", 0.0
        self.is_done = self.is_cancelled = False
        self._run = bake.begin(scene, [item], settings)
        self._steps = self._work()

    @property
    def summary(self) -> bake.Summary:
        """What the bake of the pictures did."""
        return self._run.summary

    def step(self) -> None:
        """Go on for a moment without waiting. Raises AddonError or EngineError."""
        self._next()

    def run(self) -> None:
        """Bake to the end, blocking. Raises as `step`."""
        while not self.is_done:
            if self._next():
                time.sleep(0.01)

    def cancel(self) -> None:
        """Stop; finished frames are kept."""
        self.is_cancelled = self.is_cancelled or not self.is_done
        self._steps.close()
        self._run.cancel()
        self.is_done = True

    def _next(self) -> bool:
        """One move; True when there is nothing to do but to wait."""
        is_over = True
        try:
            is_waiting = next(self._steps)
            is_over = False
            return is_waiting
        except StopIteration:
            return False
        finally:
            self.is_done = is_over
            self.is_cancelled = self.is_cancelled or self._run.is_cancelled

    def _work(self) -> Iterator[bool]:
        part = 1.0 if self._movie is None else PICTURES_PART
        while not self._run.is_done:
            self._run.step()
            self.text, self.fraction = self._run.text, part * self._run.fraction
            yield True
        if self._movie is not None and not self._run.is_cancelled:
            yield from self._write(self._pictures, self._movie)

    @property
    def _pictures(self) -> BakedFiles:
        (files,) = self._run.files.values()
        return files

    def _write(self, pictures: BakedFiles, movie: Path) -> Iterator[bool]:
        movie.parent.mkdir(parents=True, exist_ok=True)
        fields = {
            "path": str(movie),
            "folder": str(pictures.path.parent),
            "names": strip_reading.names_from(pictures.path, pictures.frame_count),
            "rate": [self._rate.numerator, self._rate.denominator],
            "codec": self._codec,
        }
        if self._sound is not None:
            fields["sound"] = self._sound.to_json()
        client = engine.start()
        ticket = client.submit("write_movie", fields, use_drain=False)
        try:
            while not ticket.is_done:
                self.text = ticket.progress.text or f"Writing '{movie.name}'"
                self.fraction = PICTURES_PART + (1.0 - PICTURES_PART) * ticket.progress.fraction
                if client.idle_s(ticket) > OPEN_TIMEOUT_S:
                    text = f"'{movie.name}' was not written: the engine does not answer."
                    raise BakeError(text, f"See the log: {client.log_path}")
                yield True
            ticket.result()
        except EngineError as error:
            hint = f"{error.hint} The pictures are kept; bake again to go on.".strip()
            raise BakeError(f"'{movie.name}' was not written: {error.message}", hint) from error
        finally:
            client.cancel(ticket)
        shutil.rmtree(pictures.path.parent, ignore_errors=True)

    def put(self) -> tuple[Any, bool]:
        """(the strip of the bake, whether it is new). Raises AddonError."""
        scene = bpy.data.scenes.get(self._scene_name)
        if scene is None:
            raise BakeError(f"The scene '{self._scene_name}' was deleted during the bake.")
        files = self._pictures
        if self._movie is not None:
            files = files._replace(path=self._movie, format="MOVIE")
        return put_bake(scene, strip_of(scene, self._strip_name), files)


def _warnings_of(strip: Any) -> list[str]:
    """Bring a portrait's pictures up to its strip; what the artist should know of it."""
    warnings = [strip_following.follow(strip)]
    shift = strip_following.key_shift(strip)
    if shift:
        warnings.append(
            f"The strip '{strip.name}' was moved by {shift} frames and its keys were not: "
            "press Follow Strip to move them, and bake again"
        )
    return [text for text in warnings if text]


def begin(scene: bpy.types.Scene, strip: Any) -> StripBake:
    """Start the one bake that may run in this Blender. Raises AddonError."""
    global _active
    _active = StripBake(scene, strip)
    return _active


def active() -> StripBake | bake.BakeRun | None:
    """The bake that runs, of a strip or another one; None when there is none."""
    return bake.active() if _active is None or _active.is_done else _active


def cancel_active() -> None:
    """Stop the bake that runs, if any."""
    global _active
    if _active is not None:
        _active.cancel()
    _active = None
    bake.cancel_active()


def source_strip(scene: bpy.types.Scene, strip: Any) -> Any:
    """The strip that has the portrait: itself, or of a bake its own. Raises BakeError."""
    if not strip_links.is_bake(strip):
        return strip
    source = strip_links.source_of_bake(scene, strip)
    if source is None:
        raise BakeError(
            f"The strip that '{strip.name}' was baked from was deleted.",
            "Undo, or animate another strip.",
        )
    return source


def portrait_of(strip: Any) -> Portrait:
    """The portrait of a strip. Raises BakeError when it has none."""
    plane = strip_links.plane_of_strip(strip)
    if plane is None:
        raise BakeError(f"The strip '{strip.name}' has no portrait.", "Press Animate Strip.")
    return portraits.portrait(plane)


def settings_for(scene: bpy.types.Scene, strip: Any, item: Portrait) -> BakeSettings:
    """How a strip's portrait is baked: as the Bake panel says, for the frames of the strip.

    Raises BakeError.
    """
    frames = frames_of(scene, strip)
    if frames.start < 0:
        raise BakeError(
            f"The strip '{strip.name}' begins at frame {frames.start}: files are numbered from 0.",
            "Move it to positive frames.",
        )
    source = item.settings.source
    file_format, depth = "PNG", "8"
    if source is not None and source.is_float:
        depth = "16"
        if clips.encoding_of(source) == "linear":
            file_format = "OPEN_EXR"
    settings = bake_settings.settings_of(scene, frames=tuple(frames))
    return replace(settings, format=file_format, color_depth=depth, use_assign=False)


def frames_of(scene: bpy.types.Scene, strip: Any) -> range:
    """The scene frames of a strip's bake."""
    if scene.keyportrait_strips.use_trimmed and not strip_following.is_rendered(strip):
        return strip_reading.content_frames(strip)
    return strip_reading.seen_frames(strip)


def is_transparent(item: Portrait) -> bool:
    """Whether a portrait's picture has alpha that a movie must keep."""
    source = item.settings.source
    if source is None or source.depth not in DEPTHS_WITH_ALPHA:
        return False
    if source.source in {"MOVIE", "SEQUENCE"}:
        return True
    try:
        return content.read_source(item.settings).is_transparent
    except AddonError:
        return False


def rate_of(scene: bpy.types.Scene) -> Fraction:
    """Frames per second of a scene, as the fraction that is meant: 30000/1001, not 29.97."""
    base = Fraction(scene.render.fps_base).limit_denominator(10000)
    return Fraction(scene.render.fps) / base
