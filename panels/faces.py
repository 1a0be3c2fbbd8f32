"""Face panel: poses and keys at a click, then the controls of the active face, in groups."""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from ..compat import registration_of
from ..engine.controls import CONTROLS, GROUPS, Control
from ..rig import head_target, motions, portraits
from .source import KeyPortraitPanel, draw_bake_banner, draw_problem


class KEYPORTRAIT_PT_face(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Face"
    bl_idname = "KEYPORTRAIT_PT_face"

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        controller = portraits.active_controller(context)
        if controller is None:
            return
        row = self.layout.row()
        row.operator("keyportrait.select_portrait", text="", icon="IMAGE_PLANE", emboss=False)
        row.separator()

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        controller = portraits.active_controller(context)
        if controller is None:
            text = "Select a face controller"
            plane = portraits.active_plane(context)
            if plane is not None:
                has_faces = bool(portraits.portrait(plane).controllers)
                text = "Choose a face above" if has_faces else "This portrait has no face yet"
            layout.label(text=text, icon="INFO")
            return
        plane = portraits.active_plane(context)
        if plane is not None:
            draw_bake_banner(layout, plane)
        draw_loss(layout, controller)
        row = layout.row(align=True)
        row.popover("KEYPORTRAIT_PT_presets", text="Presets")
        row.menu("KEYPORTRAIT_MT_key", text="Key")
        row.operator_menu_enum("keyportrait.reset_face", "group", text="Reset")
        row.operator("keyportrait.mirror_face", text="", icon="MOD_MIRROR")


def draw_loss(layout: bpy.types.UILayout, controller: bpy.types.Object) -> None:
    """Why a controller moves nothing, when its plane or its place on it is lost."""
    plane = portraits.plane_of(controller)
    if plane is None:
        text = f"The plane of '{controller.name}' was deleted."
        draw_problem(layout, text, "It moves nothing: delete it too, or undo.")
    elif not portraits.is_controller_of(controller, plane):
        draw_problem(layout, "This face is not in the scene.", "Link it to a collection.")
    elif controller not in portraits.portrait(plane).controllers:
        draw_problem(layout, "This is a copy of a face controller.", "It moves nothing.")
    elif portraits.original_of(plane) is not None:
        text = f"'{plane.name}' shows another portrait's picture."
        draw_problem(layout, text, "Its faces move nothing: press Make Own Portrait.")


def draw_handle(
    layout: bpy.types.UILayout, context: bpy.types.Context, controller: bpy.types.Object
) -> None:
    """What the head looks at, and whether the Empty asks for more than a head can do."""
    constraint = head_target.constraint_of(controller)
    if constraint is not None:
        row = layout.row(align=True)
        row.prop(constraint, "target", text="Look At")
        row.operator("keyportrait.head_look_free", text="", icon="X")
    if head_target.turned_away(controller) is not None:
        layout.label(text="Its Track To turns the head away: press Head Look At", icon="INFO")
    depsgraph = context.view_layer.depsgraph
    plane = controller.keyportrait.face.portrait
    if depsgraph is None or plane is None:
        return
    beyond = motions.beyond_limits(controller, depsgraph)
    if beyond:
        layout.label(text=f"The Empty is beyond the limits: {', '.join(beyond)}", icon="INFO")


def draw_controls(
    layout: bpy.types.UILayout, controller: bpy.types.Object, controls: Sequence[Control]
) -> None:
    """A slider for each of the controls that a controller has."""
    layout.use_property_split = True
    column = layout.column(align=True)
    for control in controls:
        if control.name in controller:
            column.prop(
                controller,
                f'["{control.name}"]',
                text=f"{control.label} °" if control.unit == "deg" else control.label,
                slider=True,
            )


def folded_groups() -> list[tuple[str, ...]]:
    """The groups of each panel: one that always shows a single control joins the one before it."""
    panels: list[tuple[str, ...]] = []
    for group in GROUPS:
        shown = [c for c in CONTROLS if c.group == group and not c.is_extra]
        is_single = len(shown) == 1
        if is_single and panels:
            panels[-1] = (*panels[-1], group)
        else:
            panels.append((group,))
    return panels


def _group_panel(groups: tuple[str, ...]) -> type[bpy.types.Panel]:
    controls = tuple(c for c in CONTROLS if c.group in groups and not c.is_extra)

    def poll(cls: type, context: bpy.types.Context) -> bool:
        return portraits.active_controller(context) is not None

    def draw_header_preset(self: bpy.types.Panel, context: bpy.types.Context) -> None:
        controller = portraits.active_controller(context)
        if "Head" in groups and controller is not None:
            row = self.layout.row(align=True)
            if head_target.constraint_of(controller) is None:
                row.operator("keyportrait.head_look_at", text="Look At", icon="CON_TRACKTO")
            row.operator("keyportrait.reset_handle", text="", icon="LOOP_BACK", emboss=False)
            row.separator()

    def draw(self: bpy.types.Panel, context: bpy.types.Context) -> None:
        controller = portraits.active_controller(context)
        if controller is None:
            return
        draw_controls(self.layout, controller, controls)
        if "Head" in groups:
            draw_handle(self.layout, context, controller)
        if "Eyes" in groups:
            self.layout.prop(controller.keyportrait.face, "gaze_target")

    name = f"KEYPORTRAIT_PT_face_{groups[0].lower()}"
    members = {
        "__doc__": f"The {groups[0].lower()} controls of the active face",
        "bl_label": " and ".join(groups),
        "bl_idname": name,
        "bl_parent_id": KEYPORTRAIT_PT_face.bl_idname,
        "poll": classmethod(poll),
        "draw": draw,
        "draw_header_preset": draw_header_preset,
    }
    return type(name, (KeyPortraitPanel, bpy.types.Panel), members)


def _extra_panel(groups: tuple[str, ...]) -> type[bpy.types.Panel]:
    """The controls of a group that most people do without: closed at first."""
    controls = tuple(c for c in CONTROLS if c.group in groups and c.is_extra)

    def draw(self: bpy.types.Panel, context: bpy.types.Context) -> None:
        controller = portraits.active_controller(context)
        if controller is not None:
            draw_controls(self.layout, controller, controls)

    parent = f"KEYPORTRAIT_PT_face_{groups[0].lower()}"
    members = {
        "__doc__": f"What refines the {groups[0].lower()} controls of the active face",
        "bl_label": f"More {' and '.join(groups)}",
        "bl_idname": f"{parent}_extra",
        "bl_parent_id": parent,
        "bl_options": {"DEFAULT_CLOSED"},
        "draw": draw,
    }
    return type(f"{parent}_extra", (KeyPortraitPanel, bpy.types.Panel), members)


def _has_extra(groups: tuple[str, ...]) -> bool:
    return any(control.is_extra for control in CONTROLS if control.group in groups)


CLASSES = (
    KEYPORTRAIT_PT_face,
    *(_group_panel(groups) for groups in folded_groups()),
    *(_extra_panel(groups) for groups in folded_groups() if _has_extra(groups)),
)
register, unregister = registration_of(CLASSES)
