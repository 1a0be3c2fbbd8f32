"""Cameras through FFmpeg's devices: a device that makes pictures stands for one that films."""

from __future__ import annotations

import errno
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.camera import devices
from engine.camera.errors import CameraError
from engine.camera.feed import Feed
from engine.camera.stand_in import stand_in_frames
from engine.camera_table import BUSY, REFUSED, UNPLUGGED


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> str:
    """A device of FFmpeg that draws a test picture."""
    monkeypatch.setitem(devices.FORMATS, sys.platform, "lavfi")
    return "testsrc=size=1600x900:rate=30"


def test_frames_of_a_device_come_as_small_pictures_with_their_time(drawn: str) -> None:
    begin_s = time.monotonic()
    frames = list(itertools.islice(devices.device_frames(drawn, (640, 480)), 3))
    times = [time_s for time_s, _ in frames]
    assert begin_s < times[0] < times[1] < times[2] <= time.monotonic()
    image = frames[0][1]
    assert image.shape == (720, 1280, 3) and image.dtype == np.uint8 and image.std() > 20


def test_a_feed_keeps_the_newest_frame_alone(drawn: str) -> None:
    feed = Feed(lambda: devices.device_frames(drawn, (640, 480)))
    try:
        first = feed.newest(0, 20.0)
        assert first is not None and feed.has_frames
        time.sleep(0.3)
        later = feed.newest(first.number, 20.0)
        assert later is not None and later.number > first.number + 1 and later.time_s > first.time_s
        assert feed.newest(later.number + 10**6, 0.01) is None
    finally:
        feed.stop()


def test_a_camera_that_is_not_there_is_a_state(tmp_path: Path) -> None:
    with pytest.raises(CameraError) as caught:
        next(devices.device_frames("/dev/video977", (640, 480)))
    assert caught.value.state == UNPLUGGED and caught.value.hint
    with pytest.raises(CameraError) as caught:
        next(stand_in_frames(tmp_path / "none.mp4"))
    assert caught.value.state == UNPLUGGED and "none.mp4" in str(caught.value)


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (errno.EBUSY, BUSY),
        (errno.EACCES, REFUSED),
        (errno.EPERM, REFUSED),
        (errno.ENODEV, UNPLUGGED),
        (errno.EINVAL, UNPLUGGED),
    ],
)
def test_what_the_system_says_of_a_camera_is_told(number: int, state: str) -> None:
    error = devices.camera_error("Front", OSError(number, "as the system says"))
    assert error.state == state and "Front" in str(error) and error.hint


@pytest.mark.parametrize(("system", "state"), [("win32", BUSY), ("darwin", REFUSED)])
def test_the_same_error_means_other_things_elsewhere(
    monkeypatch: pytest.MonkeyPatch, system: str, state: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    error = devices.camera_error("Front", OSError(errno.EIO, "Input/output error"))
    assert error.state == state
    assert system != "darwin" or "Privacy & Security" in error.hint
