"""Strips by clicks: Animate Strip, a slider in the Sequencer's sidebar, its keys, Bake to Strip.

Started by run.sh; writes report.json and screenshots to FOLDER/out and ends Blender.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

FOLDER = Path(sys.argv[-1])
OUT = FOLDER / "out"
sys.path.insert(0, str(FOLDER))

import pointer  # noqa: E402
from performing import perform  # noqa: E402
from pointer import Steps, Widgets  # noqa: E402

PATIENCE_S = 120.0
FRAMES = 12
NOTES: dict[str, dict] = {}


def things(kind: str) -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if item.keyportrait.kind == kind]


def strips() -> list[Any]:
    compat = importlib.import_module("bl_ext.user_default.keyportrait.compat")
    return compat.all_strips(bpy.context.scene)


def place_of(strip: Any) -> list[float]:
    compat = importlib.import_module("bl_ext.user_default.keyportrait.compat")
    return list(compat.strip_place(strip))


def sequencer() -> bpy.types.Area:
    return pointer.find_area("SEQUENCE_EDITOR")


def middle() -> tuple[int, int]:
    area = sequencer()
    return area.x + area.width // 3, area.y + area.height // 3


def wait_for(condition: Callable[[], object], what: str) -> Steps:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}")
        yield 0.1


def shoot(name: str) -> None:
    pointer.screenshot(OUT / f"{name}.png")


def modal_operators() -> list[str]:
    return [operator.bl_idname for operator in pointer.window().modal_operators]


def sidebar() -> bpy.types.Region:
    return pointer.find_region(sequencer(), "UI")


def widgets() -> Steps:
    """Find the widgets of the sidebar as far as it is scrolled; the value is the dictionary."""
    found: Widgets = {}
    yield from pointer.find_widgets(sequencer(), sidebar(), found, offsets=(0.3, 0.72))
    return found


def prepare() -> Steps:
    """A tall Sequencer with a strip of a face, below a viewport."""
    for name in ("Cube", "Light", "Camera"):
        bpy.data.objects.remove(bpy.data.objects[name])
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, FRAMES
    area = pointer.find_area("DOPESHEET_EDITOR")
    edge = area.x + area.width // 2, area.y + area.height
    area.ui_type = "SEQUENCE_EDITOR"
    bpy.ops.screen.area_move("EXEC_DEFAULT", x=edge[0], y=edge[1], delta=620)
    yield 1.0
    strip = scene.sequence_editor_create().sequences.new_image(
        name="guest",
        filepath=str(FOLDER / "astronaut.jpg"),
        channel=1,
        frame_start=1,
        fit_method="FIT",
    )
    strip.frame_final_end = FRAMES + 1
    scene.sequence_editor.active_strip = strip
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "edit.blend"))
    space = sequencer().spaces.active
    space.show_region_ui = True
    yield 1.0
    sidebar().active_panel_category = "KeyPortrait"
    with pointer.override("SEQUENCE_EDITOR"):
        bpy.ops.sequencer.view_all()
    sequencer().tag_redraw()
    bpy.ops.ed.undo_push(message="Strip")
    yield 1.0


def animate() -> Steps:
    found = yield from widgets()
    shoot("1_strip")
    yield from pointer.click(*pointer.find_widget(found, "keyportrait.animate_strip("))
    yield from wait_for(lambda: things("FACE"), "a face")
    yield from wait_for(lambda: not modal_operators(), "the end of the operator")
    view = pointer.find_area("VIEW_3D")
    view.spaces.active.shading.color_type = "TEXTURE"
    with pointer.override("VIEW_3D"):
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_selected()
    yield 1.0
    (strip,) = strips()
    plane, face = things("PORTRAIT")[0], things("FACE")[0]
    NOTES["animate"] = {"linked": strip["keyportrait"] == plane, "widgets": sorted(found)}
    assert face.keyportrait.face.portrait == plane


def output_pixels() -> np.ndarray:
    image = things("PORTRAIT")[0].keyportrait.portrait.output
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels


def slide_and_key() -> Steps:
    """A key at rest on the first frame; the slider dragged and keyed on the last one."""
    face = things("FACE")[0]
    found = yield from widgets()
    x, y = pointer.find_widget(found, '["head_yaw"]')
    yield from pointer.move(x, y)
    yield from pointer.key("I", x, y)
    yield 0.5
    before = output_pixels()
    bpy.context.scene.frame_set(FRAMES)
    yield 0.5
    yield from pointer.drag(x, y, 90)
    yield from wait_for(lambda: abs(output_pixels() - before).max() > 0.05, "the picture")
    # The drag has left the pointer beside the slider.
    with pointer.override("SEQUENCE_EDITOR"):
        bpy.ops.keyportrait.key_changed()
    yield 1.0
    shoot("2_slider")
    curve = next(c for c in face.animation_data.action.fcurves if "head_yaw" in c.data_path)
    NOTES["slide_and_key"] = {
        "keys": [list(point.co) for point in curve.keyframe_points],
        "moved_pixels": int((abs(output_pixels() - before) > 0.05).sum()),
    }


def preview_look() -> np.ndarray:
    """(H, W, 3) of the Sequencer's preview, 0..1, without what lies around the frame."""
    pointer.screenshot(OUT / "look.png")
    image = bpy.data.images.load(str(OUT / "look.png"))
    pixels = np.array(image.pixels[:], np.float32).reshape(*tuple(image.size)[::-1], 4)[..., :3]
    bpy.data.images.remove(image)
    region = pointer.find_region(sequencer(), "PREVIEW")
    across, up = region.width // 5, region.height // 8
    found = pixels[region.y + up : region.y + region.height - up]
    return found[:, region.x + across : region.x + region.width - across]


def settle() -> Steps:
    """Until the live picture has come and is drawn."""
    yield 0.5
    live = importlib.import_module("bl_ext.user_default.keyportrait.rig.live")
    yield from wait_for(lambda: not live.is_pending(), "the picture")
    yield 1.5


def look_at_preview() -> Steps:
    """The preview with the live picture, at rest and with a turned head, and without it."""
    scene, face = bpy.context.scene, things("FACE")[0]
    choices = scene.keyportrait_strips
    sequencer().spaces.active.view_type = "SEQUENCER_PREVIEW"
    view, scene.view_settings.view_transform = scene.view_settings.view_transform, "Standard"
    scene.frame_set(1)
    yield 1.5
    region = pointer.find_region(sequencer(), "PREVIEW")
    with bpy.context.temp_override(window=pointer.window(), area=sequencer(), region=region):
        bpy.ops.sequencer.view_all_preview()
    looks = {}
    for name, frame, is_live in (
        ("rest", 1, True),
        ("plain", 1, False),
        ("turned", FRAMES, True),
        ("back", FRAMES, False),
    ):
        choices.use_preview = is_live
        scene.frame_set(frame)
        yield from settle()
        looks[name] = preview_look()
        if name in {"turned", "plain"}:
            shoot(f"2_preview_{name}")
    choices.use_preview = True
    yield from settle()
    before = preview_look()
    face["mouth_open"] = 0.8
    face.update_tag()
    yield from settle()
    NOTES["look_at_preview"] = {
        "picture": float(np.ptp(looks["plain"], axis=(0, 1)).min()),
        "rest": float(abs(looks["rest"] - looks["plain"]).mean()),
        "colour": float(abs((looks["rest"] - looks["plain"]).mean(axis=(0, 1))).max()),
        "turned": float(abs(looks["turned"] - looks["rest"]).mean()),
        "off": float(abs(looks["back"] - looks["plain"]).max()),
        "while_it_moves": float(abs(preview_look() - before).max()),
    }
    shoot("2_preview_mouth")
    face["mouth_open"] = 0.0
    face.update_tag()
    scene.view_settings.view_transform = view
    sequencer().spaces.active.view_type = "SEQUENCER"
    yield 1.0


def bake() -> Steps:
    found = yield from widgets()
    yield from pointer.click(*pointer.find_widget(found, "keyportrait.bake_strip("))
    yield from wait_for(lambda: len(strips()) == 2, "a second strip")
    yield from wait_for(lambda: not modal_operators(), "the end of the bake")
    with pointer.override("SEQUENCE_EDITOR"):
        bpy.ops.sequencer.view_all()
    yield 1.0
    shoot("3_baked")
    source, result = sorted(strips(), key=lambda strip: strip.channel)
    folder = Path(bpy.path.abspath(result.directory))
    NOTES["bake"] = {
        "channels": [source.channel, result.channel],
        "places": [place_of(source)[2:], place_of(result)[2:]],
        "muted": [source.mute, result.mute],
        "files": [(folder / element.filename).is_file() for element in result.elements],
        "active": bpy.context.scene.sequence_editor.active_strip == result,
    }


def bake_again_and_undo() -> Steps:
    """The bake is active: its own sidebar bakes it again. Undo takes the first bake back."""
    scene = bpy.context.scene
    things("FACE")[0]["mouth_open"] = 0.6
    bpy.ops.ed.undo_push(message="Mouth")
    found = yield from widgets()
    path = Path(bpy.path.abspath(strips()[-1].directory))
    newest = max(file.stat().st_mtime_ns for file in path.glob("*.png"))
    yield from pointer.click(*pointer.find_widget(found, "keyportrait.bake_strip("))
    yield from wait_for(
        lambda: max(file.stat().st_mtime_ns for file in path.glob("*.png")) > newest, "new pictures"
    )
    yield from wait_for(lambda: not modal_operators(), "the end of the bake")
    yield 1.0
    count = len(strips())
    with pointer.override("SEQUENCE_EDITOR"):
        sequencer().spaces.active.view_type = "SEQUENCER_PREVIEW"
    scene.frame_set(FRAMES)
    yield 2.0
    shoot("4_again")
    for _ in range(3):
        yield from pointer.key("Z", *middle(), ctrl=True)
        yield 0.5
    NOTES["bake_again_and_undo"] = {"count": count, "undone": len(strips())}


STEPS = (prepare, animate, slide_and_key, look_at_preview, bake, bake_again_and_undo)


def scenario() -> Steps:
    for step in STEPS:
        print(f"drive: {step.__name__}", flush=True)
        yield from step()


perform(scenario(), NOTES, OUT)
