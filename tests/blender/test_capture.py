"""Where a capture goes on the timeline: keys that are there, NLA, several faces, once more."""

from __future__ import annotations

import time
from typing import Any

import bpy
import numpy as np
import pytest
from performing import (  # noqa: F401 - fixtures
    activate,
    at,
    capture,
    curves,
    face,
    frames_of,
    recapture,
    template,
    write_template,
)

YAW, SMILE, OPEN = ('["head_yaw"]', 0), ('["smile"]', 0), ('["mouth_open"]', 0)


def key(controller: Any, name: str, values: dict[int, float]) -> None:
    for frame, value in values.items():
        controller[name] = value
        controller.keyframe_insert(f'["{name}"]', frame=frame)


def take(module: Any, count: int, fps: float, columns: tuple[str, ...], **parts: Any) -> Any:
    """A take of which every control rises by 0.001 a frame."""
    values = np.repeat(0.001 * np.arange(count)[:, None], len(columns), 1).astype(np.float32)
    rng = np.random.default_rng(1)
    given = {
        "times": np.arange(count) / fps,
        "columns": columns,
        "values": values,
        "keys": np.ones((count, len(columns)), bool),
        "slopes": np.full((count, len(columns)), 0.001 * fps, np.float32),
        "expression": rng.normal(0.0, 0.01, (count, 63)).astype(np.float32),
        "translation": rng.normal(0.0, 0.01, (count, 3)).astype(np.float32),
        "is_seen": np.ones(count, bool),
        **parts,
    }
    return module("rig.takes").FaceTake(**given)


def second_face(face: Any, module: Any) -> Any:
    """Another controller of the same portrait."""
    other = face.copy()
    face.users_collection[0].objects.link(other)
    face.keyportrait.face.portrait.keyportrait.portrait.faces.add().controller = other
    module("rig.portraits").forget()
    return other


def write(module: Any, controller: Any, found: Any, start: float = 1.0, **changes: Any) -> None:
    """Put a take on a face as the operator does."""
    from dataclasses import replace

    choices = module("rig.capture_choices").choices_of(controller.keyportrait_capture)
    choices = replace(choices, **changes)
    channels = module("rig.take_channels")
    scene = bpy.context.scene
    timing = channels.Timing(start, scene.render.fps / scene.render.fps_base)
    module("rig.controllers").complete(controller)
    sampling = channels.Sampling(found, timing, use_whole_frames=choices.use_whole_frames)
    made = channels.channels_of(found, sampling, choices.region, use_detail=choices.use_detail)
    record = controller.keyportrait_capture
    module("rig.take_placing").place(controller, record, made, choices, "take")


def test_few_keys_play_as_the_engine_means_them(face, module) -> None:
    """Handles make the cubics that the slopes stand for, at another frame rate, too."""
    fps, count = 30.0, 91
    times = np.arange(count) / fps
    wave = 0.5 + 0.4 * np.sin(4.0 * times)
    curve = module("engine.performance.curve_keys").fit_keys(wave, times, 0.02)
    parts = {"values": curve.values, "keys": curve.is_key, "slopes": curve.slopes}
    columns = {name: value[:, None].astype(np.float32) for name, value in parts.items()}
    columns["keys"] = columns["keys"].astype(bool)
    write(module, face, take(module, count, fps, ("mouth_open",), **columns))
    found = curves(module, face)[OPEN]
    assert len(found.keyframe_points) < 12
    scene = bpy.context.scene
    for frame in range(1, 1 + int(times[-1] * scene.render.fps)):
        moment = (frame - 1) / scene.render.fps
        wanted = 0.5 + 0.4 * np.sin(4.0 * moment)
        assert found.evaluate(frame) == pytest.approx(wanted, abs=0.03), frame


def test_replace_leaves_the_keys_around_and_the_former_action(face, template, module) -> None:
    key(face, "head_yaw", {1: 5.0, 20: 9.0, 200: -5.0})
    former = face.animation_data.action
    capture(filepath=template, start_frame=10)
    found = curves(module, face)
    frames = frames_of(found[YAW])
    assert frames[0] == 1 and frames[1] == 10 and frames[-2:] == [60, 200]
    assert 20 not in frames or at(face, "head_yaw", 20) != pytest.approx(9.0, abs=0.5)
    assert at(face, "head_yaw", 1) == pytest.approx(5.0)
    assert at(face, "head_yaw", 60) == pytest.approx(10.0, abs=0.3)
    assert face.animation_data.action != former
    assert [p.co[1] for p in former_curve(module, face, former).keyframe_points] == [5, 9, -5]


def former_curve(module: Any, controller: Any, action: Any) -> Any:
    found = module("compat").curves_with_slot_of(action, controller.animation_data)
    return next(curve for curve in found if curve.data_path == '["head_yaw"]')


def test_channels_outside_the_region_keep_their_keys(face, template, module) -> None:
    key(face, "head_yaw", {1: 5.0, 20: 9.0})
    capture(filepath=template, start_frame=1, region="lip")
    assert [p.co[1] for p in curves(module, face)[YAW].keyframe_points] == [5.0, 9.0]
    assert OPEN in curves(module, face)


def test_add_is_the_sum_and_leaves_what_is_around(face, template, module) -> None:
    key(face, "head_yaw", {1: 6.0, 100: -6.0})
    before = {frame: at(face, "head_yaw", frame) for frame in (1, 5, 20, 45, 80, 100)}
    capture(filepath=template, start_frame=10, mode="ADD")
    for frame in (1, 5, 80, 100):
        assert at(face, "head_yaw", frame) == pytest.approx(before[frame], abs=1e-3), frame
    for frame in (20, 45):
        turned = 0.2 * (frame - 10)
        assert at(face, "head_yaw", frame) == pytest.approx(before[frame] + turned, abs=0.3)


def test_add_without_curves_starts_from_what_the_sliders_say(face, template) -> None:
    face["mouth_open"] = 0.25
    capture(filepath=template, start_frame=1, mode="ADD", region="lip")
    assert at(face, "mouth_open", 1) == pytest.approx(0.25, abs=0.02)
    assert at(face, "mouth_open", 51) > 0.45


@pytest.mark.parametrize("mode", ["REPLACE", "ADD"])
def test_a_strip_above_the_face_s_action(face, template, mode) -> None:
    key(face, "head_yaw", {1: 8.0, 100: 8.0})
    key(face, "smile", {1: 0.5})
    capture(filepath=template, start_frame=20, mode=mode, use_track=True)
    assert face.animation_data.action is None
    below, above = face.animation_data.nla_tracks
    assert above.strips[0].frame_start == 20
    assert above.strips[0].frame_end == 70
    base = 8.0 if mode == "ADD" else 0.0
    assert at(face, "head_yaw", 70) == pytest.approx(base + 10.0, abs=0.3)
    assert at(face, "head_yaw", 90) == pytest.approx(8.0)
    assert at(face, "smile", 90) == pytest.approx(0.5)
    above.strips[0].use_animated_influence = True
    above.strips[0].influence = 0.5
    above.strips[0].keyframe_insert("influence", frame=30)
    half = 8.0 + 5.0 if mode == "ADD" else 0.5 * (8.0 + 10.0)
    assert at(face, "head_yaw", 70) == pytest.approx(half, abs=0.3)
    assert len(below.strips) == 1


def test_head_scale_and_own_openings_add_from_their_rest(face, module) -> None:
    columns = ("head_scale", "eyes_open")
    rest = module("rig.controllers").control_defaults(module("rig.controllers").face_of(face))
    values = np.array([[rest[name] for name in columns]] * 11, np.float32)
    values[5:] += 0.1
    for use_track in (False, True):
        face.animation_data_clear()
        key(face, "head_scale", {1: 1.2, 50: 1.2})
        found = take(module, 11, 25, columns, values=values)
        write(module, face, found, mode="ADD", use_track=use_track)
        assert at(face, "head_scale", 2) == pytest.approx(1.2, abs=1e-4)
        assert at(face, "head_scale", 9) == pytest.approx(1.3, abs=0.03)


def test_capturing_again_replaces_only_its_own(face, template, module) -> None:
    key(face, "head_yaw", {1: 5.0, 20: 9.0, 200: -5.0})
    capture(filepath=template, start_frame=10)
    own = face.animation_data.action
    own.name = "Monologue"
    key(face, "smile", {150: 0.7})
    settings = face.keyportrait_capture
    settings.multiplier, settings.start_frame = 0.5, 30
    recapture()
    frames = frames_of(curves(module, face)[YAW])
    assert frames[:3] == [1, 20, 30] and frames[-2:] == [80, 200]
    assert at(face, "head_yaw", 80) == pytest.approx(5.0, abs=0.3)
    assert at(face, "smile", 150) == pytest.approx(0.7)
    assert len(bpy.data.actions) == 2
    assert settings.action == face.animation_data.action
    assert settings.action.name == "Monologue"
    with pytest.raises(ReferenceError):
        _ = own.name


def test_a_narrower_region_gives_the_rest_back(face, template, module) -> None:
    key(face, "head_yaw", {1: 5.0, 20: 9.0, 200: -5.0})
    capture(filepath=template, start_frame=10)
    face.keyportrait_capture.region = "lip"
    recapture()
    assert [p.co[1] for p in curves(module, face)[YAW].keyframe_points] == [5.0, 9.0, -5.0]
    assert OPEN in curves(module, face)


def test_added_performances_are_not_added_twice(face, template) -> None:
    key(face, "head_yaw", {1: 6.0, 100: 6.0})
    capture(filepath=template, start_frame=10, mode="ADD")
    recapture()
    recapture()
    assert at(face, "head_yaw", 60) == pytest.approx(16.0, abs=0.3)


def test_a_strip_is_captured_again_where_it_was_moved_to(face, template) -> None:
    capture(filepath=template, start_frame=10, use_track=True)
    (track,) = face.animation_data.nla_tracks
    strip = track.strips[0]
    strip.frame_end_raw, strip.frame_start_raw = 150, 100
    face.keyportrait_capture.multiplier = 2.0
    recapture()
    (track,) = face.animation_data.nla_tracks
    (strip,) = track.strips
    assert (strip.frame_start, strip.frame_end) == (100, 150)
    assert at(face, "head_yaw", 150) == pytest.approx(20.0, abs=0.6)
    assert len(bpy.data.actions) == 1


@pytest.mark.parametrize("use_track", [True, False])
def test_between_action_and_strip(face, template, module, use_track) -> None:
    key(face, "smile", {1: 0.5})
    capture(filepath=template, start_frame=10, use_track=not use_track)
    face.keyportrait_capture.use_track = use_track
    recapture()
    animation = face.animation_data
    names = {strip.action.name for track in animation.nla_tracks for strip in track.strips}
    own = face.keyportrait_capture.action
    assert (own.name in names) == use_track
    assert (animation.action == own) != use_track
    assert at(face, "head_yaw", 60) == pytest.approx(10.0, abs=0.3)
    assert not use_track or at(face, "smile", 5) == pytest.approx(0.5)


def test_scripts_have_the_defaults_each_time(face, template, module) -> None:
    capture(filepath=template, start_frame=1, region="lip", multiplier=0.5)
    face.animation_data_clear()
    bpy.context.scene.frame_set(7)
    capture(filepath=template)
    assert YAW in curves(module, face)
    assert frames_of(curves(module, face)[YAW])[0] == 7


def test_every_option_reaches_the_engine(face, template, module) -> None:
    """Options of upstream's that a renamed property would leave at their defaults unseen."""
    switches = {
        "use_relative_motion": False, "is_expression_friendly": True, "use_mirror": True,
        "use_lip_normalization": True, "use_eye_retargeting": True, "use_lip_retargeting": True,
    }  # fmt: skip
    asked = {"region": "exp", "reference": "CHOSEN", "reference_s": 0.4, "multiplier": 0.5}
    capture(filepath=template, smooth=0.25, **switches, **asked)
    options = module("rig.capture_choices").choices_of(face.keyportrait_capture).options.to_json()
    assert {name: options[name] for name in switches} == switches
    assert {name: options[name] for name in asked} == pytest.approx(asked)
    settled = {"tolerance", "fps", "first_frame_s"}
    assert set(options) == set(switches) | set(asked) | settled


def test_whole_frames_and_true_ones(face, tmp_path, module) -> None:
    path = write_template(tmp_path / "film.pkl", 101, 30)
    scene = bpy.context.scene
    scene.render.fps = 24
    capture(filepath=path, start_frame=1)
    frames = frames_of(curves(module, face)['["expression"]', 0])
    assert frames == [float(f) for f in range(1, 82)]
    assert at(face, "head_yaw", 41) == pytest.approx(0.2 * 50, abs=0.3)
    capture(filepath=path, start_frame=1, use_whole_frames=False)
    frames = frames_of(curves(module, face)['["expression"]', 0])
    assert len(frames) == 101 and frames[1] == pytest.approx(1.8)
    scene.render.fps = 25


def test_a_fast_head_stays_on_its_way_at_another_rate(face, tmp_path, module) -> None:
    """Keys that were made at the clip's moments and then moved to frames let curves swing."""
    count, fps = 121, 30.0
    turns = 15.0 * np.sin(2.0 * np.pi * 2.5 * np.arange(count) / fps)
    path = write_template(tmp_path / "shake.pkl", count, fps, turns)
    scene = bpy.context.scene
    scene.render.fps = 24
    other = second_face(face, module)

    def check(controller: Any, start: float, stretch: float) -> None:
        found = curves(module, controller)[YAW]
        frames = np.arange(np.ceil(start), start + int((count - 1) / fps * 24 * stretch))
        moments = (frames - start) / 24 / stretch
        wanted = np.interp(moments, np.arange(count) / fps, turns)
        values = np.array([found.evaluate(frame) for frame in frames])
        sign = np.sign(values @ wanted)
        assert np.abs(sign * values - wanted).max() < 1.0, "degrees"

    activate(face)
    for start, stretch in ((1, 1.0), (10, 1.5)):
        capture(filepath=path, start_frame=start, stretch=stretch)
        check(face, start, stretch)
    # A face that begins half a frame later begins with the next one, or has keys between frames.
    for use_whole_frames, late in ((True, 1.0), (False, 0.5)):
        activate(other, face)
        capture(filepath=path, start_frame=1, face_offset=0.5, use_whole_frames=use_whole_frames)
        starts = [frames_of(curves(module, item)[YAW])[0] for item in (other, face)]
        assert sorted(starts) == [1.0, 1.0 + late]
        for item, start in zip((other, face), starts, strict=True):
            check(item, start, 1.0)
    recapture()
    assert [frames_of(curves(module, item)[YAW])[0] for item in (other, face)] == starts
    scene.render.fps = 25


def test_the_last_frame_of_twenty_minutes_is_where_it_belongs(face, module) -> None:
    rate, count = 30000 / 1001, 35965
    scene = bpy.context.scene
    scene.render.fps = 24
    write(module, face, take(module, count, rate, ("head_yaw", "smile")))
    last = 1.0 + (count - 1) / rate * 24
    for path in (YAW, ('["expression"]', 62)):
        assert frames_of(curves(module, face)[path])[-1] == pytest.approx(last, abs=1.0)
    scene.render.fps, scene.render.fps_base = 25, 1.0


def test_a_thousand_frames_are_written_in_a_second(face, module) -> None:
    columns = tuple(control.name for control in module("engine.controls").CONTROLS)[:22]
    found = take(module, 1000, 25, columns)
    key(face, "head_yaw", {1: 5.0, 20: 9.0, 2000: -5.0})
    began = time.perf_counter()
    write(module, face, found)
    took = time.perf_counter() - began
    assert len(curves(module, face)) >= 85
    print(f"1,000 frames x {len(curves(module, face))} channels in {took:.2f} s")
    assert took < 1.0


def test_stretch_and_several_faces_with_an_offset(face, template, module) -> None:
    other = second_face(face, module)
    activate(other, face)
    order = module("rig.selection_order")
    for item in (other, face):
        bpy.context.view_layer.objects.active = item
        order.note_active()
    capture(filepath=template, start_frame=10, stretch=2.0, face_offset=7)
    assert frames_of(curves(module, other)[YAW])[::99] == [10]
    assert frames_of(curves(module, face)[YAW])[0] == 17
    assert frames_of(curves(module, face)[YAW])[-1] == 117
    face.keyportrait_capture.stretch = 1.0
    activate(face)
    recapture()
    assert frames_of(curves(module, face)[YAW])[-1] == 67


def test_scene_range(face, template) -> None:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 30
    capture(filepath=template, start_frame=5)
    assert face.keyportrait_capture.last_frame == 55
    assert scene.frame_end == 30
    assert bpy.ops.keyportrait.set_scene_range() == {"FINISHED"}
    assert (scene.frame_start, scene.frame_end) == (5, 55)
    capture(filepath=template, start_frame=100, use_scene_range=True)
    assert (scene.frame_start, scene.frame_end) == (100, 150)


def test_undo_restores_everything(face, template, module) -> None:
    key(face, "head_yaw", {1: 5.0})
    name, action = face.name, face.animation_data.action.name
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.keyportrait.capture("EXEC_DEFAULT", True, filepath=template, use_scene_range=True)
    bpy.ops.ed.undo()
    restored = bpy.data.objects[name]
    assert restored.animation_data.action.name == action
    assert not restored.animation_data.action.use_fake_user
    assert set(curves(module, restored)) == {YAW}
    assert len(bpy.data.actions) == 1
    assert bpy.context.scene.frame_end == 250
    assert restored.keyportrait_capture.action is None


def test_a_strip_in_tweak_mode_is_left_alone(face, template) -> None:
    capture(filepath=template, start_frame=10, use_track=True)
    track = face.animation_data.nla_tracks[0]
    track.select = track.strips[0].select = True
    track.strips[0].active if hasattr(track.strips[0], "active") else None
    face.animation_data.nla_tracks.active = track
    face.animation_data.use_tweak_mode = True
    if not face.animation_data.use_tweak_mode:
        pytest.skip("this Blender enters tweak mode in its interface only")
    with pytest.raises(RuntimeError, match="tweak mode"):
        recapture()


def test_a_driven_slider_is_told(face, template, capfd) -> None:
    face.driver_add('["mouth_open"]').driver.expression = "0.5"
    capture(filepath=template, start_frame=1)
    assert 'Drivers hold ["mouth_open"]' in capfd.readouterr().out
