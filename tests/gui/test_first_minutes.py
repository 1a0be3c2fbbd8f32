"""Real Blender: install the zip, add a portrait, drag Smile, undo, key, scrub."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

OUTPUT = Path(__file__).resolve().parents[2] / "build" / "gui"


def viewport(report: dict, name: str) -> np.ndarray:
    """The 3D viewport on a screenshot, (H, W, 3) float."""
    left, top, right, bottom = report["look_at_portrait"]["viewport"]
    picture = cv2.imread(str(OUTPUT / f"{name}.png"))
    return picture[top + 60 : bottom - 6, left + 60 : right].astype(float)


def test_the_scenario_ran_to_its_end(report: dict) -> None:
    assert "error" not in report, report["error"]["traceback"]


def test_blender_printed_no_error(report: dict) -> None:
    lines = (OUTPUT / "blender.log").read_text().splitlines()
    wrong = [line for line in lines if "Traceback" in line or line.startswith(("Error", "ERROR"))]
    assert not wrong, "\n".join(lines)


def test_sidebar_offers_add_portrait_in_an_empty_scene(report: dict) -> None:
    widgets = report["open_sidebar"]["widgets"]
    assert any("keyportrait.add_portrait" in widget for widget in widgets), widgets


def test_escape_in_the_file_browser_changes_nothing(report: dict) -> None:
    assert report["cancel_file_browser"] == {"is_closed": True, "is_unchanged": True}


def test_add_portrait_finds_the_one_face(report: dict) -> None:
    assert len(report["add_portrait"]["planes"]) == 1
    assert len(report["add_portrait"]["controllers"]) == 1


def test_the_file_browser_shows_thumbnails(report: dict) -> None:
    assert report["add_portrait"]["display"] == "THUMBNAIL"


def test_the_plane_faces_the_view_before_the_cube_and_every_solid_view_shows_it(
    report: dict,
) -> None:
    assert report["add_portrait"]["turned_deg"] < 0.5
    assert report["add_portrait"]["cube_before_plane"] < 0.0
    assert report["add_portrait"]["shown"] == [["TEXTURE", "FLAT"]]


def test_the_face_s_sliders_fit_on_a_full_hd_screen(report: dict) -> None:
    # Blender's start-up layout leaves the sidebar 894 px; three closed panels stand below.
    assert report["drag_smile"]["height_px"] < 894 - 3 * 29


def test_dragging_smile_moves_the_picture_on_the_plane(report: dict) -> None:
    assert report["drag_smile"]["smile"] > 0.1
    assert report["drag_smile"]["moved_pixels"] > 200


def test_the_viewport_shows_the_smile(report: dict) -> None:
    difference = np.abs(viewport(report, "4_smile") - viewport(report, "3_portrait"))
    # A mouth and its cheeks: more than nothing, less than a different view.
    assert 0.0005 < (difference.max(axis=2) > 10).mean() < 0.1


def test_undo_brings_the_old_picture_back(report: dict) -> None:
    assert report["undo_smile"]["smile"] == 0.0
    difference = np.abs(viewport(report, "5_undone") - viewport(report, "3_portrait"))
    assert (difference.max(axis=2) > 10).mean() < 0.0002


def test_the_face_whose_row_is_pointed_at_is_outlined(report: dict) -> None:
    before, pointed, left = (viewport(report, f"5_{n}") for n in ("not_pointed", "pointed", "left"))
    assert 0.0005 < (np.abs(pointed - before).max(axis=2) > 24).mean() < 0.02
    assert (np.abs(left - before).max(axis=2) > 24).mean() < 0.0001


def test_keys_from_the_slider_play_back(report: dict) -> None:
    assert report["key_and_scrub"]["paths"] == ['["smile"]']
    assert report["key_and_scrub"]["groups"] == ["Mouth"]
    assert report["key_and_scrub"]["smile"] > 0.1
    assert min(report["key_and_scrub"]["changes"].values()) > 0.05


def test_a_click_on_a_preset_changes_the_face(report: dict) -> None:
    assert len(report["apply_preset"]["tried"]) > 1  # the popover stayed open
    assert report["apply_preset"]["brows"] > 0.5
    assert report["apply_preset"]["tried"][-1] == "Preset Surprise"


def test_a_stopped_bake_goes_on_where_it_was(report: dict) -> None:
    bake = report["stop_and_finish_bake"]
    assert 3 <= bake["stopped"] < 60
    assert bake["finished"] == 60
    assert bake["redone"] <= 1  # the frame that was being written
