"""Clips of many kinds, made here with FFmpeg's own encoders, read back frame by frame.

Every frame carries its number as bright and dark blocks, and three coloured corners, so that a
wrong frame, time, turn, shape or colour is seen.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from clip_maker import CORNERS, corners_of, make_clip, number_of

from engine.clips.clip import open_clip
from engine.clips.errors import ClipError


def read(path: Path, **options: object) -> list[tuple[float, int]]:
    """(time, number) of every frame."""
    with open_clip(path) as clip:
        return [(frame.time_s, number_of(frame.image)) for frame in clip.frames(**options)]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("is_flipped", [False, True])
def test_turned_and_mirrored_clips_stand_upright(
    tmp_path: Path, degrees: int, is_flipped: bool
) -> None:
    path = make_clip(tmp_path / "turned.mp4", count=3, degrees=degrees, is_flipped=is_flipped)
    with open_clip(path) as clip:
        facts = clip.facts
        (first, *_) = clip.frames()
    turned = degrees in (90, 270)
    assert (facts.width, facts.height) == ((180, 320) if turned else (320, 180))
    assert first.image.shape == (facts.height, facts.width, 3)
    assert facts.is_mirrored == is_flipped
    assert corners_of(first.image) == CORNERS


def test_a_part_is_read_from_the_keyframe_before_it(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "long.mp4", count=100, rate=25)
    assert read(path, start_s=1.0, end_s=1.2) == [
        (pytest.approx(n / 25), n) for n in (25, 26, 27, 28, 29)
    ]


def test_a_missing_file_a_folder_and_an_empty_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    for name, reason in (("gone.mp4", "cannot be read"), (".", "folder"), ("empty.mp4", "empty")):
        with pytest.raises(ClipError, match=reason) as caught:
            open_clip(tmp_path / name)
        assert caught.value.hint
        assert caught.value.code == "bad_performance"


def test_without_pyav_the_engine_says_so_when_a_clip_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(tmp_path / "clip.mp4", count=1)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ClipError, match="PyAV does not work") as caught:
        open_clip(path)
    assert caught.value.code == "not_installed"
