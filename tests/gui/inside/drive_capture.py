"""A performance by real clicks: choose a clip, Capture, see its keys, capture it again, undo.

Started by run.sh; writes report.json and screenshots to FOLDER/out and ends Blender. The clip is
a bake of our own: a face that turns and speaks.
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

import bpy
import numpy as np

FOLDER = Path(sys.argv[-1])
OUT = FOLDER / "out"
sys.path.insert(0, str(FOLDER))

import pointer  # noqa: E402
from performing import perform  # noqa: E402
from pointer import Steps, Widgets  # noqa: E402
from stage import (  # noqa: E402
    curves,
    face,
    live_at_rest,
    look_at_portrait,
    modal_operators,
    open_performance_panel,
    output_pixels,
    scroll_down,
    sidebar_widgets,
    things,
    view_middle,
    wait_for,
)

FRAMES = 48
CLIP = "talk.mp4"
PAIR_SIZE = 1024, 512
PAIR_FRAMES = 12
KEYS = {
    "head_yaw": {1: 0.0, 14: 14.0, 32: -14.0, 48: 0.0},
    "mouth_open": {1: 0.0, 10: 0.8, 18: 0.0, 28: 0.8, 38: 0.1, 48: 0.0},
    "smile": {1: 0.0, 24: 0.6, 48: 0.0},
}
NOTES: dict[str, dict] = {}


def shoot(name: str) -> None:
    pointer.screenshot(OUT / f"{name}.png")


def prepare() -> Steps:
    """A portrait that fills the view, a clip of its performance, and a rested face."""
    with pointer.override("VIEW_3D"):
        bpy.ops.keyportrait.add_portrait(filepath=str(FOLDER / "astronaut.jpg"))
    for name in ("Cube", "Light", "Camera"):
        bpy.data.objects.remove(bpy.data.objects[name])
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, FRAMES
    for name, values in KEYS.items():
        for frame, value in values.items():
            face()[name] = value
            face().keyframe_insert(f'["{name}"]', frame=frame)
    settings = scene.keyportrait_bake
    settings.format, settings.use_assign = "MP4", False
    settings.folder = str(FOLDER / "baked")
    bpy.ops.keyportrait.bake(scope="ALL")
    next((FOLDER / "baked").rglob("*.mp4")).rename(FOLDER / CLIP)
    action = face().animation_data.action
    face().animation_data_clear()
    bpy.data.actions.remove(action)
    for name in KEYS:
        face()[name] = 0.0
    yield from look_at_portrait("DOPESHEET")


def choose_clip(found: Widgets) -> Steps:
    """Press Capture, which asks for a file, and name the clip; nothing is confirmed yet."""
    yield from pointer.click(*pointer.find_widget(found, "keyportrait.capture("))
    yield 1.0
    area = pointer.find_area("FILE_BROWSER")
    fields: Widgets = {}
    for region in ("UI", "EXECUTE"):
        yield from pointer.find_widgets(
            area, pointer.find_region(area, region), fields, offsets=(0.35, 0.8, 0.93)
        )
    for field, text in (("params.directory", str(FOLDER)), ("params.filename", CLIP)):
        position = pointer.find_widget(fields, field)
        yield from pointer.double_click(*position)
        yield from pointer.type_text(text, *position)
    return fields


def escape_while_capturing() -> Steps:
    found = yield from open_performance_panel()
    shoot("1_panel")
    fields = yield from choose_clip(found)
    shoot("2_file_browser")
    yield from pointer.click(*pointer.find_widget(fields, "file.execute"))
    running = modal_operators()
    yield from pointer.key("ESC", *view_middle())
    yield 1.0
    NOTES["escape_while_capturing"] = {
        "widgets": sorted(found),
        "running": running,
        "left": modal_operators(),
        "curves": len(curves()),
        "actions": len(bpy.data.actions),
    }


def capture() -> Steps:
    found = yield from open_performance_panel()
    fields = yield from choose_clip(found)
    yield from pointer.click(*pointer.find_widget(fields, "file.execute"))
    began = time.monotonic()
    yield from wait_for(curves, "curves")
    yield from wait_for(lambda: not modal_operators(), "the end of the capture")
    seconds = time.monotonic() - began
    yield 1.0
    scene = bpy.context.scene
    pictures = {}
    for frame in (1, 14, 32):
        scene.frame_set(frame)
        yield from live_at_rest()
        pictures[frame] = output_pixels()
    with pointer.override("DOPESHEET_EDITOR"):
        bpy.ops.anim.channels_expand()
        bpy.ops.action.view_all()
    scene.frame_set(10)
    yield from live_at_rest()
    shoot("3_captured")
    said = curves()
    NOTES["capture"] = {
        "seconds": round(seconds, 1),
        "paths": sorted({path.rpartition("[")[0] for path in said}),
        "first": min(frames[0] for frames in said.values()),
        "last": max(frames[-1] for frames in said.values()),
        "moved": int((np.abs(pictures[14] - pictures[32]).max() > 0.1).sum()),
        "moved_pixels": int((np.abs(pictures[14] - pictures[32]) > 0.05).sum()),
        "yaw": {frame: yaw_at(frame) for frame in (14, 32)},
        "stored": face().keyportrait_capture.filepath,
    }


def yaw_at(frame: int) -> float:
    animation = face().animation_data
    curve = next(c for c in animation.action.fcurves if c.data_path == '["head_yaw"]')
    return curve.evaluate(frame)


def open_options() -> Steps:
    """Click the closed panel below Re-capture, to see all that can be chosen."""
    found = yield from open_performance_panel()
    x, y = pointer.find_widget(found, "keyportrait.recapture")
    for distance in (61, 54, 68, 80, 35):
        yield from pointer.click(x, y - distance)
        yield 0.5
        yield from scroll_down()
        found = yield from sidebar_widgets()
        if any("keyportrait_capture.region" in name for name in found):
            break
    shoot("5_options")
    NOTES["open_options"] = {"widgets": sorted(found)}


def film_two_faces() -> Path:
    """The clip twice, side by side, the right one larger: two performers."""
    scene = bpy.data.scenes.new("pair")
    width, height = PAIR_SIZE
    scene.render.resolution_x, scene.render.resolution_y = PAIR_SIZE
    scene.frame_end = PAIR_FRAMES
    for channel, (share, scale) in enumerate(((-0.25, 0.7), (0.25, 0.9)), 1):
        strip = scene.sequence_editor_create().sequences.new_movie(
            name="talk", filepath=str(FOLDER / CLIP), channel=channel, frame_start=1
        )
        strip.transform.offset_x = share * width
        size = scale * height / strip.elements[0].orig_height
        strip.transform.scale_x = strip.transform.scale_y = size
        strip.blend_type = "ALPHA_OVER"
    scene.render.image_settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format = "MPEG4"
    scene.render.filepath = str(FOLDER / "pair")
    bpy.ops.render.render(animation=True, scene=scene.name)
    bpy.data.scenes.remove(scene)
    return next(FOLDER.glob("pair*.mp4"))


def choose_performer() -> Steps:
    """List the two performers of a clip, look at their pictures and click the second."""
    lists = importlib.import_module("bl_ext.user_default.keyportrait.rig.performer_list")
    settings = face().keyportrait_capture
    settings.filepath = str(film_two_faces())
    found = yield from open_performance_panel()
    yield from pointer.click(*pointer.find_widget(found, "keyportrait.list_performers"))
    choices = lists.choices_in(bpy.context, settings)
    yield from wait_for(lambda: lists.known(choices), "the list")
    yield 1.0
    found = yield from sidebar_widgets()
    shoot("6_performers")
    listed = [name for name in found if "keyportrait.choose_performer" in name]
    yield from pointer.click(*pointer.find_widget(found, "choose_performer(number=2"))
    yield 0.5
    NOTES["choose_performer"] = {
        "listed": len(listed),
        "performer": settings.performer,
    }


def capture_again_and_undo() -> Steps:
    before = yaw_at(14)
    face().keyportrait_capture.multiplier = 0.5
    bpy.ops.ed.undo_push(message="Multiplier")
    found = yield from open_performance_panel()
    began = time.monotonic()
    yield from pointer.click(*pointer.find_widget(found, "keyportrait.recapture"))
    yield from wait_for(lambda: abs(yaw_at(14)) < 0.7 * abs(before), "half the motion")
    seconds = time.monotonic() - began
    yield 1.0
    shoot("4_again")
    half, actions = yaw_at(14), len(bpy.data.actions)
    yield from pointer.key("Z", *view_middle(), ctrl=True)
    yield 1.0
    undone = yaw_at(14)
    yield from pointer.key("Z", *view_middle(), ctrl=True)
    yield from pointer.key("Z", *view_middle(), ctrl=True)
    yield 1.0
    NOTES["capture_again_and_undo"] = {
        "seconds": round(seconds, 1),
        "before": before,
        "half": half,
        "actions": actions,
        "undone": undone,
        "curves_after_all": len(curves()),
    }


def select_in_order() -> Steps:
    """Faces are selected one after the other, both ways round."""
    order = importlib.import_module("bl_ext.user_default.keyportrait.rig.selection_order")
    with pointer.override("VIEW_3D"):
        bpy.ops.keyportrait.add_portrait(filepath=str(FOLDER / "astronaut.jpg"))
    faces = things("FACE")
    found = []
    for items in (faces, faces[::-1]):
        for item in items:
            item.select_set(True)
            bpy.context.view_layer.objects.active = item
            yield 0.5
        found.append([item.name for item in order.sorted_by_selection(faces)])
    names = [item.name for item in faces]
    NOTES["select_in_order"] = {"found": found, "expected": [names, names[::-1]]}


STEPS = (
    prepare,
    escape_while_capturing,
    capture,
    open_options,
    capture_again_and_undo,
    choose_performer,
    select_in_order,
)


def scenario() -> Steps:
    for step in STEPS:
        print(f"drive: {step.__name__}", flush=True)
        yield from step()


perform(scenario(), NOTES, OUT)
