"""Copy from Picture: a face in another picture lends its pose and expression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

POSE = {"wink_left": 1.0, "smile": -0.25, "mouth_open": 0.5, "head_yaw": 14.0}


@pytest.fixture
def face(add_portrait: Any) -> Any:
    _, (controller,) = add_portrait()
    bpy.context.view_layer.objects.active = controller
    controller.select_set(True)
    return controller


@pytest.fixture
def posed(face: Any, tmp_path: Path) -> str:
    """A picture of the same face in a pose; the face itself is at rest again."""
    for name, value in POSE.items():
        face[name] = value
    face.update_tag()
    bpy.context.view_layer.update()
    bpy.ops.keyportrait.refresh()
    output = face.keyportrait.face.portrait.keyportrait.portrait.output
    path = tmp_path / "posed.png"
    output.save_render(str(path))
    bpy.ops.keyportrait.reset_face(group="ALL")
    return str(path)


def expression(face: Any) -> np.ndarray:
    return np.reshape(face["expression"], (21, 3))


def test_pose_and_expression_are_copied(face: Any, posed: str) -> None:
    assert bpy.ops.keyportrait.copy_from_picture(filepath=posed) == {"FINISHED"}
    assert face["wink_left"] - face["wink_right"] > 0.6
    assert face["mouth_open"] > 0.2
    assert face["head_yaw"] == pytest.approx(14.0, abs=4.0)
    assert face.animation_data is None
    half = face["mouth_open"]
    bpy.ops.keyportrait.copy_from_picture(filepath=posed, factor=0.5)
    assert 0.25 * half < face["mouth_open"] < 0.85 * half


def test_a_region_leaves_the_rest_as_it_is(face: Any, posed: str) -> None:
    face["head_pitch"], face["brows"] = 5.0, 0.7
    assert bpy.ops.keyportrait.copy_from_picture(filepath=posed, region="lip") == {"FINISHED"}
    assert face["mouth_open"] > 0.2
    assert face["wink_left"] == 0.0
    assert (face["head_pitch"], face["brows"], face["head_yaw"]) == (5.0, 0.7, 0.0)
    assert not expression(face)[[1, 2, 11, 15]].any()


def test_mirrored_it_winks_and_turns_the_other_way(face: Any, posed: str) -> None:
    bpy.ops.keyportrait.copy_from_picture(filepath=posed, use_mirror=True)
    assert face["wink_right"] - face["wink_left"] > 0.5
    assert face["head_yaw"] < -8.0


def test_mirror_knows_what_no_slider_says(face: Any, posed: str, module: Any) -> None:
    bpy.ops.keyportrait.copy_from_picture(filepath=posed)
    face["translation"] = [0.1, 0.2, 0.0]
    before = list(face["expression"])
    wanted = module("engine.take").mirrored_expression(before)
    assert before != pytest.approx(wanted, abs=1e-5)
    bpy.ops.keyportrait.mirror_face()
    assert list(face["expression"]) == pytest.approx(wanted)
    assert list(face["translation"]) == pytest.approx([-0.1, 0.2, 0.0])
    bpy.ops.keyportrait.mirror_face()
    assert list(face["expression"]) == pytest.approx(before)


def test_auto_keying_keys_what_was_set(face: Any, posed: str, module: Any) -> None:
    scene = bpy.context.scene
    scene.frame_set(12)
    scene.tool_settings.use_keyframe_insert_auto = True
    bpy.ops.keyportrait.copy_from_picture(filepath=posed, region="exp")
    scene.tool_settings.use_keyframe_insert_auto = False
    found = {c.data_path: c for c in module("compat").fcurves(face)}
    assert found['["mouth_open"]'].evaluate(12) == pytest.approx(face["mouth_open"])
    assert found['["expression"]'].group.name == "Performance"
    assert '["head_yaw"]' not in found


def test_what_cannot_be_read_is_named(face: Any, tmp_path: Path) -> None:
    image = bpy.data.images.new("wall", 64, 64)
    path = tmp_path / "wall.png"
    image.save_render(str(path))
    with pytest.raises(RuntimeError, match=r"No face found in 'wall\.png'"):
        bpy.ops.keyportrait.copy_from_picture(filepath=str(path))
    with pytest.raises(RuntimeError, match="There is no file"):
        bpy.ops.keyportrait.copy_from_picture(filepath=str(tmp_path / "gone.png"))
    assert face["mouth_open"] == 0.0
