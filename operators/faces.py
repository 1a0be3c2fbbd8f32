"""Face controllers: remove, add by hand, put the handle back, choose what the head follows."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, FloatVectorProperty, IntProperty, StringProperty

from ..compat import registration_of
from ..engine.controls import Face
from ..host.client import EngineError
from ..rig import (
    content,
    controllers,
    creation,
    head_target,
    highlight,
    later_faces,
    live,
    portraits,
)
from ..rig.errors import AddonError
from ._base import ReportsErrors, poll_face, poll_portrait
from ._detect import RequestRun, ask_for_faces, started_engine, submit_in_clip
from ._long_run import RunsLong


class KEYPORTRAIT_OT_remove_face(ReportsErrors, bpy.types.Operator):
    """Delete the active face controller; its face goes back to rest"""

    bl_idname = "keyportrait.remove_face"
    bl_label = "Remove Face"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        controller = portraits.active_controller(context)
        name, plane = controller.name, portraits.plane_of(controller)
        controllers.remove_controller(controller)
        if plane is not None:
            creation.select_only(context, plane)
        live.refresh_later()
        self.report({"INFO"}, f"Removed '{name}'")
        return {"FINISHED"}


class KEYPORTRAIT_OT_add_face(RunsLong, bpy.types.Operator):
    """Add a controller for a face that is not found by itself, by a box around it"""

    bl_idname = "keyportrait.add_face"
    bl_label = "Add Face by Box"
    bl_options = {"REGISTER", "UNDO"}

    box: FloatVectorProperty(
        name="Box", size=4, description="Left, top, right, bottom of the face in picture pixels"
    )
    use_select: BoolProperty(
        name="Select",
        description="Select the new controller",
        options={"HIDDEN", "SKIP_SAVE"},
    )
    stop_text = "Adding the face was cancelled"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_portrait(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        source = portraits.active_plane(context).keyportrait.portrait.source
        if any(self.box):
            return self.execute(context)
        if source is not None:
            width, height = portraits.picture_size(portraits.active_plane(context))
            self.box = (0.3 * width, 0.2 * height, 0.7 * width, 0.7 * height)
        return context.window_manager.invoke_props_dialog(self)

    def _begin(self, context: bpy.types.Context) -> RequestRun:
        plane = portraits.active_plane(context)
        item = portraits.portrait(plane)
        portraits.check_whole(item)
        settings = item.settings
        self._face = creation.hand_drawn_face(plane, tuple(self.box))
        self._identity = item.identity
        name = settings.source.name
        fields = {"name": name, "renderer": settings.renderer, "box": list(self._face.box)}
        text = f"Reading the face in '{name}'"
        self._look = later_faces.look_of(item)
        if self._look is not None:
            client = started_engine(is_blocking=self.is_blocking)
            return RequestRun(client, submit_in_clip(client, self._look.place, fields), text)
        picture = content.read_source(settings)
        return ask_for_faces(picture, fields, text, is_blocking=self.is_blocking)

    def _finish(self, context: bpy.types.Context, run: RequestRun) -> set[str]:
        item = portraits.find(self._identity)
        if item is None:
            raise AddonError("The portrait was deleted meanwhile.")
        face, reason = self._face, ""
        try:
            face = Face.from_json(run.ticket.result().fields["faces"][0])
        except EngineError as error:
            if error.code != "bad_face":
                raise
            # The networks move it all the same; Preview tells the same on its row.
            reason = f". {error}"
        if self._look is not None:
            face = self._look.noted(face)
        controller = creation.add_drawn_face(item.plane, face)
        if self.use_select:
            creation.select_only(context, controller)
        live.follow_faces(portraits.portrait(item.plane))
        self.report({"WARNING" if reason else "INFO"}, f"Added '{controller.name}'{reason}")
        return {"FINISHED"}


class KEYPORTRAIT_OT_reset_handle(ReportsErrors, bpy.types.Operator):
    """Put the Empty back to where it stands at rest; sliders and keys stay"""

    bl_idname = "keyportrait.reset_handle"
    bl_label = "Reset Handle"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        for controller in portraits.editable_controllers(context):
            controllers.reset_handle(controller)
        return {"FINISHED"}


class KEYPORTRAIT_OT_head_look_at(ReportsErrors, bpy.types.Operator):
    """Turn the head of the selected faces to the other selected object, or to a new Empty"""

    bl_idname = "keyportrait.head_look_at"
    bl_label = "Head Look At"
    bl_options = {"REGISTER", "UNDO"}

    target: StringProperty(
        name="Target", description="Name of the object to look at, instead of the selected one"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        target = self._target(context)
        context.view_layer.update()
        for controller in portraits.editable_controllers(context):
            head_target.look_at(controller, target)
        live.refresh_later()
        return {"FINISHED"}

    def _target(self, context: bpy.types.Context) -> bpy.types.Object | None:
        if not self.target:
            others = [o for o in context.selected_objects if o.keyportrait.kind == "NONE"]
            return others[0] if others else None
        target = bpy.data.objects.get(self.target)
        if target is None:
            raise AddonError(f"There is no object '{self.target}' in this file.", "Choose another.")
        if target in portraits.editable_controllers(context):
            raise AddonError(f"'{target.name}' cannot look at itself.", "Choose another object.")
        return target


class KEYPORTRAIT_OT_head_look_free(ReportsErrors, bpy.types.Operator):
    """Let the head of the selected faces go; what it looked at stays"""

    bl_idname = "keyportrait.head_look_free"
    bl_label = "Stop Looking"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not poll_face(cls, context):
            return False
        if head_target.constraint_of(portraits.active_controller(context)) is None:
            cls.poll_message_set("This head looks at nothing: press Head Look At first")
            return False
        return True

    def _run(self, context: bpy.types.Context) -> set[str]:
        for controller in portraits.editable_controllers(context):
            head_target.look_free(controller)
        live.refresh_later()
        return {"FINISHED"}


class KEYPORTRAIT_OT_select_face(ReportsErrors, bpy.types.Operator):
    """Select a face controller"""

    bl_idname = "keyportrait.select_face"
    bl_label = "Select Face"
    bl_options = {"REGISTER", "UNDO"}

    index: IntProperty(name="Face", description="Number of the face on its portrait, from 0", min=0)

    @classmethod
    def description(cls, context: bpy.types.Context, properties: object) -> str:
        """Called when the tooltip appears: the only sign that the pointer rests on a row."""
        plane = portraits.active_plane(context)
        faces = portraits.portrait(plane).controllers if plane is not None else ()
        if properties.index >= len(faces):
            return cls.__doc__
        highlight.point_at(faces[properties.index])
        return f"Select '{faces[properties.index].name}', which is outlined in the viewport"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_portrait(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        item = portraits.portrait(portraits.active_plane(context))
        if self.index >= len(item.controllers):
            text = f"'{item.plane.name}' has no face number {self.index}."
            raise AddonError(text, "Faces are counted from 0.")
        creation.select_only(context, item.controllers[self.index])
        return {"FINISHED"}


class KEYPORTRAIT_OT_select_portrait(ReportsErrors, bpy.types.Operator):
    """Select the plane of the active face controller"""

    bl_idname = "keyportrait.select_portrait"
    bl_label = "Select Portrait"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_portrait(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        creation.select_only(context, portraits.active_plane(context))
        return {"FINISHED"}


CLASSES = (
    KEYPORTRAIT_OT_remove_face,
    KEYPORTRAIT_OT_add_face,
    KEYPORTRAIT_OT_reset_handle,
    KEYPORTRAIT_OT_head_look_at,
    KEYPORTRAIT_OT_head_look_free,
    KEYPORTRAIT_OT_select_face,
    KEYPORTRAIT_OT_select_portrait,
)

register, unregister = registration_of(CLASSES)
