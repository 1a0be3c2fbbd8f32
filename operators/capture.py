"""Capture a performance onto the selected faces as F-curves, and capture it again otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from .. import compat
from ..rig import (
    capture_settings,
    clip_sources,
    image_files,
    performer_list,
    portraits,
    selection_order,
)
from ..rig.capture_choices import CaptureChoices, Choices, choices_of, store
from ..rig.capture_run import CaptureRun, Summary, jobs_again, jobs_for
from ..rig.take_choices import FILE
from ..rig.take_job import TakeJob
from ._base import ReportsErrors, poll_face
from ._long_run import RunsLong

PERFORMANCES = "*.pkl;*.npz;*.csv;*.tsv;*.xml;*.json;*.dat"


class Captures(RunsLong):
    """Mixin: a CaptureRun that is begun by a subclass and written to the faces."""

    stop_text = "The capture was cancelled"
    is_again = False

    def _finish(self, context: bpy.types.Context, run: CaptureRun) -> set[str]:
        self._tell(run.finish(context, is_again=self.is_again))
        return {"FINISHED"}

    def _tell(self, summary: Summary) -> None:
        if summary.warnings:
            self.report({"WARNING"}, ". ".join([summary.text, *summary.warnings]))
        else:
            self.report({"INFO"}, summary.text)


class FromFile(Captures, ImportHelper):
    """Mixin: a Captures whose performance may lie in a file, which a dialog asks for."""

    filter_movie: BoolProperty(
        default=True, description="The file browser shows movies", options={"HIDDEN"}
    )
    filter_folder: BoolProperty(
        default=True, description="The file browser shows folders", options={"HIDDEN"}
    )
    relative_path: BoolProperty(
        name="Relative Path",
        description="Store the file's path relative to the .blend file, once that is saved",
        default=True,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def _known(self, context: bpy.types.Context) -> Any:
        """The choices of the active face, with the strip that is active now."""
        raise NotImplementedError

    def _store(self, known: Any) -> None:
        """Take them over where the caller has set nothing."""
        raise NotImplementedError

    def _jobs(
        self, context: bpy.types.Context, faces: Sequence[bpy.types.Object]
    ) -> Sequence[TakeJob]:
        """What is to be done, by this operator's properties. Raises AddonError."""
        raise NotImplementedError

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        is_given = self.properties.is_property_set("filepath")
        self._store(self._known(context))
        if is_given or self.filepath or self.source != FILE:
            return self.execute(context)
        if not self.properties.is_property_set("relative_path"):
            self.relative_path = context.preferences.filepaths.use_relative_paths
        return ImportHelper.invoke(self, context, event)

    def _begin(self, context: bpy.types.Context) -> CaptureRun:
        if not self.options.is_invoke and not self.properties.is_property_set("start_frame"):
            self.start_frame = context.scene.frame_current
        if self.filepath:
            is_set = self.properties.is_property_set("relative_path")
            path = Path(bpy.path.abspath(self.filepath))
            use_relative = self.relative_path if is_set else None
            self.filepath = image_files.stored_path(self.filepath, path, use_relative)
        faces = selection_order.sorted_by_selection(portraits.editable_controllers(context))
        return CaptureRun(self._jobs(context, faces), is_blocking=self.is_blocking)


class KEYPORTRAIT_OT_capture(FromFile, CaptureChoices, bpy.types.Operator):
    """Carry a performance over to the selected faces: a clip or a motion template becomes \
curves that can be edited"""

    bl_idname = "keyportrait.capture"
    bl_label = "Capture"
    bl_options = {"UNDO"}

    filepath: StringProperty(
        name="File Path",
        description="A clip, the first picture of a sequence, or a motion template",
        subtype="FILE_PATH",
        options={"SKIP_SAVE", *compat.relative_path_options()},
    )
    clip: StringProperty(
        name="Movie Clip",
        description="Name of a movie clip of this file, for that source",
        options={"SKIP_SAVE"},
    )
    filter_glob: StringProperty(default=PERFORMANCES, options={"HIDDEN"})
    filter_image: BoolProperty(
        default=True, description="The file browser shows pictures", options={"HIDDEN"}
    )

    def _known(self, context: bpy.types.Context) -> Choices:
        known = choices_of(portraits.active_controller(context).keyportrait_capture)
        # A strip is remembered for Re-capture; this means the one that is active now.
        return replace(known, strip=clip_sources.active_strip_name(context) or known.strip)

    def _store(self, known: Choices) -> None:
        store(known, self, own=self.properties)

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.use_property_split = True
        for name in ("range_unit", "range_start", "range_end", "start_frame", "performer"):
            column.prop(self, name)
        column.separator()
        for name in ("reader", "smooth", "region", "reference", "multiplier", "mode"):
            column.prop(self, name)
        column.separator()
        for name in ("use_detail", "use_track", "use_scene_range", "relative_path"):
            column.prop(self, name)

    def _jobs(
        self, context: bpy.types.Context, faces: Sequence[bpy.types.Object]
    ) -> Sequence[TakeJob]:
        return jobs_for(context, faces, choices_of(self))


class KEYPORTRAIT_OT_recapture(Captures, bpy.types.Operator):
    """Capture the same performance again with the settings of the panel, in place of the \
last capture of each selected face. The clip is not read again"""

    bl_idname = "keyportrait.recapture"
    bl_label = "Re-capture"
    bl_options = {"UNDO"}

    is_again = True

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not poll_face(cls, context):
            return False
        controller = portraits.active_controller(context)
        if not capture_settings.is_captured(controller):
            cls.poll_message_set(f"'{controller.name}' was not captured: press Capture")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self.execute(context)

    def _begin(self, context: bpy.types.Context) -> CaptureRun:
        faces = portraits.editable_controllers(context)
        captured = [face for face in faces if capture_settings.is_captured(face)]
        return CaptureRun(jobs_again(context, captured), is_blocking=self.is_blocking)


class KEYPORTRAIT_OT_list_performers(RunsLong, bpy.types.Operator):
    """List the faces of the chosen clip for choosing. The clip is read once for that, and not \
again when it is captured"""

    bl_idname = "keyportrait.list_performers"
    bl_label = "List Performers"

    stop_text = "The clip was not read to its end"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not poll_face(cls, context):
            return False
        settings = portraits.active_controller(context).keyportrait_capture
        if settings.source == FILE and not settings.filepath:
            cls.poll_message_set("No clip is chosen: choose one in the Performance panel")
            return False
        if settings.source == FILE and not performer_list.is_clip(settings.filepath):
            cls.poll_message_set("The chosen file is no clip and holds one performer")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self.execute(context)

    def _begin(self, context: bpy.types.Context) -> performer_list.ListRun:
        settings = portraits.active_controller(context).keyportrait_capture
        choices = performer_list.choices_in(context, settings)
        return performer_list.ListRun(context, choices, is_blocking=self.is_blocking)

    def _finish(self, context: bpy.types.Context, run: performer_list.ListRun) -> set[str]:
        found = run.finish()
        listed = "; ".join(f"{item.number}: {item.text}" for item in found)
        count = f"{len(found)} performer{'s' if len(found) > 1 else ''}"
        self.report({"INFO"}, f"{count}. {listed}")
        return {"FINISHED"}


class KEYPORTRAIT_OT_choose_performer(ReportsErrors, bpy.types.Operator):
    """Capture this face of the clip"""

    bl_idname = "keyportrait.choose_performer"
    bl_label = "Choose Performer"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    number: IntProperty(name="Performer", default=1, min=1, description="1 is the first listed")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        portraits.active_controller(context).keyportrait_capture.performer = self.number
        return {"FINISHED"}


CLASSES = (
    KEYPORTRAIT_OT_capture,
    KEYPORTRAIT_OT_recapture,
    KEYPORTRAIT_OT_list_performers,
    KEYPORTRAIT_OT_choose_performer,
)
register, unregister = compat.registration_of(CLASSES)
