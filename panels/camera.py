"""Camera, in the Performance panel: who moves the portrait, how it goes, takes."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..engine.camera_table import DARK, NO_FACE, OPENING, RUNNING
from ..engine.take import AMOUNTS
from ..rig import camera, camera_preview, camera_take, portraits
from .source import KeyPortraitPanel, wrapped

ICONS = {RUNNING: "CHECKMARK", OPENING: "SORTTIME", NO_FACE: "GHOST_DISABLED", DARK: "LIGHT"}
PREVIEW_SCALE = 8.0
SLOW = "Blender takes {:.0f} ms to draw this window. {} Takes do not depend on it."
SMALLER = "Make the viewport smaller."
SOLID = "Choose Solid shading, or make the viewport smaller."


class KEYPORTRAIT_PT_camera(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Camera"
    bl_idname = "KEYPORTRAIT_PT_camera"
    bl_parent_id = "KEYPORTRAIT_PT_performance"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 2

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        if not camera.is_on():
            draw_devices(layout, context)
            row = layout.row()
            row.scale_y = 1.3
            row.operator("keyportrait.camera_start", icon="VIEW_CAMERA")
            return
        status = camera.status()
        draw_indicator(layout, status)
        draw_preview(layout, context)
        draw_state(layout, context, status)
        draw_performing(layout, context, status)


def draw_devices(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Which camera, and at what size."""
    row = layout.row(align=True)
    row.prop(context.window_manager, "keyportrait_camera", text="")
    row.operator("keyportrait.camera_refresh", text="", icon="FILE_REFRESH")
    layout.prop(context.scene.keyportrait_camera, "size", text="")


def draw_indicator(layout: bpy.types.UILayout, status: camera.Status) -> None:
    """That the camera is in use, and the way to close it."""
    row = layout.row(align=True)
    row.alert = status.is_in_use
    text = f"In use: {status.device}" if status.is_in_use else status.device
    row.label(text=text, icon="REC" if status.is_in_use else "VIEW_CAMERA")
    row.operator("keyportrait.camera_stop", text="Stop", icon="X")


def draw_preview(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The camera's picture as in a mirror."""
    icon = camera_preview.icon_id()
    if icon and context.scene.keyportrait_camera.use_preview:
        layout.template_icon(icon_value=icon, scale=PREVIEW_SCALE)


def draw_state(
    layout: bpy.types.UILayout, context: bpy.types.Context, status: camera.Status
) -> None:
    """What the camera sees, how fast the picture follows, and what to do where it does not."""
    column = layout.column(align=True)
    column.alert = status.state not in ICONS
    for number, line in enumerate(wrapped(f"{status.message}. {status.hint}".replace("..", "."))):
        column.label(text=line, icon="BLANK1" if number else ICONS.get(status.state, "ERROR"))
    if status.state == RUNNING and not status.has_neutral:
        layout.label(text="Look ahead, lips shut: finding rest", icon="USER")
    if status.is_in_use:
        draw_speed(layout, context, status)


def draw_speed(
    layout: bpy.types.UILayout, context: bpy.types.Context, status: camera.Status
) -> None:
    """How fast the viewport follows, what the camera gives, whether the window is in the way."""
    column = layout.column(align=True)
    digits = 0 if status.fps >= 9.5 else 1
    text = f"Viewport: {status.fps:.{digits}f} fps, {1000 * status.latency_s:.0f} ms"
    column.label(text=text, icon="TIME")
    text = f"Camera: {status.camera_fps:.0f} fps, {status.dropped} dropped"
    column.label(text=text, icon="BLANK1")
    if status.is_slow:
        shading = getattr(context.space_data, "shading", None)
        is_costly = shading is not None and shading.type in {"MATERIAL", "RENDERED"}
        text = SLOW.format(1000 * status.draw_s, SOLID if is_costly else SMALLER)
        column = layout.column(align=True)
        for number, line in enumerate(wrapped(text)):
            column.label(text=line, icon="BLANK1" if number else "INFO")


def draw_performing(
    layout: bpy.types.UILayout, context: bpy.types.Context, status: camera.Status
) -> None:
    """Neutral and takes."""
    column = layout.column(align=True)
    left = f"Rest in {status.neutral_s:.0f}" if status.neutral_s > 0.0 else "Set Neutral"
    column.operator("keyportrait.camera_neutral", text=left, icon="USER")
    row = column.row(align=True)
    row.scale_y = 1.3
    run = camera_take.running()
    if run is None:
        row.operator("keyportrait.camera_record", icon="REC")
        return
    row.alert = True
    row.operator("keyportrait.camera_end_take", text=run.text, icon="SNAP_FACE")


class KEYPORTRAIT_PT_camera_options(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Options"
    bl_idname = "KEYPORTRAIT_PT_camera_options"
    bl_parent_id = "KEYPORTRAIT_PT_camera"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = context.scene.keyportrait_camera
        column = layout.column(align=True)
        for name in ("region", "multiplier", "smooth", "use_mirror"):
            column.prop(settings, name)
        controller = portraits.active_controller(context)
        if controller is not None:
            column = layout.column(align=True)
            for amount in AMOUNTS:
                if amount.name in controller and amount.name != "detail":
                    column.prop(controller, f'["{amount.name}"]', text=amount.label, slider=True)
        column = layout.column(align=True)
        for name in ("countdown_s", "use_preview", "use_video", "folder"):
            column.prop(settings, name)


def draw_header(header: bpy.types.Header, context: bpy.types.Context) -> None:
    """That the camera is in use, also where the sidebar is closed."""
    status = camera.status()
    if status.is_in_use:
        row = header.layout.row(align=True)
        row.alert = True
        row.operator("keyportrait.camera_stop", text="Camera", icon="REC")


_register, _unregister = registration_of((KEYPORTRAIT_PT_camera, KEYPORTRAIT_PT_camera_options))


def register() -> None:
    _register()
    bpy.types.VIEW3D_HT_header.append(draw_header)


def unregister() -> None:
    bpy.types.VIEW3D_HT_header.remove(draw_header)
    _unregister()
