"""A camera that sees exactly the planes of new portraits."""

from __future__ import annotations

import bpy
from mathutils import Matrix, Vector

from .stance import Row

LONGEST_PX = 65536


def add_camera(context: bpy.types.Context, name: str, row: Row) -> bpy.types.Object:
    """A new active camera of the scene, square before a row of planes that just fits its frame."""
    scene = context.scene
    data = bpy.data.cameras.new(name)
    camera = bpy.data.objects.new(name, data)
    context.collection.objects.link(camera)
    scene.camera = camera
    low, high = row.bounds
    distance = distance_for(data, scene, high.x - low.x, high.y - low.y)
    middle = 0.5 * (low + high) + Vector((0.0, 0.0, distance))
    camera.matrix_world = row.foot @ Matrix.Translation(middle)
    data.clip_end = max(data.clip_end, 2.0 * distance)
    return camera


def distance_for(
    data: bpy.types.Camera, scene: bpy.types.Scene, width: float, height: float
) -> float:
    """How far from a camera a rectangle of this size just fits its frame, scene units."""
    corners = data.view_frame(scene=scene)
    half_x = max(abs(corner.x) for corner in corners)
    half_y = max(abs(corner.y) for corner in corners)
    depth = max(abs(corner.z) for corner in corners)
    return depth * max(0.5 * width / half_x, 0.5 * height / half_y)


def set_resolution(scene: bpy.types.Scene, size_px: tuple[int, int]) -> None:
    """Let a scene render pictures of this size, with square pixels."""
    render = scene.render
    render.resolution_x, render.resolution_y = (min(size, LONGEST_PX) for size in size_px)
    render.resolution_percentage = 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
