"""The camera moves portraits live and records takes; a clip stands in for it."""

from __future__ import annotations

import os
import time
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from performing import activate
from test_panels import draw_all, operators_drawn

FPS, YAW = 25, 16.0
# The clip has fewer frames a second: baking it takes most of the time.
CLIP_FPS, FRAMES, STILL = 12, 44, 30


@pytest.fixture(scope="module")
def clip(installed: None, tmp_path_factory: Any) -> str:
    """A face that rests and then turns and speaks, baked to a movie."""
    from conftest import ASTRONAUT

    folder = tmp_path_factory.mktemp("camera")
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.keyportrait.add_portrait(filepath=str(ASTRONAUT))
    face = bpy.context.active_object.keyportrait.portrait.faces[0].controller
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = CLIP_FPS, 1, FRAMES
    for frame, yaw, mouth in ((1, 0, 0), (STILL, 0, 0), (STILL + 3, YAW, 0.8), (FRAMES, YAW, 0.8)):
        face["head_yaw"], face["mouth_open"] = float(yaw), float(mouth)
        face.keyframe_insert('["head_yaw"]', frame=frame)
        face.keyframe_insert('["mouth_open"]', frame=frame)
    scene.keyportrait_bake.format = "MP4"
    scene.keyportrait_bake.folder = str(folder)
    bpy.ops.keyportrait.bake(scope="ALL")
    (path,) = folder.rglob("*.mp4")
    return str(path)


@pytest.fixture
def stand_in(clip: str, module: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The engine's cameras are the clip; consent is given."""
    monkeypatch.setenv("KEYPORTRAIT_CAMERA", clip)
    module("rig.engine").stop()
    module("preferences").preferences().is_camera_accepted = True
    yield
    module("rig.camera").stop()
    module("preferences").preferences().is_camera_accepted = False
    module("rig.engine").stop()


@pytest.fixture
def face(stand_in: Any, add_portrait: Any) -> Any:
    _, (controller,) = add_portrait()
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = FPS, 1, 250
    scene.keyportrait_camera.folder = str(Path(bpy.app.tempdir) / "takes")
    for path in (Path(bpy.app.tempdir) / "takes").glob("*"):
        path.unlink()
    activate(controller)
    return controller


def step_until(module: Any, is_so: Any, what: str) -> None:
    end = time.monotonic() + 40.0
    while not is_so():
        assert time.monotonic() < end, f"{what}: {module('rig.camera').status()}"
        assert bpy.ops.keyportrait.camera_step() == {"FINISHED"}


def live_motion(module: Any, controller: Any) -> Any:
    puppet = module("rig.puppets").current().get(controller.name)
    return None if puppet is None else puppet.motion


def is_turned(module: Any, controller: Any) -> bool:
    motion = live_motion(module, controller)
    return motion is not None and abs(motion.yaw) > 0.5 * YAW


def test_the_camera_moves_the_picture_and_nothing_in_the_file(face, module, pixels) -> None:
    plane = face.keyportrait.face.portrait
    output = plane.keyportrait.portrait.output
    still = pixels(output).copy()
    before = {name: face[name] for name in ("head_yaw", "mouth_open")}
    assert bpy.ops.keyportrait.camera_start() == {"FINISHED"}
    step_until(module, lambda: is_turned(module, face), "a turn")
    assert np.abs(pixels(output) - still).max() > 0.1, "the viewport's picture moves"
    status = module("rig.camera").status()
    assert status.state == "RUNNING" and status.is_in_use and status.fps > 0.0
    assert 0.0 < status.latency_s < 10.0
    assert {name: face[name] for name in before} == before
    assert face.animation_data is None or face.animation_data.action is None
    assert bpy.ops.keyportrait.camera_stop() == {"FINISHED"}
    live = module("rig.live")
    live.show_now(module("rig.portraits").portrait(plane), bpy.context.evaluated_depsgraph_get())
    assert np.abs(pixels(output) - still).max() < 0.02, "the face is what its sliders say again"


def test_mirror_region_and_amounts(face, module) -> None:
    settings = bpy.context.scene.keyportrait_camera
    settings.smooth = 0.0
    settings.use_mirror = False
    bpy.ops.keyportrait.camera_start()
    step_until(module, lambda: is_turned(module, face), "a turn")
    plain = live_motion(module, face)
    assert plain.yaw > 0.0, "the portrait turns as the performer's own head does"
    settings.use_mirror = True
    step_until(module, lambda: live_motion(module, face).yaw < -0.5 * YAW, "the mirror")
    motions = module("rig.motions")
    puppets = module("rig.puppets")
    depsgraph = bpy.context.evaluated_depsgraph_get()
    face["head_amount"], face["smile"], face["head_roll"] = 0.5, 0.4, 5.0
    whole = motions.motion_of(face, depsgraph, puppets.Puppet(plain, "all"))
    assert whole.yaw == pytest.approx(0.5 * plain.yaw) and whole.roll == pytest.approx(
        0.5 * plain.roll
    )
    mouth = motions.motion_of(face, depsgraph, puppets.Puppet(plain, "lip"))
    assert mouth.roll != 0.0, "beside the region the face does what its sliders say"
    assert motions.motion_of(face, depsgraph).yaw == 0.0


def test_renders_do_not_see_the_camera(face, module, pixels, tmp_path: Path) -> None:
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 3.0 * face.empty_display_size
    bpy.context.view_layer.update()
    camera.matrix_world = face.matrix_world.copy()
    camera.location += face.matrix_world.to_3x3().col[2]
    scene.camera, scene.render.engine, scene.cycles.samples = camera, "CYCLES", 1
    scene.render.resolution_x = scene.render.resolution_y = 64
    rendered = []
    for name in ("before", "live"):
        if name == "live":
            bpy.ops.keyportrait.camera_start()
            step_until(module, lambda: is_turned(module, face), "a turn")
        scene.render.filepath = str(tmp_path / f"{name}.png")
        bpy.ops.render.render(write_still=True)
        rendered.append(pixels(bpy.data.images.load(scene.render.filepath)))
    assert np.abs(rendered[0] - rendered[1]).max() < 0.02


def test_takes_are_numbered_strips_and_keep_each_other(face, module) -> None:
    scene = bpy.context.scene
    bpy.ops.keyportrait.camera_start()
    step_until(module, lambda: live_motion(module, face) is not None, "a face")
    scene.frame_set(11)
    assert bpy.ops.keyportrait.camera_record(seconds=4.5) == {"FINISHED"}
    (track,) = face.animation_data.nla_tracks
    (strip,) = track.strips
    assert track.name == "Take 01" and face.animation_data.action is None
    curves = {c.data_path: c for c in module("compat").curves_of(strip) if c.array_index == 0}
    yaw = [point.co[1] for point in curves['["head_yaw"]'].keyframe_points]
    frames = [point.co[0] for point in curves['["head_yaw"]'].keyframe_points]
    assert max(yaw) - min(yaw) > 0.5 * YAW
    assert 11 <= frames[0] <= 11 + FPS and frames[-1] <= 11 + 4.5 * FPS + 1
    assert frames[-1] - frames[0] > 2.0 * FPS, "true times at the scene's rate"
    assert all(frame == round(frame) for frame in frames)
    first = strip.action
    bpy.ops.keyportrait.camera_record(seconds=1.0)
    assert [t.name for t in face.animation_data.nla_tracks] == ["Take 01", "Take 02"]
    assert first.users and {s.action for t in face.animation_data.nla_tracks for s in t.strips} > {
        first
    }
    folder = Path(scene.keyportrait_camera.folder)
    assert sorted(p.name for p in folder.iterdir()) == ["Take 01.npz", "Take 02.npz"]
    bpy.ops.keyportrait.camera_stop()
    face.keyportrait_capture.multiplier = 0.5
    assert bpy.ops.keyportrait.recapture() == {"FINISHED"}, "a take is a capture like others"


def test_a_take_of_two_portraits_and_its_video(face, module, add_portrait) -> None:
    _, (other,) = add_portrait()
    activate(other, face)
    bpy.context.scene.keyportrait_camera.use_video = True
    bpy.ops.keyportrait.camera_start()
    step_until(module, lambda: live_motion(module, face) is not None, "a face")
    assert live_motion(module, other) is not None, "one performer moves both"
    bpy.ops.keyportrait.camera_record(seconds=1.0)
    for controller in (face, other):
        assert [t.name for t in controller.animation_data.nla_tracks] == ["Take 01"]
    folder = Path(bpy.context.scene.keyportrait_camera.folder)
    assert sorted(p.name for p in folder.iterdir()) == ["Take 01.mp4", "Take 01.npz"]


def test_without_consent_the_camera_stays_off(face, module) -> None:
    module("preferences").preferences().is_camera_accepted = False
    with pytest.raises(RuntimeError, match="not allowed"):
        bpy.ops.keyportrait.camera_start()
    assert not module("rig.camera").is_on()
    assert not bpy.ops.keyportrait.camera_record.poll()
    assert not bpy.ops.keyportrait.camera_neutral.poll()


def write_film(path: Path, grey: int) -> Path:
    """A wall, without a face."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for _ in range(10):
            picture = np.full((120, 160, 3), grey, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


def test_neutral_states_and_the_end_with_another_file(face, module, clip, tmp_path) -> None:
    camera = module("rig.camera")
    bpy.ops.keyportrait.camera_start()
    step_until(module, lambda: live_motion(module, face) is not None, "a face")
    bpy.context.scene.keyportrait_camera.countdown_s = 7.0
    assert bpy.ops.keyportrait.camera_neutral() == {"FINISHED"}
    told: dict[str, str] = {}

    def wait_for(state: str) -> None:
        end = time.monotonic() + 30.0
        while camera.status().state != state:
            assert time.monotonic() < end, camera.status()
            camera.tick()
            time.sleep(0.02)
        told[state] = draw_all()[0]

    step_until(module, lambda: camera.status().neutral_s > 0.0, "the countdown")
    assert "Rest in " in draw_all()[0]
    moved = live_motion(module, face)
    away = Path(clip).with_suffix(".away")
    Path(clip).rename(away)
    try:
        wait_for("UNPLUGGED")
        assert camera.status().hint and not camera.status().is_in_use
        for state, grey in (("NO_FACE", 150), ("DARK", 3)):
            write_film(tmp_path / "film.mp4", grey).rename(clip)
            wait_for(state)
            assert camera.status().is_in_use and live_motion(module, face) is not None
            Path(clip).unlink()
            wait_for("UNPLUGGED")
    finally:
        away.rename(clip)
    wait_for("RUNNING")
    texts = module("engine.camera_table").STATES
    assert all(texts[state] in told[state] for state in ("NO_FACE", "DARK", "RUNNING"))
    assert " is gone. " in told["UNPLUGGED"] and "In use: " not in told["UNPLUGGED"]
    assert moved is not None
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    assert not camera.is_on() and not module("rig.puppets").current()


def test_a_window_that_is_drawn_slowly_gets_the_newest_frame(face, module) -> None:
    bpy.ops.keyportrait.camera_start()
    step_until(module, lambda: live_motion(module, face) is not None, "a face")
    camera = module("rig.camera")
    number = camera._camera.number
    time.sleep(0.7)  # as long as a window without a graphics card takes
    now_s = time.monotonic()
    camera.tick()
    assert camera._camera.number > number + 2, "what came meanwhile is left out"
    assert now_s - camera._camera.told["time_s"] < 0.45, "and what it gets was not asked for before"


def test_the_panel_tells_how_it_goes(face, module) -> None:
    icons = set(bpy.types.UILayout.bl_rna.functions["prop"].parameters["icon"].enum_items.keys())
    for is_on in (False, True):
        if is_on:
            bpy.ops.keyportrait.camera_start()
            step_until(module, lambda: live_motion(module, face) is not None, "a face")
        texts, calls = draw_all()
        assert {options["icon"] for _, _, options in calls if "icon" in options} <= icons
        assert ("In use: " in texts) == is_on and ("Following the face" in texts) == is_on
        wanted = {True: "keyportrait.camera_record", False: "keyportrait.camera_start"}
        assert wanted[is_on] in operators_drawn(calls)
        assert wanted[not is_on] not in operators_drawn(calls)
    camera = module("rig.camera")._camera
    assert "to draw this window" not in texts
    camera.meter._drawings.append((time.monotonic(), 0.4))
    assert "Blender takes 400 ms to draw this window." in " ".join(draw_all()[0].split())
    for state in ("BUSY", "REFUSED"):
        text = module("engine.camera_table").STATES[state]
        told = {**camera.told, "state": state, "message": text, "hint": f"Mend {state}."}
        camera.told = told
        texts = " ".join(draw_all()[0].split())
        assert text in texts and f"Mend {state}." in texts and "In use: " not in texts


def test_a_scene_with_a_sound_strip_is_performed_to(face, module, tmp_path: Path) -> None:
    take = module("rig.camera_take")
    scene = bpy.context.scene
    assert not take.has_sound(scene)
    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    try:
        strip = module("compat").strips(scene).new_sound("voice", str(path), 1, 1)
    except RuntimeError as error:
        pytest.skip(str(error))  # the bpy of 4.2 has no sound
    assert take.has_sound(scene)
    strip.mute = True
    assert not take.has_sound(scene)


def test_scene_frames_are_timed_when_they_come(installed, module, monkeypatch) -> None:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene, scene_clock = bpy.context.scene, module("rig.scene_clock")
    scene.render.fps, scene.frame_end = 24, 500
    now = [100.0]
    monkeypatch.setattr(scene_clock, "time", SimpleNamespace(monotonic=lambda: now[0]))
    # Twice a second, as a slow window does: with parts of frames forgotten; without a device.
    for is_led, step in ((False, 11), (True, 1)):
        scene.frame_set(1)
        scene.sync_mode = "AUDIO_SYNC" if is_led else "FRAME_DROP"
        clock = scene_clock.SceneClock(scene, is_led=is_led)
        clock.begin()
        start_s = now[0]
        for _ in range(12):
            now[0] += 0.5
            scene.frame_set(scene.frame_current + step)
            now[0] += 0.4  # it is drawn, and looked at only then
            clock.correct(scene)
            now[0] -= 0.4
        clock.end()
        assert clock.due(now[0]) == pytest.approx(1 + step + 24 * (now[0] - start_s - 0.5))
        assert clock.frame > clock.due(now[0]) - 16, "frames are left out to keep up"
        assert scene.sync_mode == "FRAME_DROP" and not clock.is_led
        frame = clock.frame
        scene.frame_set(1)
        assert clock.frame == frame, "it looks no more"
    clock.begin()
    scene.frame_set(scene.frame_current - 1 or 0)
    clock.end()
    assert clock.is_over


def test_cameras_are_listed_by_name(face, module) -> None:
    assert bpy.ops.keyportrait.camera_refresh() == {"FINISHED"}
    items = module("rig.camera_devices").items(None, None)
    assert items[0][0] == "FIRST" and "stand-in" in items[1][1]
    bpy.context.window_manager.keyportrait_camera = items[1][0]
    assert module("rig.camera_devices").chosen() == items[1][0]


def test_an_engine_that_dies_is_started_again(face, module) -> None:
    bpy.ops.keyportrait.camera_start()
    step_until(module, lambda: live_motion(module, face) is not None, "a face")
    engine = module("rig.engine").engine()
    generation = engine.generation
    os.kill(engine.pid, 9)
    step_until(module, lambda: engine.generation > generation, "another engine")
    step_until(module, lambda: module("rig.camera").status().state == "RUNNING", "the camera")
