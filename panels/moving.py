"""Portraits whose source moves: which frame is shown, and how much of a face's own motion stays."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..rig import clips, portraits
from ..rig.holds import HOLDS
from .source import KeyPortraitPanel


class KEYPORTRAIT_PT_clip(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Clip"
    bl_idname = "KEYPORTRAIT_PT_clip"
    bl_parent_id = "KEYPORTRAIT_PT_source"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        plane = portraits.active_plane(context)
        return plane is not None and clips.is_moving(plane.keyportrait.portrait)

    def draw(self, context: bpy.types.Context) -> None:
        plane = portraits.active_plane(context)
        if plane is None:
            return
        clip = plane.keyportrait.portrait.clip
        column = self.layout.column()
        column.use_property_split = True
        column.prop(clip, "use_auto_refresh", text="Follow Scene")
        if not clip.use_auto_refresh:
            column.prop(clip, "held_frame")
            return
        column.prop(clip, "frame_duration")
        column.prop(clip, "frame_start")
        column.prop(clip, "frame_offset")
        column.prop(clip, "use_cyclic")


class KEYPORTRAIT_PT_own_motion(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Clip's Own Motion"
    bl_idname = "KEYPORTRAIT_PT_own_motion"
    bl_parent_id = "KEYPORTRAIT_PT_face"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        controller = portraits.active_controller(context)
        plane = portraits.plane_of(controller)
        return plane is not None and clips.is_moving(plane.keyportrait.portrait)

    def draw(self, context: bpy.types.Context) -> None:
        controller = portraits.active_controller(context)
        if controller is None:
            return
        self.layout.use_property_split = True
        column = self.layout.column(align=True)
        for hold in HOLDS:
            if hold.name in controller:
                column.prop(controller, f'["{hold.name}"]', text=hold.label, slider=True)
        self.layout.operator("keyportrait.eye_contact", icon="CAMERA_DATA")


register, unregister = registration_of((KEYPORTRAIT_PT_clip, KEYPORTRAIT_PT_own_motion))
