"""Capture: a motion template becomes curves of the selected faces."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from performing import at, curves, template  # noqa: F401 - fixtures

FPS = 25


def test_a_template_becomes_curves_that_move_the_face(
    add_portrait, template, module, pixels
) -> None:
    plane, (face,) = add_portrait()
    bpy.context.view_layer.objects.active = face
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 50, 1.0
    assert bpy.ops.keyportrait.capture(filepath=template, start_frame=10) == {"FINISHED"}
    found = curves(module, face)
    assert {curve.group.name for curve in found.values()} >= {"Head", "Eyes", "Mouth"}
    # 51 frames at 25 fps in a scene of 50: two scene frames for each, to the end.
    assert tuple(found['["head_yaw"]', 0].range()) == pytest.approx((10.0, 110.0))
    assert abs(at(face, "head_yaw", 110)) == pytest.approx(10.0, abs=0.3)
    assert at(face, "blink", 60) > 0.8
    assert at(face, "blink", 20) == pytest.approx(0.0, abs=0.03)
    assert at(face, "mouth_open", 110) > 0.2
    scene.frame_set(110)
    moved = pixels(plane.keyportrait.portrait.output).copy()
    scene.frame_set(10)
    rest = pixels(plane.keyportrait.portrait.output)
    assert np.abs(moved - rest).max() > 0.1


def test_sliders_and_detail_are_the_performance(add_portrait, template, module) -> None:
    _, (face,) = add_portrait()
    bpy.context.view_layer.objects.active = face
    bpy.context.scene.render.fps = FPS
    bpy.ops.keyportrait.capture(filepath=template, start_frame=1)
    bpy.context.scene.frame_set(26)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    motion = module("rig.motions").motion_of(face, depsgraph)
    expression = np.reshape(motion.expression, (21, 3))
    # Sliders are reduced to keys, so that the sum may be off by their tolerance.
    assert expression[11, 1] == pytest.approx(0.012, abs=0.002)
    assert expression[0, 0] == pytest.approx(0.001, abs=1e-4)
    assert expression[19, 1] == pytest.approx(0.025, abs=0.003)
    assert motion.translation[0] == pytest.approx(0.025, abs=1e-4)


def test_amounts_scale_what_the_curves_say(add_portrait, template, module) -> None:
    _, (face,) = add_portrait()
    bpy.context.view_layer.objects.active = face
    bpy.context.scene.render.fps = FPS
    bpy.ops.keyportrait.capture(filepath=template, start_frame=1)
    bpy.context.scene.frame_set(26)

    def motion():
        bpy.context.view_layer.update()
        return module("rig.motions").motion_of(face, bpy.context.evaluated_depsgraph_get())

    whole = motion()
    face["head_amount"] = 0.5
    assert motion().yaw == pytest.approx(0.5 * whole.yaw)
    face["eyes_amount"] = face["brows_amount"] = face["mouth_amount"] = 0.0
    assert max(map(abs, motion().expression)) == 0.0
    assert motion().translation[0] == pytest.approx(0.5 * whole.translation[0])


def test_a_region_leaves_the_rest_alone(add_portrait, template, module) -> None:
    _, (face,) = add_portrait()
    bpy.context.view_layer.objects.active = face
    bpy.ops.keyportrait.capture(filepath=template, region="lip")
    paths = {path for path, _ in curves(module, face)}
    assert '["mouth_open"]' in paths
    assert not paths & {'["head_yaw"]', '["blink"]', '["brows"]', '["translation"]'}


def test_a_strip_lies_above_what_is_there(add_portrait, template, module) -> None:
    _, (face,) = add_portrait()
    bpy.context.view_layer.objects.active = face
    face["smile"] = 0.5
    face.keyframe_insert('["smile"]', frame=1)
    action = face.animation_data.action
    bpy.ops.keyportrait.capture(filepath=template, start_frame=5, use_track=True)
    assert face.animation_data.action is None
    below, track = face.animation_data.nla_tracks
    assert below.strips[0].action == action
    assert track.strips[0].frame_start == 5
    assert at(face, "smile", 1) == pytest.approx(0.5)
    assert at(face, "head_yaw", 50) != 0.0


def test_the_former_action_is_not_lost(add_portrait, template) -> None:
    _, (face,) = add_portrait()
    bpy.context.view_layer.objects.active = face
    face.keyframe_insert('["smile"]', frame=1)
    former = face.animation_data.action
    bpy.ops.keyportrait.capture(filepath=template)
    assert face.animation_data.action != former
    assert former.use_fake_user


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04]\x94."])
def test_other_files_are_named_as_such(add_portrait, tmp_path, content) -> None:
    _, (face,) = add_portrait()
    bpy.context.view_layer.objects.active = face
    path = tmp_path / "other.pkl"
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match=r"other\.pkl"):
        bpy.ops.keyportrait.capture(filepath=str(path))
    assert face.animation_data is None or face.animation_data.action is None


def test_reset_puts_the_detail_back_too(add_portrait, template, module) -> None:
    _, (face,) = add_portrait()
    bpy.context.view_layer.objects.active = face
    bpy.ops.keyportrait.capture(filepath=template)
    face.animation_data_clear()
    face["expression"] = [0.01] * 63
    face["head_amount"] = 0.5
    bpy.ops.keyportrait.reset_face(group="ALL")
    bpy.context.view_layer.update()
    motion = module("rig.motions").motion_of(face, bpy.context.evaluated_depsgraph_get())
    assert motion == module("engine.motion").Motion()
    assert face["head_amount"] == 1.0
