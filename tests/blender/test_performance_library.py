"""The performance library: saved with a picture, applied to other faces, in files of its own."""

from __future__ import annotations

import bpy
import numpy as np
import pytest


@pytest.fixture
def smiling(add_portrait):
    """A face that smiles from frame 10 to 34, with a turning Empty, in a scene of 24 fps."""
    _, (face,) = add_portrait()
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 24, 1.0
    choose(face)
    for frame, smile in ((10, 0.0), (22, 0.9), (34, 0.1)):
        face["smile"] = smile
        face.rotation_euler.z = 0.2 * smile
        face.keyframe_insert('["smile"]', frame=frame)
        face.keyframe_insert("rotation_euler", frame=frame)
    return face


@pytest.fixture
def other(smiling, add_portrait):
    """The face of a second portrait, which is active."""
    _, (face,) = add_portrait()
    choose(face)
    return face


@pytest.fixture
def library(tmp_path):
    """An asset library of the user's."""
    libraries = bpy.context.preferences.filepaths.asset_libraries
    while libraries:
        libraries.remove(libraries[0])
    libraries.new(name="Ours", directory=str(tmp_path))
    yield tmp_path
    libraries.remove(libraries["Ours"])


def choose(face):
    bpy.ops.object.select_all(action="DESELECT")
    face.select_set(True)
    bpy.context.view_layer.objects.active = face


def at(face, name, frame):
    bpy.context.scene.frame_set(frame)
    return face.evaluated_get(bpy.context.evaluated_depsgraph_get())[name]


def preview_of(action):
    preview = action.preview
    width, height = preview.image_size
    pixels = np.empty(width * height * 4, np.float32)
    preview.image_pixels_float.foreach_get(pixels)
    return pixels.reshape(height, width, 4)


def test_a_performance_is_an_asset_with_a_picture_of_the_face(smiling) -> None:
    bpy.context.scene.frame_set(22)
    assert bpy.ops.keyportrait.save_performance(name="Smile") == {"FINISHED"}
    action = bpy.data.actions["Smile"]
    assert action.asset_data is not None
    assert "KeyPortrait" in action.asset_data.tags
    assert tuple(action.frame_range) == (1.0, 25.0)
    picture = preview_of(action)
    assert picture.shape[0] == picture.shape[1] == 256
    assert picture[..., :3].std() > 0.1
    # The middle of a face is skin: light, and redder than blue.
    red, _, blue, alpha = picture[96:160, 96:160].mean(axis=(0, 1))
    assert red > blue > 0.1
    assert alpha == pytest.approx(1.0)


def test_it_moves_another_face_at_the_current_frame(smiling, other) -> None:
    choose(smiling)
    bpy.ops.keyportrait.save_performance(name="Smile")
    choose(other)
    bpy.context.scene.frame_set(100)
    assert bpy.ops.keyportrait.apply_performance(name="Smile") == {"FINISHED"}
    assert at(other, "smile", 112) == pytest.approx(0.9, abs=1e-3)
    assert at(other, "smile", 124) == pytest.approx(0.1, abs=1e-3)
    assert other.animation_data.action.asset_data is None
    bpy.context.scene.frame_set(112)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    assert other.evaluated_get(depsgraph).rotation_euler.z == pytest.approx(0.18, abs=1e-3)
    assert at(smiling, "smile", 22) == pytest.approx(0.9)


def test_time_is_kept_at_another_frame_rate(smiling, other) -> None:
    choose(smiling)
    bpy.ops.keyportrait.save_performance(name="Smile")
    choose(other)
    bpy.context.scene.render.fps = 48
    bpy.ops.keyportrait.apply_performance(name="Smile", start_frame=1)
    assert at(other, "smile", 25) == pytest.approx(0.9, abs=1e-3)


def test_a_strip_lies_above_what_is_there(smiling, other, module) -> None:
    choose(smiling)
    bpy.ops.keyportrait.save_performance(name="Smile")
    choose(other)
    other["blink"] = 0.0
    other.keyframe_insert('["blink"]', frame=1)
    action = other.animation_data.action
    bpy.ops.keyportrait.apply_performance(name="Smile", start_frame=50, use_track=True)
    assert other.animation_data.action == action
    (track,) = other.animation_data.nla_tracks
    assert track.strips[0].frame_start == 50
    assert at(other, "smile", 62) == pytest.approx(0.9, abs=1e-3)


def test_a_part_keeps_what_its_ends_say(smiling) -> None:
    bpy.ops.keyportrait.save_performance(name="Part", frame_start=16, frame_end=22)
    middle = at(smiling, "smile", 16)
    action = bpy.data.actions["Part"]
    assert tuple(action.frame_range) == (1.0, 7.0)
    smiling.animation_data_clear()
    bpy.ops.keyportrait.apply_performance(name="Part", start_frame=1)
    assert at(smiling, "smile", 1) == pytest.approx(middle, abs=1e-3)
    assert at(smiling, "smile", 7) == pytest.approx(0.9, abs=1e-3)


def test_a_library_keeps_it_for_all_files(smiling, library, module) -> None:
    bpy.ops.keyportrait.save_performance(name="Smile/1", place="LIBRARY")
    (path,) = library.rglob("*.blend")
    assert path.stem == "Smile_1"
    assert "Smile/1" not in bpy.data.actions
    (entry,) = module("rig.performance_library").entries()
    assert entry.filepath == str(path)
    smiling.animation_data_clear()
    before = set(bpy.data.actions.keys())
    bpy.ops.keyportrait.apply_performance(name=entry.name, filepath=entry.filepath, start_frame=1)
    assert at(smiling, "smile", 13) == pytest.approx(0.9, abs=1e-3)
    assert len(set(bpy.data.actions.keys()) - before) == 1
    with bpy.data.libraries.load(str(path), assets_only=True) as (found, _):
        assert list(found.actions) == ["Smile/1"]


def test_a_pose_is_one_frame(smiling, other) -> None:
    choose(smiling)
    bpy.context.scene.frame_set(22)
    bpy.ops.keyportrait.save_performance(name="Grin", kind="POSE")
    choose(other)
    bpy.context.scene.frame_set(5)
    bpy.ops.keyportrait.apply_performance(name="Grin")
    assert other["smile"] == pytest.approx(0.9)
    assert other.rotation_euler.z == pytest.approx(0.18, abs=1e-4)
    assert other.animation_data is None or other.animation_data.action is None
    bpy.ops.keyportrait.apply_performance(name="Grin", use_key=True)
    assert at(other, "smile", 5) == pytest.approx(0.9)


def test_a_capture_is_saved_with_its_detail(smiling, tmp_path, module) -> None:
    smiling.animation_data_clear()
    module("rig.controllers").complete(smiling)
    smiling["expression"] = [0.01 * (i % 3) for i in range(63)]
    for frame in (1, 10):
        smiling.keyframe_insert('["expression"]', frame=frame)
    bpy.ops.keyportrait.save_performance(name="Detail")
    smiling.animation_data_clear()
    smiling["expression"] = [0.0] * 63
    bpy.ops.keyportrait.apply_performance(name="Detail", start_frame=1)
    assert at(smiling, "expression", 5)[2] == pytest.approx(0.02)


def test_what_is_not_there_is_said(add_portrait) -> None:
    _, (face,) = add_portrait()
    choose(face)
    libraries = bpy.context.preferences.filepaths.asset_libraries
    while libraries:
        libraries.remove(libraries[0])
    with pytest.raises(RuntimeError, match="no keys of its own"):
        bpy.ops.keyportrait.save_performance(name="Nothing")
    with pytest.raises(RuntimeError, match="no asset library"):
        bpy.ops.keyportrait.save_performance(name="Pose", kind="POSE", place="LIBRARY")
    with pytest.raises(RuntimeError, match="no action 'Lost'"):
        bpy.ops.keyportrait.apply_performance(name="Lost")
    assert not bpy.data.actions


@pytest.mark.parametrize("content", [b"", b"no blend file"])
def test_other_files_are_refused(add_portrait, tmp_path, content) -> None:
    _, (face,) = add_portrait()
    choose(face)
    path = tmp_path / "other.blend"
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match=r"other\.blend"):
        bpy.ops.keyportrait.apply_performance(name="Smile", filepath=str(path))
