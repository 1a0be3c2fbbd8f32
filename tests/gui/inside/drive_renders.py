"""Renders in a real window: Cycles in the viewport, and animations under an artist's hands.

Started by run.sh; writes report.json and screenshots to FOLDER/out and ends Blender.
"""

from __future__ import annotations

import importlib
import math
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

FOLDER = Path(sys.argv[-1])
OUT = FOLDER / "out"
sys.path.insert(0, str(FOLDER))

import pointer  # noqa: E402
from performing import perform  # noqa: E402
from pointer import Steps  # noqa: E402
from stage import is_coarse, things  # noqa: E402

PICTURE = str(FOLDER / "astronaut.jpg")
PATIENCE_S = 60.0
LOOKS = 3  # screenshots that must be alike
RENDERED_FRAMES = 60
NOTES: dict[str, dict] = {}
live = importlib.import_module("bl_ext.user_default.keyportrait.rig.live")
images = importlib.import_module("bl_ext.user_default.keyportrait.rig.images")
writers: set[str] = set()  # names of the threads that write live pictures


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
    return pointer.override("VIEW_3D")


def shading() -> bpy.types.View3DShading:
    return pointer.find_area("VIEW_3D").spaces.active.shading


def rest() -> Steps:
    """Wait until the engine has answered and Cycles, after a series of pictures, has drawn.

    On a busy machine Cycles may stand for a while at its coarse first picture, or be done and
    shown only when something else has the window drawn.
    """
    yield 0.3
    yield from wait_for(lambda: not live.is_pending(), "the engine")
    yield 2.5
    looks: list[bytes] = []
    end = time.monotonic() + PATIENCE_S
    while len(looks) < LOOKS or len(set(looks[-LOOKS:])) > 1 or is_coarse(looks[-1]):
        assert time.monotonic() < end, "the window never comes to rest"
        pointer.find_area("VIEW_3D").tag_redraw()
        yield 0.1
        pointer.screenshot(FOLDER / "look.ppm")
        looks.append((FOLDER / "look.ppm").read_bytes())
        yield 0.6


def shoot(name: str) -> Steps:
    yield from rest()  # Another screenshot might meet Cycles as it begins anew.
    pointer.convert(FOLDER / "look.ppm", OUT / f"{name}.png")


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
    for _ in range(40):  # a timer puts it back, later on a loaded machine
        yield 0.25
        if output().alpha_mode == saved:
            break
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
    shading().color_type = "TEXTURE"
    watch_writers()
    yield 0.5
    with in_view():
        bpy.ops.screen.animation_play()
        bpy.ops.render.render("INVOKE_DEFAULT", animation=True)
    yield from wait_for(lambda: bpy.app.is_job_running("RENDER"), "the render's start")
    is_playing = pointer.window().screen.is_animation_playing
    moves = plays = 0
    while bpy.app.is_job_running("RENDER"):
        # Scripts may not write while Cycles draws; an artist's own hand may.
        with suppress(AttributeError):
            controller["smile"] = 0.5 + 0.5 * (-1) ** moves
            controller.update_tag()
            moves += 1
        # Blender refuses both while it renders.
        with in_view(), suppress(RuntimeError):
            bpy.ops.screen.frame_offset(delta=1)
        with in_view(), suppress(RuntimeError):
            bpy.ops.screen.animation_play()
        plays += pointer.window().screen.is_animation_playing
        pointer.find_area("VIEW_3D").tag_redraw()
        yield 0.01
    if pointer.window().screen.is_animation_playing:
        with in_view():
            bpy.ops.screen.animation_cancel()
    yield 1.0
    frames = sorted(path.name for path in (FOLDER / "out" / "frames").iterdir())
    NOTES["render_under_an_artists_hands"] = {
        "is_playing": is_playing,
        "moves": moves,
        "plays": plays,
        "frames": frames,
        "writers": sorted(writers),
    }


def watch_writers() -> None:
    push = images.Canvas.push

    def watched(canvas: object, image: bpy.types.Image) -> None:
        if bpy.app.is_job_running("RENDER"):
            writers.add(threading.current_thread().name)
        push(canvas, image)

    images.Canvas.push = watched


def a_handler_cannot_lock_the_interface() -> Steps:
    """A render reads the setting before it calls its first handler."""
    scene = bpy.context.scene
    scene.frame_end = 5

    def lock(*_args: object) -> None:
        scene.render.use_lock_interface = True

    bpy.app.handlers.render_init.append(lock)
    with in_view():
        bpy.ops.render.render("INVOKE_DEFAULT", animation=True)
    locked = []
    yield from wait_for(lambda: scene.render.use_lock_interface, "the render's start")
    while bpy.app.is_job_running("RENDER"):
        locked.append(bpy.context.window_manager.is_interface_locked)
        yield 0.02
    bpy.app.handlers.render_init.remove(lock)
    scene.render.use_lock_interface = False
    NOTES["lock"] = {"looks": len(locked), "is_locked": any(locked)}


def packed_portrait(name: str) -> bpy.types.ShaderNodeTexImage:
    """The texture node of a portrait in Channel Packed that fades out to the left."""
    path = str(FOLDER / f"{name}.png")
    photo = bpy.data.images.load(PICTURE)
    values = np.empty(photo.size[0] * photo.size[1] * 4, np.float32)
    photo.pixels.foreach_get(values)
    values[3::4] = np.tile(np.linspace(0.6, 1.0, photo.size[0], dtype=np.float32), photo.size[1])
    ghost = bpy.data.images.new("ghost", *photo.size, alpha=True)
    ghost.pixels.foreach_set(values)
    ghost.filepath_raw, ghost.file_format = path, "PNG"
    ghost.save()
    bpy.data.images.remove(ghost)
    bpy.data.images.load(path).alpha_mode = "CHANNEL_PACKED"
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    with in_view():
        bpy.ops.keyportrait.add_portrait(filepath=path, use_view=False, use_wait=True)
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_selected()
    nodes = things("PORTRAIT")[0].active_material.node_tree.nodes
    return next(node for node in nodes if node.type == "TEX_IMAGE")


def drag_mouth() -> Steps:
    controller = things("FACE")[0]
    for step in range(20):
        controller["mouth_open"] = step / 19
        controller.update_tag()
        yield 0.02


def cycles_follows_a_packed_channel() -> Steps:
    """Transparent, with an alpha mode that has no equal, and a material that uses alpha."""
    node = packed_portrait("packed")
    shading().type = "RENDERED"
    yield 0.5
    bpy.ops.ed.undo_push(message="Packed")
    yield from shoot("6_rest")
    yield from drag_mouth()
    bpy.ops.ed.undo_push(message="Drag")
    yield from shoot("6_drag")
    yield from shoot_anew("6_drag_anew")
    notes = {"mode": output().alpha_mode, "extension": node.extension}
    with in_view():
        bpy.ops.ed.undo()
    yield from shoot("6_undone")
    nodes = things("PORTRAIT")[0].active_material.node_tree.nodes
    node = next(node for node in nodes if node.type == "TEX_IMAGE")
    notes |= {"undone": node.extension, "is_whole": node.image == output(), "kept": dict(node)}
    NOTES["packed_channel"] = notes


def cycles_follows_in_the_world() -> Steps:
    """Around the scene, too, while the plane's material uses the picture's alpha."""
    world = bpy.data.worlds.new("World of the portrait")
    world.use_nodes = True
    world.cycles.sampling_method = "NONE"  # a map of its lights takes long to make
    node = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    node.image = output()
    background = next(n for n in world.node_tree.nodes if n.type == "BACKGROUND")
    world.node_tree.links.new(node.outputs[0], background.inputs[0])
    bpy.context.scene.world = world
    # Towards the mouth, a quarter and more up; the plane is far behind.
    towards = Vector((math.cos(0.39) * math.cos(0.72), math.sin(0.39) * math.cos(0.72), 0.66))
    region = pointer.find_area("VIEW_3D").spaces.active.region_3d
    region.view_perspective = "PERSP"
    region.view_rotation = towards.to_track_quat("-Z", "Y")
    region.view_location = 50.0 * towards
    pointer.find_area("VIEW_3D").spaces.active.shading.use_scene_world_render = True
    pointer.find_area("VIEW_3D").tag_redraw()
    yield from wait_for(is_world_drawn, "Cycles to draw the world")
    yield from shoot("8_rest")
    yield from drag_mouth()
    yield from shoot("8_drag")
    shading().type = "SOLID"
    yield 0.5
    shading().type = "RENDERED"
    yield from wait_for(is_world_drawn, "Cycles to draw the world again")
    yield from shoot("8_drag_anew")
    NOTES["world"] = {"interpolation": node.interpolation, "kept": dict(node)}
    bpy.data.worlds.remove(world)


def is_world_drawn() -> bool:
    """Whether the middle of the viewport shows a picture; Cycles begins with a grey."""
    pointer.screenshot(FOLDER / "look.ppm")
    data = (FOLDER / "look.ppm").read_bytes()
    width, height = pointer.window().width, pointer.window().height
    pixels = np.frombuffer(data[-3 * width * height :], np.uint8).reshape(height, width, 3)
    left, top, right, bottom = NOTES["prepare"]["view"]
    middle = pixels[(top + bottom) // 2 - 50 : (top + bottom) // 2 + 50, left + 300 : right - 300]
    return float(middle.std()) > 10.0


def cycles_follows_packed_colours() -> Steps:
    """The same where the material uses the colours alone."""
    node = packed_portrait("colours")
    for link in list(node.outputs["Alpha"].links):
        link.to_socket.default_value = 1.0
        node.id_data.links.remove(link)
    shading().type = "RENDERED"
    yield from shoot("7_rest")
    yield from drag_mouth()
    yield from shoot("7_drag")
    turned = output().alpha_mode
    yield from shoot_anew("7_drag_anew")
    shading().type = "SOLID"
    yield from wait_for(lambda: output().alpha_mode == "CHANNEL_PACKED", "its own alpha mode")
    NOTES["packed_colours"] = {"turned": turned, "extension": node.extension}


STEPS = (
    prepare,
    cycles_follows_a_slider,
    cycles_follows_a_fast_drag,
    cycles_follows_undo,
    cycles_follows_frames,
    the_file_keeps_its_modes,
    render_under_an_artists_hands,
    a_handler_cannot_lock_the_interface,
    cycles_follows_a_packed_channel,
    cycles_follows_in_the_world,
    cycles_follows_packed_colours,
)


def scenario() -> Steps:
    for step in STEPS:
        print(f"drive: {step.__name__}", flush=True)
        yield from step()


perform(scenario(), NOTES, OUT)
