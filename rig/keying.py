"""Keyframes of face controllers: which channels are keyed, and the groups that curves lie in."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import bpy

from .. import compat
from ..engine.controls import CONTROLS
from ..engine.take import AMOUNTS
from . import portraits
from .controllers import SIZES, control_defaults, face_of, reset_handle
from .holds import HOLDS

# As Blender calls the group of an object's own curves.
TAKE_GROUP = "Performance"
TRANSFORM_GROUP = "Object Transforms"
ROTATION_PATHS = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
CONTROL_GROUPS = {f'["{control.name}"]': control.group for control in CONTROLS}
# Values nearer than this are the same: curves are stored in single precision.
SAME = 1e-5
# Numbers of takes nearer to rest than this need no key.
STILL = 1e-6


def control_path(name: str) -> str:
    """Data path of a control on its controller."""
    return f'["{name}"]'


# Properties of takes, and of faces of moving sources → their numbers at rest.
TAKE_REST: dict[str, tuple[float, ...]] = {
    **{name: (0.0,) * size for name, size in SIZES.items()},
    **{amount.name: (1.0,) for amount in AMOUNTS},
    **{hold.name: (hold.default,) for hold in HOLDS},
}
TAKE_PATHS = {control_path(name): rest for name, rest in TAKE_REST.items()}


def transform_paths(controller: bpy.types.Object) -> tuple[str, str, str]:
    """Data paths of the Empty's own transform, by its rotation mode."""
    return "location", ROTATION_PATHS.get(controller.rotation_mode, "rotation_euler"), "scale"


def all_paths(controller: bpy.types.Object) -> list[str]:
    """Data paths of everything that can be keyed: no driver holds it."""
    names = [control.name for control in CONTROLS if control.name in controller]
    names += _take_names(controller)
    driven = driven_paths(controller)
    paths = (*(control_path(name) for name in names), *transform_paths(controller))
    return [path for path in paths if path not in driven]


def _take_names(controller: bpy.types.Object) -> list[str]:
    """Properties of takes that have curves or are not at rest: most faces have no captures."""
    keyed = {curve.data_path for curve in compat.fcurves(controller)}
    names = []
    for name, rest in TAKE_REST.items():
        path = control_path(name)
        values = _values(controller, path) if name in controller else ()
        if len(values) == len(rest) and (path in keyed or values != rest):
            names.append(name)
    return names


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
        if path in TAKE_PATHS:
            count += key_take(controller, path, frame)
        else:
            group = CONTROL_GROUPS.get(path, TRANSFORM_GROUP)
            count += controller.keyframe_insert(path, frame=frame, group=group)
    return count


def key_take(
    controller: bpy.types.Object,
    path: str,
    frame: float,
    indices: Collection[int] | None = None,
) -> bool:
    """Key those numbers of a property of takes that have keys or are not at rest; whether any.

    indices  only these
    """
    keyed = {c.array_index for c in compat.fcurves(controller) if c.data_path == path}
    values = _values(controller, path)
    rest = TAKE_PATHS[path]
    chosen = range(len(rest)) if indices is None else indices
    wanted = [i for i in chosen if i in keyed or abs(values[i] - rest[i]) > STILL]
    for index in wanted:
        at = index if len(rest) > 1 else -1
        controller.keyframe_insert(path, index=at, frame=frame, group=TAKE_GROUP)
    return bool(wanted)


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
    rest = dict(TAKE_PATHS)
    for name, value in control_defaults(face_of(controller)).items():
        rest[control_path(name)] = (value,)
    now = {path: _values(controller, path) for path in transform_paths(controller)}
    reset_handle(controller)
    for path, values in now.items():
        rest[path] = _values(controller, path)
        setattr(controller, path, values)
    return rest
