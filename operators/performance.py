"""What goes with performances: the scene's range, the cache of what was read."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..rig import capture_run, performance_cache, portraits, take_records
from ._base import ReportsErrors, poll_face


class KEYPORTRAIT_OT_set_scene_range(ReportsErrors, bpy.types.Operator):
    """Let the scene begin and end with what was captured and spoken by the active face"""

    bl_idname = "keyportrait.set_scene_range"
    bl_label = "Set Scene Range"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not poll_face(cls, context):
            return False
        controller = portraits.active_controller(context)
        if not take_records.in_use(controller):
            cls.poll_message_set(f"'{controller.name}' was not captured: press Capture or Speak")
            return False
        return True

    def _run(self, context: bpy.types.Context) -> set[str]:
        records = take_records.in_use(portraits.active_controller(context))
        scene = context.scene
        first = min(record.first_frame for record in records)
        last = max(record.last_frame for record in records)
        capture_run.set_scene_range(scene, first, last)
        self.report({"INFO"}, f"'{scene.name}': frames {scene.frame_start} to {scene.frame_end}")
        return {"FINISHED"}


class KEYPORTRAIT_OT_clear_performances(ReportsErrors, bpy.types.Operator):
    """Empty the cache of performances; a clip is read anew when it is captured again"""

    bl_idname = "keyportrait.clear_performances"
    bl_label = "Clear Performances"

    def _run(self, context: bpy.types.Context) -> set[str]:
        count, freed = performance_cache.clear()
        self.report({"INFO"}, f"Removed {count} files, {freed / 1e6:.1f} MB")
        return {"FINISHED"}


register, unregister = registration_of(
    (KEYPORTRAIT_OT_set_scene_range, KEYPORTRAIT_OT_clear_performances)
)
