"""The faces of the active portrait outlined in the viewport, to tell which row is which face.

Drawn where there is more than one face, or while the pointer rests on a row, and never stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import bpy
from mathutils import Vector

from . import portraits, pump
from .controllers import face_of
from .errors import AddonError
from .placement import UvSurface
from .riding import ride_of

# How long the outline of a face stays after its row was pointed at.
POINTED_S = 2.0
# Points on each side of the box of a face that has no outline: the surface may be curved.
SIDE_POINTS = 8
ACTIVE, OTHER, POINTED = "ACTIVE", "OTHER", "POINTED"
WIDTHS_PX = {ACTIVE: 2.0, OTHER: 1.5, POINTED: 3.0}
OTHER_COLOUR = (1.0, 1.0, 1.0, 0.6)

_outlines: dict[int, tuple[tuple[Any, ...], list[Vector]]] = {}
_pointed: tuple[int, float] = (0, 0.0)
_handle: Any = None


def point_at(controller: bpy.types.Object) -> None:
    """Show a face for a moment: the pointer rests on its row."""
    global _pointed
    _pointed = controller.session_uid, time.monotonic() + POINTED_S
    if not bpy.app.background and not bpy.app.timers.is_registered(pump.redraw):
        pump.redraw()
        bpy.app.timers.register(pump.redraw, first_interval=POINTED_S)


def shown_faces(context: bpy.types.Context) -> Iterator[tuple[bpy.types.Object, str]]:
    """The face controllers to outline in a viewport, each with ACTIVE, OTHER or POINTED."""
    plane = portraits.active_plane(context)
    space = context.space_data
    if plane is None or context.mode != "OBJECT" or not space.overlay.show_overlays:
        return
    if not plane.visible_get(viewport=space):
        return
    controllers = portraits.portrait(plane).controllers
    active = portraits.active_controller(context)
    uid, until = _pointed
    for controller in controllers:
        if controller.session_uid == uid and time.monotonic() < until:
            yield controller, POINTED
        elif len(controllers) > 1:
            yield controller, ACTIVE if controller == active else OTHER


def outline_of(controller: bpy.types.Object) -> list[Vector]:
    """The closed outline of a face on its plane, points in the plane's space. Raises AddonError."""
    plane = controller.keyportrait.face.portrait
    size = portraits.picture_size(plane)
    # The rest follows every change of the mesh.
    settings = controller.keyportrait.face
    rest = tuple(value for row in settings.rest_matrix for value in row)
    key = settings.data, rest, size, plane.data.session_uid
    known = _outlines.get(controller.session_uid)
    if known is None or known[0] != key:
        surface = UvSurface(plane, size)
        points = [surface.spot(*pixel).frame.translation for pixel in _pixels(controller)]
        known = _outlines[controller.session_uid] = key, points
    ride = ride_of(controller)
    return known[1] if ride is None else [ride @ point for point in known[1]]


def _pixels(controller: bpy.types.Object) -> list[tuple[float, float]]:
    face = face_of(controller)
    if face.outline:
        return list(face.outline)
    x0, y0, x1, y1 = face.box
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    steps = [number / SIDE_POINTS for number in range(SIDE_POINTS)]
    return [
        (x + (next_x - x) * step, y + (next_y - y) * step)
        for (x, y), (next_x, next_y) in zip(corners, corners[1:] + corners[:1], strict=True)
        for step in steps
    ]


def forget() -> None:
    """Find the outlines again: another file is open."""
    _outlines.clear()


def _draw() -> None:
    context = bpy.context
    for controller, kind in shown_faces(context):
        plane = controller.keyportrait.face.portrait
        if plane.keyportrait.portrait.source is None:
            continue
        try:
            points = [plane.matrix_world @ point for point in outline_of(controller)]
        except AddonError:  # its row says so
            continue
        points.append(points[0])
        _draw_line(context.region, points, _colour(context, kind), WIDTHS_PX[kind])


def _colour(context: bpy.types.Context, kind: str) -> tuple[float, ...]:
    if kind == OTHER:
        return OTHER_COLOUR
    return (*context.preferences.themes[0].view_3d.object_active[:3], 1.0)


def _draw_line(
    region: bpy.types.Region, points: list[Vector], colour: tuple[float, ...], width_px: float
) -> None:
    import gpu
    from gpu_extras.batch import batch_for_shader

    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    line = batch_for_shader(shader, "LINE_STRIP", {"pos": points})
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_float("viewportSize", (region.width, region.height))
    shader.uniform_float("lineWidth", width_px)
    shader.uniform_float("color", colour)
    line.draw(shader)
    gpu.state.blend_set("NONE")


def register() -> None:
    global _handle
    if not bpy.app.background:
        _handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    global _handle
    forget()
    if bpy.app.timers.is_registered(pump.redraw):
        bpy.app.timers.unregister(pump.redraw)
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
        _handle = None
