"""Where every face is at rest: on the spot of its mesh that shows it, whatever becomes of the mesh.

A face keeps the frame of its spot (`rest_matrix`, in the plane's space). Its motion is where the
controller stands relative to that. When the mesh, its UVs or the mapping change, the frame is found
anew. A controller that is parented to the plane follows: its parent inverse is the frame, so its
own location, rotation and scale are the motion, and cleared ones are rest. They stay as they are,
keyed ones too. Where Blender itself has changed the parent inverse (Apply, Set Origin, Parent), the
controller stays where it stands.

Finding a spot walks over the mesh, so it is done only when what it depends on has changed.
Everything follows from what is stored in the file: after undo it is simply done again.
"""

from __future__ import annotations

import logging
import math
import zlib
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Quaternion, Vector

from .. import compat
from . import portraits
from .controllers import (
    IDENTITY,
    MIRROR,
    REST_VERSION,
    face_of,
    half_crop_px,
    handle_offset,
    relative_to,
    stands_on_plane,
)
from .errors import PortraitError
from .placement import Spot, UvSurface
from .texture_space import texture_space

log = logging.getLogger(__name__)

# Relative difference of matrices that float32 arithmetic makes.
NOISE = 2e-6
# Cosine above which two normals lie clearly on the same side.
SAME_SIDE = 0.1
TRANSFORM_PATHS = {
    "location",
    "rotation_euler",
    "rotation_quaternion",
    "rotation_axis_angle",
    "scale",
}

# By session uid: of controllers, what their spots were found for; of meshes, sums of their data.
_stamps: dict[int, tuple[Any, ...]] = {}
_mesh_sums: dict[int, tuple[Any, ...]] = {}


def forget() -> None:
    """Look at every mesh again at the next question: the file, or its state, is another."""
    _stamps.clear()
    _mesh_sums.clear()


def settle(*, is_mesh_changed: bool = True) -> bool:
    """Bring every face's rest to where it lies on its mesh now. Whether anything was changed.

    Writes transforms and properties of controllers only, and keys of old files. Faces of other
    files, and library overrides, whose parent inverse is not kept, stay as they are.

    is_mesh_changed  False when no mesh can have changed since the last time
    """
    if is_mesh_changed:
        _mesh_sums.clear()
    found = [_settle_portrait(item) for item in portraits.all_portraits()]
    return any(found)


def settle_handles() -> bool:
    """As settle, for controllers that were parented or applied; costs nothing else."""
    changed = False
    for item in portraits.all_portraits():
        if any(_is_own(c) and is_touched(c) for c in item.controllers):
            changed |= _settle_portrait(item)
    return changed


def _settle_portrait(item: portraits.Portrait) -> bool:
    controllers = [c for c in item.controllers if _is_own(c)]
    # In the other modes the mesh is not what is shown; leaving them is an update of its own.
    if not controllers or item.settings.source is None or item.plane.mode != "OBJECT":
        return False
    changed = False
    surface: UvSurface | None = None
    stamp = _stamp(item)
    for controller in controllers:
        own = (*stamp, controller.keyportrait.face.data)
        is_known = _stamps.get(controller.session_uid) == own
        if is_known and not is_touched(controller):
            continue
        try:
            surface = surface or UvSurface(item.plane, portraits.picture_size(item.plane))
            changed |= _settle_face(controller, surface)
        except PortraitError as error:
            log.info("'%s' keeps its rest: %s", controller.name, error)
        _stamps[controller.session_uid] = own
    return changed


def _is_own(controller: bpy.types.Object) -> bool:
    return controller.is_editable and controller.override_library is None


def _stamp(item: portraits.Portrait) -> tuple[Any, ...]:
    """What the spots of a plane's faces depend on, cheap to compare."""
    mesh = item.plane.data
    if mesh.session_uid not in _mesh_sums:
        _mesh_sums[mesh.session_uid] = _mesh_sum(mesh)
    size = portraits.picture_size(item.plane)
    return mesh.session_uid, _mesh_sums[mesh.session_uid], size, texture_space(item.plane)


def _mesh_sum(mesh: bpy.types.Mesh) -> tuple[Any, ...]:
    places = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.attributes["position"].data.foreach_get("vector", places)
    sums: list[Any] = [len(mesh.loops), len(mesh.polygons), zlib.crc32(places)]
    for layer in mesh.uv_layers:
        uvs = np.empty(len(mesh.loops) * 2, np.float32)
        layer.uv.foreach_get("vector", uvs)
        sums.append((layer.name, layer.active_render, zlib.crc32(uvs)))
    return tuple(sums)


def is_touched(controller: bpy.types.Object) -> bool:
    """Whether something else has set the parent inverse of a controller on its plane."""
    face = controller.keyportrait.face
    if not stands_on_plane(controller):
        return False
    is_old = face.rest_version < REST_VERSION
    known = face.rest_matrix @ handle_offset(controller)
    return is_old or not _is_close(controller.matrix_parent_inverse, known)


def _is_close(first: Matrix, second: Matrix) -> bool:
    size = max(1e-6, *(abs(value) for row in second for value in row))
    return max(abs(value) for row in first - second for value in row) <= NOISE * size


def _settle_face(controller: bpy.types.Object, surface: UvSurface) -> bool:
    face = controller.keyportrait.face
    own = face_of(controller)
    x0, y0, x1, y1 = own.box
    spot = surface.spot(0.5 * (x0 + x1), 0.5 * (y0 + y1))
    was_old = face.rest_version < REST_VERSION
    if was_old:
        face.half_crop_y = face.half_crop * spot.unit_per_px[1] / spot.unit_per_px[0]
        face.rest_version = REST_VERSION
    rest = rest_frame(spot, half_crop_px(own), face)
    rest = _on_its_side(rest, controller)
    if _is_close(rest, face.rest_matrix):
        rest = face.rest_matrix.copy()
    if stands_on_plane(controller):
        return _stand(controller, rest, was_old) or was_old
    is_new = rest != face.rest_matrix
    face.rest_matrix = rest
    return is_new or was_old


def rest_frame(spot: Spot, half_px: float, face: bpy.types.PropertyGroup) -> Matrix:
    """The frame of a spot in the units that the face was made with: its scale is 1 at first."""
    scale_x = spot.unit_per_px[0] * half_px / face.half_crop
    scale_y = spot.unit_per_px[1] * half_px / face.half_crop_y
    return spot.frame @ Matrix.Diagonal((scale_x, scale_y, math.sqrt(scale_x * scale_y), 1.0))


def _on_its_side(rest: Matrix, controller: bpy.types.Object) -> Matrix:
    """A spot's frame whose z points to where the controller stands: mirrored UVs do not turn it.

    Mirrored pictures make it a left-handed frame.
    """
    old = controller.keyportrait.face.rest_matrix
    outwards = Vector(rest.col[2][:3]).normalized()
    sides = [outwards.dot(_z_of(old))]
    if stands_on_plane(controller):
        if is_touched(controller):
            sides.insert(0, outwards.dot(_z_of(_in_plane(controller))))
    elif abs(sides[0]) < 0.5:
        sides.insert(0, outwards.dot(_z_of(_in_plane(controller))))
    clear = [side for side in sides if abs(side) > SAME_SIDE]
    is_mirrored = clear[0] < 0.0 if clear else old.determinant() < 0.0
    return rest @ Matrix.Diagonal((1.0, 1.0, -1.0, 1.0)) if is_mirrored else rest


def _z_of(matrix: Matrix) -> Vector:
    return Vector(matrix.col[2][:3]).normalized()


def _in_plane(controller: bpy.types.Object) -> Matrix:
    """Where a controller stands, in the plane's space."""
    if stands_on_plane(controller):
        return controller.matrix_parent_inverse @ controller.matrix_basis
    plane = controller.keyportrait.face.portrait
    return plane.matrix_world.inverted_safe() @ controller.matrix_world


def _stand(controller: bpy.types.Object, rest: Matrix, was_old: bool) -> bool:
    """Let a controller on its plane stand on a new rest, with the motion that it had."""
    face = controller.keyportrait.face
    old, before = face.rest_matrix.copy(), _in_plane(controller)
    known = old @ handle_offset(controller)
    touched = not was_old and not _is_close(controller.matrix_parent_inverse, known)
    if not (touched or was_old) and rest == old:
        return False
    motion = relative_to(rest if touched else old, before)
    if touched:
        motion = _cleared(motion, controller.matrix_basis)
    offset = IDENTITY if rest.determinant() > 0.0 else MIRROR
    is_animated = bool(compat.driven_paths(controller) & TRANSFORM_PATHS)
    if is_animated:
        offset = handle_offset(controller)
        if was_old and not _shift_keys(controller, old):
            offset = old.inverted_safe() @ controller.matrix_parent_inverse
    basis = offset.inverted_safe() @ motion
    if basis.determinant() < 0.0:
        basis = basis @ MIRROR
    face.rest_matrix = rest
    face.handle_offset = offset
    controller.matrix_parent_inverse = rest @ offset
    if not _is_close(basis, controller.matrix_basis):
        controller.matrix_basis = basis
    if is_animated:
        controller.update_tag(refresh={"OBJECT", "TIME"})
    return True


def _cleared(motion: Matrix, basis: Matrix) -> Matrix:
    """A motion without the channels that were cleared or applied together with the parent inverse.

    Apply on the plane and its controllers together, and Clear Parent Inverse, leave them so.
    """
    location, rotation, scale = motion.decompose()
    own_location, own_rotation, own_scale = basis.decompose()
    if own_location == Vector():
        location = Vector()
    if own_rotation == Quaternion():
        rotation = Quaternion()
    if own_scale == Vector((1.0, 1.0, 1.0)):
        scale = own_scale
    return Matrix.LocRotScale(location, rotation, scale)


def _shift_keys(controller: bpy.types.Object, old: Matrix) -> bool:
    """Let an old file's keys of the location count from rest, where that is a mere shift.

    Whether it was done; nothing is changed otherwise.
    """
    is_plain = controller.matrix_parent_inverse == IDENTITY
    if not is_plain or not _is_close(old, Matrix.Translation(old.translation)):
        return False
    animation = controller.animation_data
    action = animation.action
    paths = compat.driven_paths(controller) & TRANSFORM_PATHS
    curves = [c for c in compat.fcurves(controller) if c.data_path in TRANSFORM_PATHS]
    others = [*animation.drivers, *animation.nla_tracks]
    if others or action is None or {c.data_path for c in curves} != paths:
        return False
    if action.users > 1 or not action.is_editable or action.library is not None:
        return False
    if any(c.modifiers or len(c.sampled_points) for c in curves):
        return False
    for curve in curves:
        if curve.data_path == "location":
            _shift(curve, -old.translation[curve.array_index])
    action.update_tag()
    return True


def _shift(curve: bpy.types.FCurve, amount: float) -> None:
    for point in curve.keyframe_points:
        for place in (point.handle_left, point.co, point.handle_right):
            place[1] += amount
    curve.update()
