"""Performance panel: how much of what the curves say is shown, and the cache."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..engine.take import AMOUNTS
from ..rig import performance_cache, portraits
from .source import KeyPortraitPanel, wrapped


class KEYPORTRAIT_PT_performance(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Performance"
    bl_idname = "KEYPORTRAIT_PT_performance"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 4

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return portraits.active_controller(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Its parts are panels of their own."""


class KEYPORTRAIT_PT_amounts(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Amounts"
    bl_idname = "KEYPORTRAIT_PT_amounts"
    bl_parent_id = "KEYPORTRAIT_PT_performance"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 4

    def draw(self, context: bpy.types.Context) -> None:
        controller = portraits.active_controller(context)
        if controller is None:
            return
        column = self.layout.column(align=True)
        column.use_property_split = True
        for amount in AMOUNTS:
            if amount.name in controller:
                column.prop(controller, f'["{amount.name}"]', text=amount.label, slider=True)


def draw_record(
    layout: bpy.types.UILayout, context: bpy.types.Context, record: bpy.types.PropertyGroup
) -> None:
    """What a take was that a face remembers, and the way to see all of it."""
    scene = context.scene
    column = layout.column(align=True)
    for number, line in enumerate(wrapped(record.captured)):
        column.label(text=line, icon="BLANK1" if number else "CHECKMARK")
    last = round(record.last_frame)
    if last > scene.frame_end:
        text = f"Ends at {last}, the scene at {scene.frame_end}"
        column.label(text=text, icon="INFO")
        column.operator("keyportrait.set_scene_range", icon="PREVIEW_RANGE")


def draw_cache(layout: bpy.types.UILayout) -> None:
    """The size of what was read from clips, and its Clear."""
    row = layout.row(align=True)
    size = performance_cache.size_bytes()
    row.label(text="Cache" if size is None else f"Cache: {shown_size(size)}")
    row.operator("keyportrait.clear_performances", text="", icon="TRASH")


def shown_size(size: int) -> str:
    """Bytes as kB or MB."""
    return f"{size / 1e6:.1f} MB" if size >= 10**6 else f"{size / 1e3:.0f} kB"


register, unregister = registration_of((KEYPORTRAIT_PT_performance, KEYPORTRAIT_PT_amounts))
