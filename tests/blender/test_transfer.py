"""Export: a face's own curves become files, and come back as the same motion."""

from __future__ import annotations

import pickle
from pathlib import Path

import bpy
import numpy as np
import pytest

FPS = 24
FRAMES = range(1, 41)


@pytest.fixture
def animated(add_portrait):
    """(plane, face) whose sliders, Empty and detail are keyed from 1 to 40."""
    plane, (face,) = add_portrait()
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = FPS, 1.0
    bpy.context.view_layer.objects.active = face
    for frame, smile, yaw in ((1, 0.0, 0.0), (20, 0.9, 12.0), (40, 0.2, -6.0)):
        face["smile"], face["head_yaw"] = smile, yaw
        face.rotation_euler.z = 0.1 * smile
        for path in ('["smile"]', '["head_yaw"]', "rotation_euler"):
            face.keyframe_insert(path, frame=frame)
    for frame, blink in ((8, 0.0), (10, 1.0), (13, 0.0)):
        face["blink"] = blink
        face.keyframe_insert('["blink"]', frame=frame)
    return plane, face


def motions(module, face, frames=FRAMES):
    found = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        depsgraph = bpy.context.evaluated_depsgraph_get()
        found.append(module("rig.motions").motion_of(face, depsgraph))
    return found


def assert_alike(first, second, tolerance=0.02):
    """Motions, the expression in units of what a slider of 1 does."""
    for one, other in zip(first, second, strict=True):
        assert other.expression == pytest.approx(one.expression, abs=0.02 * tolerance / 0.02)
        for name in ("pitch", "yaw", "roll"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), abs=0.6)
        assert other.scale == pytest.approx(one.scale, abs=0.01)
        assert other.translation == pytest.approx(one.translation, abs=0.01)


def fresh(face):
    """Take all keys off and put everything to rest."""
    face.animation_data_clear()
    bpy.ops.keyportrait.reset_face(group="ALL")


def test_what_is_exported_and_captured_is_the_same(animated, module, tmp_path) -> None:
    _, face = animated
    path = str(tmp_path / "ada.npz")
    before = motions(module, face)
    bpy.context.scene.frame_set(7)
    assert bpy.ops.keyportrait.export_performance(filepath=path) == {"FINISHED"}
    assert bpy.context.scene.frame_current == 7
    fresh(face)
    assert bpy.ops.keyportrait.capture(filepath=path, start_frame=1, reference="AUTO") == {
        "FINISHED"
    }
    assert_alike(before, motions(module, face))
    # The sliders are those that were keyed, in few keys, not something that looks alike.
    bpy.context.scene.frame_set(20)
    evaluated = face.evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert evaluated["smile"] == pytest.approx(0.9, abs=0.03)
    paths = {curve.data_path for curve in module("compat").fcurves(face)}
    assert '["expression"]' not in paths


def test_a_template_is_what_liveportrait_reads(animated, module, tmp_path) -> None:
    _, face = animated
    path = tmp_path / "ada.pkl"
    bpy.ops.keyportrait.export_performance(filepath=str(path), format="LIVEPORTRAIT", fps=30.0)
    data = pickle.loads(path.read_bytes())
    assert data["n_frames"] == len(data["motion"]) == len(data["c_eyes_lst"]) == 49
    assert data["output_fps"] == 30
    before = motions(module, face)
    fresh(face)
    bpy.ops.keyportrait.capture(filepath=str(path), start_frame=1, reference="FIRST")
    after = motions(module, face)
    for one, other in zip(before[::6], after[::6], strict=True):
        assert other.yaw == pytest.approx(one.yaw, abs=0.8)
        assert np.allclose(other.expression, one.expression, atol=0.004)


def test_the_range_may_be_chosen_and_the_ending_follows_the_format(animated, tmp_path) -> None:
    bpy.ops.keyportrait.export_performance(
        filepath=str(tmp_path / "ada.npz"), format="LIVEPORTRAIT", frame_start=10, frame_end=14
    )
    assert [path.name for path in tmp_path.iterdir()] == ["ada.pkl"]
    assert pickle.loads((tmp_path / "ada.pkl").read_bytes())["n_frames"] == 5


def test_what_cannot_be_written_is_said(animated, tmp_path) -> None:
    with pytest.raises(RuntimeError, match="There is no folder"):
        bpy.ops.keyportrait.export_performance(filepath=str(tmp_path / "no" / "ada.npz"))
    with pytest.raises(RuntimeError, match="range of frames is empty"):
        bpy.ops.keyportrait.export_performance(
            filepath=str(tmp_path / "ada.npz"), frame_start=10, frame_end=9
        )
    assert not list(tmp_path.iterdir())


def test_without_a_face_the_button_says_why(add_portrait) -> None:
    bpy.ops.object.select_all(action="DESELECT")
    bpy.context.view_layer.objects.active = None
    with pytest.raises(RuntimeError, match="No face controller is active"):
        bpy.ops.keyportrait.export_performance(filepath="x.npz")


@pytest.fixture
def pair(animated, add_portrait):
    """(source, target): the animated face, active, and the face of a second portrait."""
    _, source = animated
    _, (target,) = add_portrait()
    bpy.ops.object.select_all(action="DESELECT")
    target.select_set(True)
    source.select_set(True)
    bpy.context.view_layer.objects.active = source
    return source, target


def test_what_one_face_does_another_does_as_it_is(pair, module) -> None:
    source, target = pair
    before = motions(module, source)
    assert bpy.ops.keyportrait.copy_performance() == {"FINISHED"}
    assert_alike(before, motions(module, target))
    assert target.animation_data.action != source.animation_data.action
    # Re-capture finds what was copied.
    bpy.ops.object.select_all(action="DESELECT")
    target.select_set(True)
    bpy.context.view_layer.objects.active = target
    target.keyportrait_capture.multiplier = 0.5
    bpy.ops.keyportrait.recapture()
    bpy.context.scene.frame_set(20)
    evaluated = target.evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert evaluated["smile"] == pytest.approx(0.45, abs=0.03)


def test_a_copy_may_be_relative_mirrored_and_late(pair, module) -> None:
    source, target = pair
    bpy.ops.keyportrait.copy_performance(
        frame_start=20, frame_end=40, start_frame=100, use_relative_motion=True, use_mirror=True
    )
    first, last = motions(module, target, (100, 120))
    assert first.yaw == pytest.approx(0.0, abs=0.3)
    assert last.yaw == pytest.approx(18.0, abs=0.8)
    assert source.animation_data.action.frame_range[1] == 40.0


def test_without_another_face_the_button_says_why(animated) -> None:
    with pytest.raises(RuntimeError, match="No other face is selected"):
        bpy.ops.keyportrait.copy_performance()


def test_the_users_table_of_shapes_is_used(add_portrait, module, tmp_path) -> None:
    _, (face,) = add_portrait()
    bpy.context.view_layer.objects.active = face
    assert bpy.ops.keyportrait.edit_arkit_table() == {"FINISHED"}
    table = module("rig.arkit_tables").user_table()
    assert "JawOpen" in bpy.data.texts[-1].as_string()
    try:
        table.write_text("JawOpen,grin,1\n")
        path = tmp_path / "take.csv"
        path.write_text("Timecode,JawOpen\n00:00:00:00,0\n00:00:01:00,0.6\n")
        bpy.ops.keyportrait.capture(filepath=str(path), start_frame=1, reference="AUTO")
    finally:
        table.unlink()
    bpy.context.scene.frame_set(1 + bpy.context.scene.render.fps)
    evaluated = face.evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert evaluated["grin"] == pytest.approx(0.6, abs=0.02)
    assert evaluated["mouth_open"] == pytest.approx(0.0, abs=0.02)


def test_a_recording_of_live_link_face_is_captured(add_portrait, module, tmp_path) -> None:
    _, (face,) = add_portrait()
    bpy.context.view_layer.objects.active = face
    bpy.context.scene.render.fps = 30
    names = [
        line.split(",")[0]
        for line in Path(module("engine").__file__)
        .with_name("performance")
        .joinpath("arkit.csv")
        .read_text()
        .splitlines()[1:]
    ]
    lines = ["Timecode,BlendShapeCount," + ",".join(names)]
    for frame in range(121):
        values = {"JawOpen": 0.8 * frame / 120, "MouthSmileLeft": 0.5}
        seconds, rest = divmod(frame, 60)
        row = ",".join(f"{values.get(name, 0.0):.5f}" for name in names)
        lines.append(f"12:00:{seconds:02d}:{rest:02d}.000,61,{row}")
    path = tmp_path / "take.csv"
    path.write_text("\n".join(lines) + "\n")
    bpy.ops.keyportrait.capture(filepath=str(path), start_frame=1, reference="AUTO")
    bpy.context.scene.frame_set(61)
    evaluated = face.evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert evaluated["mouth_open"] == pytest.approx(0.8, abs=0.03)
    assert evaluated["smile_right"] == pytest.approx(0.5, abs=0.03)
    assert evaluated["smile_left"] == pytest.approx(0.0, abs=0.03)
