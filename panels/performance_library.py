"""The menu of the performance library, opened from the Performance panel's Exchange."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..rig import performance_library


class KEYPORTRAIT_MT_performances(bpy.types.Menu):
    bl_label = "Apply Performance"
    bl_idname = "KEYPORTRAIT_MT_performances"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator_context = "EXEC_DEFAULT"
        found = list(performance_library.entries())
        for entry in found:
            icon = "ASSET_MANAGER" if entry.filepath else "ACTION"
            button = layout.operator("keyportrait.apply_performance", text=entry.name, icon=icon)
            button.name, button.filepath = entry
        if not found:
            layout.label(text="Nothing was saved yet: press Save to Library")


register, unregister = registration_of((KEYPORTRAIT_MT_performances,))
