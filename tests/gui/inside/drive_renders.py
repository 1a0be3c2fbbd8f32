"""Renders in a real window: Cycles in the viewport, and animations under an artist's hands.

Started by run.sh; writes report.json and screenshots to FOLDER/out and ends Blender.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import bpy

FOLDER = Path(sys.argv[-1])
OUT = FOLDER / "out"
sys.path.insert(0, str(FOLDER))

import pointer  # noqa: E402
from pointer import Steps  # noqa: E402

PICTURE = str(FOLDER / "astronaut.jpg")
PATIENCE_S = 60.0
RENDERED_FRAMES = 30
NOTES: dict[str, dict] = {}
live = importlib.import_module("bl_ext.user_default.keyportrait.rig.live")


def things(kind: str) -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if item.keyportrait.kind == kind]


def output() -> bpy.types.Image:
    return things("PORTRAIT")[0].keyportrait.portrait.output


def wait_for(condition: Callable[[], object], what: str) -> Steps:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}")
        yield 0.05


def in_view() -> bpy.types.Context:
    """The context of a click into the viewport."""
    area = pointer.find_area("VIEW_3D")
    region = pointer.find_region(area, "WINDOW")
    return bpy.context.temp_override(window=pointer.window(), area=area, region=region)


def shading() -> bpy.types.View3DShading:
    return pointer.find_area("VIEW_3D").spaces.active.shading


def rest() -> Steps:
    """Wait until the engine has answered and Cycles, after a series of pictures, has drawn."""
    yield 0.3
    yield from wait_for(lambda: not live.is_pending(), "the engine")
    yield 2.5


def shoot(name: str) -> Steps:
    yield from rest()
    pointer.screenshot(OUT / f"{name}.png")


def shoot_anew(name: str) -> Steps:
    """A screenshot after Cycles was started again, which always shows the newest picture."""
    shading().type = "SOLID"
    yield 0.5
    shading().type = "RENDERED"
    yield from shoot(name)


def prepare() -> Steps:
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    with in_view():
        bpy.ops.keyportrait.add_portrait(filepath=PICTURE, use_view=False)
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_selected()
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.view_settings.view_transform = "Standard"
    scene.cycles.preview_samples, scene.cycles.use_preview_denoising = 2, False
    space = pointer.find_area("VIEW_3D").spaces.active
    space.overlay.show_overlays = space.show_gizmo = space.show_region_ui = False
    yield 1.0
    bpy.ops.ed.undo_push(message="Look at the portrait")
    shading().type = "RENDERED"
    area, window = pointer.find_area("VIEW_3D"), pointer.window()
    region = pointer.find_region(area, "WINDOW")
    top = window.height - region.y - region.height
    # Left, top, right, bottom on the screenshots.
    view = [region.x, top, region.x + region.width, window.height - region.y]
    NOTES["prepare"] = {"view": view}
    yield from wait_for(lambda: not pointer.window().modal_operators, "the portrait")
    yield from shoot("0_rest")


def cycles_follows_a_slider() -> Steps:
    controller = things("FACE")[0]
    controller["mouth_open"] = 1.0
    controller.update_tag()
    yield from shoot("1_slider")
    yield from shoot_anew("1_slider_anew")


def cycles_follows_a_fast_drag() -> Steps:
    """Wishes that come much faster than Cycles can look at the scene."""
    controller = things("FACE")[0]
    for step in range(60):
        controller["mouth_open"] = 1.0 - step / 59
        controller["head_yaw"] = 20.0 * step / 59
        controller.update_tag()
        yield 0.02
    yield from shoot("2_drag")
    yield from shoot_anew("2_drag_anew")


def cycles_follows_undo() -> Steps:
    bpy.ops.ed.undo_push(message="Drag")
    controller = things("FACE")[0]
    controller["head_yaw"] = -20.0
    controller.update_tag()
    yield from rest()
    bpy.ops.ed.undo_push(message="Turn")
    with in_view():
        bpy.ops.ed.undo()
    yield from shoot("3_undone")


def cycles_follows_frames() -> Steps:
    controller = things("FACE")[0]
    for frame, value in ((1, 0.0), (10, 1.0)):
        controller["head_yaw"], controller["mouth_open"] = 0.0, value
        for name in ("head_yaw", "mouth_open"):
            controller.keyframe_insert(f'["{name}"]', frame=frame)
    bpy.context.scene.frame_set(1)
    yield from shoot("4_frame_1")
    bpy.context.scene.frame_set(10)
    yield from shoot("4_frame_10")


def the_file_keeps_its_modes() -> Steps:
    mode = output().alpha_mode
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "saved.blend"))
    saved = output().alpha_mode
    bpy.context.scene.frame_set(5)
    yield from rest()
    bpy.context.scene.frame_set(10)
    yield from shoot("5_packed")
    turned = output().alpha_mode
    shading().type = "SOLID"
    yield 1.0
    modes = {"shown": mode, "saved": saved, "packed": turned, "left": output().alpha_mode}
    NOTES["the_file_keeps_its_modes"] = {"modes": modes, "source": output().source}


def render_under_an_artists_hands() -> Steps:
    """An animation in the window while sliders move and frames change."""
    scene, controller = bpy.context.scene, things("FACE")[0]
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 1.0
    camera.matrix_world = controller.matrix_world
    camera.location.y -= 1.0
    scene.camera = camera
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.frame_start, scene.frame_end = 1, RENDERED_FRAMES
    for frame, value in ((1, 0.0), (RENDERED_FRAMES, 1.0)):
        controller["mouth_open"] = value
        controller.keyframe_insert('["mouth_open"]', frame=frame)
    bpy.context.preferences.view.render_display_type = "NONE"
    scene.render.filepath = str(FOLDER / "out" / "frames" / "frame_")
    yield 0.5
    # Blender ends playback when it renders, and starts none meanwhile.
    with in_view():
        bpy.ops.screen.animation_play()
        bpy.ops.render.render("INVOKE_DEFAULT", animation=True)
    yield from wait_for(lambda: bpy.app.is_job_running("RENDER"), "the render's start")
    is_playing = pointer.window().screen.is_animation_playing
    moves = 0
    while bpy.app.is_job_running("RENDER"):
        controller["smile"] = 0.5 + 0.5 * (-1) ** moves
        controller.update_tag()
        if moves % 5 == 0:
            scene.frame_set(1 + moves % RENDERED_FRAMES)
        moves += 1
        yield 0.03
    if pointer.window().screen.is_animation_playing:
        with in_view():
            bpy.ops.screen.animation_cancel()
    yield 1.0
    frames = sorted(path.name for path in (FOLDER / "out" / "frames").iterdir())
    NOTES["render_under_an_artists_hands"] = {
        "is_playing": is_playing,
        "moves": moves,
        "frames": frames,
    }


STEPS = (
    prepare,
    cycles_follows_a_slider,
    cycles_follows_a_fast_drag,
    cycles_follows_undo,
    cycles_follows_frames,
    the_file_keeps_its_modes,
    render_under_an_artists_hands,
)


def scenario() -> Steps:
    for step in STEPS:
        print(f"drive: {step.__name__}", flush=True)
        yield from step()


_running = scenario()


def tick() -> float | None:
    """One step of the scenario per timer; the report is written however it ends."""
    try:
        return next(_running)
    except StopIteration:
        pass
    except Exception:
        NOTES["error"] = {"traceback": traceback.format_exc()}
        traceback.print_exc()
        pointer.screenshot(OUT / "failure.png")
    (OUT / "report.json").write_text(json.dumps(NOTES, indent=1))
    sys.stdout.flush()
    os._exit(0)


bpy.app.timers.register(tick, first_interval=2.0, persistent=True)
