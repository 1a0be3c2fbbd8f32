"""The bake of a strip's portrait as a strip of its own, above the one that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from ..host.sequence import BakeError
from . import bake, bake_settings, portraits, strip_links, strip_reading
from .bake_settings import BakeSettings
from .baked import BakedFiles
from .portraits import Portrait
from .strip_portraits import strip_of

HIGHEST_CHANNEL = 128
FLOAT_SUFFIXES = {".exr", ".hdr"}
# What a strip's bake takes over from it, besides its place.
_LOOK = ("blend_type", "blend_alpha", "color_tag")
_TRANSFORM = ("offset_x", "offset_y", "scale_x", "scale_y", "rotation", "origin", "filter")
_CROP = ("min_x", "max_x", "min_y", "max_y")
_ANIMATED = ("blend_alpha", *(f"transform.{n}" for n in _TRANSFORM), *(f"crop.{n}" for n in _CROP))


class StripBake:
    """The bake of one strip's portrait as a LongRun; `put` makes a strip of it."""

    def __init__(self, scene: bpy.types.Scene, strip: Any) -> None:
        self._scene_name, self._strip_name = scene.name, strip.name
        item = portrait_of(strip)
        self._run = bake.begin(scene, [item], settings_for(scene, strip, item))

    @property
    def text(self) -> str:
        """What it does now."""
        return self._run.text

    @property
    def fraction(self) -> float:
        """How far it is, 0..1."""
        return self._run.fraction

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do, also after `cancel`."""
        return self._run.is_done

    @property
    def is_cancelled(self) -> bool:
        """Whether it was ended by `cancel`."""
        return self._run.is_cancelled

    @property
    def summary(self) -> bake.Summary:
        """What the bake did."""
        return self._run.summary

    def step(self) -> None:
        """Go on for a moment without waiting. Raises BakeError."""
        self._run.step()

    def run(self, on_progress: Callable[[Any], None] | None = None) -> None:
        """Bake to the end, blocking. Raises BakeError."""
        self._run.run(on_progress)

    def cancel(self) -> None:
        """Stop; finished frames are kept."""
        self._run.cancel()

    def put(self) -> tuple[Any, bool]:
        """(the strip of the bake, whether it is new). Raises AddonError."""
        scene = bpy.data.scenes.get(self._scene_name)
        if scene is None:
            raise BakeError(f"The scene '{self._scene_name}' was deleted during the bake.")
        (files,) = self._run.files.values()
        return put_bake(scene, strip_of(scene, self._strip_name), files)


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
    """How a strip's portrait is baked: as the Bake panel says, for the frames that are seen.

    Raises BakeError.
    """
    frames = strip_reading.seen_frames(strip)
    if frames.start < 0:
        raise BakeError(
            f"The strip '{strip.name}' begins at frame {frames.start}: files are numbered from 0.",
            "Move it to positive frames.",
        )
    source = item.settings.source
    file_format, depth = "PNG", "8"
    if source is not None and source.is_float:
        depth = "16"
        if Path(source.filepath).suffix.lower() in FLOAT_SUFFIXES:
            file_format = "OPEN_EXR"
    settings = bake_settings.settings_of(scene, frames=tuple(frames))
    return replace(settings, format=file_format, color_depth=depth, use_assign=False)


def put_bake(scene: bpy.types.Scene, strip: Any, files: BakedFiles) -> tuple[Any, bool]:
    """Show a bake in the Sequencer as a strip above its own; an earlier one shows it from now on.

    Returns the strip, and whether it is new.
    """
    bake_strip = strip_links.bake_of(scene, strip)
    is_new = bake_strip is None
    if is_new:
        bake_strip = _new_strip(scene, strip, files)
        strip_links.link_bake(bake_strip, strip)
        _copy_look(scene, strip, bake_strip)
    else:
        _show_pictures(bake_strip, files)
    bake_strip.colorspace_settings.name = files.colour.space
    bake_strip.alpha_mode = "PREMUL" if files.colour.alpha_mode == "PREMUL" else "STRAIGHT"
    frames = strip_reading.seen_frames(strip)
    place = compat.StripPlace(frames.start, frames.stop, frames.start, frames.stop)
    compat.place_strip(bake_strip, place)
    if scene.keyportrait_strips.use_mute:
        strip.mute = True
    scene.sequence_editor.active_strip = bake_strip
    for other in compat.all_strips(scene):
        other.select = other == bake_strip
    return bake_strip, is_new


def _new_strip(scene: bpy.types.Scene, strip: Any, files: BakedFiles) -> Any:
    beside = compat.strips_beside(scene, strip)
    channel = free_channel(beside, strip)
    bake_strip = beside.new_image(
        name=f"{strip.name} Portrait",
        filepath=str(files.path),
        channel=channel,
        frame_start=files.frame_start,
        fit_method="ORIGINAL",
    )
    _show_pictures(bake_strip, files)
    return bake_strip


def free_channel(beside: Any, strip: Any) -> int:
    """The lowest channel above a strip in which nothing lies at its frames. Raises BakeError."""
    place = compat.strip_place(strip)
    taken = set()
    for other in beside:
        there = compat.strip_place(other)
        if there.left < place.right and place.left < there.right:
            taken.add(other.channel)
    for channel in range(strip.channel + 1, HIGHEST_CHANNEL + 1):
        if channel not in taken:
            return channel
    raise BakeError(
        f"There is no free channel above the strip '{strip.name}'.", "Move it to a lower one."
    )


def _show_pictures(bake_strip: Any, files: BakedFiles) -> None:
    first = files.path
    digits = len(first.stem) - len(first.stem.rstrip("0123456789"))
    stem = first.stem[: len(first.stem) - digits]
    frames = range(files.frame_start, files.frame_start + files.frame_count)
    names = [f"{stem}{str(frame).zfill(digits)}{first.suffix}" for frame in frames]
    elements = bake_strip.elements
    while len(elements) > len(names):
        elements.pop(len(elements) - 1)
    for _ in range(len(names) - len(elements)):
        elements.append("")
    for element, name in zip(elements, names, strict=True):
        element.filename = name
    # Setting it also makes Blender read the pictures anew.
    bake_strip.directory = _stored_folder(files)


def _stored_folder(files: BakedFiles) -> str:
    folder = str(files.path.parent)
    if files.is_relative and bpy.data.filepath:
        try:
            folder = bpy.path.relpath(folder)
        except ValueError:  # another drive on Windows
            return folder
    return folder


def _copy_look(scene: bpy.types.Scene, strip: Any, bake_strip: Any) -> None:
    """Let a bake lie, blend and be cropped as its strip, also where that is animated."""
    for name in _LOOK:
        setattr(bake_strip, name, getattr(strip, name))
    for part, names in (("transform", _TRANSFORM), ("crop", _CROP)):
        for name in names:
            value = getattr(getattr(strip, part), name)
            setattr(getattr(bake_strip, part), name, value)
    start, target = f"{strip.path_from_id()}.", f"{bake_strip.path_from_id()}."
    for curve in compat.fcurves(scene):
        name = curve.data_path.removeprefix(start)
        if curve.data_path.startswith(start) and name in _ANIMATED:
            compat.copy_curve(scene, curve, target + name)
