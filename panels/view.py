"""A notice where the scene's view changes the colours of an emitted picture."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..rig import portraits, view_colours
from .source import KeyPortraitPanel, wrapped


class KEYPORTRAIT_PT_view(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Colours"
    bl_idname = "KEYPORTRAIT_PT_view"
    bl_parent_id = "KEYPORTRAIT_PT_source"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        plane = portraits.active_plane(context)
        return plane is not None and view_colours.shows_other_colours(context.scene, plane)

    def draw(self, context: bpy.types.Context) -> None:
        view = context.scene.view_settings.view_transform
        column = self.layout.column(align=True)
        text = f"The scene's view ({view}) changes the picture's colours"
        for number, line in enumerate(wrapped(text)):
            column.label(text=line, icon="INFO" if number == 0 else "BLANK1")
        self.layout.operator("keyportrait.set_standard_view", icon="COLOR")


register, unregister = registration_of((KEYPORTRAIT_PT_view,))
