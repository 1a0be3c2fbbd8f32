"""Bake panel: what to bake, where to, how far it is."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..engine.renderer_table import needs_setup
from ..preferences import has_setup, preferences
from ..rig import bake, frame_cache, portraits, strip_bake
from .source import KeyPortraitPanel


class KEYPORTRAIT_PT_bake(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Bake"
    bl_idname = "KEYPORTRAIT_PT_bake"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 5

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = context.scene.keyportrait_bake
        layout.row().prop(settings, "scope", expand=True)
        draw_range(layout, context.scene, settings)
        draw_motion_blur(layout, settings)
        draw_output(layout, settings)
        draw_run(layout, bool(bake.chosen(context, settings.scope)))
        draw_shown(layout, context)


def draw_range(
    layout: bpy.types.UILayout, scene: bpy.types.Scene, settings: bpy.types.PropertyGroup
) -> None:
    column = layout.column(heading="Frames", align=True)
    text = f"Scene's, {scene.frame_start} to {scene.frame_end}"
    column.prop(settings, "use_scene_range", text=text)
    if not settings.use_scene_range:
        column.prop(settings, "frame_start", text="Start")
        column.prop(settings, "frame_end", text="End")
    column.prop(settings, "frame_step", text="Step")


def draw_motion_blur(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    column = layout.column(heading="Motion Blur", align=True)
    row = column.row(align=True)
    row.prop(settings, "use_motion_blur", text="")
    sub = row.row(align=True)
    sub.active = settings.use_motion_blur
    sub.prop(settings, "motion_blur_shutter", text="Shutter")
    row.operator("keyportrait.copy_motion_blur", text="", icon="SCENE")
    if settings.use_motion_blur:
        column.prop(settings, "motion_blur_position", text="Position")
        column.prop(settings, "motion_blur_samples", text="Samples")


def draw_output(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    column = layout.column(align=True)
    column.prop(settings, "format")
    if settings.format == "PNG":
        column.row().prop(settings, "png_depth", expand=True)
    elif settings.format == "OPEN_EXR":
        column.row().prop(settings, "exr_depth", expand=True)
    row = layout.row(align=True)
    row.prop(settings, "folder")
    row.operator("keyportrait.open_bake_folder", text="", icon="FOLDER_REDIRECT")
    if has_setup() or needs_setup(settings.renderer):
        layout.prop(settings, "renderer")
    column = layout.column(heading="Options")
    column.prop(settings, "use_existing", text="Keep Finished")
    column.prop(settings, "use_assign", text="Show on Plane")


def draw_run(layout: bpy.types.UILayout, is_any_chosen: bool) -> None:
    run = strip_bake.active()
    if run is None:
        if not is_any_chosen:
            layout.label(text="Select a portrait, or choose All", icon="INFO")
        row = layout.row()
        row.enabled = is_any_chosen
        row.operator("keyportrait.bake", icon="RENDER_ANIMATION")
        return
    row = layout.row(align=True)
    row.progress(factor=run.fraction, text=run.text)
    row.operator("keyportrait.stop_bake", text="", icon="CANCEL")


def draw_shown(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Whether the plane shows its bake, the way to the other, and the cache."""
    plane = portraits.active_plane(context)
    if plane is not None and plane.keyportrait_baked.image is not None:
        is_baked = plane.keyportrait.portrait.use_baked
        row = layout.row(align=True)
        row.label(text="Shows its bake" if is_baked else "Shows its live image")
        if is_baked:
            row.operator("keyportrait.show_live", icon="PLAY")
        else:
            row.operator("keyportrait.show_baked", icon="FILE_IMAGE")
    row = layout.row(align=True)
    size = frame_cache.size_bytes()
    used = "" if size is None else f"{size / 1e6:.0f} of "
    row.label(text=f"Cache: {used}{preferences().cache_limit_mb} MB")
    row.operator("keyportrait.clear_cache", text="", icon="TRASH")


register, unregister = registration_of((KEYPORTRAIT_PT_bake,))
