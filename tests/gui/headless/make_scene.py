"""Inside Blender: a portrait whose mouth opens over three frames, in front of the camera."""

from __future__ import annotations

import sys

import bpy

folder = sys.argv[-1]
assert bpy.ops.keyportrait.add_portrait(filepath=f"{folder}/astronaut.jpg") == {"FINISHED"}
controller = bpy.context.active_object.keyportrait.portrait.faces[0].controller
for frame, value in ((1, 0.0), (2, 0.5), (3, 1.0)):
    controller["mouth_open"] = value
    controller.keyframe_insert('["mouth_open"]', frame=frame)
scene = bpy.context.scene
scene.frame_set(1)
scene.frame_start, scene.frame_end = 1, 3
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
scene.render.resolution_x = scene.render.resolution_y = 48
scene.render.use_stamp = False
bpy.data.objects.remove(bpy.data.objects["Cube"])
scene.camera.data.type, scene.camera.data.ortho_scale = "ORTHO", 0.6
bpy.context.view_layer.update()
scene.camera.matrix_world = controller.matrix_world
scene.camera.location.y -= 1.0
scene.render.filepath = f"{folder}/out/frame_"
bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/scene.blend")
