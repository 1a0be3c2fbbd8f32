"""Real Blender: Cycles' viewport follows, and renders bear what an artist does meanwhile."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

OUTPUT = Path(__file__).resolve().parents[2] / "build" / "gui-renders"


def view(report: dict, name: str) -> np.ndarray:
    """The 3D viewport on a screenshot, (H, W, 3) float, without the header and the tools."""
    left, top, right, bottom = report["prepare"]["view"]
    return cv2.imread(str(OUTPUT / f"{name}.png"))[top + 60 : bottom - 6, left + 60 : right] * 1.0


def changed(report: dict, first: str, second: str) -> float:
    """The part of the viewport that differs clearly between two screenshots."""
    difference = np.abs(view(report, first) - view(report, second)).max(axis=2)
    return float((difference > 24).mean())


def test_the_scenario_ran_to_its_end(renders_in_window: dict) -> None:
    assert "error" not in renders_in_window, renders_in_window["error"]["traceback"]


def test_cycles_in_the_viewport_follows_a_slider(renders_in_window: dict) -> None:
    report = renders_in_window
    assert changed(report, "0_rest", "1_slider_anew") > 0.002
    assert changed(report, "0_rest", "1_slider") > 0.002
    assert changed(report, "1_slider", "1_slider_anew") < 0.001


def test_cycles_in_the_viewport_ends_with_the_last_picture_of_a_drag(
    renders_in_window: dict,
) -> None:
    report = renders_in_window
    assert changed(report, "1_slider", "2_drag_anew") > 0.005
    assert changed(report, "2_drag", "2_drag_anew") < 0.001


def test_cycles_in_the_viewport_follows_undo(renders_in_window: dict) -> None:
    assert changed(renders_in_window, "2_drag", "3_undone") < 0.001


def test_cycles_in_the_viewport_follows_frames(renders_in_window: dict) -> None:
    report = renders_in_window
    assert changed(report, "4_frame_1", "0_rest") < 0.001
    assert changed(report, "4_frame_10", "1_slider") < 0.001
    assert changed(report, "5_packed", "1_slider") < 0.001


def test_cycles_in_the_viewport_follows_a_packed_channel(renders_in_window: dict) -> None:
    report = renders_in_window
    assert changed(report, "6_rest", "6_drag_anew") > 0.002
    assert changed(report, "6_drag", "6_drag_anew") < 0.001
    assert changed(report, "6_rest", "6_undone") < 0.001
    assert report["packed_channel"] == {
        "mode": "CHANNEL_PACKED",
        "extension": "CLIP",
        "undone": "CLIP",
        "is_whole": True,
        "kept": {},
    }


def test_cycles_in_the_viewport_follows_in_the_world(renders_in_window: dict) -> None:
    report = renders_in_window
    assert changed(report, "8_rest", "8_drag_anew") > 0.002
    assert changed(report, "8_drag", "8_drag_anew") < 0.001
    assert report["world"] == {"interpolation": "Linear", "kept": {}}


def test_cycles_in_the_viewport_follows_packed_colours(renders_in_window: dict) -> None:
    report = renders_in_window
    assert changed(report, "7_rest", "7_drag_anew") > 0.002
    assert changed(report, "7_drag", "7_drag_anew") < 0.001
    notes = report["packed_colours"]
    assert notes["turned"] in {"CHANNEL_PACKED", "NONE"}
    assert notes["extension"] == "CLIP"


def test_the_live_image_keeps_its_own_alpha_mode(renders_in_window: dict) -> None:
    notes = renders_in_window["the_file_keeps_its_modes"]
    assert notes["source"] == "FILE", "saved, it is a packed file"
    assert notes["modes"]["saved"] == notes["modes"]["left"] == "STRAIGHT"


def test_a_render_bears_sliders_and_more_meanwhile(renders_in_window: dict) -> None:
    notes = renders_in_window["render_under_an_artists_hands"]
    assert notes["moves"] > 3
    assert notes["frames"] == [f"frame_{number:04d}.png" for number in range(1, 61)]


def test_a_render_lets_the_main_thread_write_what_windows_draw(renders_in_window: dict) -> None:
    assert renders_in_window["render_under_an_artists_hands"]["writers"] == ["MainThread"]


def test_a_handler_cannot_lock_the_interface(renders_in_window: dict) -> None:
    """Why the main thread has to write: rig/main_thread.py."""
    lock = renders_in_window["lock"]
    assert lock["looks"] > 0 and not lock["is_locked"]
