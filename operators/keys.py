"""Keyframes of faces: all, what changed, what has curves, the whole portrait; and a keying set."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..rig import keying, live, portraits
from ._base import ReportsErrors, poll_face


class KeysFaces(ReportsErrors):
    """An operator that keys faces on the current frame: write `_paths` for one of them."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def _faces(self, context: bpy.types.Context) -> list[bpy.types.Object]:
        return portraits.editable_controllers(context)

    def _paths(self, controller: bpy.types.Object, frame: float) -> list[str]:
        """What to key of one face."""
        return keying.all_paths(controller)

    def _run(self, context: bpy.types.Context) -> set[str]:
        frame = context.scene.frame_current_final
        faces = self._faces(context)
        count = sum(keying.key(face, self._paths(face, frame), frame) for face in faces)
        if not count:
            self.report({"WARNING"}, f"{self.bl_label}: there is nothing to key")
            return {"CANCELLED"}
        live.refresh_later()
        what = f"'{faces[0].name}'" if len(faces) == 1 else f"{len(faces)} faces"
        self.report({"INFO"}, f"{self.bl_label}: {what}, {count} channels")
        return {"FINISHED"}


class KEYPORTRAIT_OT_key_all(KeysFaces, bpy.types.Operator):
    """Key every control of the selected faces, and the Empties themselves, on this frame"""

    bl_idname = "keyportrait.key_all"
    bl_label = "Key All"
    bl_options = {"REGISTER", "UNDO"}


class KEYPORTRAIT_OT_key_changed(KeysFaces, bpy.types.Operator):
    """Key what you have posed since the last key: controls that differ from their curves, \
and those without curves that are not at rest"""

    bl_idname = "keyportrait.key_changed"
    bl_label = "Key Changed"
    bl_options = {"REGISTER", "UNDO"}

    def _paths(self, controller: bpy.types.Object, frame: float) -> list[str]:
        return keying.changed_paths(controller, frame)


class KEYPORTRAIT_OT_key_available(KeysFaces, bpy.types.Operator):
    """Key the controls of the selected faces that have curves already"""

    bl_idname = "keyportrait.key_available"
    bl_label = "Key Available"
    bl_options = {"REGISTER", "UNDO"}

    def _paths(self, controller: bpy.types.Object, frame: float) -> list[str]:
        return keying.keyed_paths(controller)


class KEYPORTRAIT_OT_key_character(KeysFaces, bpy.types.Operator):
    """Key every control of all faces of the portrait, selected or not"""

    bl_idname = "keyportrait.key_character"
    bl_label = "Key Whole Character"
    bl_options = {"REGISTER", "UNDO"}

    def _faces(self, context: bpy.types.Context) -> list[bpy.types.Object]:
        chosen = portraits.editable_controllers(context)
        planes = dict.fromkeys(face.keyportrait.face.portrait for face in chosen)
        whole = [c for p in planes if p is not None for c in portraits.portrait(p).controllers]
        return [face for face in whole if face.is_editable] or chosen


class KEYPORTRAIT_KSI_face(bpy.types.KeyingSetInfo):
    """Every control of the selected faces, and the Empties themselves"""

    bl_idname = "KEYPORTRAIT_KSI_face"
    bl_label = "KeyPortrait Face"
    bl_description = "All controls of the selected faces, and the Empties themselves"

    def poll(self, context: bpy.types.Context) -> bool:
        return bool(portraits.editable_controllers(context))

    def iterator(self, context: bpy.types.Context, ks: bpy.types.KeyingSet) -> None:
        for controller in portraits.editable_controllers(context):
            self.generate(context, ks, controller)

    def generate(
        self, context: bpy.types.Context, ks: bpy.types.KeyingSet, data: bpy.types.Object
    ) -> None:
        for path in keying.all_paths(data):
            group = keying.CONTROL_GROUPS.get(path, keying.TRANSFORM_GROUP)
            ks.paths.add(data, path, group_method="NAMED", group_name=group)


CLASSES = (
    KEYPORTRAIT_OT_key_all,
    KEYPORTRAIT_OT_key_changed,
    KEYPORTRAIT_OT_key_available,
    KEYPORTRAIT_OT_key_character,
    KEYPORTRAIT_KSI_face,
)
register, unregister = registration_of(CLASSES)
