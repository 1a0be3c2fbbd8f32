"""Faces of moving sources: eye contact."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..rig import live, portraits
from ._base import ReportsErrors, poll_face


class KEYPORTRAIT_OT_eye_contact(ReportsErrors, bpy.types.Operator):
    """Let the eyes of the selected faces look at the scene's camera"""

    bl_idname = "keyportrait.eye_contact"
    bl_label = "Eye Contact"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.scene.camera is None:
            cls.poll_message_set("The scene has no camera: add one, or choose an object as Look At")
            return False
        return poll_face(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        camera = context.scene.camera
        for controller in portraits.editable_controllers(context):
            controller.keyportrait.face.gaze_target = camera
        live.refresh_later()
        return {"FINISHED"}


register, unregister = registration_of((KEYPORTRAIT_OT_eye_contact,))
