"""Cycles with Persistent Data keeps pictures between frames; portraits must move all the same."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np


def rendered(path: Path) -> np.ndarray:
    image = bpy.data.images.load(str(path))
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    return values


def test_every_rendered_frame_shows_its_own_picture(add_portrait, tmp_path: Path) -> None:
    plane, (controller,) = add_portrait()
    for frame, value in ((1, 0.0), (2, 1.0)):
        controller["blink"] = value
        controller["head_yaw"] = 20.0 * value
        controller.keyframe_insert('["blink"]', frame=frame)
        controller.keyframe_insert('["head_yaw"]', frame=frame)
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    normal = plane.matrix_world.to_3x3() @ plane.data.polygons[0].normal
    camera.location = plane.matrix_world.translation + normal * 3.0
    camera.rotation_euler = normal.to_track_quat("Z", "Y").to_euler()
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.render.resolution_x = scene.render.resolution_y = 128
    scene.render.use_persistent_data = True
    scene.frame_start, scene.frame_end = 1, 2
    scene.render.filepath = str(tmp_path / "frame_")

    bpy.ops.render.render(animation=True)

    first, second = (rendered(tmp_path / f"frame_000{frame}.png") for frame in (1, 2))
    assert np.abs(first - second).max() > 0.1
    assert scene.render.use_persistent_data, "the artist's setting comes back"
