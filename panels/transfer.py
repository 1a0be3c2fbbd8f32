"""Exchange, in the Performance panel: performances to and from files, faces and the library."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from .source import KeyPortraitPanel


class KEYPORTRAIT_PT_exchange(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Exchange"
    bl_idname = "KEYPORTRAIT_PT_exchange"
    bl_parent_id = "KEYPORTRAIT_PT_performance"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 3

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        column.operator("keyportrait.copy_performance", icon="PASTEDOWN")
        column.operator("keyportrait.export_performance", icon="EXPORT")
        column = self.layout.column(align=True)
        column.menu("KEYPORTRAIT_MT_performances", icon="ASSET_MANAGER")
        column.operator("keyportrait.save_performance", icon="ADD")
        self.layout.operator("keyportrait.edit_arkit_table", icon="TEXT")


register, unregister = registration_of((KEYPORTRAIT_PT_exchange,))
