"""Face panel: the controls of the active face controller, in groups."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..engine.controls import CONTROLS, GROUPS
from ..rig import portraits
from .source import KeyPortraitPanel, draw_problem


class KEYPORTRAIT_PT_face(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Face"
    bl_idname = "KEYPORTRAIT_PT_face"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        controller = portraits.active_controller(context)
        if controller is None:
            text = "Select a face controller"
            if portraits.active_plane(context) is not None:
                text = "Choose a face above"
            layout.label(text=text, icon="INFO")
            return
        row = layout.row(align=True)
        row.prop(controller, "name", text="", icon="USER")
        row.operator("keyportrait.select_portrait", text="", icon="IMAGE_PLANE")
        row = layout.row(align=True)
        row.operator("keyportrait.key_all", icon="KEY_HLT")
        row.operator_menu_enum("keyportrait.reset_face", "group", text="Reset", icon="LOOP_BACK")
        row.operator("keyportrait.mirror_face", icon="MOD_MIRROR")
        plane = controller.keyportrait.face.portrait
        if plane is None:
            draw_problem(layout, "The plane of this face was deleted.", "Delete the Empty too.")
        elif not portraits.is_controller_of(controller, plane):
            draw_problem(layout, "This face is not in the scene.", "Link it to a collection.")
        elif controller not in portraits.portrait(plane).controllers:
            draw_problem(layout, "This is a copy of a face controller.", "It moves nothing.")


def _group_panel(group: str) -> type[bpy.types.Panel]:
    controls = tuple(control for control in CONTROLS if control.group == group)

    def poll(cls: type, context: bpy.types.Context) -> bool:
        return portraits.active_controller(context) is not None

    def draw(self: bpy.types.Panel, context: bpy.types.Context) -> None:
        controller = portraits.active_controller(context)
        layout = self.layout
        if controller is None:
            return
        layout.use_property_split = True
        for control in controls:
            if control.name in controller:
                layout.prop(
                    controller,
                    f'["{control.name}"]',
                    text=f"{control.label} °" if control.unit == "deg" else control.label,
                    slider=True,
                )
        if group == "Head":
            layout.operator("keyportrait.reset_handle", icon="LOOP_BACK")
        if group == "Eyes":
            layout.prop(controller.keyportrait.face, "gaze_target")

    name = f"KEYPORTRAIT_PT_face_{group.lower()}"
    members = {
        "__doc__": f"The {group.lower()} controls of the active face",
        "bl_label": group,
        "bl_idname": name,
        "bl_parent_id": KEYPORTRAIT_PT_face.bl_idname,
        "poll": classmethod(poll),
        "draw": draw,
    }
    return type(name, (KeyPortraitPanel, bpy.types.Panel), members)


register, unregister = registration_of(
    (KEYPORTRAIT_PT_face, *(_group_panel(group) for group in GROUPS))
)
