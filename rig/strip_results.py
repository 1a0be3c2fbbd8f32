"""The bake of a strip's portrait as a strip of its own, above the one that it was made from."""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat
from ..host.sequence import BakeError
from . import strip_following, strip_links, strip_reading
from .baked import BakedFiles
from .image_files import stored_path

HIGHEST_CHANNEL = 128
# What a strip's bake takes over from it, besides its place.
_LOOK = ("blend_type", "blend_alpha", "color_tag")
_TRANSFORM = ("offset_x", "offset_y", "scale_x", "scale_y", "rotation", "origin", "filter")
_CROP = ("min_x", "max_x", "min_y", "max_y")
_ANIMATED = ("blend_alpha", *(f"transform.{n}" for n in _TRANSFORM), *(f"crop.{n}" for n in _CROP))


def put_bake(scene: bpy.types.Scene, strip: Any, files: BakedFiles) -> tuple[Any, bool]:
    """Show a bake in the Sequencer as a strip above its own; an earlier one shows it from now on.

    files  format: "MOVIE", or that of pictures
    Returns the strip, and whether it is new. Raises BakeError.
    """
    bake_strip = strip_links.bake_of(scene, strip)
    is_new = bake_strip is None
    if is_new:
        beside = compat.strips_beside(scene, strip)
        name, channel = f"{strip.name} Portrait", free_channel(beside, strip)
        bake_strip = _new_strip(scene, strip, strip, files, (name, channel))
    elif (bake_strip.type == "MOVIE") != (files.format == "MOVIE"):
        bake_strip = _other_kind(scene, strip, bake_strip, files)
    else:
        _show_files(bake_strip, files)
    bake_strip.colorspace_settings.name = files.colour.space
    bake_strip.alpha_mode = "PREMUL" if files.colour.alpha_mode == "PREMUL" else "STRAIGHT"
    seen, first = strip_reading.seen_frames(strip), files.frame_start
    place = compat.StripPlace(first, first + files.frame_count, seen.start, seen.stop)
    compat.place_strip(bake_strip, place)
    if scene.keyportrait_strips.use_mute:
        strip.mute = True
    scene.sequence_editor.active_strip = bake_strip
    for other in compat.all_strips(scene):
        other.select = other == bake_strip
    return bake_strip, is_new


def _new_strip(
    scene: bpy.types.Scene, strip: Any, like: Any, files: BakedFiles, place: tuple[str, int]
) -> Any:
    """A strip of a bake that looks like another one; place: its name and its channel."""
    beside = compat.strips_beside(scene, strip)
    make = beside.new_movie if files.format == "MOVIE" else beside.new_image
    bake_strip = make(
        name=place[0],
        filepath=str(files.path),
        channel=place[1],
        frame_start=files.frame_start,
        fit_method="ORIGINAL",
    )
    _show_files(bake_strip, files)
    strip_links.link_bake(bake_strip, strip)
    _copy_look(scene, like, bake_strip)
    return bake_strip


def _other_kind(scene: bpy.types.Scene, strip: Any, old: Any, files: BakedFiles) -> Any:
    """A movie in place of a strip of pictures, or the other way round."""
    name, channel = old.name, old.channel
    old.name = f"{name} (old)"
    place = name, free_channel(compat.strips_beside(scene, strip), strip)
    bake_strip = _new_strip(scene, strip, old, files, place)
    bake_strip.mute = old.mute
    _remove_curves(scene, f"{old.path_from_id()}.")
    compat.strips_beside(scene, strip).remove(old)
    bake_strip.channel = channel
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


def _show_files(bake_strip: Any, files: BakedFiles) -> None:
    use_relative = files.is_relative or None
    if files.format == "MOVIE":
        # Setting it also makes Blender read the file anew.
        bake_strip.filepath = stored_path("", files.path, use_relative)
        return
    names = strip_reading.names_from(files.path, files.frame_count)
    elements = bake_strip.elements
    while len(elements) > len(names):
        elements.pop(len(elements) - 1)
    for name in names[len(elements) :]:
        elements.append(name)
    for element, name in zip(elements, names, strict=True):
        element.filename = name
    bake_strip.directory = stored_path("", files.path.parent, use_relative)


def _copy_look(scene: bpy.types.Scene, strip: Any, bake_strip: Any) -> None:
    """Let a bake lie, blend and be cropped as its strip, also where that is animated."""
    mirror = Mirror(strip)
    for name in _LOOK:
        setattr(bake_strip, name, getattr(strip, name))
    for name in _TRANSFORM:
        value = getattr(strip.transform, name)
        setattr(bake_strip.transform, name, mirror.value(f"transform.{name}", value))
    for name in _CROP:
        _, other = mirror.name(f"crop.{name}").split(".")
        setattr(bake_strip.crop, other, getattr(strip.crop, name))
    start, target = f"{strip.path_from_id()}.", f"{bake_strip.path_from_id()}."
    for holder in compat.curve_holders(scene):
        for curve in list(holder.fcurves):
            name = curve.data_path.removeprefix(start)
            if curve.data_path.startswith(start) and name in _ANIMATED:
                copy = _copy_curve(holder, curve, target + mirror.name(name))
                mirror.turn(name, copy)


class Mirror:
    """Where the pictures of a flipped strip lie when they were rendered without its place.

    Blender mirrors the whole frame after it has put the strip in its place.
    """

    def __init__(self, strip: Any) -> None:
        is_mirrored = not strip_links.is_bake(strip) and strip_following.is_rendered(strip)
        flips = (strip.use_flip_x, strip.use_flip_y) if is_mirrored else (False, False)
        self._signs = tuple(-1.0 if flip else 1.0 for flip in flips)

    def name(self, name: str) -> str:
        """The property that stands for one of the strip: the crop of the other side."""
        for axis, sign in zip("xy", self._signs, strict=True):
            if sign < 0 and name in {f"crop.min_{axis}", f"crop.max_{axis}"}:
                old, new = ("min", "max") if "min" in name else ("max", "min")
                return name.replace(old, new)
        return name

    def value(self, name: str, value: Any) -> Any:
        """What a property of the strip is without the mirror."""
        if name == "transform.origin":
            return [self._single(name, axis, one) for axis, one in enumerate(value)]
        return self._single(name, 0, value)

    def _single(self, name: str, axis: int, value: Any) -> Any:
        horizontal, vertical = self._signs
        if name == "transform.origin":
            return value if self._signs[axis] > 0 else 1.0 - value
        signs = {
            "transform.offset_x": horizontal,
            "transform.offset_y": vertical,
            "transform.rotation": horizontal * vertical,
        }
        return value * signs[name] if name in signs else value

    def turn(self, name: str, curve: bpy.types.FCurve) -> None:
        """Give the keys of a copied curve the values without the mirror."""
        axis = curve.array_index
        if name.startswith("crop.") or self._single(name, axis, 0.25) == 0.25:
            return
        for point in curve.keyframe_points:
            for part in ("co", "handle_left", "handle_right"):
                frame, value = getattr(point, part)
                setattr(point, part, (frame, self._single(name, axis, value)))
        curve.update()


def _copy_curve(holder: Any, curve: bpy.types.FCurve, data_path: str) -> bpy.types.FCurve:
    copy = holder.fcurves.new(data_path, index=curve.array_index)
    copy.extrapolation, copy.mute = curve.extrapolation, curve.mute
    copy.keyframe_points.add(len(curve.keyframe_points))
    names = ("co", "interpolation", "easing", "handle_left_type", "handle_right_type")
    for point, old in zip(copy.keyframe_points, curve.keyframe_points, strict=True):
        for name in (*names, "handle_left", "handle_right"):
            setattr(point, name, getattr(old, name))
    return copy


def _remove_curves(scene: bpy.types.Scene, path_start: str) -> None:
    for holder in compat.curve_holders(scene):
        for curve in list(holder.fcurves):
            if curve.data_path.startswith(path_start):
                holder.fcurves.remove(curve)
