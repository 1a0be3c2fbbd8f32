"""What a head looks at: a Track To constraint with the axes of a face controller."""

from __future__ import annotations

import bpy
from mathutils import Matrix, Vector

from .portraits import check_editable, open_collections

NAME = "Head Look At"
# Out of the picture, and up in it. Blender's own defaults, -Z and Y, turn a head away.
TRACK_AXIS, UP_AXIS = "TRACK_Z", "UP_Y"
# How far before the face a new target stands, in diameters of the controller.
DISTANCE = 3.0


def constraint_of(controller: bpy.types.Object) -> bpy.types.TrackToConstraint | None:
    """The constraint that turns the head, None when there is none."""
    found = [c for c in controller.constraints if c.type == "TRACK_TO"]
    return next((c for c in found if c.track_axis == TRACK_AXIS), None)


def turned_away(controller: bpy.types.Object) -> bpy.types.TrackToConstraint | None:
    """A Track To that points another side of the head at its target."""
    if constraint_of(controller) is not None:
        return None
    return next((c for c in controller.constraints if c.type == "TRACK_TO"), None)


def look_at(controller: bpy.types.Object, target: bpy.types.Object | None) -> None:
    """Let a head look at an object; with None, at what a Track To of it has, or a new Empty.

    A Track To with other axes is put right. Raises PortraitError when the controller is linked.
    """
    check_editable(controller)
    constraint = constraint_of(controller) or turned_away(controller)
    if constraint is None:
        constraint = controller.constraints.new("TRACK_TO")
        constraint.name = NAME
    constraint.track_axis, constraint.up_axis = TRACK_AXIS, UP_AXIS
    constraint.target = target or constraint.target or _new_target(controller)


def look_free(controller: bpy.types.Object) -> None:
    """Take away what turns the head to an object; the object stays."""
    constraint = constraint_of(controller)
    if constraint is not None:
        controller.constraints.remove(constraint)


def _new_target(controller: bpy.types.Object) -> bpy.types.Object:
    """A small Empty straight before a face."""
    size = controller.empty_display_size
    target = bpy.data.objects.new(f"{controller.name} Target", None)
    target.empty_display_size = 0.5 * size
    for collection in open_collections(controller):
        collection.objects.link(target)
    before = controller.matrix_world @ Vector((0.0, 0.0, 2.0 * DISTANCE * size))
    target.matrix_world = Matrix.Translation(before)
    return target
