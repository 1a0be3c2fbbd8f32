"""Let the scene's view show the picture's own colours."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..rig import view_colours
from ._base import ReportsErrors


class KEYPORTRAIT_OT_set_standard_view(ReportsErrors, bpy.types.Operator):
    """The scene's view transform, AgX unless you chose another, changes the colours of a picture \
that is emitted. Show and render them as they are: view Standard, no look, no exposure"""

    bl_idname = "keyportrait.set_standard_view"
    bl_label = "Set View to Standard"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not context.scene.is_editable:
            cls.poll_message_set(
                f"'{context.scene.name}' is linked from another file: edit it there"
            )
            return False
        if view_colours.is_true(context.scene):
            cls.poll_message_set("The view is Standard already: see Color Management in Render")
            return False
        return True

    def _run(self, context: bpy.types.Context) -> set[str]:
        view_colours.set_standard(context.scene)
        return {"FINISHED"}


register, unregister = registration_of((KEYPORTRAIT_OT_set_standard_view,))
