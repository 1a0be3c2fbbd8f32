"""Keyframes of face controllers: which channels are keyed, and the groups that curves lie in."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from .. import compat
from ..engine.controls import CONTROLS
from . import portraits
from .controllers import control_defaults, face_of, reset_handle

# As Blender calls the group of an object's own curves.
TRANSFORM_GROUP = "Object Transforms"
ROTATION_PATHS = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
CONTROL_GROUPS = {f'["{control.name}"]': control.group for control in CONTROLS}
# Values nearer than this are the same: curves are stored in single precision.
SAME = 1e-5


def control_path(name: str) -> str:
    """Data path of a control on its controller."""
    return f'["{name}"]'


def transform_paths(controller: bpy.types.Object) -> tuple[str, str, str]:
    """Data paths of the Empty's own transform, by its rotation mode."""
    return "location", ROTATION_PATHS.get(controller.rotation_mode, "rotation_euler"), "scale"


def all_paths(controller: bpy.types.Object) -> list[str]:
    """Data paths of everything that can be keyed: no driver holds it."""
    names = [control.name for control in CONTROLS if control.name in controller]
    driven = driven_paths(controller)
    paths = (*(control_path(name) for name in names), *transform_paths(controller))
    return [path for path in paths if path not in driven]


def keyed_paths(controller: bpy.types.Object) -> list[str]:
    """Those of all_paths that have a curve already."""
    keyed = {curve.data_path for curve in compat.fcurves(controller)}
    return [path for path in all_paths(controller) if path in keyed]


def changed_paths(controller: bpy.types.Object, frame: float) -> list[str]:
    """Those of all_paths that are not what the curves say at a frame; without curve, not at rest.

    frame  of the scene
    """
    if controller.animation_data is not None:
        frame = controller.animation_data.nla_tweak_strip_time_to_scene(frame, invert=True)
    said: dict[tuple[str, int], float] = {}
    for curve in compat.fcurves(controller):
        said[curve.data_path, curve.array_index] = curve.evaluate(frame)
    rest = _rest_values(controller)
    changed = []
    for path in all_paths(controller):
        pairs = zip(_values(controller, path), rest[path], strict=True)
        if any(
            abs(value - said.get((path, index), at_rest)) > SAME
            for index, (value, at_rest) in enumerate(pairs)
        ):
            changed.append(path)
    return changed


def key(controller: bpy.types.Object, paths: Iterable[str], frame: float) -> int:
    """Key channels at a frame, new curves in their groups. Returns how many paths were keyed."""
    count = 0
    for path in paths:
        group = CONTROL_GROUPS.get(path, TRANSFORM_GROUP)
        count += controller.keyframe_insert(path, frame=frame, group=group)
    return count


def key_transform(controller: bpy.types.Object, frame: float) -> None:
    """Key the Empty's own transform at a frame, but for what drivers hold."""
    driven = driven_paths(controller)
    key(controller, (p for p in transform_paths(controller) if p not in driven), frame)


def group_new_curves(controller: bpy.types.Object) -> None:
    """Put curves of controls that were just made without a group, as by I on a slider, in theirs.

    A curve with more keys was taken out of its group by the artist, and stays so.
    """
    for curve in list(compat.fcurves(controller)):
        group = CONTROL_GROUPS.get(curve.data_path)
        if group is not None and curve.group is None and len(curve.keyframe_points) == 1:
            compat.set_curve_group(controller, curve, group)


def group_portraits() -> None:
    """group_new_curves for every face of the file."""
    for item in portraits.all_portraits():
        for controller in item.controllers:
            if controller.animation_data is not None and controller.is_editable:
                group_new_curves(controller)


def driven_paths(controller: bpy.types.Object) -> set[str]:
    """Data paths that a driver holds."""
    animation = controller.animation_data
    return set() if animation is None else {curve.data_path for curve in animation.drivers}


def _values(controller: bpy.types.Object, path: str) -> tuple[float, ...]:
    value = controller.path_resolve(path)
    return (value,) if isinstance(value, int | float) else tuple(value)


def _rest_values(controller: bpy.types.Object) -> dict[str, tuple[float, ...]]:
    rest: dict[str, tuple[float, ...]] = {}
    for name, value in control_defaults(face_of(controller)).items():
        rest[control_path(name)] = (value,)
    now = {path: _values(controller, path) for path in transform_paths(controller)}
    reset_handle(controller)
    for path, values in now.items():
        rest[path] = _values(controller, path)
        setattr(controller, path, values)
    return rest
