"""Real Blender: a strip is animated, its slider dragged and keyed, and baked back, by clicks."""

from __future__ import annotations

from pathlib import Path

FRAMES = 12


def test_the_scenario_ran_to_its_end(strips: dict) -> None:
    assert "error" not in strips, strips["error"]["traceback"]


def test_blender_printed_no_error(strips: dict) -> None:
    log = Path(strips["folder"]) / "blender.log"
    lines = log.read_text().splitlines()
    wrong = [line for line in lines if "Traceback" in line or line.startswith(("Error", "ERROR"))]
    assert not wrong, "\n".join(lines)


def test_a_click_makes_a_portrait_of_the_strip(strips: dict) -> None:
    assert strips["animate"]["linked"]
    assert any("drive_with_strip" in name for name in strips["animate"]["widgets"])


def test_a_slider_in_the_sequencer_moves_and_keys_the_face(strips: dict) -> None:
    notes = strips["slide_and_key"]
    assert [frame for frame, _ in notes["keys"]] == [1.0, FRAMES]
    assert notes["keys"][0][1] == 0.0 and notes["keys"][1][1] > 0.2
    assert notes["moved_pixels"] > 300


def test_the_preview_shows_the_live_picture_where_the_strip_lies(strips: dict) -> None:
    looks = strips["look_at_preview"]
    assert looks["picture"] > 0.5
    # A face at rest is the strip's own picture, in the same place and the same colours.
    assert looks["rest"] < 0.025 and looks["colour"] < 0.01 and looks["off"] < 0.02
    assert looks["turned"] > 0.002 and looks["while_it_moves"] > 0.2


def test_the_bake_is_a_strip_above(strips: dict) -> None:
    notes = strips["bake"]
    assert notes["channels"] == [1, 2] and notes["active"]
    assert notes["places"] == [[1, FRAMES + 1], [1, FRAMES + 1]]
    assert notes["muted"] == [True, False]
    assert notes["files"] == [True] * FRAMES


def test_baking_again_swaps_and_undo_takes_it_back(strips: dict) -> None:
    assert strips["bake_again_and_undo"] == {"count": 2, "undone": 1}
