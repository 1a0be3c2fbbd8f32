"""Real Blender: another picture with undo, painting, Reload, a texture that becomes a portrait."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import OUTPUT as FIRST_OUTPUT
from conftest import RunInside, drive

OUTPUT = FIRST_OUTPUT.with_name("gui-pictures")


@pytest.fixture(scope="module")
def pictures(run_inside: RunInside) -> dict:
    return drive(run_inside, "drive_pictures.py", OUTPUT)


def screen(report: dict, name: str) -> np.ndarray:
    left, top, right, bottom = report["textured_plane"]["middle"]
    return cv2.imread(str(Path(OUTPUT) / f"{name}.png"))[top:bottom, left:right].astype(float)


def test_the_scenario_ran_to_its_end(pictures: dict) -> None:
    assert "error" not in pictures, pictures["error"]["traceback"]


def test_a_texture_stays_in_sight_when_it_becomes_a_portrait(pictures: dict) -> None:
    before, after = screen(pictures, "1_texture"), screen(pictures, "2_portrait")
    assert before.std() > 30
    assert np.abs(before - after).mean() < 10


def test_another_picture_is_one_undo_step(pictures: dict) -> None:
    notes = pictures["another_picture"]
    at_once, fitted = notes["at_once"], notes["fitted"]
    assert at_once["size"] == [768, 512] and not at_once["is_fitted"]
    assert fitted["dimensions"] == [2.0, 1.333]
    assert fitted["size"] == fitted["live"] == [768, 512]
    assert fitted["place"] > notes["before"]["place"] + 0.2
    assert notes["undone"] == notes["before"]
    assert notes["redone"] == fitted


def test_what_is_painted_comes_to_the_plane(pictures: dict) -> None:
    assert pictures["paint"]["is_red"]


def test_a_picture_of_another_size_is_fitted_after_reload(pictures: dict) -> None:
    assert pictures["grown_on_disk"]["dimensions"] == [2.0, 1.562]
    assert pictures["grown_on_disk"]["live"] == [512, 400]
