"""Bring the live image up to date by hand."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..rig import live, portraits, structure
from ._base import ReportsErrors, poll_portrait


class KEYPORTRAIT_OT_refresh(ReportsErrors, bpy.types.Operator):
    """Render the current expression again, also where live update is off"""

    bl_idname = "keyportrait.refresh"
    bl_label = "Refresh"
    bl_options = {"REGISTER", "UNDO"}  # a lost live image is made again

    use_wait: bpy.props.BoolProperty(
        name="Wait",
        description="Return only when the image is up to date, for scripts",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_portrait(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        item = portraits.portrait(portraits.active_plane(context))
        structure.restore_output(item)
        portraits.check_whole(item)
        depsgraph = context.evaluated_depsgraph_get()
        live.reload(item)
        if self.use_wait or bpy.app.background:
            live.show_now(item, depsgraph)
        else:
            live.show(item, depsgraph)
        return {"FINISHED"}


register, unregister = registration_of((KEYPORTRAIT_OT_refresh,))
