"""What an artist does in the first five minutes, with a real pointer in a real Blender.

Started by run.sh; writes report.json and screenshots to FOLDER/out and ends Blender.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
from mathutils import Vector

FOLDER = Path(sys.argv[-1])
OUT = FOLDER / "out"
sys.path.insert(0, str(FOLDER))

import pointer  # noqa: E402
from performing import perform  # noqa: E402
from pointer import Steps, Widgets  # noqa: E402

CATEGORY = "KeyPortrait"
PICTURE = "astronaut.jpg"
PATIENCE_S = 60.0
NOTES: dict[str, dict] = {}


def view() -> bpy.types.Area:
    return pointer.find_area("VIEW_3D")


def view_middle() -> tuple[int, int]:
    """A spot of the viewport beside the sidebar."""
    area = view()
    return area.x + area.width // 3, area.y + area.height // 4


def wait_for(condition: Callable[[], object], what: str) -> Steps:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}")
        yield 0.1


def things(kind: str) -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if item.keyportrait.kind == kind]


def output_pixels() -> np.ndarray:
    """The picture on the plane, as Blender has it."""
    image = things("PORTRAIT")[0].keyportrait.portrait.output
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels


def wait_for_change(before: np.ndarray, what: str) -> Steps:
    """Wait until the picture on the plane differs clearly, then a moment for the last update."""
    yield from wait_for(lambda: np.abs(output_pixels() - before).max() > 0.05, what)
    yield 1.0


def shoot(name: str) -> None:
    pointer.screenshot(OUT / f"{name}.png")


def sidebar_widgets(*offsets: float) -> Steps:
    """Find the widgets of the sidebar; the generator's value is the dictionary.

    offsets  columns to sweep; one in the right half crosses full-width buttons and the sliders
             beside their labels
    """
    found: Widgets = {}
    region = pointer.find_region(view(), "UI")
    yield from pointer.find_widgets(view(), region, found, offsets=offsets or (0.7,))
    return found


def open_sidebar() -> Steps:
    area = view()
    area.spaces.active.show_region_ui = True
    yield 1.0
    pointer.find_region(area, "UI").active_panel_category = CATEGORY
    area.tag_redraw()
    yield 1.0
    found = yield from sidebar_widgets()
    shoot("1_empty_scene")
    NOTES["open_sidebar"] = {"widgets": sorted(found)}


def open_file_browser() -> Steps:
    found = yield from sidebar_widgets()
    yield from pointer.click(*pointer.find_widget(found, "keyportrait.add_portrait"))
    yield 1.0
    pointer.find_area("FILE_BROWSER")


def cancel_file_browser() -> Steps:
    before = len(bpy.data.objects), len(bpy.data.images)
    yield from open_file_browser()
    area = pointer.find_area("FILE_BROWSER")
    yield from pointer.key("ESC", area.x + area.width // 2, area.y + area.height // 2)
    yield 1.0
    is_closed = not any(a.type == "FILE_BROWSER" for a in pointer.window().screen.areas)
    after = len(bpy.data.objects), len(bpy.data.images)
    NOTES["cancel_file_browser"] = {"is_closed": is_closed, "is_unchanged": before == after}


def add_portrait() -> Steps:
    yield from open_file_browser()
    area = pointer.find_area("FILE_BROWSER")
    found: Widgets = {}
    for region in ("UI", "EXECUTE"):
        yield from pointer.find_widgets(
            area, pointer.find_region(area, region), found, offsets=(0.35, 0.8, 0.93)
        )
    for field, text in (("params.directory", str(FOLDER)), ("params.filename", PICTURE)):
        position = pointer.find_widget(found, field)
        yield from pointer.double_click(*position)
        yield from pointer.type_text(text, *position)
    shoot("2_file_browser")
    display = area.spaces.active.params.display_type
    yield from pointer.click(*pointer.find_widget(found, "file.execute"))
    started = time.monotonic()
    yield from wait_for(lambda: things("FACE"), "a face controller")
    NOTES["add_portrait"] = {
        "seconds": round(time.monotonic() - started, 2),
        "planes": [item.name for item in things("PORTRAIT")],
        "controllers": [item.name for item in things("FACE")],
        "display": display,
        **stand_of(things("PORTRAIT")[0], bpy.data.objects["Cube"]),
    }


def stand_of(plane: bpy.types.Object, cube: bpy.types.Object) -> dict[str, object]:
    """How the new plane stands: turned from the view, before the cube, and how views show it."""
    to_world = view().spaces.active.region_3d.view_matrix.inverted()
    seen = (to_world.to_3x3() @ Vector((0.0, 0.0, 1.0))).xy
    out = (plane.matrix_world.to_3x3() @ Vector((0.0, 0.0, 1.0))).xy
    to_plane = plane.matrix_world.inverted() @ cube.matrix_world
    spaces = [area.spaces.active for s in bpy.data.screens for area in s.areas]
    solid = [space.shading for space in spaces if space.type == "VIEW_3D"]
    shown = {(s.color_type, s.light) for s in solid if s.type == "SOLID"}
    return {
        "turned_deg": abs(math.degrees(seen.angle_signed(out))),
        "cube_before_plane": max((to_plane @ Vector(c)).z for c in cube.bound_box),
        "shown": sorted(shown),
    }


def look_at_portrait() -> Steps:
    """Frame the plane as an artist would: textured solid view, from the front."""
    area = view()
    area.spaces.active.shading.type = "SOLID"
    area.spaces.active.shading.color_type = "TEXTURE"
    area.spaces.active.shading.light = "FLAT"
    area.spaces.active.overlay.show_floor = False
    for name in ("Cube", "Light", "Camera"):
        bpy.data.objects.remove(bpy.data.objects[name])
    plane = things("PORTRAIT")[0]
    with bpy.context.temp_override(
        window=pointer.window(), area=area, region=pointer.find_region(area, "WINDOW")
    ):
        for item in bpy.data.objects:
            item.select_set(item == plane)
        bpy.context.view_layer.objects.active = plane
        bpy.ops.view3d.view_axis(type="TOP", align_active=True)
        bpy.ops.view3d.view_selected()
    yield 1.5
    for item in bpy.data.objects:
        item.select_set(item == things("FACE")[0])
    bpy.context.view_layer.objects.active = things("FACE")[0]
    # What Python did above is no step of its own: without this, undo would take it back too.
    bpy.ops.ed.undo_push(message="Look at the portrait")
    yield 1.0
    shoot("3_portrait")
    window = pointer.find_region(area, "WINDOW")
    height = pointer.window().height
    sidebar = pointer.find_region(area, "UI")
    NOTES["look_at_portrait"] = {
        # The viewport on the screenshots: left, top, right, bottom, pixels from the top left.
        "viewport": [window.x, height - window.y - window.height, sidebar.x, height - window.y]
    }


def drag_smile() -> Steps:
    controller = things("FACE")[0]
    before = output_pixels()
    found = yield from sidebar_widgets()
    yield from pointer.drag(*pointer.find_widget(found, '["smile"]'), 70)
    yield from wait_for_change(before, "a moved picture")
    yield from pointer.move(*view_middle())
    yield 0.5
    shoot("4_smile")
    region = pointer.find_region(view(), "UI")
    last = pointer.find_widget(found, '["pout"]')[1]
    NOTES["drag_smile"] = {
        "widgets": sorted(found),
        # From the top of the sidebar to the last slider of the face.
        "height_px": region.y + region.height - last,
        "smile": controller["smile"],
        "moved_pixels": int((np.abs(output_pixels() - before) > 0.05).sum()),
    }


def undo_smile() -> Steps:
    moved = output_pixels()
    yield from pointer.key("Z", *view_middle(), ctrl=True)
    yield 0.5
    yield from wait_for(lambda: things("FACE")[0]["smile"] == 0.0, "undo")
    yield from wait_for_change(moved, "the old picture")
    shoot("5_undone")
    NOTES["undo_smile"] = {"smile": things("FACE")[0]["smile"]}


def point_at_row() -> Steps:
    """The face is outlined for a moment when Blender asks for the tooltip of its row.

    Simulated events bring no tooltip up, so it is asked for here.
    """
    shoot("5_not_pointed")
    with pointer.override("VIEW_3D"):
        row = SimpleNamespace(index=0)
        bpy.types.KEYPORTRAIT_OT_select_face.description(bpy.context, row)
    yield 0.6
    shoot("5_pointed")
    yield 2.5
    shoot("5_left")


def key_and_scrub() -> Steps:
    """Key the smile by pressing I over the slider, then walk through time."""
    found = yield from sidebar_widgets()
    position = pointer.find_widget(found, '["smile"]')
    scene = bpy.context.scene
    for frame, distance in ((1, 0), (20, 70)):
        scene.frame_set(frame)
        yield 0.3
        if distance:
            yield from pointer.drag(*position, distance)
        yield from pointer.move(*position)
        yield from pointer.key("I", *position)
        yield 0.3
    final = things("FACE")[0]["smile"]
    changes = {}
    for frame in (10, 1, 20):
        before = output_pixels()
        scene.frame_set(frame)
        yield from wait_for_change(before, f"frame {frame}")
        changes[frame] = float(np.abs(output_pixels() - before).max())
    shoot("6_keyed")
    action = things("FACE")[0].animation_data.action
    NOTES["key_and_scrub"] = {
        "paths": sorted(curve.data_path for curve in action.fcurves),
        "groups": [curve.group.name if curve.group else "" for curve in action.fcurves],
        "smile": final,
        "changes": changes,
    }


def scroll_sidebar(direction: str) -> Steps:
    """To the very top ("UP") or bottom ("DOWN")."""
    region = pointer.find_region(view(), "UI")
    x, y = region.x + 30, region.y + region.height // 2
    yield from pointer.move(x, y)
    for _ in range(30):
        pointer.send(f"WHEEL{direction}MOUSE", "PRESS", x, y)
        yield 0.03
    yield 0.5


def open_panel(above: str, text: str, *, skip: int = 0) -> Steps:
    """Open a closed panel under a widget; the value is all widgets, scrolled down.

    above  widget over the panel's header: headers themselves are no widgets
    text   widget of the opened panel
    skip   closed panels between them
    """
    for distance in (34, 26, 42, 50, 0):
        yield from scroll_sidebar("DOWN")
        found = yield from sidebar_widgets()
        if any(text in name for name in found):
            return found
        x, y = pointer.find_widget(found, above)
        if distance:
            yield from pointer.click(x, y - distance - 28 * skip)
    raise AssertionError(f"no panel with {text!r} opens under {above!r}")


def apply_preset() -> Steps:
    """Open the presets and walk down their left column to Surprise; the popover stays open."""
    before = output_pixels()
    yield from scroll_sidebar("UP")
    found = yield from sidebar_widgets(0.83)
    # The button that opens them stands in the row of Mirror, at its left end.
    x = pointer.find_region(view(), "UI").x + 40
    y = pointer.find_widget(found, "keyportrait.mirror_face")[1]
    yield from pointer.click(x, y)
    yield 1.5
    shoot("7_presets_open")
    tried = []
    for row in range(2, 14):
        yield from pointer.click(x - 60, y - 22 - 22 * row)
        last = bpy.context.window_manager.operators[-1]
        tried.append(last.name)
        if "Surprise" in f"{last.name} {getattr(last.properties, 'preset', '')}":
            break
    yield from wait_for_change(before, "the preset")
    yield 0.5
    shoot("7_preset")
    yield from pointer.move(*view_middle())
    yield 0.5
    NOTES["apply_preset"] = {"tried": tried, "brows": things("FACE")[0]["brows"]}


def stop_and_finish_bake() -> Steps:
    """Bake, stop it with ESC, bake again: what was finished is kept."""
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "shot.blend"))
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 60
    bake_folder = FOLDER / "keyportrait"
    found = yield from open_panel('["pout"]', "keyportrait.bake(", skip=2)
    yield from pointer.click(*pointer.find_widget(found, "keyportrait.bake("))
    yield from wait_for(lambda: len(list(bake_folder.rglob("*.png"))) >= 3, "baked frames")
    shoot("8_baking")
    yield from pointer.key("ESC", *view_middle())
    yield 2.0
    stopped = len(list(bake_folder.rglob("*.png")))
    times = {path: path.stat().st_mtime_ns for path in bake_folder.rglob("*.png")}
    found = yield from open_panel('["pout"]', "keyportrait.bake(", skip=2)
    yield from pointer.click(*pointer.find_widget(found, "keyportrait.bake("))
    settings = things("PORTRAIT")[0].keyportrait.portrait
    yield from wait_for(lambda: settings.use_baked, "the finished bake")
    yield 1.0
    shoot("9_baked")
    NOTES["stop_and_finish_bake"] = {
        "stopped": stopped,
        "finished": len(list(bake_folder.rglob("*.png"))),
        "redone": sum(path.stat().st_mtime_ns != time_ns for path, time_ns in times.items()),
    }


STEPS = (
    open_sidebar,
    cancel_file_browser,
    add_portrait,
    look_at_portrait,
    drag_smile,
    undo_smile,
    point_at_row,
    key_and_scrub,
    apply_preset,
    stop_and_finish_bake,
)


def scenario() -> Steps:
    for step in STEPS:
        print(f"drive: {step.__name__}", flush=True)
        yield from step()


perform(scenario(), NOTES, OUT)
