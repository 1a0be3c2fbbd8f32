"""From the mouse in a 3D viewport to pixels of a portrait's picture."""

from __future__ import annotations

import bpy
from bpy_extras import view3d_utils
from mathutils import Vector

from .errors import PortraitError
from .placement import UvSurface
from .portraits import picture_size

# Smaller boxes are slips of the hand, pixels of the picture.
SMALLEST_BOX_PX = 16.0

Point = tuple[float, float]


def window_region(area: bpy.types.Area, x: int, y: int) -> bpy.types.Region | None:
    """The part of a 3D viewport that shows the scene under a window position, None elsewhere.

    Panels lie over the scene; a position on them belongs to them.
    """
    inside = [
        region
        for region in area.regions
        if region.x <= x < region.x + region.width and region.y <= y < region.y + region.height
    ]
    if any(region.type not in {"WINDOW", "HEADER", "TOOL_HEADER"} for region in inside):
        return None
    return next((region for region in inside if region.type == "WINDOW"), None)


def picture_point(
    plane: bpy.types.Object,
    region: bpy.types.Region,
    view: bpy.types.RegionView3D,
    mouse: Point,
) -> Point:
    """The pixel of the plane's picture under the mouse, from the top left; may lie outside.

    mouse  pixels of the region
    Raises PortraitError when the plane is seen from its edge.
    """
    origin = view3d_utils.region_2d_to_origin_3d(region, view, mouse)
    direction = view3d_utils.region_2d_to_vector_3d(region, view, mouse)
    to_plane = plane.matrix_world.inverted_safe()
    return UvSurface(plane, picture_size(plane)).pixel_along(
        to_plane @ Vector(origin), to_plane.to_3x3() @ Vector(direction)
    )


def box_between(
    first: Point, second: Point, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The box (left, top, right, bottom) between two corners, cut off at the picture's border.

    Raises PortraitError when hardly anything is left.
    """
    (left, right), (top, bottom) = (sorted(pair) for pair in zip(first, second, strict=True))
    width, height = size
    box = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    if box[2] - box[0] < SMALLEST_BOX_PX or box[3] - box[1] < SMALLEST_BOX_PX:
        raise PortraitError(
            "The box is too small.", "Drag from one corner of the face to the opposite one."
        )
    return box
