"""The camera by real clicks: start it, see the face move, record a take, undo, stop.

Started by run.sh; writes report.json and screenshots to FOLDER/out and ends Blender. A bake of our
own stands in for the camera: a face that rests, and then turns and speaks.
"""

from __future__ import annotations

import importlib
import os
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
    face,
    look_at_portrait,
    output_pixels,
    view,
    view_middle,
    wait_for,
)

PACKAGE = "bl_ext.user_default.keyportrait"
STAND_IN = FOLDER / "stand_in.mp4"
CLIP_FPS, CLIP_FRAMES, STILL = 12, 52, 30
KEYS = {
    "head_yaw": {1: 0.0, STILL: 0.0, STILL + 4: 15.0, 42: 15.0, 46: -12.0, CLIP_FRAMES: 0.0},
    "mouth_open": {1: 0.0, STILL: 0.0, STILL + 4: 0.8, 40: 0.1, 46: 0.7, CLIP_FRAMES: 0.0},
}
FPS, FRAMES, SOUND_FRAMES = 24, 120, 100
CLOCKS: dict[str, list] = {"camera": [], "scene": []}
NOTES: dict[str, dict] = {}


def module(name: str):
    return importlib.import_module(f"{PACKAGE}.{name}")


def shoot(name: str) -> None:
    pointer.screenshot(OUT / f"{name}.png")


def moved_from(still: np.ndarray) -> int:
    return int((np.abs(output_pixels() - still) > 0.05).sum())


def status():
    return module("rig.camera").status()


def yaw() -> float:
    puppet = module("rig.puppets").current().get(face().name)
    return 0.0 if puppet is None else puppet.motion.yaw


def prepare() -> Steps:
    """A portrait that fills the view, its own bake in the camera's place, one panel."""
    with pointer.override("VIEW_3D"):
        bpy.ops.keyportrait.add_portrait(filepath=str(FOLDER / "astronaut.jpg"))
    for name in ("Cube", "Light", "Camera"):
        bpy.data.objects.remove(bpy.data.objects[name])
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = CLIP_FPS, 1, CLIP_FRAMES
    for name, values in KEYS.items():
        for frame, value in values.items():
            face()[name] = value
            face().keyframe_insert(f'["{name}"]', frame=frame)
    settings = scene.keyportrait_bake
    settings.format, settings.use_assign = "MP4", False
    settings.folder = str(FOLDER / "baked")
    bpy.ops.keyportrait.bake(scope="ALL")
    next((FOLDER / "baked").rglob("*.mp4")).rename(STAND_IN)
    action = face().animation_data.action
    face().animation_data_clear()
    bpy.data.actions.remove(action)
    for name in KEYS:
        face()[name] = 0.0
    # The engine that runs knows nothing of it yet.
    os.environ["KEYPORTRAIT_CAMERA"] = str(STAND_IN)
    module("rig.engine").stop()
    scene.render.fps, scene.frame_end = FPS, FRAMES
    scene.keyportrait_camera.countdown_s = 1.0
    scene.keyportrait_camera.smooth = 0.0
    scene.keyportrait_camera.folder = str(FOLDER / "takes")
    show_camera_panel_alone()
    yield from look_at_portrait("TIMELINE")


def show_camera_panel_alone() -> None:
    """Open, without the others above it: the sidebar is short."""
    for name in dir(bpy.types):
        if name.startswith("KEYPORTRAIT_PT_") and "camera" not in name:
            cls = getattr(bpy.types, name)
            if hasattr(cls, "bl_category") and name != "KEYPORTRAIT_PT_performance":
                bpy.utils.unregister_class(cls)
    for name in ("performance", "camera", "camera_options"):
        cls = getattr(bpy.types, f"KEYPORTRAIT_PT_{name}")
        bpy.utils.unregister_class(cls)
        cls.bl_options = set()
        bpy.utils.register_class(cls)


def sidebar_widgets() -> Steps:
    found: Widgets = {}
    region = pointer.find_region(view(), "UI")
    yield from pointer.find_widgets(view(), region, found, offsets=(0.7,), step=11)
    return found


def start() -> Steps:
    found = yield from sidebar_widgets()
    shoot("1_panel")
    NOTES["panel"] = {"widgets": sorted(found)}
    yield from pointer.click(*pointer.find_widget(found, "keyportrait.camera_start"))
    yield 0.5
    shoot("2_consent")
    NOTES["consent"] = {"is_on_before": module("rig.camera").is_on()}
    yield from pointer.key("RET", *view_middle())
    yield from wait_for(lambda: status().state == "RUNNING", "the camera")
    NOTES["consent"]["is_accepted"] = module("preferences").preferences().is_camera_accepted


def live() -> Steps:
    still = output_pixels()
    yield from wait_for(lambda: abs(yaw()) > 7.0 and moved_from(still) > 5000, "a turn")
    moved = moved_from(still)
    late, drawn = [], []
    portrait = module("rig.portraits").all_portraits()[0]
    session = module("rig.live").session(portrait)
    space = bpy.types.SpaceView3D
    handler = space.draw_handler_add(
        lambda: drawn.append(session.shown), (), "WINDOW", "POST_PIXEL"
    )
    for _ in range(15):
        yield 0.2
        late.append(status())
    space.draw_handler_remove(handler, "WINDOW")
    yield from wait_for(lambda: abs(yaw()) > 7.0, "another turn")
    shoot("3_live")
    NOTES["live"] = {
        "moved_pixels": moved,
        "fps": max(item.fps for item in late),
        "camera_fps": max(item.camera_fps for item in late),
        "latency_ms": [round(1000 * item.latency_s) for item in late[::3]],
        "draw_ms": [round(1000 * item.draw_s) for item in late[::3]],
        "drawn": len(drawn),
        "pictures": len({id(wish) for wish in drawn}),
        "dropped": late[-1].dropped,
        "icon": module("rig.camera_preview").icon_id(),
        "head_yaw": face()["head_yaw"],
        "actions": len(bpy.data.actions),
    }


def watch_clocks() -> None:
    """Note when each frame of the camera came and what it says, and when each scene frame came."""
    polls = module("rig.camera_polls").Polls
    noted = polls._note

    def note(self, reply, error, names) -> None:
        noted(self, reply, error, names)
        if reply is not None and reply.fields["motions"]:
            CLOCKS["camera"].append((reply.fields["time_s"], reply.fields["motions"][0]["yaw"]))

    def changed(scene, _depsgraph) -> None:
        CLOCKS["scene"].append((time.monotonic(), scene.frame_current))

    polls._note = note
    bpy.app.handlers.frame_change_post.append(changed)


def take_notes(number: int) -> dict:
    """The newest take, and what the clocks said while it was recorded."""
    track = next(t for t in face().animation_data.nla_tracks if t.name == f"Take {number:02d}")
    (strip,) = track.strips
    curve = next(c for c in strip.action.fcurves if c.data_path == '["head_yaw"]')
    frames = [point.co[0] for point in curve.keyframe_points]
    offset = strip.frame_start - strip.action_frame_start
    first, last = round(frames[0] + offset), round(frames[-1] + offset)
    return {
        "first": first,
        "last": last,
        "curve": [(frame, curve.evaluate(frame - offset)) for frame in range(first, last + 1)],
        **{name: list(noted) for name, noted in CLOCKS.items()},
    }


def forget_clocks() -> None:
    for noted in CLOCKS.values():
        noted.clear()


def record() -> Steps:
    watch_clocks()
    found = yield from sidebar_widgets()
    began = time.monotonic()
    forget_clocks()
    yield from pointer.click(*pointer.find_widget(found, "keyportrait.camera_record"))
    yield from wait_for(lambda: pointer.window().screen.is_animation_playing, "playing")
    yield from wait_for(lambda: abs(yaw()) > 7.0, "a turn while recording")
    shoot("4_recording")
    yield from wait_for(tracks, "a take")
    seconds = time.monotonic() - began
    notes = take_notes(1)
    yield 1.0
    shoot("5_take")
    NOTES["record"] = {
        "seconds": round(seconds, 1),
        "tracks": tracks(),
        **notes,
        "sync_mode": bpy.context.scene.sync_mode,
        "is_playing": pointer.window().screen.is_animation_playing,
        "frame": bpy.context.scene.frame_current,
        "files": sorted(path.name for path in (FOLDER / "takes").iterdir()),
    }


def record_to_sound() -> Steps:
    """A scene with words to speak to, on a device that plays them, and on none."""
    scene = bpy.context.scene
    editor = scene.sequence_editor_create()
    editor.sequences.new_sound("words", str(FOLDER / "spoken.ogg"), 1, 1)
    scene.frame_end = SOUND_FRAMES
    system = bpy.context.preferences.system
    for number, device in ((2, "OpenAL"), (3, "None")):
        system.audio_device = device
        yield 0.5
        forget_clocks()
        with pointer.override("VIEW_3D"):
            bpy.ops.keyportrait.camera_record("INVOKE_DEFAULT")
        yield from wait_for(lambda: pointer.window().screen.is_animation_playing, "playing")
        NOTES[f"sync_{device}"] = {"mode": scene.sync_mode}
        yield from wait_for(lambda count=number: f"Take {count:02d}" in tracks(), "a take to sound")
        NOTES[f"sound_{device}"] = {**take_notes(number), "sync_mode": scene.sync_mode}
        yield 0.5
    editor.sequences.remove(editor.sequences[0])
    scene.frame_end = FRAMES


def tracks() -> list[str]:
    animation = face().animation_data
    return [] if animation is None else [track.name for track in animation.nla_tracks]


def undo_take() -> Steps:
    yield from pointer.key("Z", *view_middle(), ctrl=True)
    yield 1.0
    undone = tracks()
    yield from wait_for(lambda: abs(yaw()) > 7.0, "another turn")
    NOTES["undo"] = {"tracks": undone, "still_live": yaw()}


def stop() -> Steps:
    bpy.ops.keyportrait.camera_stop()
    yield 1.5
    shoot("6_stopped")
    NOTES["stop"] = {
        "is_on": module("rig.camera").is_on(),
        "puppets": len(module("rig.puppets").current()),
    }


STEPS = (prepare, start, live, record, undo_take, record_to_sound, stop)


def scenario() -> Steps:
    for step in STEPS:
        print(f"drive: {step.__name__}", flush=True)
        yield from step()


perform(scenario(), NOTES, OUT)
