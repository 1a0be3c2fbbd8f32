"""Real Blender: the camera is started by clicks, the face moves, a take becomes keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FPS = 24  # of the scene


def test_the_scenario_ran_to_its_end(filmed: dict) -> None:
    assert "error" not in filmed, filmed["error"]["traceback"]


def test_blender_printed_no_error(filmed: dict) -> None:
    lines = (Path(filmed["folder"]) / "blender.log").read_text().splitlines()
    wrong = [line for line in lines if "Traceback" in line or line.startswith(("Error", "ERROR"))]
    assert not wrong, "\n".join(lines)


def test_the_camera_waits_for_consent(filmed: dict) -> None:
    assert filmed["consent"] == {"is_on_before": False, "is_accepted": True}


def test_the_face_moves_and_nothing_is_written(filmed: dict) -> None:
    notes = filmed["live"]
    assert notes["moved_pixels"] > 5000 and notes["fps"] > 0.0 and notes["icon"]
    assert notes["head_yaw"] == 0.0 and notes["actions"] == 0


def test_the_viewport_is_drawn_once_for_each_picture(filmed: dict) -> None:
    notes = filmed["live"]
    assert notes["pictures"] >= 2 and notes["drawn"] <= notes["pictures"] + 2
    late, drawing = np.median(notes["latency_ms"]), np.median(notes["draw_ms"])
    assert drawing < late < 2.5 * drawing + 500.0, "the newest frame, begun after the last drawing"


def lag_frames(notes: dict) -> float:
    """How many frames the keys of a take are behind what the camera saw, by both clocks."""
    camera = np.array(notes["camera"])
    scene = np.array(notes["scene"])
    scene = scene[(scene[:, 1] > 1) & (scene[:, 1] < notes["last"])]
    # A frame comes no earlier than it is due.
    ahead = np.max(scene[:, 1] - scene[:, 0] * FPS)
    frames, values = np.array(notes["curve"])[3:-3].T
    lags = np.arange(-12.0, 12.01, 0.25)
    errors = [
        np.abs(np.interp((frames - lag - ahead) / FPS, *camera.T) - values).mean() for lag in lags
    ]
    assert np.ptp(values) > 12.0 and min(errors) < 2.0, "the same turns"
    return float(lags[int(np.argmin(errors))])


def test_a_take_becomes_keys_where_the_scene_played(filmed: dict) -> None:
    notes = filmed["record"]
    assert notes["tracks"] == ["Take 01"] and notes["files"] == ["Take 01.npz"]
    assert 1 <= notes["first"] <= 40 and 80 <= notes["last"] <= 121
    assert not notes["is_playing"] and notes["frame"] == 1 and notes["sync_mode"] == "NONE"
    assert abs(lag_frames(notes)) <= 1.5


def test_takes_beside_sound_have_true_times(filmed: dict) -> None:
    for device in ("OpenAL", "None"):
        notes = filmed[f"sound_{device}"]
        assert filmed[f"sync_{device}"]["mode"] == "AUDIO_SYNC" and notes["sync_mode"] == "NONE"
        assert notes["first"] <= 40 and 70 <= notes["last"] <= 101, device
        assert abs(lag_frames(notes)) <= 1.5, device


def test_undo_takes_the_take_back_and_the_camera_goes_on(filmed: dict) -> None:
    assert filmed["undo"]["tracks"] == [] and abs(filmed["undo"]["still_live"]) > 7.0
    assert not filmed["stop"]["is_on"] and filmed["stop"]["puppets"] == 0
