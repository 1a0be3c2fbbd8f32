"""Engine panel: state of the engine process, its log, restart."""

from __future__ import annotations

import bpy

from ..rig import engine as engine_process
from .source import KeyPortraitPanel, draw_problem

ICONS = {
    "STOPPED": "PAUSE",
    "STARTING": "SORTTIME",
    "READY": "CHECKMARK",
    "BUSY": "RENDER_ANIMATION",
    "FAILED": "ERROR",
}
TEXTS = {
    "STOPPED": "Stopped: starts when it is needed",
    "STARTING": "Starting",
    "READY": "Ready",
    "BUSY": "Working",
    "FAILED": "Failed",
}


class KEYPORTRAIT_PT_engine(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Engine"
    bl_idname = "KEYPORTRAIT_PT_engine"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 10

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        state = engine_process.status()
        layout.label(text=TEXTS[state.name], icon=ICONS[state.name])
        for line in state.details:
            layout.label(text=line, icon="BLANK1")
        if state.problem is not None:
            draw_problem(layout, *state.problem)
        row = layout.row(align=True)
        label = "Start" if state.name == "STOPPED" else "Restart"
        row.operator("keyportrait.engine_restart", text=label, icon="FILE_REFRESH")
        row.operator("keyportrait.engine_stop", text="Stop", icon="X")
        layout.operator("keyportrait.engine_log", icon="TEXT")
        column = layout.column(align=True)
        column.scale_y = 0.8
        column.label(text=f"Log: {state.log_path}")


register, unregister = bpy.utils.register_classes_factory((KEYPORTRAIT_PT_engine,))
