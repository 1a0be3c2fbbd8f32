"""Performances of faces that are animated already: into files, and onto other faces."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty
from bpy_extras.io_utils import ExportHelper

from ..compat import registration_of
from ..engine.take import KEYPORTRAIT, LIVEPORTRAIT, STORE_ITEMS, STORE_SUFFIXES
from ..rig import portraits
from ..rig.errors import AddonError
from ..rig.face_curves import key_range
from ..rig.store_run import StoreRun
from ._base import NO_FACE
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


_register, _unregister = registration_of((KEYPORTRAIT_OT_export_performance,))


def register() -> None:
    _register()
    bpy.types.TOPBAR_MT_file_export.append(draw_export)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_export.remove(draw_export)
    _unregister()
