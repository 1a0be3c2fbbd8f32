"""Expressions: apply, save and delete presets; reset and mirror faces."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty

from ..compat import registration_of
from ..engine.controls import GROUPS
from ..rig import expressions, live, portraits, preset_library, presets
from ..rig.errors import AddonError
from ..rig.motions import control_values, take_numbers
from ._base import ReportsErrors, poll_face

HANDLE = "HANDLE"
RESET_ITEMS = (
    ("ALL", "All", "All controls and the Empty itself"),
    *((group, group, f"The controls under {group}") for group in GROUPS),
    (HANDLE, "Handle", "Only the Empty's own position, rotation and scale"),
)


def key_frame(context: bpy.types.Context, use_key: bool) -> float | None:
    """The frame to key at, None when nothing is to be keyed."""
    is_auto = context.scene.tool_settings.use_keyframe_insert_auto
    return context.scene.frame_current_final if use_key or is_auto else None


class ChangesFaces(ReportsErrors):
    """An operator on every selected face controller: write `_change` for one of them."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def _change(self, context: bpy.types.Context, controller: bpy.types.Object) -> list[str] | None:
        """Change one face; names of controls that drivers hold."""
        raise NotImplementedError

    def _run(self, context: bpy.types.Context) -> set[str]:
        faces = portraits.editable_controllers(context)
        held: set[str] = set()
        for controller in faces:
            held.update(self._change(context, controller) or ())
        if held:
            names = ", ".join(sorted(held))
            self.report({"WARNING"}, f"Left alone, since drivers set them: {names}")
        live.refresh_later()
        what = f"'{faces[0].name}'" if len(faces) == 1 else f"{len(faces)} faces"
        self.report({"INFO"}, f"{self._title}: {what}")
        return {"FINISHED"}

    @property
    def _title(self) -> str:
        return self.bl_label


class AppliesPreset(ChangesFaces):
    """An operator that puts the preset named `preset` on faces."""

    preset: str
    factor: FloatProperty(**preset_library.STRENGTH)
    use_key: BoolProperty(name="Key", description="Set keyframes on the current frame")

    @property
    def _title(self) -> str:
        return f"Preset {self.preset}"

    def _change(self, context: bpy.types.Context, controller: bpy.types.Object) -> list[str]:
        found = preset_library.find(self.preset)
        if found is None:
            raise AddonError(f"There is no preset '{self.preset}'.", "Choose one in the panel.")
        frame = key_frame(context, self.use_key)
        return expressions.apply_preset(controller, found, self.factor, frame)


class KEYPORTRAIT_OT_apply_preset(AppliesPreset, bpy.types.Operator):
    """Put an expression on the selected faces; the head stays, unless the preset turns it"""

    bl_idname = "keyportrait.apply_preset"
    bl_label = "Apply Preset"
    bl_options = {"REGISTER", "UNDO"}

    preset: StringProperty(name="Preset", description="Name of the preset")


class KEYPORTRAIT_OT_save_preset(ReportsErrors, bpy.types.Operator):
    """Keep the active face's expression as a preset for all files"""

    bl_idname = "keyportrait.save_preset"
    bl_label = "Save Preset"
    bl_options = {"REGISTER"}

    name: StringProperty(
        name="Name",
        default="My Expression",
        maxlen=63,
        description="A preset of yours with this name is replaced",
    )
    use_head: BoolProperty(name="With Head", description="Also keep how the head is turned")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self)

    def _run(self, context: bpy.types.Context) -> set[str]:
        controller = portraits.active_controller(context)
        depsgraph = context.evaluated_depsgraph_get()
        values = control_values(controller, depsgraph)
        rest = expressions.rest_values(controller)
        beyond = take_numbers(controller, depsgraph)
        try:
            preset = presets.from_values(self.name, values, rest, *beyond, use_head=self.use_head)
            preset_library.save(preset)
        except presets.PresetError as error:
            raise AddonError(f"{error}.") from error
        self.report({"INFO"}, f"Saved preset '{preset.name}'")
        return {"FINISHED"}


class KEYPORTRAIT_OT_delete_preset(ReportsErrors, bpy.types.Operator):
    """Delete one of your own presets; the ones that come with KeyPortrait stay"""

    bl_idname = "keyportrait.delete_preset"
    bl_label = "Delete Preset"
    bl_options = {"REGISTER"}

    preset: StringProperty(name="Preset", description="Name of the preset")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def _run(self, context: bpy.types.Context) -> set[str]:
        found = preset_library.find(self.preset)
        if found is None:
            raise AddonError(f"There is no preset '{self.preset}'.", "Press Reload Presets.")
        try:
            preset_library.delete(found)
        except presets.PresetError as error:
            raise AddonError(f"{error}.") from error
        self.report({"INFO"}, f"Deleted preset '{found.name}'")
        return {"FINISHED"}


class KEYPORTRAIT_OT_reload_presets(ReportsErrors, bpy.types.Operator):
    """Read the preset files again, after you have copied some into the folder"""

    bl_idname = "keyportrait.reload_presets"
    bl_label = "Reload Presets"

    def _run(self, context: bpy.types.Context) -> set[str]:
        preset_library.reload()
        for problem in preset_library.problems():
            self.report({"WARNING"}, problem)
        count = len(preset_library.all_presets())
        self.report({"INFO"}, f"{count} presets; yours lie in {preset_library.folder()}")
        return {"FINISHED"}


class KEYPORTRAIT_OT_reset_face(ChangesFaces, bpy.types.Operator):
    """Put controls of the selected faces back to the picture's rest"""

    bl_idname = "keyportrait.reset_face"
    bl_label = "Reset"
    bl_options = {"REGISTER", "UNDO"}

    group: EnumProperty(
        name="Reset", items=RESET_ITEMS, default="ALL", description="What is put back"
    )
    use_key: BoolProperty(name="Key", description="Set keyframes on the current frame")

    def _change(self, context: bpy.types.Context, controller: bpy.types.Object) -> list[str]:
        groups = GROUPS if self.group == "ALL" else (self.group,)
        return expressions.reset(
            controller,
            groups,
            use_handle=self.group in {"ALL", HANDLE},
            key_frame=key_frame(context, self.use_key),
        )


class KEYPORTRAIT_OT_mirror_face(ChangesFaces, bpy.types.Operator):
    """Swap left and right of the selected faces' poses"""

    bl_idname = "keyportrait.mirror_face"
    bl_label = "Mirror"
    bl_options = {"REGISTER", "UNDO"}

    use_key: BoolProperty(name="Key", description="Set keyframes on the current frame")

    def _change(self, context: bpy.types.Context, controller: bpy.types.Object) -> list[str]:
        return expressions.mirror(controller, key_frame(context, self.use_key))


CLASSES = (
    KEYPORTRAIT_OT_apply_preset,
    KEYPORTRAIT_OT_save_preset,
    KEYPORTRAIT_OT_delete_preset,
    KEYPORTRAIT_OT_reload_presets,
    KEYPORTRAIT_OT_reset_face,
    KEYPORTRAIT_OT_mirror_face,
)
register, unregister = registration_of(CLASSES)
