"""Presets, Key All, Reset and Mirror on real face controllers."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Euler
from performing import activate, capture, write_template


@pytest.fixture
def face(add_portrait: Any) -> Any:
    _, (controller,) = add_portrait()
    bpy.context.view_layer.objects.active = controller
    controller.select_set(True)
    return controller


def curves(controller: Any, module: Any) -> dict[str, Any]:
    return {c.data_path: c for c in module("compat").fcurves(controller)}


def values(controller: Any) -> dict[str, float]:
    return {k: round(v, 4) for k, v in controller.items() if isinstance(v, float)}


def test_a_preset_changes_the_picture_and_neutral_brings_it_back(
    face: Any, pixels: Any, module: Any
) -> None:
    output = face.keyportrait.face.portrait.keyportrait.portrait.output
    rest, still = values(face), pixels(output)
    assert bpy.ops.keyportrait.apply_preset(preset="Laugh") == {"FINISHED"}
    assert face["smile"] > 0.5 and face["mouth_open"] > 0.3
    assert abs(pixels(output) - still).max() > 0.2
    assert bpy.ops.keyportrait.apply_preset(preset="Neutral") == {"FINISHED"}
    assert values(face) == rest
    assert (pixels(output) == still).all()


def test_every_shipped_preset_moves_the_picture(face: Any, pixels: Any, module: Any) -> None:
    output = face.keyportrait.face.portrait.keyportrait.portrait.output
    still = pixels(output)
    for preset in module("rig.presets").shipped():
        bpy.ops.keyportrait.apply_preset(preset=preset.name)
        change = abs(pixels(output) - still).max()
        assert (change == 0.0) if preset.name == "Neutral" else (change > 0.1), preset.name
        bpy.ops.keyportrait.reset_face()


def test_a_preset_leaves_the_head_unless_it_turns_it(face: Any) -> None:
    face["head_yaw"] = 11.0
    bpy.ops.keyportrait.apply_preset(preset="Smile")
    assert face["head_yaw"] == 11.0
    bpy.ops.keyportrait.apply_preset(preset="Look Right")
    assert face["head_yaw"] < 0.0 and face["smile"] == 0.0


def test_each_preset_has_an_operator_that_undo_history_names(
    face: Any, module: Any, capfd: Any
) -> None:
    """Blender names undo steps by the operator's label."""
    library = module("rig.preset_library")
    for preset in library.all_presets():
        label = getattr(bpy.types, f"KEYPORTRAIT_OT_{library.operator_name(preset)}").bl_label
        assert label == f"Preset {preset.name}"
    assert bpy.ops.keyportrait.preset_smile(factor=0.5) == {"FINISHED"}
    assert face["smile"] == pytest.approx(0.35)
    assert "Preset Smile: 'astronaut Face'" in capfd.readouterr().out
    bpy.ops.keyportrait.apply_preset(preset="Anger")
    assert "Preset Anger: 'astronaut Face'" in capfd.readouterr().out


def test_a_preset_of_ones_own_gets_its_operator_and_loses_it(face: Any, module: Any) -> None:
    library = module("rig.preset_library")
    face["smile"] = 0.4
    bpy.ops.keyportrait.save_preset(name="Häppy 1")
    name = library.operator_name(library.find("Häppy 1"))
    try:
        face["smile"] = 0.0
        getattr(bpy.ops.keyportrait, name)()
        assert face["smile"] == pytest.approx(0.4)
        assert getattr(bpy.types, f"KEYPORTRAIT_OT_{name}").bl_label == "Preset Häppy 1"
    finally:
        bpy.ops.keyportrait.delete_preset(preset="Häppy 1")
    assert not hasattr(bpy.types, f"KEYPORTRAIT_OT_{name}")


def test_strength_scales_a_preset(face: Any) -> None:
    bpy.ops.keyportrait.apply_preset(preset="Smile")
    whole = face["smile"]
    bpy.ops.keyportrait.apply_preset(preset="Smile", factor=0.5)
    assert face["smile"] == pytest.approx(whole / 2)


def test_a_preset_can_be_keyed_on_the_current_frame(face: Any, module: Any) -> None:
    scene = bpy.context.scene
    scene.frame_set(10)
    bpy.ops.keyportrait.apply_preset(preset="Neutral", use_key=True)
    scene.frame_set(20)
    bpy.ops.keyportrait.apply_preset(preset="Smile", use_key=True)
    curve = curves(face, module)['["smile"]']
    assert [tuple(k.co) for k in curve.keyframe_points] == [
        (10.0, 0.0),
        (20.0, pytest.approx(0.7)),
    ]
    scene.frame_set(15)
    assert 0.1 < face["smile"] < 0.6


def test_auto_keying_keys_without_being_asked(face: Any, module: Any) -> None:
    bpy.context.scene.tool_settings.use_keyframe_insert_auto = True
    bpy.ops.keyportrait.apply_preset(preset="Smile")
    assert '["smile"]' in curves(face, module)


def test_all_selected_faces_change(add_portrait: Any) -> None:
    faces = [add_portrait()[1][0] for _ in range(2)]
    for item in bpy.context.view_layer.objects:
        item.select_set(item in faces)
    bpy.context.view_layer.objects.active = faces[0]
    bpy.ops.keyportrait.apply_preset(preset="Aah")
    assert faces[0]["mouth_open"] == faces[1]["mouth_open"] > 0.5


@pytest.fixture
def captured(face: Any, tmp_path: Any) -> Any:
    """A face with a capture, at a moment with open mouth and detail."""
    capture(filepath=write_template(tmp_path / "nod.pkl"), start_frame=1)
    bpy.context.scene.frame_set(40)
    assert any(face["expression"]) and any(face["translation"])
    return face


def test_a_preset_takes_the_place_of_a_captured_expression(
    captured: Any, add_portrait: Any, pixels: Any
) -> None:
    """The head goes on; the face is the preset, with nothing left of the capture."""
    output = captured.keyportrait.face.portrait.keyportrait.portrait.output
    head, moved = captured["head_yaw"], tuple(captured["translation"])
    bpy.ops.keyportrait.apply_preset(preset="Smile", use_key=True)
    bpy.context.scene.frame_set(41)
    assert any(captured["expression"])
    bpy.context.scene.frame_set(40)
    assert not any(captured["expression"])
    assert captured["smile"] == pytest.approx(0.7)
    assert captured["head_yaw"] == pytest.approx(head)
    assert tuple(captured["translation"]) == pytest.approx(moved)
    plain = add_portrait()[1][0]
    activate(plain)
    bpy.ops.keyportrait.apply_preset(preset="Smile")
    for name in ("head_pitch", "head_yaw", "head_roll", "head_scale", "translation"):
        plain[name] = captured[name]
    plain.update_tag()
    bpy.context.view_layer.update()
    other = plain.keyportrait.face.portrait.keyportrait.portrait.output
    assert abs(pixels(output) - pixels(other)).max() < 2 / 255


def test_a_captured_moment_as_a_preset_looks_the_same_on_another_face(
    captured: Any, add_portrait: Any, pixels: Any
) -> None:
    output = captured.keyportrait.face.portrait.keyportrait.portrait.output
    shown = pixels(output)
    bpy.ops.keyportrait.save_preset(name="Test Moment", use_head=True)
    try:
        other = add_portrait()[1][0]
        activate(other)
        bpy.ops.keyportrait.apply_preset(preset="Test Moment")
        assert tuple(other["expression"]) == pytest.approx(tuple(captured["expression"]), abs=1e-5)
        result = pixels(other.keyportrait.face.portrait.keyportrait.portrait.output)
        assert abs(result - shown).max() < 4 / 255
        bpy.ops.keyportrait.apply_preset(preset="Test Moment", factor=0.5)
        half = tuple(0.5 * number for number in captured["expression"])
        assert tuple(other["expression"]) == pytest.approx(half, abs=1e-5)
    finally:
        bpy.ops.keyportrait.delete_preset(preset="Test Moment")


def test_reset_of_a_captured_face_is_the_picture(captured: Any, pixels: Any) -> None:
    output = captured.keyportrait.face.portrait.keyportrait.portrait.output
    captured["detail"] = 0.5
    bpy.ops.keyportrait.reset_face(use_key=True)
    for frame in (30, 40):  # the keys hold what was reset
        bpy.context.scene.frame_set(frame)
        assert any(captured["expression"]) == (frame == 30)
    assert not any(captured["translation"]) and captured["detail"] == 1.0
    reset = pixels(output)
    captured.animation_data.action = None
    bpy.ops.keyportrait.reset_face()
    assert abs(pixels(output) - reset).max() < 2 / 255


def test_reset_of_a_group_resets_its_detail_alone(face: Any) -> None:
    face["expression"], face["translation"] = [0.01] * 63, [0.1, 0.0, 0.0]
    face["detail"] = 0.5
    bpy.ops.keyportrait.reset_face(group="Eyes")
    rows = [index for index, number in enumerate(face["expression"]) if number == 0.0]
    assert sorted({index // 3 for index in rows}) == [11, 13, 15, 16, 18] and len(rows) == 15
    bpy.ops.keyportrait.reset_face(group="Mouth")
    assert any(face["expression"]) and face["translation"][0] == pytest.approx(0.1)
    bpy.ops.keyportrait.reset_face(group="Head")
    assert face["translation"][0] == 0.0 and face["detail"] == 0.5
    bpy.ops.keyportrait.reset_face()
    assert not any(face["expression"]) and face["detail"] == 1.0


def test_key_all_keys_what_is_beyond_the_sliders(face: Any, module: Any) -> None:
    bpy.context.scene.frame_set(7)
    bpy.ops.keyportrait.key_all()
    assert not {'["expression"]', '["translation"]', '["detail"]'} & set(curves(face, module))
    numbers = [0.0] * 63
    numbers[4] = 0.02
    face["expression"] = numbers
    assert bpy.ops.keyportrait.key_changed() == {"FINISHED"}
    (curve,) = [c for c in module("compat").fcurves(face) if c.data_path == '["expression"]']
    assert curve.array_index == 4 and curve.group.name == "Performance"
    assert tuple(curve.keyframe_points[0].co) == (7.0, pytest.approx(0.02))


def test_driven_controls_are_left_alone(face: Any) -> None:
    driver = face.driver_add('["smile"]').driver
    driver.expression = "0.25"
    bpy.context.view_layer.update()
    bpy.ops.keyportrait.apply_preset(preset="Laugh")
    bpy.context.view_layer.update()
    assert face["smile"] == pytest.approx(0.25) and face["mouth_open"] > 0.3


def test_the_current_expression_becomes_a_preset_of_its_own(face: Any, module: Any) -> None:
    library = module("rig.preset_library")
    face["smile"], face["brows"], face["head_yaw"] = 0.33, -0.5, 9.0
    assert bpy.ops.keyportrait.save_preset(name="Test Grumble") == {"FINISHED"}
    try:
        assert dict(library.find("test grumble").controls) == {"smile": 0.33, "brows": -0.5}
        bpy.ops.keyportrait.reset_face()
        bpy.ops.keyportrait.apply_preset(preset="Test Grumble")
        assert face["smile"] == pytest.approx(0.33) and face["head_yaw"] == 0.0
    finally:
        bpy.ops.keyportrait.delete_preset(preset="Test Grumble")
    assert library.find("Test Grumble") is None
    with pytest.raises(RuntimeError, match="no preset"):
        bpy.ops.keyportrait.apply_preset(preset="Test Grumble")


def test_an_animated_value_is_saved_as_it_is_now(face: Any, module: Any) -> None:
    face["smile"] = 0.0
    face.keyframe_insert('["smile"]', frame=1)
    face["smile"] = 1.0
    face.keyframe_insert('["smile"]', frame=11)
    bpy.context.scene.frame_set(6)
    bpy.ops.keyportrait.save_preset(name="Test Half")
    saved = module("rig.preset_library").find("Test Half").controls["smile"]
    bpy.ops.keyportrait.delete_preset(preset="Test Half")
    assert saved == pytest.approx(0.5, abs=0.05)


def test_shipped_presets_can_be_neither_replaced_nor_deleted(face: Any) -> None:
    with pytest.raises(RuntimeError, match="Choose another name"):
        bpy.ops.keyportrait.save_preset(name="smile")
    with pytest.raises(RuntimeError, match="cannot be deleted"):
        bpy.ops.keyportrait.delete_preset(preset="Smile")


def test_a_damaged_preset_file_is_named_in_the_panel(module: Any) -> None:
    library = module("rig.preset_library")
    path = library.folder() / "broken.json"
    path.write_text(json.dumps({"keyportrait_preset": 1, "name": "X", "controls": {"smile": 9}}))
    try:
        bpy.ops.keyportrait.reload_presets()
        assert library.find("X") is None
        assert len(library.problems()) == 1 and "broken.json" in library.problems()[0]
    finally:
        path.unlink()
        bpy.ops.keyportrait.reload_presets()
    assert library.problems() == []


def test_key_all_keys_every_control_and_the_empty(face: Any, module: Any) -> None:
    bpy.context.scene.frame_set(7)
    assert bpy.ops.keyportrait.key_all() == {"FINISHED"}
    keyed = curves(face, module)
    controls = module("engine.controls").CONTROLS
    assert {f'["{control.name}"]' for control in controls} <= set(keyed)
    assert {"location", "rotation_euler", "scale"} <= set(keyed)
    assert all(c.keyframe_points[0].co[0] == 7.0 for c in keyed.values())


def test_key_all_keys_quaternions_where_the_empty_has_them(face: Any, module: Any) -> None:
    face.rotation_mode = "QUATERNION"
    bpy.ops.keyportrait.key_all()
    assert "rotation_quaternion" in curves(face, module)
    assert "rotation_euler" not in curves(face, module)


def test_reset_goes_to_the_pictures_own_rest(face: Any, pixels: Any) -> None:
    output = face.keyportrait.face.portrait.keyportrait.portrait.output
    still, rest, matrix = pixels(output), values(face), face.matrix_basis.copy()
    face["smile"], face["eyes_open"], face["head_yaw"] = 1.0, 0.6, 20.0
    face.rotation_euler.z += 0.3
    bpy.context.view_layer.update()
    assert (pixels(output) != still).any()
    bpy.ops.keyportrait.reset_face()
    bpy.context.view_layer.update()
    assert values(face) == rest
    assert abs(np.subtract(face.matrix_basis, matrix)).max() < 1e-5
    assert (pixels(output) == still).all()


def test_reset_of_one_group_leaves_the_others(face: Any) -> None:
    face["smile"], face["brows"], face["head_yaw"] = 0.5, 0.5, 5.0
    turned = face.rotation_euler.copy()
    bpy.ops.keyportrait.reset_face(group="Mouth")
    assert (face["smile"], face["brows"], face["head_yaw"]) == (0.0, 0.5, 5.0)
    assert face.rotation_euler == turned


def test_mirror_swaps_sides_and_twice_is_nothing(face: Any) -> None:
    face["wink_left"], face["gaze_x"], face["pout"], face["smile"] = 0.8, 0.5, -0.3, 0.4
    turn = Euler((0.1, 0.2, 0.3)).to_matrix().to_4x4()
    face.matrix_basis = face.matrix_basis @ turn
    face.location.x += 0.1
    before, matrix = values(face), face.matrix_basis.copy()
    bpy.ops.keyportrait.mirror_face()
    assert face["wink_right"] == pytest.approx(0.8) and face["wink_left"] == 0.0
    assert face["gaze_x"] == pytest.approx(-0.5) and face["pout"] == pytest.approx(0.3)
    assert face["smile"] == pytest.approx(0.4)
    bpy.ops.keyportrait.mirror_face()
    assert values(face) == before
    assert abs(np.subtract(face.matrix_basis, matrix)).max() < 1e-5


def test_mirroring_the_empty_mirrors_the_motion(face: Any, module: Any) -> None:
    motions = module("rig.motions")

    def motion() -> Any:
        bpy.context.view_layer.update()
        return motions.motion_of(face, bpy.context.evaluated_depsgraph_get())

    face.matrix_basis = face.matrix_basis @ Euler((0.0, 0.25, 0.0)).to_matrix().to_4x4()
    face.location.x += 0.05
    first = motion()
    bpy.ops.keyportrait.mirror_face()
    second = motion()
    assert abs(first.yaw) > 5.0
    assert second.translation[0] == pytest.approx(-first.translation[0], abs=1e-4)
    assert second.yaw * first.yaw < 0.0


def test_without_a_face_the_buttons_say_why(module: Any) -> None:
    classes = (*module("operators.expression").CLASSES, *module("operators.keys").CLASSES)
    for cls in classes:
        if "poll" in dir(cls) and cls.__name__.split("_OT_")[-1] in {
            "key_all",
            "key_changed",
            "mirror_face",
        }:
            assert not cls.poll(bpy.context)
    with pytest.raises(RuntimeError, match="face controller"):
        bpy.ops.keyportrait.key_all()


def test_the_panel_draws_a_button_for_every_preset(face: Any, module: Any) -> None:
    drawn: list[str] = []

    class Layout:
        def __getattr__(self, name: str) -> Any:
            def call(*arguments: Any, **options: Any) -> Any:
                if name == "operator" and arguments[0].startswith("keyportrait.preset_"):
                    drawn.append(options["text"])
                return SimpleNamespace() if name == "operator" else Layout()

            return call

    panel = module("panels.presets").KEYPORTRAIT_PT_presets
    panel.draw(SimpleNamespace(layout=Layout()), bpy.context)
    names = [p.name.removeprefix("Mouth ") for p in module("rig.preset_library").all_presets()]
    assert drawn == names and {"A", "H", "X"} <= set(drawn)
    assert len(drawn) >= 12
