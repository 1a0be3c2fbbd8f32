"""What drivers share: a portrait that fills the view, its face's curves, the sidebar."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable

import bpy
import numpy as np
import pointer
from pointer import Steps, Widgets

PATIENCE_S = 120.0


def things(kind: str) -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if item.keyportrait.kind == kind]


def face() -> bpy.types.Object:
    return things("FACE")[0]


def view() -> bpy.types.Area:
    return pointer.find_area("VIEW_3D")


def view_middle() -> tuple[int, int]:
    area = view()
    return area.x + area.width // 3, area.y + area.height // 3


def wait_for(condition: Callable[[], object], what: str, interval_s: float = 0.1) -> Steps:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}")
        yield interval_s


def output_pixels() -> np.ndarray:
    image = things("PORTRAIT")[0].keyportrait.portrait.output
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels


def live_at_rest() -> Steps:
    """Wait until the live picture is that of the current frame."""
    live = importlib.import_module("bl_ext.user_default.keyportrait.rig.live")
    yield 0.1
    yield from wait_for(lambda: not live.is_pending(), "the live picture")
    yield 0.3


def curves() -> dict[str, list[float]]:
    """Frames of the keys of every curve of the face."""
    animation = face().animation_data
    if animation is None or animation.action is None:
        return {}
    return {
        f"{curve.data_path}[{curve.array_index}]": [p.co[0] for p in curve.keyframe_points]
        for curve in animation.action.fcurves
    }


def make_room_below(ui_type: str) -> Steps:
    """Another editor below the view, tall enough for some channels, instead of the timeline."""
    timeline = pointer.find_area("DOPESHEET_EDITOR")
    timeline.ui_type = ui_type
    if ui_type == "DOPESHEET":
        timeline.spaces.active.show_region_channels = True
    edge = timeline.x + timeline.width // 2, timeline.y + timeline.height
    bpy.ops.screen.area_move("EXEC_DEFAULT", x=edge[0], y=edge[1], delta=230)
    yield 1.0


def look_at_portrait(below: str = "") -> Steps:
    """The portrait fills the viewport, its face is selected and its sidebar open.

    below  what the editor below becomes, see make_room_below; "" leaves it
    """
    if below:
        yield from make_room_below(below)
    area = view()
    area.spaces.active.shading.type = "SOLID"
    area.spaces.active.overlay.show_floor = False
    area.spaces.active.show_region_ui = True
    with pointer.override("VIEW_3D"):
        for item in bpy.data.objects:
            item.select_set(item.keyportrait.kind == "PORTRAIT")
        bpy.context.view_layer.objects.active = things("PORTRAIT")[0]
        bpy.ops.view3d.view_axis(type="TOP", align_active=True)
        bpy.ops.view3d.view_selected()
    for item in bpy.data.objects:
        item.select_set(item == face())
    bpy.context.view_layer.objects.active = face()
    yield 1.0
    pointer.find_region(area, "UI").active_panel_category = "KeyPortrait"
    area.tag_redraw()
    bpy.ops.ed.undo_push(message="Look at the portrait")
    yield 1.5


def sidebar_widgets() -> Steps:
    """Find the widgets of the sidebar as far as it is scrolled; the value is the dictionary."""
    found: Widgets = {}
    region = pointer.find_region(view(), "UI")
    yield from pointer.find_widgets(view(), region, found, offsets=(0.3, 0.72, 0.87))
    return found


def scroll_down() -> Steps:
    region = pointer.find_region(view(), "UI")
    x, y = region.x + 30, region.y + region.height // 2
    yield from pointer.move(x, y)
    for _ in range(40):
        pointer.send("WHEELDOWNMOUSE", "PRESS", x, y)
        yield 0.03
    yield 0.5


def open_performance_panel() -> Steps:
    """Click the closed panel under the sliders; the value is all widgets, scrolled down."""
    for distance in (34, 26, 42, 50, 58):
        yield from scroll_down()
        found = yield from sidebar_widgets()
        if any("keyportrait.capture(" in name for name in found):
            return found
        x, y = min(found.values(), key=lambda place: place[1])
        yield from pointer.click(x, y - distance)
        yield 0.5
    yield from scroll_down()
    return (yield from sidebar_widgets())


def is_coarse(look: bytes) -> bool:
    """Whether the middle of the view, a photograph, is blocks of equal pixels; look: P6 file."""
    _, width, height = look[:40].split(maxsplit=3)[:3]
    shape = int(height), int(width), 3
    window = np.frombuffer(look, np.uint8, offset=len(look) - int(np.prod(shape))).reshape(shape)
    area = pointer.find_area("VIEW_3D")
    row, column = shape[0] - area.y - area.height // 2, area.x + area.width // 2
    middle = window[row - 150 : row + 150, column - 150 : column + 150].astype(np.int16)
    # Blender dithers what it shows by a grey level.
    equal = [(np.abs(np.diff(middle, axis=axis)).max(axis=2) <= 1).mean() for axis in (0, 1)]
    return sum(equal) / 2 > 0.75


def modal_operators() -> list[str]:
    return [operator.bl_idname for operator in pointer.window().modal_operators]
