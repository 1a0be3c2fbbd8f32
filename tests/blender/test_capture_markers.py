"""Cuts and losses: no keys where the face was not seen, markers, and what a report says."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest
from performing import activate, capture, curves, face, frames_of, recapture  # noqa: F401

COUNT, RATE = 500, 25.0


@pytest.fixture
def performance_file(tmp_path: Any) -> str:
    """20 s, 25 a second: a cut at 12 s, lost 5 frames at 4 s and 50 at 15 s, unseen at first."""
    is_seen = np.ones(COUNT, bool)
    is_seen[:3] = is_seen[100:105] = is_seen[375:425] = False
    times = np.arange(COUNT) / RATE
    turn = np.radians(10.0 * np.sin(times))
    rotation = np.zeros((COUNT, 3, 3), np.float32)
    rotation[:, 0, 0] = rotation[:, 2, 2] = np.cos(turn)
    rotation[:, 0, 2], rotation[:, 2, 0] = -np.sin(turn), np.sin(turn)
    rotation[:, 1, 1] = 1.0
    expression = np.zeros((COUNT, 21, 3), np.float32)
    expression[:, 19, 1] = 0.03 * (1.0 - np.cos(times))
    path = tmp_path / "interview.npz"
    np.savez(
        path,
        keyportrait_performance=np.int64(1),
        times=times,
        rotation=rotation,
        translation=np.zeros((COUNT, 3), np.float32),
        scale=np.ones(COUNT, np.float32),
        expression=expression,
        is_seen=is_seen,
        cuts=np.array([300]),
    )
    return str(path)


def names() -> list[tuple[str, int]]:
    found = ((marker.name, marker.frame) for marker in bpy.context.scene.timeline_markers)
    return sorted(found, key=lambda item: item[1])


EXPECTED = [
    ("Face lost 0:00", 1),
    ("Face lost 0:04", 101),
    ("Cut 0:12", 301),
    ("Face lost 0:15–0:17", 376),
]


def test_nothing_is_keyed_where_the_face_was_lost(face, performance_file, module) -> None:
    capture(filepath=performance_file, start_frame=1)
    for curve in curves(module, face).values():
        frames = np.array(frames_of(curve))
        assert not np.isin(frames, np.arange(1, 4)).any()
        assert not ((frames > 100) & (frames < 106)).any()
        assert not ((frames > 375) & (frames < 426)).any()
        if len(frames) > 2:
            assert {100.0, 106.0, 300.0, 301.0, 375.0, 426.0} <= set(frames)
    yaw = curves(module, face)['["head_yaw"]', 0]
    kinds = {point.co[0]: point.interpolation for point in yaw.keyframe_points}
    # Short: interpolated. Long, or a cut: held.
    assert (kinds[100], kinds[300], kinds[375]) == ("LINEAR", "CONSTANT", "CONSTANT")


def test_markers_are_set_made_again_and_not_anybody_else_s(face, performance_file) -> None:
    scene = bpy.context.scene
    scene.timeline_markers.new("Cut 0:12", frame=50)
    capture(filepath=performance_file, start_frame=1)
    assert names() == sorted([*EXPECTED, ("Cut 0:12", 50)], key=lambda item: item[1])
    face.keyportrait_capture.start_frame = 11
    recapture()
    moved = [(name, frame + 10) for name, frame in EXPECTED]
    assert names() == sorted([*moved, ("Cut 0:12", 50)], key=lambda item: item[1])
    face.keyportrait_capture.use_markers = False
    recapture()
    assert names() == [("Cut 0:12", 50)]


def test_another_capture_in_its_place_takes_its_markers_away(face, performance_file) -> None:
    capture(filepath=performance_file, start_frame=1)
    capture(filepath=performance_file, start_frame=1)
    assert names() == EXPECTED
    capture(filepath=performance_file, start_frame=1001)
    later = [(name, frame + 1000) for name, frame in EXPECTED]
    assert names() == [*EXPECTED, *later]


def test_the_report_has_the_counts(face, performance_file, capfd) -> None:
    capture(filepath=performance_file, start_frame=1)
    printed = capfd.readouterr().out
    assert "500 frames" in printed and "1 cut" in printed
    assert "lost 3" in printed and "58 frames" in printed
    assert "1 to 250" in printed and "Set Scene Range" in printed
    assert "lost 3" in face.keyportrait_capture.captured


def test_faces_that_begin_together_share_their_markers(face, performance_file, module) -> None:
    other = face.copy()
    face.users_collection[0].objects.link(other)
    plane = face.keyportrait.face.portrait
    plane.keyportrait.portrait.faces.add().controller = other
    module("rig.portraits").forget()
    activate(face, other)
    capture(filepath=performance_file, start_frame=1)
    assert names() == EXPECTED
    recapture()
    assert names() == EXPECTED
    capture(filepath=performance_file, start_frame=1, face_offset=100)
    assert sum(f"({other.name})" in name for name, _ in names()) == 4


def test_a_performance_in_which_nobody_is_seen(face, performance_file, tmp_path) -> None:
    with np.load(performance_file) as file:
        arrays = dict(file)
    arrays["is_seen"][:] = False
    path = tmp_path / "empty.npz"
    np.savez(path, **arrays)
    with pytest.raises(RuntimeError, match=r"No face was seen|seen"):
        capture(filepath=str(path))
    assert face.animation_data is None or face.animation_data.action is None
    assert not names()
