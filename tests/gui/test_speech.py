"""Real Blender: a sound strip is spoken by clicks, its keys move the mouth, once more, undo."""

from __future__ import annotations

from pathlib import Path


def test_the_scenario_ran_to_its_end(spoken: dict) -> None:
    assert "error" not in spoken, spoken["error"]["traceback"]


def test_blender_printed_no_error(spoken: dict) -> None:
    lines = (Path(spoken["folder"]) / "blender.log").read_text().splitlines()
    wrong = [line for line in lines if "Traceback" in line or line.startswith(("Error", "ERROR"))]
    assert not wrong, "\n".join(lines)


def test_the_strip_that_was_clicked_is_spoken(spoken: dict) -> None:
    assert spoken["click_the_strip"] == {"active": "words", "select": True}
    notes = spoken["speak"]
    assert notes["source"] == "STRIP"
    assert {'["mouth_open"]', '["purse"]', '["grin"]'} <= set(notes["paths"])
    assert not any("head_" in path or "blink" in path for path in notes["paths"])
    assert notes["first"] == notes["strip"][0]
    assert abs(notes["last"] - notes["strip"][1]) <= 1
    assert "words" in notes["text"]


def test_its_curves_have_few_keys_and_move_the_picture(spoken: dict) -> None:
    notes = spoken["speak"]
    assert notes["keys_per_second"] <= 12.0
    assert notes["widest"] > 0.25 and notes["moved_pixels"] > 3000


def test_the_amounts_are_in_the_panel(spoken: dict) -> None:
    names = " ".join(spoken["speak"]["widgets"])
    for name in ("strength", "jaw", "articulation", "blinks", "head_motion", "seed"):
        assert f"keyportrait_speech.{name}" in names, name


def test_speaking_again_replaces_it_and_undo_brings_it_back(spoken: dict) -> None:
    notes = spoken["speak_again_and_undo"]
    assert notes["again"] < 0.75 * notes["before"] and notes["actions"] == 1
    assert abs(notes["undone"] - notes["before"]) < 0.01
    assert notes["curves_after_all"] == 0


def test_a_retimed_strip_is_spoken_as_it_sounds(spoken: dict) -> None:
    notes = spoken["a_retimed_strip"]
    plain = spoken["speak"]["strip"]
    assert notes["strip"][1] - notes["strip"][0] > 1.8 * (plain[1] - plain[0])
    assert abs(notes["last"] - notes["strip"][1]) <= 2
    assert notes["scene"] == [1, plain[1]] and not notes["muted"]


def test_escape_stops_a_long_sound_and_changes_nothing(spoken: dict) -> None:
    notes = spoken["escape_while_speaking"]
    assert any("speak" in name.lower() for name in notes["running"])
    assert not notes["left"] and notes["is_same"]
