"""Real Blender: Ctrl+Z, Ctrl+Shift+Z and the undo history over copies of portraits."""

from __future__ import annotations


def test_every_step_leads_every_pointer_back_and_forth(undo: dict) -> None:
    assert "error" not in undo, undo["error"]["traceback"]
    assert len(set(undo["walk"]["presses"])) == 1  # as many steps back as forth, every time
    assert undo["history"]["is_done"]


def test_a_copy_is_separated_when_the_drag_is_over(undo: dict) -> None:
    assert undo["duplicate_shift"] == {"is_dragged": True, "waits": 1, "left": 0}


def test_a_linked_copy_waits_for_nothing(undo: dict) -> None:
    assert undo["duplicate_alt"] == {"is_dragged": True, "waits": 0, "left": 0}


def test_a_scene_copied_right_after_undo_is_separated(undo: dict) -> None:
    assert undo["scene_after_undo"] == {"added": 1, "has_planes": True, "left": 0}
