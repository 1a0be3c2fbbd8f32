"""An Empty's own location, rotation and scale, without the deltas by which it rides on a clip."""

from __future__ import annotations

import bpy
from mathutils import Matrix, Quaternion, Vector

# Frame of the clip that a face of a moving source rides on, see riding.py.
FRAME = "keyportrait_clip_frame"


def rides(controller: bpy.types.Object) -> bool:
    """Whether a controller follows a face of a clip."""
    return FRAME in controller


def deltas_of(controller: bpy.types.Object) -> tuple[Vector, Quaternion, Vector]:
    """Location, rotation and scale of the delta transforms, as they count in its rotation mode."""
    turn = controller.delta_rotation_euler.to_quaternion()
    if controller.rotation_mode == "QUATERNION":
        turn = controller.delta_rotation_quaternion.copy()
    elif controller.rotation_mode == "AXIS_ANGLE":
        turn = Quaternion()
    return controller.delta_location.copy(), turn, controller.delta_scale.copy()


def without_deltas(basis: Matrix, controller: bpy.types.Object) -> Matrix:
    """A basis, which holds the deltas, without them."""
    location, rotation, scale = basis.decompose()
    moved, turned, grown = deltas_of(controller)
    sizes = Vector([own / (delta or 1.0) for own, delta in zip(scale, grown, strict=True)])
    return Matrix.LocRotScale(location - moved, turned.inverted() @ rotation, sizes)


def set_own(controller: bpy.types.Object, matrix: Matrix) -> None:
    """Set a controller's own transform; its deltas stay."""
    location, rotation, scale = matrix.decompose()
    controller.location, controller.scale = location, scale
    if controller.rotation_mode == "QUATERNION":
        controller.rotation_quaternion = rotation
    elif controller.rotation_mode == "AXIS_ANGLE":
        axis, angle = rotation.to_axis_angle()
        controller.rotation_axis_angle = (angle, *axis)
    else:
        before = controller.rotation_euler
        controller.rotation_euler = rotation.to_euler(controller.rotation_mode, before)
