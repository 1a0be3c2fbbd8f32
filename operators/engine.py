"""Start, restart and stop the engine process, and look at its log."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..compat import registration_of
from ..rig import engine as engine_process
from ..rig import live, pump
from ..rig.errors import AddonError
from ._base import ReportsErrors


class KEYPORTRAIT_OT_engine_restart(ReportsErrors, bpy.types.Operator):
    """Start the engine; one that runs is ended first"""

    bl_idname = "keyportrait.engine_restart"
    bl_label = "Restart Engine"

    def _run(self, context: bpy.types.Context) -> set[str]:
        engine_process.restart_all()
        live.retry_all()
        pump.redraw()
        return {"FINISHED"}


class KEYPORTRAIT_OT_engine_stop(ReportsErrors, bpy.types.Operator):
    """End the engine; it starts again when it is needed"""

    bl_idname = "keyportrait.engine_stop"
    bl_label = "Stop Engine"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not any(engine.is_running for engine in engine_process.engines()):
            cls.poll_message_set("The engine does not run: it starts when it is needed")
            return False
        return True

    def _run(self, context: bpy.types.Context) -> set[str]:
        engine_process.leave()
        pump.redraw()
        return {"FINISHED"}


class KEYPORTRAIT_OT_engine_log(ReportsErrors, bpy.types.Operator):
    """Open the engine's log in Blender's Text Editor"""

    bl_idname = "keyportrait.engine_log"
    bl_label = "Open Log"

    def _run(self, context: bpy.types.Context) -> set[str]:
        paths = [engine.log_path for engine in engine_process.engines()]
        there = [path for path in paths if path.exists()]
        if not there:
            where = paths[0] if paths else engine_process.engine().log_path
            hint = "The engine writes it when it starts."
            raise AddonError(f"There is no log yet: {where}", hint)
        for path in there:
            text = open_text(path)
            self.report({"INFO"}, f"The log is open in the Text Editor as '{text.name}': {path}")
        return {"FINISHED"}


def open_text(path: Path) -> bpy.types.Text:
    """A text block with the file's content, in place of an earlier one of its name."""
    old = bpy.data.texts.get(path.name)
    if old is not None:
        bpy.data.texts.remove(old)
    text = bpy.data.texts.load(str(path))
    text.name = path.name
    return text


CLASSES = (KEYPORTRAIT_OT_engine_restart, KEYPORTRAIT_OT_engine_stop, KEYPORTRAIT_OT_engine_log)

register, unregister = registration_of(CLASSES)
