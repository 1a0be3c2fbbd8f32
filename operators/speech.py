"""Faces speak what a sound says, once and again; their own tables of visemes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import compat
from ..engine.speech_options import SOUND_SUFFIXES
from ..rig import (
    portraits,
    speech_methods,
    speech_run,
    speech_settings,
    speech_sources,
    viseme_tables,
)
from ..rig.capture_run import CaptureRun
from ..rig.speech_choices import Speech, SpeechChoices, speech_of, store
from ..rig.take_job import TakeJob
from ._base import ReportsErrors, poll_face
from .capture import Captures, FromFile

# Mouth shapes over time from Rhubarb and Papagayo.
MOUTH_SHAPES = (".tsv", ".xml", ".json", ".dat")


class KEYPORTRAIT_OT_speak(FromFile, SpeechChoices, bpy.types.Operator):
    """Let the selected faces speak what a sound says: it becomes curves of the mouth with few \
keys that can be edited"""

    bl_idname = "keyportrait.speak"
    bl_label = "Speak"
    bl_options = {"UNDO"}

    stop_text = "Speaking was cancelled"
    filepath: StringProperty(
        name="File Path",
        description="A sound, a movie with sound, or mouth shapes from Rhubarb or Papagayo",
        subtype="FILE_PATH",
        options={"SKIP_SAVE", *compat.relative_path_options()},
    )
    sound: StringProperty(
        name="Sound",
        description="Name of a sound of this file, for that source",
        options={"SKIP_SAVE"},
    )
    filter_glob: StringProperty(
        default=";".join(f"*{suffix}" for suffix in (*SOUND_SUFFIXES, *MOUTH_SHAPES)),
        options={"HIDDEN"},
    )
    filter_sound: BoolProperty(
        default=True, description="The file browser shows sounds", options={"HIDDEN"}
    )

    def _known(self, context: bpy.types.Context) -> Speech:
        known = speech_of(portraits.active_controller(context).keyportrait_speech)
        # A strip is remembered for Speak Again; this means the one that is active now.
        return replace(known, strip=speech_sources.active_strip_name(context) or known.strip)

    def _store(self, known: Speech) -> None:
        store(known, self, own=self.properties)

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.use_property_split = True
        for name in ("range_start", "range_end", "start_frame"):
            column.prop(self, name)
        column.separator()
        for name in (
            "strength",
            "jaw",
            "articulation",
            "blinks",
            "head_motion",
            "language",
        ):
            column.prop(self, name)
        problem = speech_methods.draw_methods(column, self)
        for line in problem or ():
            column.label(text=line, icon="INFO" if line == problem.text else "BLANK1")
        column.separator()
        for name in ("mode", "use_track", "use_scene_range", "relative_path"):
            column.prop(self, name)

    def _jobs(
        self, context: bpy.types.Context, faces: Sequence[bpy.types.Object]
    ) -> Sequence[TakeJob]:
        return speech_run.jobs_for(context, faces, speech_of(self))


class KEYPORTRAIT_OT_speak_again(Captures, bpy.types.Operator):
    """Speak the same sound again with the settings of the panel, in place of the keys that the \
last speech of each selected face has set; all other keys stay"""

    bl_idname = "keyportrait.speak_again"
    bl_label = "Speak Again"
    bl_options = {"UNDO"}

    stop_text = "Speaking was cancelled"
    is_again = True

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not poll_face(cls, context):
            return False
        controller = portraits.active_controller(context)
        if not speech_settings.has_spoken(controller):
            cls.poll_message_set(f"'{controller.name}' has not spoken yet: press Speak")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self.execute(context)

    def _begin(self, context: bpy.types.Context) -> CaptureRun:
        faces = portraits.editable_controllers(context)
        spoken = [face for face in faces if speech_settings.has_spoken(face)]
        return CaptureRun(speech_run.jobs_again(context, spoken), is_blocking=self.is_blocking)


class KEYPORTRAIT_OT_edit_viseme_table(ReportsErrors, bpy.types.Operator):
    """Open the table of what the mouth does for each sound in the Text Editor: the one that is \
chosen, else a copy of your own, which the selected faces use from then on. Save it, and speak \
again"""

    bl_idname = "keyportrait.edit_viseme_table"
    bl_label = "Edit Viseme Table"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        chosen = portraits.active_controller(context).keyportrait_speech.visemes
        path = viseme_tables.ensure_own_table(Path(bpy.path.abspath(chosen)) if chosen else None)
        for face in portraits.editable_controllers(context):
            face.keyportrait_speech.visemes = chosen or str(path)
        text = next((t for t in bpy.data.texts if t.filepath == str(path)), None)
        text = text or bpy.data.texts.load(str(path))
        for area in context.screen.areas if context.screen else ():
            if area.type == "TEXT_EDITOR":
                area.spaces.active.text = text
        self.report({"INFO"}, f"'{text.name}' is open in the Text Editor; its file is {path}")
        return {"FINISHED"}


register, unregister = compat.registration_of(
    (KEYPORTRAIT_OT_speak, KEYPORTRAIT_OT_speak_again, KEYPORTRAIT_OT_edit_viseme_table)
)
