"""Real Blender: an image sequence becomes a portrait that is scrubbed, played, moved and undone."""

from __future__ import annotations

import pytest
from conftest import OUTPUT as FIRST_OUTPUT
from conftest import RunInside, drive

OUTPUT = FIRST_OUTPUT.with_name("gui-moving")


@pytest.fixture(scope="module")
def report(run_inside: RunInside) -> dict:
    return drive(run_inside, "drive_moving.py", OUTPUT)


def test_the_scenario_ran_to_its_end(report: dict) -> None:
    assert "error" not in report, report["error"]["traceback"]


def test_faces_are_followed_without_holding_the_window(report: dict) -> None:
    assert report["follow"]["answer"] == ["RUNNING_MODAL"]


def test_scrubbing_shows_the_frames_and_the_controller_rides(report: dict) -> None:
    assert report["scrub"]["equal"] == [True] * 3
    # 40 px of a plane that is 2 units wide, for 512 px.
    assert report["scrub"]["rides"] == pytest.approx(40 * 2 / 512, rel=0.2)


def test_playback_shows_several_frames(report: dict) -> None:
    assert len(report["play"]["frames"]) >= 3


def test_sliders_move_the_face_in_every_frame(report: dict) -> None:
    assert 10 < report["smile"]["width"] < 200
    assert 10 < report["smile"]["height"] < 200


def test_undo_and_redo(report: dict) -> None:
    assert report["undo"] == {"is_neutral": True, "gone": True, "is_back": True}


def test_the_picture_field_and_who_comes_later(report: dict) -> None:
    left, right = report["other"].pop("moved")
    assert report["other"] == {"rests": True, "moves": True, "rides": True}
    # Only the later face, in the right half, has a slider that is moved.
    assert 512 < left < right < 1024
