"""Portrait panel: add a portrait, its faces, and its settings, closed once they are set."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..engine.renderer_table import RENDERERS, needs_setup
from ..preferences import has_setup
from ..rig import bake_state, live, portraits, textures
from ..rig import engine as engine_process

CATEGORY = "KeyPortrait"


class KeyPortraitPanel:
    """Where all panels of the extension are."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = CATEGORY


def draw_problem(layout: bpy.types.UILayout, message: str, hint: str) -> None:
    """A red box with what is wrong and what to do, wrapped to the width of a sidebar."""
    box = layout.box()
    box.alert = True
    lines = [*wrapped(message), *wrapped(hint)]
    for number, line in enumerate(lines):
        box.label(text=line, icon="ERROR" if number == 0 else "BLANK1")


def wrapped(text: str, width: int = 34) -> list[str]:
    """The lines of a text, none much longer than `width` characters."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + len(word) < width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


class KEYPORTRAIT_PT_source(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Portrait"
    bl_idname = "KEYPORTRAIT_PT_source"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        row = layout.row(align=True)
        row.operator("keyportrait.add_portrait", icon="USER")
        row.menu("KEYPORTRAIT_MT_images", text="", icon="DOWNARROW_HLT")
        if textures.can_use_texture(context.active_object):
            layout.operator("keyportrait.use_texture", icon="TEXTURE")
        plane = portraits.active_plane(context)
        if plane is None:
            layout.label(text="Select a portrait to see its faces", icon="INFO")
            return
        draw_bake_banner(layout, plane)
        draw_state(layout, plane)
        draw_faces(layout, plane, portraits.active_controller(context))


def draw_bake_banner(layout: bpy.types.UILayout, plane: bpy.types.Object) -> None:
    """Why sliders do nothing: the plane shows its bake. Or that its bake is gone."""
    is_lost = bake_state.is_lost(plane)
    is_baked = plane.keyportrait.portrait.use_baked
    if not is_lost and not is_baked:
        return
    box = layout.box()
    is_stale = bake_state.is_stale(plane)
    box.alert = is_lost or is_stale
    if is_lost:
        for number, line in enumerate(wrapped(bake_state.lost_text(plane))):
            box.label(text=line, icon="BLANK1" if number else "ERROR")
    else:
        text = "Shows its bake, out of date here" if is_stale else "Shows its bake"
        box.label(text=text, icon="ERROR" if is_stale else "FILE_IMAGE")
    row = box.row(align=True)
    if is_baked:
        row.operator("keyportrait.show_live", icon="PLAY")
    if is_lost:
        row.operator("keyportrait.choose_bake_folder", icon="FILE_FOLDER")
    row.operator("keyportrait.bake", icon="RENDER_ANIMATION")


def draw_state(layout: bpy.types.UILayout, plane: bpy.types.Object) -> None:
    """What keeps a portrait from moving, or how far its picture is opened."""
    settings = plane.keyportrait.portrait
    if settings.source is None:
        draw_problem(layout, f"'{plane.name}' has lost its picture.", "Choose it again.")
        layout.prop(settings, "source", text="")
    progress = live.progress_of(plane)
    problem = live.problem_of(plane)
    if progress is not None:
        fraction, text = progress
        layout.progress(factor=fraction, text=text or "Fitting the faces")
    elif problem is not None and settings.source is not None:
        draw_problem(layout, problem.message, problem.hint)


def draw_faces(
    layout: bpy.types.UILayout, plane: bpy.types.Object, active: bpy.types.Object | None
) -> None:
    """The faces of a portrait, one row each, and how to get more of them."""
    controllers = portraits.portrait(plane).controllers
    if not controllers:
        layout.label(text="No face yet: press Find or Draw", icon="INFO")
    column = layout.column(align=True)
    for index, controller in enumerate(controllers):
        problem = live.face_problem_of(plane, index)
        draw_face(column, index, controller, is_active=controller == active, problem=problem)
    row = layout.row(align=True)
    row.operator("keyportrait.find_faces", text="Find", icon="VIEWZOOM")
    row.operator("keyportrait.draw_face", text="Draw", icon="SELECT_SET")
    row.operator("keyportrait.remove_face", text="Remove", icon="REMOVE")


def draw_face(
    layout: bpy.types.UILayout,
    index: int,
    controller: bpy.types.Object,
    *,
    is_active: bool,
    problem: str = "",
) -> None:
    """One face of a portrait: its name, which selects it, and why it cannot be moved."""
    row = layout.row(align=True)
    row.alert = bool(problem)
    button = row.operator(
        "keyportrait.select_face", text=controller.name, icon="USER", depress=is_active
    )
    button.index = index
    for line in wrapped(problem):
        layout.label(text=line, icon="BLANK1")


class KEYPORTRAIT_PT_settings(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Settings"
    bl_idname = "KEYPORTRAIT_PT_settings"
    bl_parent_id = "KEYPORTRAIT_PT_source"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return portraits.active_plane(context) is not None

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        plane = portraits.active_plane(context)
        if plane is None:
            return
        row = self.layout.row(align=True)
        row.prop(plane.keyportrait.portrait, "use_live", toggle=True)
        row.operator("keyportrait.refresh", text="", icon="FILE_REFRESH")
        row.separator()

    def draw(self, context: bpy.types.Context) -> None:
        plane = portraits.active_plane(context)
        if plane is None:
            return
        settings = plane.keyportrait.portrait
        column = self.layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "source")
        if has_setup() or needs_setup(settings.renderer):
            draw_renderers(column, settings)


def draw_renderers(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    """The choice of renderers; one that is not installed is grey, and the set-up beside it."""
    missing = engine_process.missing_renderers()
    row = layout.row(align=True)
    row.use_property_split = False
    for name in RENDERERS:
        choice = row.row(align=True)
        choice.active = name not in missing
        choice.enabled = choice.active or settings.renderer == name
        choice.prop_enum(settings, "renderer", name)
    if missing and has_setup():
        layout.popover("KEYPORTRAIT_PT_setup", text="Set Up", icon="IMPORT")


class KEYPORTRAIT_MT_images(bpy.types.Menu):
    bl_label = "Image of This File"
    bl_idname = "KEYPORTRAIT_MT_images"
    bl_description = "Make a portrait of an image that is in this file"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator_context = "INVOKE_DEFAULT"
        images = portraits.possible_sources()
        for image in images:
            text = image.name if image.library is None else f"{image.name} (linked)"
            layout.operator(
                "keyportrait.add_portrait", text=text, icon="IMAGE_DATA"
            ).image = image.name
        if not images:
            layout.label(text="No image is in this file yet")


register, unregister = registration_of(
    (KEYPORTRAIT_MT_images, KEYPORTRAIT_PT_source, KEYPORTRAIT_PT_settings)
)
