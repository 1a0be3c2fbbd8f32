"""Capture, in the Performance panel: from where, which part, how, and once more."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..engine.take import CHOSEN, NETWORKS
from ..rig import capture_settings, clip_sources, performer_list, portraits
from ..rig import engine as engine_process
from ..rig.capture_choices import CLIP
from ..rig.take_choices import FILE, STRIP
from .performance import draw_cache, draw_record
from .source import KeyPortraitPanel, wrapped

PICTURE_SCALE = 3.0  # of a performer's face: as high as the lines beside it


class KEYPORTRAIT_PT_capture(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Capture"
    bl_idname = "KEYPORTRAIT_PT_capture"
    bl_parent_id = "KEYPORTRAIT_PT_performance"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        controller = portraits.active_controller(context)
        if controller is None:
            return
        settings = controller.keyportrait_capture
        layout.row().prop(settings, "source", expand=True)
        draw_source(layout, context, settings)
        row = layout.row(align=True)
        row.scale_y = 1.3
        row.operator("keyportrait.capture", icon="OUTLINER_DATA_ARMATURE")
        row.operator("keyportrait.recapture", icon="FILE_REFRESH")
        if capture_settings.is_captured(controller):
            draw_record(layout, context, settings)


def draw_source(
    layout: bpy.types.UILayout, context: bpy.types.Context, settings: bpy.types.PropertyGroup
) -> None:
    if settings.source == STRIP:
        name = clip_sources.active_strip_name(context) or settings.strip
        layout.label(text=name or "No strip is active", icon="SEQUENCE")
    elif settings.source == CLIP:
        layout.prop(settings, "clip", text="")
    else:
        layout.prop(settings, "filepath", text="", placeholder="Clip or template")
    column = layout.column(align=True)
    column.use_property_split = True
    column.use_property_decorate = False
    if settings.source != STRIP:
        column.row().prop(settings, "range_unit", expand=True)
        column.prop(settings, "range_start")
        column.prop(settings, "range_end")
    if settings.source == FILE:
        column.prop(settings, "start_frame")
    draw_performers(column, context, settings)


def draw_performers(
    layout: bpy.types.UILayout, context: bpy.types.Context, settings: bpy.types.PropertyGroup
) -> None:
    """Which face of the clip; all of them by name once the clip was read."""
    row = layout.row(align=True)
    row.prop(settings, "performer")
    row.operator("keyportrait.list_performers", text="", icon="COMMUNITY")
    for item in performer_list.known(performer_list.choices_in(context, settings)):
        row = layout.row()
        if item.icon_id:
            row.template_icon(icon_value=item.icon_id, scale=PICTURE_SCALE)
        column = row.column(align=True)
        is_chosen = item.number == settings.performer
        times, *more = item.lines
        choice = column.operator(
            "keyportrait.choose_performer",
            text=f"{item.number}: {times}",
            icon="RADIOBUT_ON" if is_chosen else "RADIOBUT_OFF",
            depress=is_chosen,
        )
        choice.number = item.number
        for line in more:
            column.label(text=line)


class KEYPORTRAIT_PT_capture_options(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Options"
    bl_idname = "KEYPORTRAIT_PT_capture_options"
    bl_parent_id = "KEYPORTRAIT_PT_capture"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        controller = portraits.active_controller(context)
        if controller is None:
            return
        settings = controller.keyportrait_capture
        draw_readers(layout, settings)
        draw_motion(layout, settings)
        draw_curves(layout, settings)
        draw_cache(layout)


def draw_readers(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    """Who reads the performer; networks that are chosen and not installed are told."""
    column = layout.column(align=True)
    column.prop(settings, "reader")
    is_missing = engine_process.NETWORKS in engine_process.missing_renderers()
    if settings.reader == NETWORKS and is_missing:
        for line in wrapped("The networks are not set up: see Engine."):
            column.label(text=line)


def draw_motion(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    """What is carried over, and how."""
    column = layout.column(align=True)
    column.prop(settings, "region")
    column.prop(settings, "reference")
    if settings.reference == CHOSEN:
        column.prop(settings, "reference_s")
    column.prop(settings, "multiplier")
    column.prop(settings, "smooth")
    column = layout.column(align=True, heading="Motion")
    for name in ("use_relative_motion", "use_mirror", "use_lip_normalization"):
        column.prop(settings, name)
    column = layout.column(align=True, heading="Fit")
    for name in ("use_eye_retargeting", "use_lip_retargeting", "is_expression_friendly"):
        column.prop(settings, name)


def draw_curves(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    """What becomes of it on the timeline."""
    column = layout.column(align=True)
    for name in ("mode", "stretch", "face_offset"):
        column.prop(settings, name)
    column = layout.column(align=True, heading="Curves")
    column.prop(settings, "use_detail")
    column.prop(settings, "use_whole_frames", text="On Whole Frames")
    column.prop(settings, "use_track")
    column = layout.column(align=True, heading="Scene")
    column.prop(settings, "use_markers")
    column.prop(settings, "use_scene_range", text="Set Range")


register, unregister = registration_of((KEYPORTRAIT_PT_capture, KEYPORTRAIT_PT_capture_options))
