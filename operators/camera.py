"""The camera: start and stop it, set neutral, record takes."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, FloatProperty

from .. import compat
from ..preferences import preferences
from ..rig import camera, camera_devices, camera_take, engine, portraits, selection_order
from ..rig.errors import AddonError
from ._base import ReportsErrors, poll_face
from ._long_run import RunsLong

CONSENT = (
    "KeyPortrait opens the camera and reads your face on this computer.",
    "No picture leaves the computer, and none is stored",
    "unless you switch Keep Video on for a take.",
    "The camera closes when you press Stop or open another file.",
)


def poll_camera(cls: type) -> bool:
    """True while the camera is on."""
    if not camera.is_on():
        cls.poll_message_set("The camera is off: press Start Camera in the Camera panel")
        return False
    return True


class KEYPORTRAIT_OT_camera_start(ReportsErrors, bpy.types.Operator):
    """Let the face in front of the camera move the selected faces. Their sliders and keys stay \
as they are"""

    bl_idname = "keyportrait.camera_start"
    bl_label = "Start Camera"

    use_consent: BoolProperty(
        name="Allow the Camera",
        description="The camera may be opened; asked once",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if preferences().is_camera_accepted:
            return self.execute(context)
        self.use_consent = True
        return context.window_manager.invoke_props_dialog(
            self, width=420, title="Use the Camera?", confirm_text="Start Camera"
        )

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        for line in CONSENT:
            column.label(text=line)

    def _run(self, context: bpy.types.Context) -> set[str]:
        if self.use_consent:
            preferences().is_camera_accepted = True
        if not preferences().is_camera_accepted:
            raise AddonError("The camera is not allowed.", "Allow it in the preferences.")
        faces = selection_order.sorted_by_selection(portraits.editable_controllers(context))
        camera.start(faces)
        return {"FINISHED"}


class KEYPORTRAIT_OT_camera_stop(ReportsErrors, bpy.types.Operator):
    """Close the camera. The faces do again what their sliders and keys say"""

    bl_idname = "keyportrait.camera_stop"
    bl_label = "Stop Camera"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_camera(cls)

    def _run(self, context: bpy.types.Context) -> set[str]:
        camera.stop()
        return {"FINISHED"}


class KEYPORTRAIT_OT_camera_refresh(ReportsErrors, bpy.types.Operator):
    """Look which cameras there are"""

    bl_idname = "keyportrait.camera_refresh"
    bl_label = "Refresh Cameras"

    def _run(self, context: bpy.types.Context) -> set[str]:
        if self.options.is_invoke and not bpy.app.background:
            camera_devices.ask_later()
            return {"FINISHED"}
        timeout_s = preferences().open_timeout_s
        client = engine.start_ready(timeout_s)
        client.wait(camera_devices.ask(client), timeout_s)
        camera_devices.look()
        count = camera_devices.count()
        self.report({"INFO"}, f"{count} camera{'' if count == 1 else 's'} found")
        return {"FINISHED"}


class KEYPORTRAIT_OT_camera_neutral(ReportsErrors, bpy.types.Operator):
    """After the countdown, take your face as it is then for the face at rest: look straight \
ahead, eyes open, lips shut"""

    bl_idname = "keyportrait.camera_neutral"
    bl_label = "Set Neutral"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_camera(cls)

    def _run(self, context: bpy.types.Context) -> set[str]:
        camera.set_neutral(context.scene.keyportrait_camera.countdown_s)
        return {"FINISHED"}


class KEYPORTRAIT_OT_camera_record(RunsLong, bpy.types.Operator):
    """Play the scene from here, with its sound, and record what you perform: a new take on an NLA \
track of its own. Ends with the scene, or when you stop playing; Esc throws it away"""

    bl_idname = "keyportrait.camera_record"
    bl_label = "Record"
    bl_options = {"UNDO"}

    seconds: FloatProperty(
        name="Seconds",
        description="Length of a take that a script records; the scene does not play then",
        default=2.0,
        min=0.1,
        options={"HIDDEN", "SKIP_SAVE"},
    )

    stop_text = "The take was thrown away"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not poll_camera(cls):
            return False
        if camera_take.running() is not None:
            cls.poll_message_set("A take is recorded already: press End Take")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self.execute(context)

    def _begin(self, context: bpy.types.Context) -> camera_take.TakeRun:
        is_played = not self.is_blocking
        countdown_s = context.scene.keyportrait_camera.countdown_s if is_played else 0.0
        return camera_take.TakeRun(
            context, seconds=self.seconds, countdown_s=countdown_s, use_play=is_played
        )

    def _finish(self, context: bpy.types.Context, run: camera_take.TakeRun) -> set[str]:
        summary = run.finish(context)
        level = "WARNING" if summary.warnings else "INFO"
        self.report({level}, ". ".join([summary.text, *summary.warnings]))
        return {"FINISHED"}


class KEYPORTRAIT_OT_camera_end_take(ReportsErrors, bpy.types.Operator):
    """Stop recording and write the keys"""

    bl_idname = "keyportrait.camera_end_take"
    bl_label = "End Take"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if camera_take.running() is None:
            cls.poll_message_set("No take is recorded: press Record")
            return False
        return True

    def _run(self, context: bpy.types.Context) -> set[str]:
        run = camera_take.running()
        if run is not None:
            run.end()
        return {"FINISHED"}


class KEYPORTRAIT_OT_camera_step(ReportsErrors, bpy.types.Operator):
    """Wait for the camera's next frame and show it, for scripts"""

    bl_idname = "keyportrait.camera_step"
    bl_label = "Next Frame of the Camera"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_camera(cls)

    def _run(self, context: bpy.types.Context) -> set[str]:
        return {"FINISHED"} if camera.step() else {"CANCELLED"}


CLASSES = (
    KEYPORTRAIT_OT_camera_start,
    KEYPORTRAIT_OT_camera_stop,
    KEYPORTRAIT_OT_camera_refresh,
    KEYPORTRAIT_OT_camera_neutral,
    KEYPORTRAIT_OT_camera_record,
    KEYPORTRAIT_OT_camera_end_take,
    KEYPORTRAIT_OT_camera_step,
)
register, unregister = compat.registration_of(CLASSES)
