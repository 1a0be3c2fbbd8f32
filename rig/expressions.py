"""Set, key, reset and mirror the values of a face controller."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import bpy

from ..engine.controls import CONTROLS, GROUPS, mirrored
from .controllers import (
    MIRROR,
    control_defaults,
    face_of,
    handle_matrix,
    place_handle,
    reset_handle,
)
from .motions import control_values
from .takes import reset_properties

KEY_GROUP = "Face"
ROTATION_PATHS = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}


def rest_values(controller: bpy.types.Object) -> dict[str, float]:
    """Control name → value that leaves the face as in the picture."""
    return control_defaults(face_of(controller))


def set_controls(
    controller: bpy.types.Object, values: Mapping[str, float], key_frame: float | None = None
) -> list[str]:
    """Set control values, and key them at a frame if given.

    Returns the names of controls that a driver holds and that were left alone.
    """
    driven = _driven(controller)
    held = [name for name in values if _path(name) in driven]
    for name, value in values.items():
        if name not in held:
            controller[name] = float(value)
            if key_frame is not None:
                controller.keyframe_insert(_path(name), frame=key_frame, group=KEY_GROUP)
    controller.update_tag()
    return held


def key_all(controller: bpy.types.Object, frame: float) -> int:
    """Key every control and the Empty's own transform at a frame. Returns how many keys."""
    driven = _driven(controller)
    names = [control.name for control in CONTROLS if control.name in controller]
    paths = [_path(name) for name in names if _path(name) not in driven]
    for path in paths:
        controller.keyframe_insert(path, frame=frame, group=KEY_GROUP)
    return len(paths) + _key_transform(controller, frame)


def reset(
    controller: bpy.types.Object,
    groups: Collection[str],
    *,
    use_handle: bool,
    key_frame: float | None = None,
) -> list[str]:
    """Put groups of controls back to the picture's rest, and the Empty itself if asked to.

    Returns the names of controls that a driver holds.
    """
    rest = rest_values(controller)
    names = [control.name for control in CONTROLS if control.group in groups]
    held = set_controls(controller, {name: rest[name] for name in names}, key_frame)
    if set(groups) >= set(GROUPS):
        reset_properties(controller)
    if use_handle:
        reset_handle(controller)
        if key_frame is not None:
            _key_transform(controller, key_frame)
    return held


def mirror(controller: bpy.types.Object, key_frame: float | None = None) -> list[str]:
    """Swap the left and the right of a face's pose, the Empty's own transform included.

    Returns the names of controls that a driver holds.
    """
    values = rest_values(controller) | control_values(controller)
    held = set_controls(controller, mirrored(values), key_frame)
    motion = handle_matrix(controller)
    place_handle(controller, MIRROR @ motion @ MIRROR)
    if key_frame is not None:
        _key_transform(controller, key_frame)
    return held


def _key_transform(controller: bpy.types.Object, frame: float) -> int:
    rotation = ROTATION_PATHS.get(controller.rotation_mode, "rotation_euler")
    paths = [path for path in ("location", rotation, "scale") if path not in _driven(controller)]
    for path in paths:
        controller.keyframe_insert(path, frame=frame, group=KEY_GROUP)
    return len(paths)


def _path(name: str) -> str:
    return f'["{name}"]'


def _driven(controller: bpy.types.Object) -> set[str]:
    animation = controller.animation_data
    return set() if animation is None else {curve.data_path for curve in animation.drivers}
