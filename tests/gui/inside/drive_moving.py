"""A sequence becomes a portrait in a real window: followed, scrubbed, played, moved, undone.

Started by run.sh; writes report.json and screenshots to FOLDER/out and ends Blender.
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
from pointer import Steps  # noqa: E402
from stage import live_at_rest, things, wait_for  # noqa: E402

COUNT = 6
STEP_PX = 8
NOTES: dict[str, dict] = {}
live = importlib.import_module("bl_ext.user_default.keyportrait.rig.live")


def pixels(image: bpy.types.Image) -> np.ndarray:
    width, height = image.size
    values = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(height, width, 4)


def shown() -> np.ndarray:
    return pixels(things("PORTRAIT")[0].keyportrait.portrait.output)


def frame_file(number: int, pattern: str = "walk_{:03}.png") -> np.ndarray:
    image = bpy.data.images.load(str(FOLDER / pattern.format(number)))
    found = pixels(image).copy()
    bpy.data.images.remove(image)
    return found


def in_view() -> bpy.types.Context:
    area = pointer.find_area("VIEW_3D")
    region = pointer.find_region(area, "WINDOW")
    return bpy.context.temp_override(window=pointer.window(), area=area, region=region)


def prepare() -> Steps:
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    photo = bpy.data.images.load(str(FOLDER / "astronaut.jpg"))
    values = pixels(photo).copy()
    for number in range(1, COUNT + 1):
        moved = np.ascontiguousarray(np.roll(values, STEP_PX * (number - 1), axis=1))
        photo.pixels.foreach_set(moved.ravel())
        photo.filepath_raw, photo.file_format = str(FOLDER / f"walk_{number:03}.png"), "PNG"
        photo.save()
    bpy.data.images.remove(photo)
    scene = bpy.context.scene
    scene.view_settings.view_transform = "Standard"
    scene.frame_start, scene.frame_end = 1, COUNT
    image = bpy.data.images.load(str(FOLDER / "walk_001.png"))
    image.source = "SEQUENCE"
    planes = importlib.import_module("bl_ext.user_default.keyportrait.rig.planes")
    with in_view():
        bpy.ops.mesh.primitive_plane_add(rotation=(1.5708, 0.0, 0.0))
        plane = bpy.context.active_object
        plane.data.materials.append(planes.add_material("walk", image, "EMISSION"))
        user = plane.active_material.node_tree.nodes.active.image_user
        user.frame_duration, user.use_auto_refresh = COUNT, True
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_selected()
    pointer.find_area("VIEW_3D").spaces.active.shading.type = "MATERIAL"
    bpy.ops.ed.undo_push(message="A plane")
    yield 0.5


def follow() -> Steps:
    """The operator as a button calls it: modal, with progress."""
    with in_view():
        answer = bpy.ops.keyportrait.use_texture("INVOKE_DEFAULT")
    began = time.monotonic()
    yield from wait_for(lambda: things("FACE"), "a face")
    yield from wait_for(lambda: not pointer.window().modal_operators, "the portrait")
    yield from live_at_rest()
    pointer.screenshot(OUT / "1_followed.png")
    NOTES["follow"] = {"answer": sorted(answer), "seconds": time.monotonic() - began}


def scrub() -> Steps:
    equal = []
    for number in (4, 2, 6):
        bpy.context.scene.frame_set(number)
        yield from live_at_rest()
        equal.append(bool((shown() == frame_file(number)).all()))
    face = things("FACE")[0]
    NOTES["scrub"] = {"equal": equal, "rides": face.matrix_world.translation.x}
    bpy.context.scene.frame_set(1)
    yield from live_at_rest()
    NOTES["scrub"]["rides"] -= face.matrix_world.translation.x


def play() -> Steps:
    session = live.session(live.portraits.portrait(things("PORTRAIT")[0]))
    frames = set()
    with in_view():
        bpy.ops.screen.animation_play()
    end = time.monotonic() + 20.0
    while time.monotonic() < end and len(frames) < 3:
        if session.shown is not None:
            frames.add(session.shown.frame)
        yield 0.02
    with in_view():
        bpy.ops.screen.animation_cancel(restore_frame=True)
    yield from live_at_rest()
    NOTES["play"] = {"frames": sorted(frames)}


def smile() -> Steps:
    face = things("FACE")[0]
    bpy.context.view_layer.objects.active = face
    face["smile"], face["blink"] = 1.0, 1.0
    face.update_tag()
    bpy.context.scene.frame_set(5)
    yield from live_at_rest()
    pointer.screenshot(OUT / "2_smile.png")
    difference = np.abs(shown() - frame_file(5)).max(axis=2)
    rows, columns = np.nonzero(difference > 2 / 255)
    NOTES["smile"] = {"width": int(np.ptp(columns)), "height": int(np.ptp(rows))}


def undo() -> Steps:
    bpy.ops.ed.undo_push(message="Smile")
    with in_view():
        bpy.ops.ed.undo()
    yield from live_at_rest()
    is_neutral = things("FACE")[0]["smile"] == 0.0
    with in_view():
        bpy.ops.ed.undo()
    yield 0.5
    gone = not things("PORTRAIT")
    with in_view():
        bpy.ops.ed.redo()
    yield from live_at_rest()
    number = bpy.context.scene.frame_current
    is_back = bool((shown() == frame_file(number)).all())
    NOTES["undo"] = {"is_neutral": is_neutral, "gone": gone, "is_back": is_back}


def other_pictures() -> Steps:
    """The Picture field: a picture rests, a clip moves; Find adds who comes later in it."""
    settings = things("PORTRAIT")[0].keyportrait.portrait
    still = bpy.data.images.load(str(FOLDER / "walk_003.png"))
    settings.source = still
    yield from wait_for(lambda: settings.is_fitted, "the picture's face")
    yield from live_at_rest()
    rests = not settings.clip.is_used and bool((shown() == frame_file(3)).all())
    values = pixels(still)
    for number in (1, 2, 3):
        second = np.ascontiguousarray(values[:, ::-1] if number > 1 else 0.0 * values + 0.5)
        pair = bpy.data.images.new("pair", 1024, 512)
        pair.pixels.foreach_set(np.concatenate([values, second], axis=1).ravel())
        pair.filepath_raw, pair.file_format = str(FOLDER / f"pair_{number}.png"), "PNG"
        pair.save()
        bpy.data.images.remove(pair)
    bpy.context.scene.frame_set(1)
    clip = bpy.data.images.load(str(FOLDER / "pair_1.png"))
    clip.source = "SEQUENCE"
    settings.source = clip
    yield from wait_for(lambda: settings.is_fitted, "the clip's face")
    yield from live_at_rest()
    NOTES["other"] = {"rests": rests, "moves": settings.clip.is_used}
    bpy.context.scene.frame_set(3)
    bpy.context.view_layer.objects.active = things("PORTRAIT")[0]
    with in_view():
        bpy.ops.keyportrait.find_faces("INVOKE_DEFAULT")
    yield from wait_for(lambda: len(things("FACE")) == 2, "the later face")
    yield from wait_for(lambda: not pointer.window().modal_operators, "the end of Find")
    late = max(things("FACE"), key=lambda face: face.matrix_world.translation.x)
    late["smile"], late["blink"] = 1.0, 1.0
    late.update_tag()
    yield from live_at_rest()
    with in_view():
        bpy.ops.view3d.view_selected()
    bpy.context.view_layer.objects.active = late
    yield 0.5
    pointer.screenshot(OUT / "3_later.png")
    NOTES["other"]["rides"] = "keyportrait_clip_frame" in late
    difference = np.abs(shown() - frame_file(3, "pair_{}.png")).max(axis=2)
    columns = np.nonzero(difference > 2 / 255)[1]
    NOTES["other"]["moved"] = [int(columns.min()), int(columns.max())]


STEPS = (prepare, follow, scrub, play, smile, undo, other_pictures)


def scenario() -> Steps:
    for step in STEPS:
        print(f"drive: {step.__name__}", flush=True)
        yield from step()


perform(scenario(), NOTES, OUT)
