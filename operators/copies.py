"""Copies of portraits: separate them, or make a portrait of an instance."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..rig import copies, live, portraits
from ._base import NO_PORTRAIT, ReportsErrors


class KEYPORTRAIT_OT_separate_copies(ReportsErrors, bpy.types.Operator):
    """Give duplicated portraits a picture and an expression of their own"""

    bl_idname = "keyportrait.separate_copies"
    bl_label = "Separate Copied Portraits"
    bl_options = {"UNDO", "INTERNAL"}

    def _run(self, context: bpy.types.Context) -> set[str]:
        if not copies.separate_all():
            return {"CANCELLED"}
        live.refresh_later()
        return {"FINISHED"}


class KEYPORTRAIT_OT_make_own(ReportsErrors, bpy.types.Operator):
    """Give this copy a picture, a material and a mesh of its own; the original is left as it is"""

    bl_idname = "keyportrait.make_own"
    bl_label = "Make Own Portrait"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        plane = portraits.active_plane(context)
        if plane is None:
            cls.poll_message_set(NO_PORTRAIT)
            return False
        if portraits.original_of(plane) is None:
            cls.poll_message_set(f"'{plane.name}' is a portrait of its own already")
            return False
        if not plane.is_editable:
            cls.poll_message_set(f"'{plane.name}' is linked from another file: make it local first")
            return False
        return True

    def _run(self, context: bpy.types.Context) -> set[str]:
        plane = portraits.active_plane(context)
        copies.separate([plane])
        live.refresh_later()
        self.report({"INFO"}, f"'{plane.name}' is a portrait of its own now")
        return {"FINISHED"}


register, unregister = registration_of((KEYPORTRAIT_OT_separate_copies, KEYPORTRAIT_OT_make_own))
