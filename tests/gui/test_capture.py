"""Real Blender: a clip is captured by clicks, its keys move the picture, once more, undo."""

from __future__ import annotations

from pathlib import Path


def test_the_scenario_ran_to_its_end(captured: dict) -> None:
    assert "error" not in captured, captured["error"]["traceback"]


def test_blender_printed_no_error(captured: dict) -> None:
    log = Path(captured["folder"]) / "blender.log"
    lines = log.read_text().splitlines()
    wrong = [line for line in lines if "Traceback" in line or line.startswith(("Error", "ERROR"))]
    assert not wrong, "\n".join(lines)


def test_escape_leaves_nothing(captured: dict) -> None:
    notes = captured["escape_while_capturing"]
    assert notes["running"] == ["KEYPORTRAIT_OT_capture"]
    assert notes["left"] == [] and notes["curves"] == 0 and notes["actions"] == 0


def test_the_clip_becomes_keys_from_its_first_to_its_last_frame(captured: dict) -> None:
    notes = captured["capture"]
    assert {'["head_yaw"]', '["mouth_open"]', '["expression"]'} <= set(notes["paths"])
    assert (notes["first"], notes["last"]) == (1, 48)
    assert notes["stored"].endswith("talk.mp4")


def test_the_picture_moves_as_the_performer_does(captured: dict) -> None:
    notes = captured["capture"]
    assert notes["yaw"]["14"] > 5.0 and notes["yaw"]["32"] < -5.0
    assert notes["moved_pixels"] > 5000


def test_capturing_again_replaces_it_and_undo_brings_it_back(captured: dict) -> None:
    notes = captured["capture_again_and_undo"]
    assert abs(notes["half"] - 0.5 * notes["before"]) < 1.5
    assert notes["actions"] == 1
    assert abs(notes["undone"] - notes["before"]) < 0.01
    assert notes["curves_after_all"] == 0


def test_the_options_are_in_the_panel(captured: dict) -> None:
    names = " ".join(captured["open_options"]["widgets"])
    for name in ("region", "reference", "multiplier", "smooth", "use_mirror", "mode", "stretch"):
        assert f"keyportrait_capture.{name}" in names, name
    assert "keyportrait.clear_performances" in names


def test_the_order_of_selection_is_known(captured: dict) -> None:
    notes = captured["select_in_order"]
    assert len(notes["expected"][0]) == 2 and notes["found"] == notes["expected"]


def test_a_performer_is_chosen_from_the_list(captured: dict) -> None:
    assert captured["choose_performer"] == {"listed": 2, "performer": 2}
