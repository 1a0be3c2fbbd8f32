"""Speak, in the Performance panel: what is said, how, and once more."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..engine.speech_options import SPEECH_AMOUNTS
from ..rig import portraits, speech_methods, speech_settings, speech_sources
from ..rig.speech_choices import SOUND
from ..rig.take_choices import STRIP
from .performance import draw_record
from .source import KeyPortraitPanel, draw_problem


class KEYPORTRAIT_PT_speech(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Speak"
    bl_idname = "KEYPORTRAIT_PT_speech"
    bl_parent_id = "KEYPORTRAIT_PT_performance"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 2

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        controller = portraits.active_controller(context)
        if controller is None:
            return
        settings = controller.keyportrait_speech
        layout.row().prop(settings, "source", expand=True)
        draw_source(layout, context, settings)
        draw_amounts(layout, settings)
        row = layout.row(align=True)
        row.scale_y = 1.3
        row.operator("keyportrait.speak", icon="SPEAKER")
        row.operator("keyportrait.speak_again", icon="FILE_REFRESH")
        if speech_settings.has_spoken(controller):
            draw_record(layout, context, settings)


def draw_source(
    layout: bpy.types.UILayout, context: bpy.types.Context, settings: bpy.types.PropertyGroup
) -> None:
    """What is said: a file, the strip that is active now, or a sound."""
    if settings.source == STRIP:
        name = speech_sources.active_strip_name(context) or settings.strip
        layout.label(text=name or "No strip is active", icon="SEQUENCE")
        return
    if settings.source == SOUND:
        layout.template_ID(settings, "sound", open="sound.open")
    else:
        layout.prop(settings, "filepath", text="", placeholder="Sound, movie or mouth shapes")
    column = layout.column(align=True)
    column.use_property_split = True
    column.use_property_decorate = False
    for name in ("range_start", "range_end", "start_frame"):
        column.prop(settings, name)


def draw_amounts(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    """How much of everything moves."""
    column = layout.column(align=True)
    column.use_property_split = True
    column.use_property_decorate = False
    for amount in SPEECH_AMOUNTS:
        column.prop(settings, amount.name, slider=True)
    row = column.row()
    row.active = settings.blinks > 0.0 or settings.head_motion > 0.0
    row.prop(settings, "seed")


class KEYPORTRAIT_PT_speech_options(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Options"
    bl_idname = "KEYPORTRAIT_PT_speech_options"
    bl_parent_id = "KEYPORTRAIT_PT_speech"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        controller = portraits.active_controller(context)
        if controller is None:
            return
        settings = controller.keyportrait_speech
        problem = speech_methods.draw_methods(layout, settings)
        if problem is not None:
            draw_problem(layout, problem.text, problem.hint)
        column = layout.column(align=True)
        column.prop(settings, "language")
        row = column.row(align=True)
        row.prop(settings, "visemes", placeholder="Built in")
        row.operator("keyportrait.edit_viseme_table", text="", icon="TEXT")
        column = layout.column(align=True)
        column.prop(settings, "mode")
        column.prop(settings, "face_offset")
        column = layout.column(align=True, heading="Curves")
        column.prop(settings, "use_whole_frames", text="On Whole Frames")
        column.prop(settings, "use_track")
        column = layout.column(align=True, heading="Scene")
        column.prop(settings, "use_scene_range", text="Set Range")


register, unregister = registration_of((KEYPORTRAIT_PT_speech, KEYPORTRAIT_PT_speech_options))
