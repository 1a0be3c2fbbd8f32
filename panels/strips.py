"""Sidebar of the Video Sequencer: the active strip's portrait, its faces and their sliders."""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat
from ..rig import portraits, strip_bake, strip_following, strip_links, strip_reading
from ..rig.strip_settings import PICTURES
from . import capture, faces, performance
from .source import CATEGORY, draw_faces, draw_state, wrapped


class StripPanel:
    """Where all panels of the extension in the Video Sequencer are."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = CATEGORY


class KEYPORTRAIT_PT_strip(StripPanel, bpy.types.Panel):
    bl_label = "Strip"
    bl_idname = "KEYPORTRAIT_PT_strip"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        strip, _ = compat.active_strip(context)
        if strip is None:
            layout.label(text="Select a strip with a face", icon="INFO")
            return
        plane = strip_links.plane_of_strip(strip)
        if plane is None:
            layout.operator("keyportrait.animate_strip", icon="USER")
            draw_obstacle(layout, strip)
            layout.operator("keyportrait.drive_with_strip", icon="OUTLINER_DATA_ARMATURE")
            return
        layout.label(text=plane.name, icon="IMAGE_PLANE")
        draw_state(layout, plane)
        draw_faces(layout, plane, portraits.active_controller(context))
        if strip_following.is_behind(strip):
            layout.label(text="The strip was moved or trimmed", icon="INFO")
            layout.operator("keyportrait.follow_strip", icon="FILE_REFRESH")
        layout.operator("keyportrait.drive_with_strip", icon="OUTLINER_DATA_ARMATURE")
        layout.prop(compat.sequencer_scene(context).keyportrait_strips, "use_preview")
        draw_bake(layout)


def draw_bake(layout: bpy.types.UILayout) -> None:
    """The bake's button, or how far it is."""
    run = strip_bake.active()
    if run is None:
        layout.operator("keyportrait.bake_strip", icon="RENDER_ANIMATION")
        return
    row = layout.row(align=True)
    row.progress(factor=run.fraction, text=run.text)
    row.operator("keyportrait.stop_bake", text="", icon="CANCEL")


def draw_obstacle(layout: bpy.types.UILayout, strip: Any) -> None:
    """Why a strip cannot be read from its files, and what is done about it."""
    reason = strip_reading.why_unreadable(strip)
    if reason and strip.type != "SOUND":
        text = f"It {reason}: Blender renders it to pictures first"
        for number, line in enumerate(wrapped(text)):
            layout.label(text=line, icon="BLANK1" if number else "INFO")


class KEYPORTRAIT_PT_strip_bake(StripPanel, bpy.types.Panel):
    bl_label = "Bake Options"
    bl_idname = "KEYPORTRAIT_PT_strip_bake"
    bl_parent_id = "KEYPORTRAIT_PT_strip"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return strip_links.plane_of_strip(compat.active_strip(context)[0]) is not None

    def draw(self, context: bpy.types.Context) -> None:
        scene = compat.sequencer_scene(context)
        column = self.layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(scene.keyportrait_bake, "folder")
        settings = scene.keyportrait_strips
        column.prop(settings, "format")
        if settings.format != PICTURES:
            column.prop(settings, "sound")
        column.prop(settings, "use_trimmed")
        column.prop(settings, "use_mute")


def twin_of(panel: type[bpy.types.Panel]) -> type[bpy.types.Panel]:
    """A panel of the 3D viewport's sidebar once more for the strip that is active."""
    kept = ("__doc__", "bl_label", "bl_options", "bl_order", "draw", "draw_header_preset")
    members = {name: vars(panel)[name] for name in kept if name in vars(panel)}
    members["bl_idname"] = _twin_name(panel.bl_idname)
    if hasattr(panel, "bl_parent_id"):
        members["bl_parent_id"] = _twin_name(panel.bl_parent_id)

    def poll(cls: type, context: bpy.types.Context) -> bool:
        return strip_links.active_strip_plane(context) is not None

    members["poll"] = classmethod(poll)
    return type(members["bl_idname"], (StripPanel, bpy.types.Panel), members)


def _twin_name(name: str) -> str:
    return name.replace("_PT_", "_PT_strip_", 1)


OF_PERFORMANCES = (
    performance.KEYPORTRAIT_PT_performance,
    capture.KEYPORTRAIT_PT_capture,
    capture.KEYPORTRAIT_PT_capture_options,
    performance.KEYPORTRAIT_PT_amounts,
)
CLASSES = (
    KEYPORTRAIT_PT_strip,
    KEYPORTRAIT_PT_strip_bake,
    *(twin_of(panel) for panel in (*faces.CLASSES, *OF_PERFORMANCES)),
)
register, unregister = compat.registration_of(CLASSES)
