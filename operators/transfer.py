"""Performances of faces that are animated already: into files, and onto other faces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty
from bpy_extras.io_utils import ExportHelper

from ..compat import registration_of
from ..engine.take import (
    AUTO,
    FIRST,
    KEYPORTRAIT,
    LIVEPORTRAIT,
    REGION_ITEMS,
    STORE_ITEMS,
    STORE_SUFFIXES,
)
from ..rig import arkit_tables, portraits, selection_order
from ..rig.capture_choices import choices_of
from ..rig.copy_run import CopyRun
from ..rig.errors import AddonError
from ..rig.face_curves import key_range
from ..rig.store_run import StoreRun
from ..rig.take_choices import PlacedChoices
from ._base import NO_FACE, ReportsErrors
from ._long_run import RunsLong


def poll_source(cls: type, context: bpy.types.Context) -> bool:
    """True when a face is active whose performance can be read; it may be linked."""
    if portraits.active_controller(context) is None:
        cls.poll_message_set(NO_FACE)
        return False
    return True


class HasRange:
    """An operator on the frames of a face: those of its keys, or of the scene without any."""

    frame_start: IntProperty(name="Start", description="First frame of the performance")
    frame_end: IntProperty(name="End", description="Last frame of the performance")

    def fill_range(self, context: bpy.types.Context, controller: bpy.types.Object) -> None:
        """Set what the caller has not set."""
        scene = context.scene
        found = key_range(controller) or (scene.frame_start, scene.frame_end)
        for name, frame in zip(("frame_start", "frame_end"), found, strict=True):
            if not self.properties.is_property_set(name):
                setattr(self, name, frame)

    @property
    def frames(self) -> range:
        """The frames from start to end."""
        return range(self.frame_start, self.frame_end + 1)


class KEYPORTRAIT_OT_export_performance(HasRange, RunsLong, ExportHelper, bpy.types.Operator):
    """Write what the active face does as a performance: a file of KeyPortrait, or a motion \
template for LivePortrait"""

    bl_idname = "keyportrait.export_performance"
    bl_label = "Export Performance"

    stop_text = "The export was cancelled"
    filename_ext = STORE_SUFFIXES[KEYPORTRAIT]
    format: EnumProperty(name="Format", items=STORE_ITEMS, description="What is written")
    fps: FloatProperty(
        name="Frame Rate",
        description="Frames per second of a template; 0 for the scene's",
        min=0.0,
        max=240.0,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_source(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        controller = portraits.active_controller(context)
        self.fill_range(context, controller)
        if self.properties.is_property_set("filepath"):
            return self.execute(context)
        folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
        name = bpy.path.clean_name(controller.name)
        self.filepath = str(folder / f"{name}{STORE_SUFFIXES[self.format]}")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, context: bpy.types.Context) -> bool:
        """Called by the file browser: the file's ending follows the format."""
        wanted = str(_with_suffix(self.filepath, self.format))
        is_changed = wanted != self.filepath
        self.filepath = wanted
        return is_changed

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.use_property_split = True
        column.prop(self, "format")
        column.prop(self, "frame_start")
        column.prop(self, "frame_end")
        if self.format == LIVEPORTRAIT:
            column.prop(self, "fps")

    def _begin(self, context: bpy.types.Context) -> StoreRun:
        controller = portraits.active_controller(context)
        self.fill_range(context, controller)
        path = _with_suffix(bpy.path.abspath(self.filepath), self.format)
        if not self.filepath or not path.parent.is_dir():
            raise AddonError(f"There is no folder '{path.parent}'.", "Choose another one.")
        self.filepath = str(path)
        return StoreRun(
            context.scene, controller, self.frames, str(path), self.format, self.fps,
            is_blocking=self.is_blocking,
        )  # fmt: skip

    def _finish(self, context: bpy.types.Context, run: StoreRun) -> set[str]:
        count = run.result()
        self.report({"INFO"}, f"Wrote {count} frames to '{self.filepath}'")
        return {"FINISHED"}


def _with_suffix(filepath: str, kind: str) -> Path:
    """The path with the ending of a format, in place of that of another one."""
    path, wanted = Path(filepath), STORE_SUFFIXES[kind]
    if path.suffix.lower() in STORE_SUFFIXES.values():
        return path.with_suffix(wanted)
    return path.with_name(path.name + wanted) if path.name else path


def draw_export(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    """The entry in File > Export."""
    self.layout.operator(
        "keyportrait.export_performance", text="KeyPortrait Performance (.npz, .pkl)"
    )


class KEYPORTRAIT_OT_copy_performance(HasRange, PlacedChoices, RunsLong, bpy.types.Operator):
    """Carry what the active face does over to the other selected faces, as curves of their own"""

    bl_idname = "keyportrait.copy_performance"
    bl_label = "Copy to Selected"
    bl_options = {"UNDO"}

    stop_text = "The copy was cancelled"
    start_frame: FloatProperty(
        name="Start Frame", description="Scene frame at which the copies begin", step=100
    )
    region: EnumProperty(
        name="Region", items=REGION_ITEMS, description="What is carried over to the faces"
    )
    use_relative_motion: BoolProperty(
        name="Relative to First Frame",
        description="Only what the face does after its first frame; off, all that it does, as "
        "it is",
    )
    multiplier: FloatProperty(
        name="Multiplier",
        description="Factor on all motion",
        default=1.0,
        min=0.0,
        max=10.0,
        soft_max=2.0,
    )
    use_mirror: BoolProperty(name="Mirror", description="Left and right swapped")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not poll_source(cls, context):
            return False
        if not other_faces(context):
            cls.poll_message_set(
                "No other face is selected: select the faces that shall do it, then Shift-click "
                "the one that does"
            )
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.fill_range(context, portraits.active_controller(context))
        if not self.properties.is_property_set("start_frame"):
            self.start_frame = self.frame_start
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.use_property_split = True
        for name in (
            "frame_start", "frame_end", "start_frame", "region", "use_relative_motion",
            "multiplier", "use_mirror", "mode", "use_track", "face_offset",
        ):  # fmt: skip
            column.prop(self, name)

    def _begin(self, context: bpy.types.Context) -> CopyRun:
        source = portraits.active_controller(context)
        self.fill_range(context, source)
        if not self.properties.is_property_set("start_frame"):
            self.start_frame = self.frame_start
        targets = selection_order.sorted_by_selection(other_faces(context))
        choices = replace(
            choices_of(targets[0].keyportrait_capture),
            start_frame=self.start_frame, stretch=1.0, performer=1, smooth=0.0,
            region=self.region, multiplier=self.multiplier, use_mirror=self.use_mirror,
            reference=FIRST if self.use_relative_motion else AUTO, use_relative_motion=True,
            use_lip_normalization=False, use_eye_retargeting=False, use_lip_retargeting=False,
            mode=self.mode, use_track=self.use_track, face_offset=self.face_offset,
            use_markers=False, use_scene_range=False,
        )  # fmt: skip
        return CopyRun(context, source, targets, self.frames, choices, is_blocking=self.is_blocking)

    def _finish(self, context: bpy.types.Context, run: CopyRun) -> set[str]:
        summary = run.finish(context)
        for warning in summary.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, summary.text)
        return {"FINISHED"}


def other_faces(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The selected faces that can be changed, without the active one."""
    active = portraits.active_controller(context)
    return [face for face in portraits.editable_controllers(context) if face != active]


class KEYPORTRAIT_OT_edit_arkit_table(ReportsErrors, bpy.types.Operator):
    """Open your own table of what ARKit's face shapes do, a copy of the one that ships, in the \
Text Editor. Captures use it once it is saved"""

    bl_idname = "keyportrait.edit_arkit_table"
    bl_label = "Edit ARKit Table"

    def _run(self, context: bpy.types.Context) -> set[str]:
        path = arkit_tables.ensure_user_table()
        text = next((t for t in bpy.data.texts if t.filepath == str(path)), None)
        text = text or bpy.data.texts.load(str(path))
        for area in context.screen.areas if context.screen else ():
            if area.type == "TEXT_EDITOR":
                area.spaces.active.text = text
        self.report({"INFO"}, f"'{text.name}' is open in the Text Editor; its file is {path}")
        return {"FINISHED"}


CLASSES = (
    KEYPORTRAIT_OT_export_performance,
    KEYPORTRAIT_OT_copy_performance,
    KEYPORTRAIT_OT_edit_arkit_table,
)
_register, _unregister = registration_of(CLASSES)


def register() -> None:
    _register()
    bpy.types.TOPBAR_MT_file_export.append(draw_export)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_export.remove(draw_export)
    _unregister()
