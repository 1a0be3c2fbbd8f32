"""The Key menu of the Face panel."""

from __future__ import annotations

import bpy

from ..compat import registration_of


class KEYPORTRAIT_MT_key(bpy.types.Menu):
    bl_label = "Key"
    bl_idname = "KEYPORTRAIT_MT_key"
    bl_description = "Set keyframes of faces on the current frame"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator("keyportrait.key_changed", icon="KEY_HLT")
        layout.operator("keyportrait.key_available", icon="BLANK1")
        layout.operator("keyportrait.key_all", icon="BLANK1")
        layout.separator()
        layout.operator("keyportrait.key_character", icon="COMMUNITY")


register, unregister = registration_of((KEYPORTRAIT_MT_key,))
