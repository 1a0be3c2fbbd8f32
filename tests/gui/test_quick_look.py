"""Real Blender: a large picture is small while it moves, and whole as soon as it rests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import OUTPUT as FIRST_OUTPUT
from conftest import RunInside, drive

OUTPUT = FIRST_OUTPUT.with_name("gui-quick-look")
SMALL, WHOLE = [837, 837], [2000, 2000]


@pytest.fixture(scope="module")
def report(run_inside: RunInside) -> dict:
    return drive(run_inside, "drive_quick_look.py", OUTPUT)


def screen(report: dict, name: str) -> np.ndarray:
    left, top, right, bottom = report["prepare"]["view"]
    grey = cv2.imread(str(Path(OUTPUT) / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
    return grey[top:bottom, left:right].astype(np.float32)


def test_the_scenario_ran_to_its_end(report: dict) -> None:
    assert "error" not in report, report["error"]["traceback"]


def test_a_drag_shows_the_small_picture_and_rest_the_whole_one(report: dict) -> None:
    assert report["drag"]["sizes"] == [SMALL] * 8
    assert report["drag"]["rest"] == report["prepare"]["size"] == WHOLE


def test_nothing_shifts_on_the_screen_at_rest(report: dict) -> None:
    moving, rested = screen(report, "1_moving"), screen(report, "2_rest")
    assert rested.std() > 20
    assert np.abs(moving - rested).mean() < 3
    slope_y, slope_x = np.gradient(rested)
    for slope in (slope_x, slope_y):
        assert abs(((moving - rested) * slope).sum() / (slope**2).sum()) < 0.5


def test_undo_while_it_is_small(report: dict) -> None:
    notes = report["undo"]
    assert notes["small"] == SMALL
    assert notes["is_back"] and notes["is_turned"] and notes["size"] == WHOLE


def test_a_saved_file_is_whole_and_its_image_moves_on(report: dict) -> None:
    notes = report["packed"]
    assert notes["before"] == notes["moving"] == SMALL
    assert notes["saved"] == notes["rest"] == WHOLE
    assert notes["source"] == "FILE"


def test_an_image_editor_always_sees_the_whole_picture(report: dict) -> None:
    assert report["image_editor"]["size"] == WHOLE
