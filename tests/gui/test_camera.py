"""Real Blender: the camera is started by clicks, the face moves, a take becomes keys."""

from __future__ import annotations

from pathlib import Path


def test_the_scenario_ran_to_its_end(filmed: dict) -> None:
    assert "error" not in filmed, filmed["error"]["traceback"]


def test_blender_printed_no_error(filmed: dict) -> None:
    lines = (Path(filmed["folder"]) / "blender.log").read_text().splitlines()
    wrong = [line for line in lines if "Traceback" in line or line.startswith(("Error", "ERROR"))]
    assert not wrong, "\n".join(lines)


def test_the_camera_waits_for_consent(filmed: dict) -> None:
    assert filmed["consent"] == {"is_on_before": False, "is_accepted": True}


def test_the_face_moves_and_nothing_is_written(filmed: dict) -> None:
    notes = filmed["live"]
    assert notes["moved_pixels"] > 5000 and notes["fps"] > 0.0 and notes["icon"]
    assert notes["head_yaw"] == 0.0 and notes["actions"] == 0


def test_a_take_becomes_keys_where_the_scene_played(filmed: dict) -> None:
    notes = filmed["record"]
    assert notes["tracks"] == ["Take 01"] and notes["files"] == ["Take 01.npz"]
    assert notes["highest"] - notes["lowest"] > 12.0
    assert 1 <= notes["first"] <= 40 and 80 <= notes["last"] <= 121
    assert not notes["is_playing"] and notes["frame"] == 1 and notes["sync_mode"] == "NONE"


def test_undo_takes_the_take_back_and_the_camera_goes_on(filmed: dict) -> None:
    notes = filmed["undo_and_stop"]
    assert notes["tracks"] == [] and abs(notes["still_live"]) > 7.0
    assert not notes["is_on"] and notes["puppets"] == 0
