"""Performance panel: capture, and how much of what the curves say is shown."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..engine.take import AMOUNTS
from ..rig import portraits
from .source import KeyPortraitPanel


class KEYPORTRAIT_PT_performance(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Performance"
    bl_idname = "KEYPORTRAIT_PT_performance"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 4

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return portraits.active_controller(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        controller = portraits.active_controller(context)
        if controller is None:
            return
        layout.operator("keyportrait.capture", icon="OUTLINER_DATA_ARMATURE")
        column = layout.column(align=True)
        column.use_property_split = True
        for amount in AMOUNTS:
            if amount.name in controller:
                column.prop(controller, f'["{amount.name}"]', text=amount.label, slider=True)


register, unregister = registration_of((KEYPORTRAIT_PT_performance,))
