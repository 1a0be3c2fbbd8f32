"""rig.presets: the shipped table, applying, saving, deleting, damaged files. No Blender needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from full_disk import files_of_at_most
from keyportrait.rig import presets

from engine.controls import CONTROLS, CONTROLS_BY_NAME, Motion, motion_from_controls

REST = {control.name: control.default for control in CONTROLS} | {"eyes_open": 0.31}


def write(folder: Path, name: str, controls: object, **more: object) -> Path:
    path = folder / f"{name}.json"
    data = {"keyportrait_preset": 1, "name": name, "controls": controls, **more}
    path.write_text(json.dumps(data))
    return path


def test_a_dozen_presets_ship_and_every_value_is_within_the_limits() -> None:
    shipped = presets.shipped()
    assert len(shipped) >= 12
    assert len({p.name.casefold() for p in shipped}) == len(shipped)
    for preset in shipped:
        for name, value in preset.controls.items():
            control = CONTROLS_BY_NAME[name]
            assert control.minimum <= value <= control.maximum, f"{preset.name}: {name}"


def test_each_shipped_preset_is_a_picture_of_its_own() -> None:
    motions = {
        p.name: motion_from_controls(p.values(REST), eyes_open=0.31) for p in presets.shipped()
    }
    assert motions["Neutral"] == Motion()
    assert len(set(motions.values())) == len(motions)


def test_left_and_right_mean_the_pictures_sides() -> None:
    shipped = presets.shipped()
    left, right = presets.find("look left", shipped), presets.find("Look Right", shipped)
    assert left.controls["gaze_x"] < 0 < right.controls["gaze_x"]
    assert left.controls["head_yaw"] > 0 > right.controls["head_yaw"]
    up, down = presets.find("Look Up", shipped), presets.find("Look Down", shipped)
    assert up.controls["gaze_y"] > 0 > down.controls["gaze_y"]
    assert up.controls["head_pitch"] < 0 < down.controls["head_pitch"]


def test_values_reset_the_expression_but_not_head_or_calibration() -> None:
    values = presets.Preset("Mine", {"smile": 0.5}).values(REST)
    assert values["smile"] == 0.5
    assert values["mouth_open"] == 0.0 and values["eyes_open"] == 0.31
    assert not any(name.startswith("head_") for name in values)
    assert "lid_offset" not in values
    turned = presets.Preset("Mine", {"head_yaw": 10.0}).values(REST)
    assert turned["head_yaw"] == 10.0 and "head_pitch" not in turned


def test_factor_blends_from_the_rest_and_stays_in_the_limits() -> None:
    preset = presets.Preset("Mine", {"smile": 0.6, "eyes_open": 0.51, "head_scale": 1.4})
    half = preset.values(REST, 0.5)
    assert half["smile"] == pytest.approx(0.3)
    assert half["eyes_open"] == pytest.approx(0.41)
    assert half["head_scale"] == pytest.approx(1.2)
    assert preset.values(REST, 3.0)["smile"] == 1.0


def test_current_values_become_a_preset_of_what_differs() -> None:
    values = REST | {"smile": 0.4, "head_yaw": 12.0, "lid_offset": 0.3}
    face_only = presets.from_values("  Mine ", values, REST, use_head=False)
    assert face_only.name == "Mine" and dict(face_only.controls) == {"smile": 0.4}
    with_head = presets.from_values("Mine", values, REST, use_head=True)
    assert with_head.controls["head_yaw"] == 12.0 and with_head.controls["head_pitch"] == 0.0


def test_what_a_capture_does_beyond_the_sliders_is_part_of_a_preset(tmp_path: Path) -> None:
    detail = [0.0] * 62 + [0.0123456]
    values = REST | {"smile": 0.4}
    face = presets.from_values("A", values, REST, detail, [0.1, 0.0, 0.0], use_head=False)
    assert face.expression == pytest.approx(detail, abs=1e-6) and face.translation == ()
    head = presets.from_values("B", values, REST, [0.0] * 63, [0.1, 0.0, 0.0], use_head=True)
    assert head.expression == () and head.translation == (0.1, 0.0, 0.0)
    for preset in (face, head):
        presets.save(preset, tmp_path)
    read = presets.users(tmp_path)[0]
    assert [(p.controls, p.expression, p.translation) for p in read] == [
        (p.controls, p.expression, p.translation) for p in (face, head)
    ]


@pytest.mark.parametrize(
    "numbers", ["x", [1], [float("nan")] * 63, [99.0] * 63, [True] * 63, ["1"] * 63, {}, None]
)
def test_damaged_numbers_of_a_preset_are_named(tmp_path: Path, numbers: object) -> None:
    write(tmp_path, "bad", {"smile": 0.5}, expression=numbers)
    found, problems = presets.users(tmp_path)
    assert not found and "'expression'" in problems[0]


def test_a_disk_that_fills_up_keeps_the_older_preset(tmp_path: Path) -> None:
    saved = presets.save(presets.Preset("Mine", {"smile": 0.25}), tmp_path)
    assert saved.path is not None
    with files_of_at_most(10), pytest.raises(presets.PresetError, match=r"mine\.json.*folder"):
        presets.save(presets.Preset("Mine", {"smile": 0.5}), tmp_path)
    assert list(tmp_path.iterdir()) == [saved.path]
    assert presets.users(tmp_path)[0][0].controls == {"smile": 0.25}


def test_saved_presets_come_back_and_the_same_name_replaces(tmp_path: Path) -> None:
    folder = tmp_path / "presets"
    assert presets.users(folder) == ([], [])
    presets.save(presets.Preset("Überfröhlich / 1", {"smile": 0.9}), folder)
    presets.save(presets.Preset("Con", {"blink": 0.2}), folder)
    presets.save(presets.Preset("überFRÖHLICH / 1", {"smile": 0.7}), folder)
    found, problems = presets.users(folder)
    assert problems == []
    assert {p.name: dict(p.controls) for p in found} == {
        "Con": {"blink": 0.2},
        "überFRÖHLICH / 1": {"smile": 0.7},
    }
    presets.delete(presets.find("con", found))
    assert [p.name for p in presets.users(folder)[0]] == ["überFRÖHLICH / 1"]


def test_names_that_make_the_same_file_name_do_not_overwrite(tmp_path: Path) -> None:
    for name in ("笑い", "怒り", "a/b", "a b"):
        presets.save(presets.Preset(name, {"smile": 0.5}), tmp_path)
    assert {p.name for p in presets.users(tmp_path)[0]} == {"笑い", "怒り", "a/b", "a b"}


def test_shipped_presets_are_protected(tmp_path: Path) -> None:
    with pytest.raises(presets.PresetError, match="Choose another name"):
        presets.save(presets.Preset("SMILE", {"smile": 0.1}), tmp_path)
    with pytest.raises(presets.PresetError, match="cannot be deleted"):
        presets.delete(presets.shipped()[0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "   ", "x" * 64, "tab\there"])
def test_unusable_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(presets.PresetError):
        presets.save(presets.Preset(name, {}), tmp_path)


@pytest.mark.parametrize(
    ("controls", "reason"),
    [
        ({"smirk": 0.5}, "unknown control 'smirk'"),
        ({"smile": "much"}, "not a number"),
        ({"smile": True}, "not a number"),
        ({"smile": 7}, "outside"),
        ({"smile": float("nan")}, "not a number"),
        (["smile"], "no controls"),
    ],
)
def test_a_bad_preset_file_is_skipped_and_named(
    tmp_path: Path, controls: object, reason: str
) -> None:
    write(tmp_path, "good", {"smile": 0.5})
    write(tmp_path, "bad", controls)
    found, problems = presets.users(tmp_path)
    assert [p.name for p in found] == ["good"]
    assert len(problems) == 1 and "bad.json" in problems[0] and reason in problems[0]


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[1, 2]", b"{" * 3000, b"[" * 30000, b" " * 70000]
)
def test_files_that_are_no_presets_are_skipped(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    found, problems = presets.users(tmp_path)
    assert found == [] and len(problems) == 1 and "bad.json" in problems[0]


def test_a_newer_format_and_a_shipped_name_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, "newer", {}, keyportrait_preset=99)
    write(tmp_path, "Smile", {"smile": 0.1})
    found, problems = presets.users(tmp_path)
    assert found == [] and len(problems) == 2


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("")
    with pytest.raises(presets.PresetError, match="cannot be written"):
        presets.save(presets.Preset("Mine", {}), tmp_path / "blocked")


def test_the_mouth_chart_is_about_the_mouth_alone() -> None:
    chart = presets.chart()
    assert [p.name for p in chart] == [f"Mouth {letter}" for letter in "ABCDEFGHX"]
    shut, wide, teeth = (presets.find(f"Mouth {letter}", chart) for letter in "ADG")
    assert shut.values(REST)["mouth_open"] < 0.0 < 0.4 < wide.values(REST)["mouth_open"]
    open_mouth = {**REST, "lips_open": 0.2}
    assert shut.values(open_mouth)["lips_open"] == 0.0
    assert wide.values(open_mouth)["lips_open"] == 0.2
    assert teeth.values(REST)["upper_lip"] > 0.3
    groups = {CONTROLS_BY_NAME[name].group for p in chart for name in p.values(REST)}
    assert groups == {"Mouth"}
    assert all(value == REST.get(n, 0.0) for n, value in chart[-1].values(REST).items())
    motions = {motion_from_controls(p.values(REST)) for p in chart}
    assert len(motions) == len(chart)


def test_the_names_of_the_mouth_chart_are_taken(tmp_path: Path) -> None:
    with pytest.raises(presets.PresetError, match="comes with KeyPortrait"):
        presets.save(presets.Preset("mouth a", {}), tmp_path)
