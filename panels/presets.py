"""Presets, opened from the Face panel: expressions at one click, the user's own among them."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..rig import preset_library, presets
from ..rig.presets import Preset
from .source import KeyPortraitPanel, draw_problem


class KEYPORTRAIT_PT_presets(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Presets"
    bl_idname = "KEYPORTRAIT_PT_presets"
    # Not in the sidebar: a button of the Face panel opens it.
    bl_region_type, bl_category = "HEADER", ""
    bl_ui_units_x = 12

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        settings = context.window_manager.keyportrait_presets
        row = layout.row(align=True)
        row.prop(settings, "factor", slider=True)
        row.prop(settings, "use_key", text="", icon="KEY_HLT" if settings.use_key else "KEY_DEHLT")
        grid = layout.grid_flow(row_major=True, columns=2, even_columns=True, align=True)
        for preset in presets.shipped():
            draw_preset(grid, preset, settings)
        layout.label(text="Mouth Chart")
        row = layout.row(align=True)
        for preset in presets.chart():
            text = preset.name.removeprefix(presets.CHART_PREFIX)
            draw_preset(row, preset, settings, text)
        for preset in preset_library.all_presets():
            if not preset.is_shipped:
                row = layout.row(align=True)
                draw_preset(row, preset, settings)
                row.operator("keyportrait.delete_preset", text="", icon="X").preset = preset.name
        row = layout.row(align=True)
        row.operator("keyportrait.save_preset", icon="ADD")
        row.operator("keyportrait.reload_presets", text="", icon="FILE_REFRESH")
        layout.operator("keyportrait.copy_from_picture", icon="IMAGE_DATA")
        for problem in preset_library.problems():
            draw_problem(layout, problem, "")


def draw_preset(
    layout: bpy.types.UILayout,
    preset: Preset,
    settings: bpy.types.PropertyGroup,
    text: str = "",
) -> None:
    """A button that applies one preset as the panel is set.

    text  on the button; "" for the preset's name
    """
    name = f"keyportrait.{preset_library.operator_name(preset)}"
    button = layout.operator(name, text=text or preset.name)
    button.factor = settings.factor
    button.use_key = settings.use_key


register, unregister = registration_of((KEYPORTRAIT_PT_presets,))
