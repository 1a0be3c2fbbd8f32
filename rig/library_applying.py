"""Performances of the library on faces: as the face's action, as an NLA strip, or as a pose."""

from __future__ import annotations

import math

import bpy

from .. import compat
from .controllers import SIZES, complete
from .keying import key
from .performance_library import FIRST_FRAME, FPS, HALF_CROP
from .take_curves import moved, read_points, write_points
from .take_placing import check_free


def is_pose(action: bpy.types.Action) -> bool:
    """Whether an action holds one frame alone."""
    first, last = action.frame_range
    return last - first < 0.5


def apply_pose(
    action: bpy.types.Action, controller: bpy.types.Object, key_frame: float | None
) -> None:
    """Set what a pose says on a face, and key it at a frame if given."""
    complete(controller)
    paths = []
    for curve in compat.action_curves(action):
        value = curve.evaluate(FIRST_FRAME) * _size_factor(action, controller, curve.data_path)
        if curve.data_path.startswith("["):
            name = curve.data_path[2:-2]
            if name not in controller:
                continue
            if name in SIZES:
                controller[name][curve.array_index] = value
            else:
                controller[name] = value
        else:
            getattr(controller, curve.data_path)[curve.array_index] = value
        if curve.data_path not in paths:
            paths.append(curve.data_path)
    if key_frame is not None:
        key(controller, paths, key_frame)
    controller.update_tag()


def apply_take(
    action: bpy.types.Action,
    controller: bpy.types.Object,
    start_frame: float,
    fps: float,
    *,
    use_track: bool,
) -> bpy.types.Action:
    """Put a copy of a performance on a face; the action that it lies in.

    start_frame  scene frame at which it begins
    fps          of the scene; time is kept
    use_track    on a new NLA track above what is there, instead of as the face's action
    Raises AddonError while a strip of the face is being edited.
    """
    check_free(controller)
    complete(controller)
    copy = action.copy()
    if copy.asset_data is not None:
        copy.asset_clear()
    copy.use_fake_user = False
    copy.name = f"{controller.name} {action.name}"
    stretch = fps / float(copy.get(FPS, fps) or fps)
    for curve in compat.action_curves(copy):
        factor = _size_factor(action, controller, curve.data_path)
        shift = start_frame - FIRST_FRAME * stretch
        write_points(curve, [moved(read_points(curve), shift, stretch, factor)])
    slot = compat.first_slot(copy)
    animation = controller.animation_data or controller.animation_data_create()
    if use_track:
        track = animation.nla_tracks.new()
        track.name = action.name
        strip = track.strips.new(copy.name, math.floor(start_frame), copy)
        compat.choose_slot(strip, slot)
        strip.frame_start = start_frame
        strip.extrapolation = "NOTHING"
    else:
        if animation.action is not None:
            animation.action.use_fake_user = True  # the artist's own keys are not lost
        animation.action = copy
        compat.choose_slot(animation, slot)
    controller.update_tag()
    return copy


def _size_factor(action: bpy.types.Action, controller: bpy.types.Object, path: str) -> float:
    """How much farther this face's Empty has to go than the one that the action is from."""
    if path != "location":
        return 1.0
    own = controller.keyportrait.face.half_crop
    return own / float(action.get(HALF_CROP, own) or own)
