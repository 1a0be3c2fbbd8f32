"""Portrait panel: add a portrait, its picture, renderer and faces."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..engine.renderer_table import needs_setup
from ..preferences import has_setup
from ..rig import live, portraits

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
        layout.operator("keyportrait.add_portrait", icon="USER")
        row = layout.row(align=True)
        row.prop(context.window_manager, "keyportrait_image", text="")
        image = context.window_manager.keyportrait_image
        if image is not None:
            row.operator("keyportrait.add_portrait", text="", icon="ADD").image = image.name
        layout.operator("keyportrait.use_texture", icon="TEXTURE")
        plane = portraits.active_plane(context)
        if plane is None:
            layout.label(text="Select a portrait to see its settings", icon="INFO")
            return
        settings = plane.keyportrait.portrait
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "source")
        if has_setup() or needs_setup(settings.renderer):
            column.prop(settings, "renderer")
        row = column.row(align=True)
        row.prop(settings, "use_live")
        row.operator("keyportrait.refresh", text="", icon="FILE_REFRESH")
        if settings.source is None:
            draw_problem(layout, f"'{plane.name}' has lost its picture.", "Choose it again.")
        self._draw_state(layout, plane)

    def _draw_state(self, layout: bpy.types.UILayout, plane: bpy.types.Object) -> None:
        progress = live.progress_of(plane)
        problem = live.problem_of(plane)
        if progress is not None:
            fraction, text = progress
            layout.progress(factor=fraction, text=text or "Fitting the faces")
        elif problem is not None:
            draw_problem(layout, problem.message, problem.hint)


class KEYPORTRAIT_PT_faces_list(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Faces"
    bl_idname = "KEYPORTRAIT_PT_faces_list"
    bl_parent_id = "KEYPORTRAIT_PT_source"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return portraits.active_plane(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        plane = portraits.active_plane(context)
        active = portraits.active_controller(context)
        column = layout.column(align=True)
        for index, controller in enumerate(portraits.portrait(plane).controllers):
            button = column.operator(
                "keyportrait.select_face",
                text=controller.name,
                icon="USER",
                depress=controller == active,
            )
            button.index = index
        row = layout.row(align=True)
        row.operator("keyportrait.find_faces", text="Find", icon="VIEWZOOM")
        row.operator("keyportrait.draw_face", text="Draw", icon="SELECT_SET")
        row.operator("keyportrait.remove_face", text="Remove", icon="REMOVE")


register, unregister = registration_of((KEYPORTRAIT_PT_source, KEYPORTRAIT_PT_faces_list))
