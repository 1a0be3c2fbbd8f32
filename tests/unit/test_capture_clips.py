"""Captures of all sorts of clips through the real engine process."""

from __future__ import annotations

import os
import sys
import time
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from clip_maker import make_clip
from conftest import ROOT, wait_until
from keyportrait.host.client import Engine, EngineError, Launch

from engine.motion import Face

PATIENCE_S = 120.0
CANCEL_S = 2.0  # the promise is 0.5 s; the machines that run tests are busy
FACE = Face((0.0, 0.0, 100.0, 100.0)).to_json()
X265 = {"x265-params": "log-level=none"}
KINDS: list[tuple[str, dict[str, Any]]] = [
    (
        "phone.mov",
        {"codec": "libx265", "pixel_format": "yuv420p10le", "degrees": 90, "options": X265},
    ),
    (
        "graded.mov",
        {
            "codec": "prores_ks",
            "pixel_format": "yuva444p10le",
            "options": {"profile": "4444"},
            "rate": Fraction(30000, 1001),
        },
    ),
    (
        "screen.mp4",
        {
            "codec": "libsvtav1",
            "options": {"preset": "8"},
            "times": [0.0, 0.04, 0.09, 0.11, 0.2, 0.23, 0.31, 0.4],
        },
    ),
    ("wide.mkv", {"pixel_aspect": Fraction(4, 3), "options": {"x264opts": "tff=1"}}),
    ("film.ts", {"rate": Fraction(24000, 1001), "degrees": 0}),
]


class Capturing:
    """Short words for the requests of these tests."""

    def __init__(self, log_path: Path) -> None:
        self.engine = Engine(Launch(sys.executable, ROOT, log_path))
        self.engine.start()

    def begin(self, path: Path, **source: Any) -> Any:
        fields = {"source": {"path": str(path), **source}, "faces": [FACE], "options": {}}
        return self.engine.submit("capture", fields, use_drain=False)

    def take(self, path: Path, **source: Any) -> Any:
        return self.engine.wait(self.begin(path, **source), PATIENCE_S)

    def refusal(self, path: Path, **source: Any) -> EngineError:
        with pytest.raises(EngineError) as caught:
            self.take(path, **source)
        error = caught.value
        assert error.code == "bad_performance"
        assert path.name in error.message
        assert error.hint
        return error


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capturing]:
    session = Capturing(tmp_path_factory.mktemp("engine") / "engine.log")
    yield session
    session.engine.stop()


def array_of(reply: Any, name: str) -> np.ndarray:
    array = reply.arrays[name]
    return np.frombuffer(array.data, array.dtype).reshape(array.shape)


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    photo = cv2.cvtColor(cv2.imread(str(ROOT / "tests/data/astronaut.jpg")), cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(photo[:288, 80:400])


def tilting(face: np.ndarray, count: int) -> list[np.ndarray]:
    """A face that tilts by 12 degrees."""
    images = []
    for angle in np.linspace(0.0, -12.0, count):
        matrix = cv2.getRotationMatrix2D((145, 120), angle, 1.0)
        images.append(cv2.warpAffine(face, matrix, (320, 288), borderMode=cv2.BORDER_REFLECT))
    return images


@pytest.mark.parametrize(("name", "kind"), KINDS, ids=[name for name, _ in KINDS])
def test_every_kind_becomes_a_take_at_its_own_times(
    session: Capturing, face: np.ndarray, tmp_path: Path, name: str, kind: dict[str, Any]
) -> None:
    options = {**kind.get("options", {}), **({} if "codec" in kind else {"crf": "14"})}
    images = tilting(face, 8)
    # What a player stretches is stored squeezed.
    width = round(320 / kind.get("pixel_aspect", 1))
    images = [cv2.resize(image, (width, 288), interpolation=cv2.INTER_AREA) for image in images]
    path = make_clip(tmp_path / name, images=images, **{**kind, "options": options})
    reply = session.take(path)
    times = kind.get("times") or [float(n / Fraction(kind.get("rate", 30))) for n in range(8)]
    assert array_of(reply, "times") == pytest.approx(times, abs=1e-3)
    assert array_of(reply, "is_seen").all()
    assert reply.fields["cuts"] == []
    roll = array_of(reply, "values")[0, :, reply.fields["columns"].index("head_roll")]
    assert abs(roll[-1] - roll[0]) == pytest.approx(12.0, abs=2.0)
    # A clip on its side, upside down or mirrored would tilt the other way.
    assert roll[-1] > roll[0]


def test_cuts_with_black_between_shift_no_time(
    session: Capturing, face: np.ndarray, tmp_path: Path
) -> None:
    nearer = cv2.resize(face[10:250, 30:297], (320, 288), interpolation=cv2.INTER_CUBIC)
    images = [face] * 7 + [np.zeros_like(face)] * 5 + [nearer] * 7
    reply = session.take(make_clip(tmp_path / "cut.mp4", rate=25, images=images))
    assert array_of(reply, "times") == pytest.approx(np.arange(19) / 25, abs=1e-3)
    seen = array_of(reply, "is_seen").astype(bool)
    assert seen[:7].all() and not seen[7:12].any() and seen[12:].all()
    assert set(reply.fields["cuts"]) <= {7, 12}
    assert reply.fields["cuts"]
    assert not array_of(reply, "keys")[0, 7:12].any() or not seen[7:12].any()


def test_one_frame_is_a_pose(session: Capturing, face: np.ndarray, tmp_path: Path) -> None:
    for name, codec in (("one.mp4", "libx264"), ("one.gif", "gif"), ("one.png", "png")):
        pixel_format = {"gif": "rgb8", "png": "rgb24"}.get(codec, "yuv420p")
        path = tmp_path / name
        if codec == "png":
            cv2.imwrite(str(path), face[:, :, ::-1])
        else:
            make_clip(path, images=[face], codec=codec, pixel_format=pixel_format)
        reply = session.take(path)
        assert array_of(reply, "times") == pytest.approx([0.0])
        assert np.isfinite(array_of(reply, "values")).all()


def test_a_part_is_captured_at_its_own_times(
    session: Capturing, face: np.ndarray, tmp_path: Path
) -> None:
    path = make_clip(tmp_path / "part.mp4", rate=25, images=tilting(face, 20))
    times = array_of(session.take(path, start_s=0.2, end_s=0.4), "times")
    assert times == pytest.approx(np.arange(5) / 25, abs=1e-3)
    error = session.refusal(path, start_s=5.0, end_s=6.0)
    assert "0.8 s" in error.hint


def test_clips_without_a_face_say_so(session: Capturing, face: np.ndarray, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (36, 40, 3), np.uint8)
    wall = cv2.resize(noise, (320, 288), interpolation=cv2.INTER_CUBIC)
    for name, image in (("black.mp4", np.zeros_like(face)), ("wall.mp4", wall)):
        error = session.refusal(make_clip(tmp_path / name, images=[image] * 6))
        assert "No face" in error.message


def test_what_cannot_be_read_says_what_to_do(
    session: Capturing, face: np.ndarray, tmp_path: Path
) -> None:
    whole = make_clip(tmp_path / "whole.mp4", images=[face] * 6)
    (tmp_path / "text.mov").write_text("not a clip at all")
    (tmp_path / "empty.mkv").touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with av.open(str(tmp_path / "song.mp3"), "w") as container:
        stream = container.add_stream("mp3", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for name, reason in (
        ("text.mov", "no clip"),
        ("empty.mkv", "empty"),
        ("folder.mp4", "folder"),
        ("cut.mp4", "incomplete"),
        ("song.mp3", "sound alone"),
        ("gone.webm", "cannot be read"),
    ):
        assert reason in session.refusal(tmp_path / name).message
    assert len(array_of(session.take(whole), "times")) == 6


def test_damage_is_told_and_the_rest_captured(
    session: Capturing, face: np.ndarray, tmp_path: Path
) -> None:
    path = make_clip(tmp_path / "hurt.mp4", images=tilting(face, 24), options={"g": "6"})
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + len(data) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    reply = session.take(path)
    assert any("damaged" in text for text in reply.fields["notices"])
    times = array_of(reply, "times")
    assert (np.diff(times) > 0).all()
    assert times[-1] == pytest.approx(23 / 30, abs=1e-3)


@pytest.fixture(scope="module")
def long_clip(face: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    large = [cv2.resize(image, None, fx=3, fy=3) for image in tilting(face, 24)]
    return make_clip(path, images=large * 16, options={"preset": "ultrafast"})


def begun(session: Capturing, path: Path, fraction: float, **source: Any) -> Any:
    ticket = session.begin(path, **source)
    wait_until(lambda: ticket.progress.fraction >= fraction, "some of the clip to be read")
    return ticket


def test_a_capture_can_be_cancelled_anywhere_and_leaves_nothing(
    session: Capturing, long_clip: Path, tmp_path: Path
) -> None:
    for fraction in (0.0, 0.02, 0.1):
        ticket = begun(session, long_clip, fraction, cache_dir=str(tmp_path / "kept"))
        asked = time.monotonic()
        session.engine.cancel(ticket)
        wait_until(lambda ticket=ticket: ticket.is_done, "the end of the cancelled capture")
        session.refusal(tmp_path / "gone.mp4")  # the engine has dropped the other
        assert time.monotonic() - asked < CANCEL_S
        assert ticket.error is not None
        assert ticket.error.code == "cancelled"
        assert not (tmp_path / "kept").exists() or not list((tmp_path / "kept").iterdir())


def test_a_long_sound_that_is_spoken_can_be_cancelled(session: Capturing, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    hum = (9000 * np.sin(np.arange(8000) / 8.0) * np.linspace(0.0, 1.0, 8000)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        for _ in range(900):
            file.writeframes(hum.tobytes())
    ticket = begun(session, path, 0.02, speech={})
    asked = time.monotonic()
    session.engine.cancel(ticket)
    wait_until(lambda: ticket.is_done, "the end of the cancelled speech")
    assert time.monotonic() - asked < CANCEL_S
    assert ticket.error is not None and ticket.error.code == "cancelled"


def test_a_clip_that_changes_while_it_is_captured_is_refused(
    session: Capturing, long_clip: Path, tmp_path: Path
) -> None:
    path = tmp_path / "growing.mp4"
    path.write_bytes(long_clip.read_bytes())
    ticket = begun(session, path, 0.02, end_s=2.0, cache_dir=str(tmp_path / "kept"))
    os.utime(path, ns=(1, 1))
    wait_until(lambda: ticket.is_done, "the end of the capture")
    assert ticket.error is not None
    assert ticket.error.code == "bad_performance"
    assert "changed while it was read" in ticket.error.message
    assert not (tmp_path / "kept").exists()


def test_a_place_that_takes_no_files_costs_nothing_but_the_reading(
    session: Capturing, face: np.ndarray, tmp_path: Path
) -> None:
    path = make_clip(tmp_path / "clip.mp4", images=[face] * 4)
    (tmp_path / "kept").write_text("a file where a folder should be")
    reply = session.take(path, cache_dir=str(tmp_path / "kept"))
    assert len(array_of(reply, "times")) == 4


def test_fitting_a_long_performance_can_be_cancelled(session: Capturing, tmp_path: Path) -> None:
    count = 20000
    rng = np.random.default_rng(2)
    walk = np.cumsum(rng.normal(0.0, 0.002, (count, 21, 3)), axis=0)
    np.savez(
        tmp_path / "long.npz",
        keyportrait_performance=np.int64(1),
        times=np.arange(count) / 30.0,
        rotation=np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
        translation=np.zeros((count, 3), np.float32),
        scale=np.ones(count, np.float32),
        expression=(0.02 * np.sin(walk)).astype(np.float32),
        is_seen=np.ones(count, bool),
        cuts=np.zeros(0, np.int64),
    )
    ticket = session.begin(tmp_path / "long.npz")
    wait_until(lambda: ticket.progress.text.startswith("Fitting"), "the fitting to begin")
    time.sleep(0.3)
    assert not ticket.is_done
    # What is asked meanwhile is answered between the steps.
    refusal = session.engine.submit("render", {"handle": 9, "motions": [], "options": {}})
    asked = time.monotonic()
    wait_until(lambda: refusal.is_done, "the answer to another request")
    assert time.monotonic() - asked < CANCEL_S
    assert not ticket.is_done
    session.engine.cancel(ticket)
    session.refusal(tmp_path / "gone.mp4")  # the engine works on it once it has dropped the other
    assert time.monotonic() - asked < 2 * CANCEL_S
    assert ticket.error is not None
    assert ticket.error.code == "cancelled"
