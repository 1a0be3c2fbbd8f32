"""Bake portraits to files, go between the live image and the bake, empty the cache."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ..compat import registration_of
from ..rig import bake, bake_settings, bake_state, baked, frame_cache, portraits, strip_bake
from ..rig.bake_settings import absolute_folder, settings_of
from ._base import ReportsErrors, poll_portrait
from ._long_run import RunsLong

BUSY = "A bake is running: wait for it, or press Esc"


def poll_shows_bake(cls: type, context: bpy.types.Context) -> bool:
    """True when the active portrait's plane shows its bake."""
    if not portraits.active_plane(context).keyportrait.portrait.use_baked:
        cls.poll_message_set("The plane shows its live image already")
        return False
    return True


def poll_has_bake(cls: type, context: bpy.types.Context) -> bool:
    """True when the active portrait was baked."""
    if portraits.active_plane(context).keyportrait_baked.image is None:
        cls.poll_message_set("The portrait has not been baked: press Bake")
        return False
    return True


def poll_has_hidden_bake(cls: type, context: bpy.types.Context) -> bool:
    """True when the active portrait has a bake that its plane does not show."""
    plane = portraits.active_plane(context)
    if not poll_has_bake(cls, context):
        return False
    if plane.keyportrait.portrait.use_baked:
        cls.poll_message_set("The plane shows its bake already")
        return False
    return True


class KEYPORTRAIT_OT_bake(RunsLong, bpy.types.Operator):
    """Render the portraits' frames to files and show those on the planes. Esc stops; \
baking again goes on where it stopped"""

    bl_idname = "keyportrait.bake"
    bl_label = "Bake"
    bl_options = {"UNDO"}

    scope: EnumProperty(
        name="Bake",
        items=(
            ("SCENE", "As Set", "As set in the Bake panel"),
            ("SELECTED", "Selected", "The portraits of selected planes and face controllers"),
            ("ALL", "All", "Every portrait in the scene"),
        ),
        default="SCENE",
        description="Which portraits are baked",
    )

    stop_text = "Bake stopped: finished frames are kept, bake again to go on"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if strip_bake.active() is not None:
            cls.poll_message_set(BUSY)
            return False
        if not portraits.portraits_of(context.scene):
            cls.poll_message_set("There is no portrait in this scene: add one with Add Portrait")
            return False
        return True

    def _begin(self, context: bpy.types.Context) -> bake.BakeRun:
        settings = context.scene.keyportrait_bake
        items = bake.chosen(context, settings.scope if self.scope == "SCENE" else self.scope)
        return bake.begin(context.scene, items, settings_of(context.scene))

    def _finish(self, context: bpy.types.Context, run: bake.BakeRun) -> set[str]:
        for warning in run.summary.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, run.summary.text)
        frame_cache.measure()
        return {"FINISHED"}


class KEYPORTRAIT_OT_stop_bake(ReportsErrors, bpy.types.Operator):
    """Stop the running bake; finished frames are kept"""

    bl_idname = "keyportrait.stop_bake"
    bl_label = "Stop"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if strip_bake.active() is None:
            cls.poll_message_set("No bake is running")
            return False
        return True

    def _run(self, context: bpy.types.Context) -> set[str]:
        strip_bake.cancel_active()
        return {"FINISHED"}


class KEYPORTRAIT_OT_show_live(ReportsErrors, bpy.types.Operator):
    """Put the live image back on the plane; the baked files stay"""

    bl_idname = "keyportrait.show_live"
    bl_label = "Back to Live"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_portrait(cls, context) and poll_shows_bake(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        baked.show_live(portraits.active_plane(context))
        return {"FINISHED"}


class KEYPORTRAIT_OT_show_baked(ReportsErrors, bpy.types.Operator):
    """Put the last bake on the plane again"""

    bl_idname = "keyportrait.show_baked"
    bl_label = "Show Bake"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_portrait(cls, context) and poll_has_hidden_bake(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        baked.show_again(portraits.active_plane(context))
        return {"FINISHED"}


class KEYPORTRAIT_OT_choose_bake_folder(ReportsErrors, bpy.types.Operator):
    """Take the plane's bake from the folder that it was moved to"""

    bl_idname = "keyportrait.choose_bake_folder"
    bl_label = "Choose Folder"
    bl_options = {"REGISTER", "UNDO"}

    directory: StringProperty(
        name="Folder", subtype="DIR_PATH", description="Folder that the bake lies in now"
    )
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_portrait(cls, context) and poll_has_bake(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def _run(self, context: bpy.types.Context) -> set[str]:
        plane = portraits.active_plane(context)
        bake_state.choose_folder(plane, Path(bpy.path.abspath(self.directory)))
        self.report({"INFO"}, f"'{plane.name}' shows its bake again")
        return {"FINISHED"}


class KEYPORTRAIT_OT_copy_motion_blur(ReportsErrors, bpy.types.Operator):
    """Bake with the shutter of the scene's own Motion Blur, in the Render properties"""

    bl_idname = "keyportrait.copy_motion_blur"
    bl_label = "Motion Blur as in Scene"
    bl_options = {"REGISTER", "UNDO"}

    def _run(self, context: bpy.types.Context) -> set[str]:
        length_frames = bake_settings.copy_motion_blur(context.scene)
        where = context.scene.keyportrait_bake.motion_blur_position.title()
        self.report({"INFO"}, f"Shutter {length_frames:.3g} frames, {where} on Frame")
        return {"FINISHED"}


class KEYPORTRAIT_OT_clear_cache(ReportsErrors, bpy.types.Operator):
    """Delete all cached frames of all files; baked files stay"""

    bl_idname = "keyportrait.clear_cache"
    bl_label = "Clear Cache"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def _run(self, context: bpy.types.Context) -> set[str]:
        count, size = frame_cache.clear()
        self.report({"INFO"}, f"Removed {count} cached frames, {size / 1e6:.0f} MB")
        return {"FINISHED"}


class KEYPORTRAIT_OT_open_bake_folder(ReportsErrors, bpy.types.Operator):
    """Show the folder of baked files in the system's file browser"""

    bl_idname = "keyportrait.open_bake_folder"
    bl_label = "Open Folder"

    def _run(self, context: bpy.types.Context) -> set[str]:
        folder = absolute_folder(context.scene.keyportrait_bake.folder)
        if not folder.is_dir():
            self.report({"WARNING"}, f"There is no folder '{folder}' yet: bake first")
            return {"CANCELLED"}
        bpy.ops.wm.path_open(filepath=str(folder))
        return {"FINISHED"}


CLASSES = (
    KEYPORTRAIT_OT_bake,
    KEYPORTRAIT_OT_stop_bake,
    KEYPORTRAIT_OT_show_live,
    KEYPORTRAIT_OT_show_baked,
    KEYPORTRAIT_OT_choose_bake_folder,
    KEYPORTRAIT_OT_copy_motion_blur,
    KEYPORTRAIT_OT_clear_cache,
    KEYPORTRAIT_OT_open_bake_folder,
)
_register, _unregister = registration_of(CLASSES)


def register() -> None:
    _register()


def unregister() -> None:
    strip_bake.cancel_active()
    _unregister()
