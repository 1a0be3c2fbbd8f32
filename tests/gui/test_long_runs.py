"""Real Blender: long operators are modal for buttons, wait for scripts, and end when told to."""

from __future__ import annotations


def test_the_scenario_ran_to_its_end(long_runs: dict) -> None:
    assert "error" not in long_runs, long_runs["error"]["traceback"]


def test_escape_while_finding_faces_leaves_nothing(long_runs: dict) -> None:
    notes = long_runs["escape_while_finding"]
    assert notes["answer"] == ["RUNNING_MODAL"]
    assert notes["running"] == ["KEYPORTRAIT_OT_add_portrait"] and notes["left"] == []
    assert notes["objects"] == 0 and notes["images"] == []


def test_a_script_gets_its_portrait_at_once(long_runs: dict) -> None:
    assert long_runs["scripts_wait"] == {"answer": ["FINISHED"], "faces": 1}


def test_a_button_does_not_block_the_window(long_runs: dict) -> None:
    expected = {"answer": ["RUNNING_MODAL"], "at_once": 0, "left": []}
    assert long_runs["buttons_do_not_wait"] == expected


def test_escape_the_stop_button_and_another_file_end_a_bake(long_runs: dict) -> None:
    assert long_runs["escape_while_baking"]["answer"] == ["RUNNING_MODAL"]
    for name in ("escape_while_baking", "stop_button_while_baking", "another_file_while_baking"):
        notes = long_runs[name]
        assert notes["left"] == [] and notes["stopped"] == notes["later"] < 160, name
