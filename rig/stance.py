"""Where new planes stand: before the viewer, clear of other objects, side by side."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
from mathutils import Matrix, Quaternion, Vector

from .planes import LONGER_SIDE, UPRIGHT

# Between neighbours, and before an object that was in the way, scene units.
GAP = 0.1
# A view that looks down or up more steeply than this (the sine) gets a plane that lies.
STEEP = 0.87
# Objects that touch by less than this are not in the way.
TOUCH = 1e-3
SOLID_TYPES = {"MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "POINTCLOUD", "VOLUME"}
MOST_MOVES = 64
# A free spot farther from the cursor than this is no better than the cursor, scene units.
FARTHEST = 10.0 * LONGER_SIDE


class Row:
    """Planes that stand side by side, the first at `foot`.

    foot      world matrix of the spot: x to the planes' right, y up along them, z out of them
    is_lying  their middle is on the spot, not their lower edge
    """

    def __init__(self, foot: Matrix, *, is_lying: bool = False) -> None:
        self.foot = foot
        self._is_lying = is_lying
        self._low = Vector((0.0, 0.0, 0.0))
        self._high = Vector((0.0, 0.0, 0.0))
        self._is_empty = True

    def place(self, width: float, height: float) -> Matrix:
        """World matrix of the middle of the next plane, of this size in scene units."""
        x = 0.0 if self._is_empty else self._high.x + GAP + 0.5 * width
        y = 0.0 if self._is_lying else 0.5 * height
        self._low.x = min(self._low.x, x - 0.5 * width)
        self._low.y = min(self._low.y, y - 0.5 * height)
        self._high.x = x + 0.5 * width
        self._high.y = max(self._high.y, y + 0.5 * height)
        self._is_empty = False
        return self.foot @ Matrix.Translation((x, y, 0.0))

    @property
    def bounds(self) -> tuple[Vector, Vector]:
        """The lower left and the upper right corner of what was placed, in the foot's axes."""
        return self._low.copy(), self._high.copy()


def row_at_cursor(scene: bpy.types.Scene) -> Row:
    """At the 3D cursor, upright, as the front view shows it."""
    return Row(Matrix.Translation(scene.cursor.location) @ UPRIGHT)


def row_before_viewer(
    context: bpy.types.Context, view: bpy.types.RegionView3D, sizes: Iterable[tuple[float, float]]
) -> Row:
    """At the 3D cursor, facing a viewport, moved until planes of these sizes are in no object.

    Upright; in a view from above or below they lie as the picture shall be seen. What is in the
    way is passed towards the viewer, another portrait to its right. Where no free spot is near
    and before the viewer, the row stays at the cursor.
    """
    to_world = view.view_matrix.inverted_safe()
    turn, is_lying = facing(to_world.to_quaternion())
    foot = Matrix.Translation(context.scene.cursor.location) @ turn.to_matrix().to_4x4()
    trial = Row(foot, is_lying=is_lying)
    for width, height in sizes:
        trial.place(width, height)
    eye = to_world.translation if view.is_perspective else None
    offset = free_spot(trial, eye, _in_the_way(context.visible_objects))
    return Row(foot @ Matrix.Translation(offset), is_lying=is_lying)


def facing(view: Quaternion) -> tuple[Quaternion, bool]:
    """The rotation of planes that face a view of this rotation, and whether they lie."""
    out = view @ Vector((0.0, 0.0, 1.0))
    if abs(out.z) > STEEP:
        return view.copy(), True
    up = Vector((0.0, 0.0, 1.0))
    out.z = 0.0
    out.normalize()
    return Matrix((up.cross(out), up, out)).transposed().to_quaternion(), False


def free_spot(
    row: Row, eye: Vector | None, obstacles: Iterable[tuple[bpy.types.Object, list[Vector]]]
) -> Vector:
    """How far a row moves from its foot, in the foot's axes, to be inside no object.

    eye        the viewer's place in the world, None in a view without perspective
    obstacles  objects with the corners of their boxes in the world
    """
    to_foot = row.foot.inverted_safe()
    viewer = to_foot @ eye if eye is not None else None
    boxes = []
    for item, corners in obstacles:
        low, high = _bounds([to_foot @ corner for corner in corners])
        # The viewer stands inside a room or under a sky; that is not in the way.
        if viewer is None or not _overlap(low, high, viewer, viewer):
            boxes.append((item, low, high))
    low, high = row.bounds
    low.z, high.z = -0.5 * GAP, 0.5 * GAP
    offset = Vector()
    for _ in range(MOST_MOVES):
        hit = next((b for b in boxes if _overlap(low + offset, high + offset, *b[1:])), None)
        if hit is None:
            return offset
        item, _, edge = hit
        if item.keyportrait.kind == "PORTRAIT":
            offset = Vector((edge.x + GAP - low.x, 0.0, 0.0))
        else:
            offset = Vector((offset.x, 0.0, edge.z + GAP))
        is_behind = viewer is not None and offset.z > 0.8 * viewer.z
        if is_behind or offset.length > FARTHEST:
            break
    return Vector()


def _overlap(low: Vector, high: Vector, other_low: Vector, other_high: Vector) -> bool:
    return all(low[i] < other_high[i] - TOUCH and other_low[i] + TOUCH < high[i] for i in range(3))


def _bounds(points: list[Vector]) -> tuple[Vector, Vector]:
    columns = list(zip(*points, strict=True))
    return Vector([min(c) for c in columns]), Vector([max(c) for c in columns])


def _in_the_way(
    objects: Iterable[bpy.types.Object],
) -> Iterable[tuple[bpy.types.Object, list[Vector]]]:
    for item in objects:
        if item.type in SOLID_TYPES and item.display_type not in {"BOUNDS", "WIRE"}:
            yield item, [item.matrix_world @ Vector(corner) for corner in item.bound_box]
