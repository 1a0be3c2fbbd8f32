"""Draw a box around a face in the viewport: for faces that are not found, and for animals."""

from __future__ import annotations

from typing import Any

import bpy

from ..compat import registration_of
from ..rig import creation, picking, portraits
from ..rig.errors import AddonError
from ._base import ReportsErrors, poll_portrait

COLOUR = (1.0, 0.65, 0.1, 1.0)
NAVIGATION = {"MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE", "TRACKPADPAN", "TRACKPADZOOM"}
STATUS = "Drag a box around the face, from brow to chin  |  Esc or right click: cancel"


class KEYPORTRAIT_OT_draw_face(ReportsErrors, bpy.types.Operator):
    """Drag a box around a face that is not found by itself, from brow to chin"""

    bl_idname = "keyportrait.draw_face"
    bl_label = "Draw Face Box"
    bl_options = set()

    _corners: tuple[tuple[int, int], tuple[int, int]] | None = None
    _region: bpy.types.Region | None = None
    _handle: Any = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.area is None or context.area.type != "VIEW_3D":
            cls.poll_message_set("There is no 3D viewport here to draw in")
            return False
        return poll_portrait(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        raise AddonError("A box is drawn with the mouse.", "Scripts use keyportrait.add_face.")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self._guard(self._begin, context)

    def _begin(self, context: bpy.types.Context) -> set[str]:
        plane = portraits.active_plane(context)
        portraits.check_whole(portraits.portrait(plane))
        self._plane_name = plane.name
        self._handle = bpy.types.SpaceView3D.draw_handler_add(
            self._draw_box, (), "WINDOW", "POST_PIXEL"
        )
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set(STATUS)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type in {"ESC", "RIGHTMOUSE"}:
            self._end(context)
            return {"CANCELLED"}
        if event.type in NAVIGATION:
            return {"PASS_THROUGH"}
        spot = (event.mouse_x, event.mouse_y)
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            self._region = picking.window_region(context.area, *spot)
            self._corners = (spot, spot) if self._region is not None else None
        elif self._corners is not None:
            self._corners = (self._corners[0], spot)
            context.area.tag_redraw()
            if event.type == "LEFTMOUSE" and event.value == "RELEASE":
                self._end(context)
                return self._guard(self._add, context)
        return {"RUNNING_MODAL"}

    def _add(self, context: bpy.types.Context) -> set[str]:
        plane = bpy.data.objects.get(self._plane_name)
        if plane is None:
            raise AddonError(f"'{self._plane_name}' was deleted meanwhile.")
        view = context.area.spaces.active.region_3d
        first, second = (
            picking.picture_point(plane, self._region, view, self._local(corner))
            for corner in self._corners
        )
        size = portraits.picture_size(plane)
        box = picking.box_between(first, second, size)
        creation.hand_drawn_face(plane, box)
        creation.select_only(context, plane)
        # It waits for the engine, is cancelled by Esc, and pushes the undo step.
        try:
            result = bpy.ops.keyportrait.add_face("INVOKE_DEFAULT", box=box, use_select=True)
        except RuntimeError as error:  # what it has reported
            raise AddonError(str(error).removeprefix("Error: ").strip()) from error
        return {"CANCELLED"} if "CANCELLED" in result else {"FINISHED"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator itself: a file is opened, a window closed."""
        self._end(context)

    def _end(self, context: bpy.types.Context) -> None:
        if self._handle is not None:
            bpy.types.SpaceView3D.draw_handler_remove(self._handle, "WINDOW")
            self._handle = None
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        if context.area is not None:
            context.area.tag_redraw()

    def _local(self, spot: tuple[int, int]) -> tuple[int, int]:
        return spot[0] - self._region.x, spot[1] - self._region.y

    def _draw_box(self) -> None:
        import gpu
        from gpu_extras.batch import batch_for_shader

        if self._corners is None:
            return
        (x0, y0), (x1, y1) = (self._local(corner) for corner in self._corners)
        shader = gpu.shader.from_builtin("UNIFORM_COLOR")
        outline = batch_for_shader(
            shader, "LINE_LOOP", {"pos": ((x0, y0), (x1, y0), (x1, y1), (x0, y1))}
        )
        shader.uniform_float("color", COLOUR)
        outline.draw(shader)


register, unregister = registration_of((KEYPORTRAIT_OT_draw_face,))
