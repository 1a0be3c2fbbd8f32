"""Engine panel: state of the engine process, its log, restart."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..engine.renderer_table import RENDERERS, label_of
from ..rig import engine as engine_process
from ..rig import live, portraits
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
        states = engine_process.statuses()
        for name, state in states.items():
            text = TEXTS[state.name] if len(states) == 1 else f"{name}: {TEXTS[state.name]}"
            layout.label(text=text, icon=ICONS[state.name])
            if state.problem is not None:
                draw_problem(layout, *state.problem)
        state = next(iter(states.values()))
        if not draw_active(layout, portraits.active_plane(context)) and state.renderers:
            missing = engine_process.missing_renderers()
            names = [row.label for name, row in RENDERERS.items() if name not in missing]
            layout.label(text=f"Available: {', '.join(names)}", icon="BLANK1")
        row = layout.row(align=True)
        label = "Start" if state.name == "STOPPED" else "Restart"
        row.operator("keyportrait.engine_restart", text=label, icon="FILE_REFRESH")
        row.operator("keyportrait.engine_stop", text="Stop", icon="X")
        layout.operator("keyportrait.engine_log", icon="TEXT")
        column = layout.column(align=True)
        column.scale_y = 0.8
        for state in states.values():
            if state.log_path:
                column.label(text=f"Log: {state.log_path}")


def draw_active(layout: bpy.types.UILayout, plane: bpy.types.Object | None) -> bool:
    """What moves the active portrait and what the engine says about it; False before it moved."""
    facts = live.renderer_of(plane) if plane is not None else {}
    if plane is None or not facts:
        return False
    box = layout.box().column(align=True)
    for name, value in (
        ("Renderer", label_of(facts.get("name", ""))),
        ("Models", facts.get("model_set", "")),
        ("Device", facts.get("device", "")),
        ("Precision", facts.get("precision", "")),
    ):
        row = box.split(factor=0.35)
        row.label(text=name)
        row.label(text=value)
    for notice in live.notices_of(plane):
        draw_problem(layout, notice, "")
    return True


register, unregister = registration_of((KEYPORTRAIT_PT_engine,))
