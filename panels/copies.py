"""What a copy of a portrait is, and how it becomes one of its own."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..rig import portraits
from .source import KeyPortraitPanel, wrapped


class KEYPORTRAIT_PT_copies(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Copy"
    bl_idname = "KEYPORTRAIT_PT_copies"
    bl_parent_id = "KEYPORTRAIT_PT_source"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        plane = portraits.active_plane(context)
        return plane is not None and portraits.original_of(plane) is not None

    def draw(self, context: bpy.types.Context) -> None:
        original = portraits.original_of(portraits.active_plane(context))
        column = self.layout.column(align=True)
        text = f"Shows the picture of '{original.name}'; its own faces move nothing"
        for number, line in enumerate(wrapped(text)):
            column.label(text=line, icon="INFO" if number == 0 else "BLANK1")
        self.layout.operator("keyportrait.make_own", icon="DUPLICATE")


register, unregister = registration_of((KEYPORTRAIT_PT_copies,))
