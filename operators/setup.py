"""Set Up LivePortrait: environment, weights, check, removal. The work runs beside Blender."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ..compat import registration_of
from ..engine.weight_table import WEIGHT_SETS
from ..host.task import Task
from ..host.weights import AUDIO2FACE_LICENCE_URL as LICENCE_URL
from ..preferences import preferences
from ..rig import audio2face, pump, setup
from ..rig import engine as engine_process
from ..rig.errors import AddonError
from ._base import ReportsErrors

SET_ITEMS = tuple(
    (s.name, s.label, f"{s.size_bytes / 1e6:,.0f} MB, licence: {s.licence}") for s in WEIGHT_SETS
)


def poll_idle(cls: type) -> bool:
    """True while no set-up task runs."""
    if setup.is_running():
        cls.poll_message_set("The set-up is running: wait for it, or cancel it")
        return False
    return True


def poll_environment(cls: type) -> bool:
    """True while LivePortrait's environment is there, and no set-up task runs."""
    if setup.python() is None:
        cls.poll_message_set("The environment is not there yet: do step 1 first")
        return False
    return poll_idle(cls)


class ChoosesFolder(ReportsErrors):
    """Mixin for operators that take files of the user's from a folder: write `_use`."""

    directory: StringProperty(subtype="DIR_PATH", description="Folder of the files")
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})

    def _use(self) -> str:
        """Take what is in `directory`; what is taken. Raises AddonError."""
        raise NotImplementedError

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def _run(self, context: bpy.types.Context) -> set[str]:
        what = self._use()
        setup.renew_engine()
        self.report({"INFO"}, f"Taken from '{self.directory}': {what}")
        return {"FINISHED"}


def follow(operator: bpy.types.Operator, task: Task, done: str) -> set[str]:
    """In the interface the panel follows a task; without one, wait and report its end.

    No modal operator as for bakes (_long_run): Blender ends those when another file is opened, and
    Esc in any editor would. What takes gigabytes and many minutes belongs to this Blender, not to
    a file or a window: it goes on over both, its panel has the progress and the only Cancel, and
    every step resumes.
    """
    pump.redraw()
    if not bpy.app.background:
        return {"FINISHED"}
    task.wait()
    if task.error is not None:
        raise task.error
    setup.renew_engine()
    operator.report({"INFO"}, done)
    return {"FINISHED"}


class KEYPORTRAIT_OT_setup_environment(ReportsErrors, bpy.types.Operator):
    """Make a Python environment of its own for LivePortrait, with PyTorch. \
Blender's Python stays as it is"""

    bl_idname = "keyportrait.setup_environment"
    bl_label = "Install Environment"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_idle(cls)

    def _run(self, context: bpy.types.Context) -> set[str]:
        engine_process.free_setup()
        return follow(self, setup.start_environment(), "The LivePortrait environment is installed")


class KEYPORTRAIT_OT_setup_weights(ReportsErrors, bpy.types.Operator):
    """Download LivePortrait's published weights; a broken download goes on where it stopped"""

    bl_idname = "keyportrait.setup_weights"
    bl_label = "Download Weights"

    sets: EnumProperty(
        name="Models",
        items=SET_ITEMS,
        options={"ENUM_FLAG"},
        default={"human"},
        description="Sets of weights to download",
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_environment(cls)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, title="Download Weights")

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.prop(self, "sets")
        column.prop(preferences(), "is_insightface_accepted")

    def _run(self, context: bpy.types.Context) -> set[str]:
        if not self.sets:
            raise AddonError("No models were chosen.", "Choose at least People.")
        preferences().weights_folder = ""
        return follow(
            self, setup.start_download(tuple(sorted(self.sets))), "The weights are downloaded"
        )


class KEYPORTRAIT_OT_setup_choose_weights(ChoosesFolder, bpy.types.Operator):
    """Use weights that are already on this machine: LivePortrait's pretrained_weights, \
FasterLivePortrait's checkpoints or ComfyUI's models/liveportrait"""

    bl_idname = "keyportrait.setup_choose_weights"
    bl_label = "Choose a Folder"

    def _use(self) -> str:
        setup.use_weights(self.directory)
        return "LivePortrait's weights"


class KEYPORTRAIT_OT_setup_audio2face(ReportsErrors, bpy.types.Operator):
    """Download NVIDIA's Audio2Face-3D, with which Speak can move mouths; a broken download goes \
on where it stopped"""

    bl_idname = "keyportrait.setup_audio2face"
    bl_label = "Download Audio2Face-3D"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_environment(cls)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, title="Download Audio2Face-3D")

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.label(text="NVIDIA Open Model License: commercial use is allowed under its terms")
        column.operator("wm.url_open", text="Read the Licence", icon="URL").url = LICENCE_URL
        column.prop(preferences(), "is_audio2face_accepted")

    def _run(self, context: bpy.types.Context) -> set[str]:
        return follow(self, audio2face.start_download(), "Audio2Face-3D is downloaded")


class KEYPORTRAIT_OT_setup_choose_audio2face(ChoosesFolder, bpy.types.Operator):
    """Use a copy of Audio2Face-3D-v2.3 that is already on this machine; its licence is to be \
accepted beside this button"""

    bl_idname = "keyportrait.setup_choose_audio2face"
    bl_label = "Choose a Folder"

    def _use(self) -> str:
        audio2face.use_folder(self.directory)
        return "Audio2Face-3D"


class KEYPORTRAIT_OT_setup_check(ReportsErrors, bpy.types.Operator):
    """Load the networks, render a frame and measure how long it takes"""

    bl_idname = "keyportrait.setup_check"
    bl_label = "Check"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_environment(cls)

    def _run(self, context: bpy.types.Context) -> set[str]:
        return follow(self, setup.start_check(), "LivePortrait works")


class KEYPORTRAIT_OT_setup_cancel(ReportsErrors, bpy.types.Operator):
    """Stop the set-up; finished parts stay, and it goes on from there next time"""

    bl_idname = "keyportrait.setup_cancel"
    bl_label = "Cancel Set-Up"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not setup.is_running():
            cls.poll_message_set("No set-up is running")
            return False
        return True

    def _run(self, context: bpy.types.Context) -> set[str]:
        setup.cancel()
        pump.redraw()
        return {"FINISHED"}


class KEYPORTRAIT_OT_setup_remove(ReportsErrors, bpy.types.Operator):
    """Delete the LivePortrait environment and its downloaded weights. \
A weights folder of your own is left alone"""

    bl_idname = "keyportrait.setup_remove"
    bl_label = "Uninstall LivePortrait"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not setup.has_files():
            cls.poll_message_set("LivePortrait is not installed: there is nothing to remove")
            return False
        return poll_idle(cls)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def _run(self, context: bpy.types.Context) -> set[str]:
        engine_process.free_setup()
        setup.remove()
        setup.renew_engine()
        self.report({"INFO"}, f"LivePortrait was removed from '{setup.folder()}'")
        return {"FINISHED"}


CLASSES = (
    KEYPORTRAIT_OT_setup_environment,
    KEYPORTRAIT_OT_setup_weights,
    KEYPORTRAIT_OT_setup_choose_weights,
    KEYPORTRAIT_OT_setup_audio2face,
    KEYPORTRAIT_OT_setup_choose_audio2face,
    KEYPORTRAIT_OT_setup_check,
    KEYPORTRAIT_OT_setup_cancel,
    KEYPORTRAIT_OT_setup_remove,
)

register, unregister = registration_of(CLASSES)
