"""A notice where the scene's view changes the colours of an emitted picture."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..rig import portraits, view_colours
from .source import KeyPortraitPanel


class KEYPORTRAIT_PT_view(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Colours"
    bl_idname = "KEYPORTRAIT_PT_view"
    bl_parent_id = "KEYPORTRAIT_PT_source"
    # One row: the face's sliders must fit on the screen below it.
    bl_options = {"HIDE_HEADER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        plane = portraits.active_plane(context)
        return plane is not None and view_colours.shows_other_colours(context.scene, plane)

    def draw(self, context: bpy.types.Context) -> None:
        text = "Colours Differ: Set Standard View"
        self.layout.operator("keyportrait.set_standard_view", text=text, icon="INFO")


register, unregister = registration_of((KEYPORTRAIT_PT_view,))
