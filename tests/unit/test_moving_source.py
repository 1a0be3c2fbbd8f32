"""Moving sources through the real engine process: found, followed, opened and moved."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clip_maker import make_clip
from conftest import ROOT, wait_until
from keyportrait.host.client import Engine, EngineError, Launch

from engine.controls import motion_from_controls
from engine.motion import Motion

PATIENCE_S = 120.0
SIZE = 320, 288
COUNT = 10
SMILE = motion_from_controls({"smile": 1.0}, eyes_open=0.3, lips_open=0.0)
NEUTRAL = Motion()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    photo = cv2.cvtColor(cv2.imread(str(ROOT / "tests/data/astronaut.jpg")), cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(photo[:288, 80:400])


def moved(photo: np.ndarray, count: int) -> list[np.ndarray]:
    """The face goes to the right and tilts."""
    images = []
    for number in range(count):
        matrix = cv2.getRotationMatrix2D((145, 120), -number, 1.0)
        matrix[0, 2] += 2.0 * number
        images.append(cv2.warpAffine(photo, matrix, SIZE, borderMode=cv2.BORDER_REFLECT))
    return images


class Session:
    """Short words for the requests of these tests."""

    def __init__(self, log_path: Path) -> None:
        self.engine = Engine(Launch(sys.executable, ROOT, log_path))
        self.engine.start()

    def ask(self, type: str, **fields: Any) -> Any:
        ticket = self.engine.submit(type, fields, use_drain=False)
        return self.engine.wait(ticket, PATIENCE_S)

    def refusal(self, type: str, **fields: Any) -> EngineError:
        with pytest.raises(EngineError) as caught:
            self.ask(type, **fields)
        return caught.value

    def detect(self, path: Path, frame: int = 0) -> list[dict[str, Any]]:
        return self.ask("detect", clip={"path": str(path)}, frame=frame).fields["faces"]

    def track(self, path: Path, faces: Sequence[Any], to: Path, frame: int = 0) -> dict[str, Any]:
        clip = {"path": str(path)}
        return self.ask("track", clip=clip, frame=frame, faces=faces, path=str(to)).fields

    def open(
        self, path: Path, faces: Sequence[Any], track: Path | None = None, frame: int = 0
    ) -> dict[str, Any]:
        fields = {"clip": {"path": str(path)}, "frame": frame, "faces": faces}
        if track is not None:
            fields["track"] = str(track)
        return self.ask("open", renderer="analytic", options={}, **fields).fields

    def frame(self, handle: int, *motions: Motion, frame: int | None = None, **more: Any) -> Any:
        fields = {"handle": handle, "motions": [m.to_json() for m in motions], "options": {}}
        if frame is not None:
            fields["frame"] = frame
        return self.ask("render", **{**fields, **more})

    def whole(self, handle: int, *motions: Motion, frame: int, **more: Any) -> np.ndarray:
        return pixels_of(self.frame(handle, *motions, frame=frame, is_whole=True, **more))


def pixels_of(reply: Any) -> np.ndarray:
    array = reply.arrays["pixels"]
    return np.frombuffer(array.data, array.dtype).reshape(array.shape)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    session = Session(tmp_path_factory.mktemp("engine") / "engine.log")
    yield session
    session.engine.stop()


@pytest.fixture(scope="module")
def clip(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "walk.mp4"
    return make_clip(path, images=moved(photo, COUNT), options={"crf": "12", "bf": "2", "g": "4"})


@pytest.fixture(scope="module")
def faces(session: Session, clip: Path) -> list[dict[str, Any]]:
    return session.detect(clip)


@pytest.fixture(scope="module")
def track(session: Session, clip: Path, faces: list[Any]) -> Path:
    path = clip.with_name("walk.npz")
    told = session.track(clip, faces, path)
    assert told.pop("path") == str(path)
    assert told == {"frame_count": COUNT, "cuts": [], "losses": [], "notices": []}
    return path


@pytest.fixture(scope="module")
def opened(session: Session, clip: Path, faces: list[Any], track: Path) -> dict[str, Any]:
    return session.open(clip, faces, track)


def test_opening_tells_what_the_clip_is(opened: dict[str, Any]) -> None:
    assert (opened["frame_count"], opened["fps"], opened["size"]) == (COUNT, 30.0, list(SIZE))
    assert (opened["has_alpha"], opened["encoding"], opened["dtype"]) == (False, "srgb", "uint8")
    assert opened["numbers"] == [] and len(opened["faces"]) == 1


def test_the_track_follows_the_face(track: Path, faces: list[Any]) -> None:
    with np.load(track, allow_pickle=False) as data:
        assert data["is_seen"].all() and data["is_seen"].shape == (1, COUNT)
        assert data["pose"][0, :, 2] == pytest.approx(
            data["pose"][0, 0, 2] + np.arange(COUNT), abs=1.0
        )
        nose = data["keypoints"][0, :, 2]
        assert nose[0] == pytest.approx(faces[0]["keypoints"][2], abs=2.0)
        assert nose[-1, 0] - nose[0, 0] == pytest.approx(2.0 * (COUNT - 1), abs=4.0)
        assert data["ratios"][0, :, 0] == pytest.approx(faces[0]["eyes_open"], abs=0.06)


def test_a_neutral_motion_gives_every_source_frame(
    session: Session, opened: dict[str, Any], photo: np.ndarray
) -> None:
    for number, image in enumerate(moved(photo, COUNT)):
        shown = session.whole(opened["handle"], NEUTRAL, frame=number)
        assert np.abs(shown[..., :3].astype(int) - image).mean() < 3.0
        assert session.frame(opened["handle"], NEUTRAL, frame=number).fields["rectangle"][2] == 0


def test_a_frame_is_what_differs_from_its_source_frame(
    session: Session, opened: dict[str, Any]
) -> None:
    reply = session.frame(opened["handle"], SMILE, frame=3)
    x, y, width, height = reply.fields["rectangle"]
    shown = session.whole(opened["handle"], NEUTRAL, frame=3).copy()
    smile = session.whole(opened["handle"], SMILE, frame=3)
    assert (shown != smile).any()
    shown[y : y + height, x : x + width] = pixels_of(reply)
    assert (shown == smile).all()


def test_chunks_of_a_farm_are_the_same_bytes(
    session: Session, clip: Path, faces: list[Any], track: Path, tmp_path: Path
) -> None:
    """Eight tasks in any order write what one writes that bakes all frames side by side."""

    def bake(folder: Path, frames: Sequence[int]) -> None:
        handle = session.open(clip, faces, track)["handle"]
        tickets = []
        for number in frames:
            options = {"save": {"path": str(folder / f"{number}.png"), "format": "PNG"}}
            fields = {"handle": handle, "motions": [SMILE.to_json()], "frame": number}
            ticket = session.engine.submit("render", {**fields, "options": options})
            tickets.append(ticket)
        # Somebody looks at the frames meanwhile.
        looked = [session.whole(handle, SMILE, frame=number) for number in frames]
        for number, ticket, seen in zip(frames, tickets, looked, strict=True):
            session.engine.wait(ticket, PATIENCE_S)
            saved = cv2.imread(str(folder / f"{number}.png"), cv2.IMREAD_UNCHANGED)
            assert (cv2.cvtColor(saved, cv2.COLOR_BGRA2RGBA) == seen).all(), number
        session.ask("close", handle=handle)

    bake(tmp_path / "one", range(8))
    for chunk in ((7,), (0,), (4,), (2,), (3,), (6,), (1,), (5,)):
        bake(tmp_path / "many", chunk)
    for number in range(8):
        one, many = (tmp_path / folder / f"{number}.png" for folder in ("one", "many"))
        assert one.read_bytes() == many.read_bytes(), number


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_many_frames_take_no_more_memory_than_a_few(
    session: Session, opened: dict[str, Any]
) -> None:
    def megabytes() -> float:
        status = Path(f"/proc/{session.engine.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    rng = random.Random(3)

    def look(count: int) -> None:
        for _ in range(count):
            motion = rng.choice([NEUTRAL] * 5 + [SMILE])
            session.frame(opened["handle"], motion, frame=rng.randrange(COUNT), size=[80, 72])

    look(30)
    before = megabytes()
    look(80)
    assert megabytes() - before < 12.0


def test_a_small_size_and_a_file_show_the_source_frame(
    session: Session, opened: dict[str, Any], tmp_path: Path
) -> None:
    whole = session.whole(opened["handle"], SMILE, frame=6)
    small = session.whole(opened["handle"], SMILE, frame=6, size=[160, 144])
    assert small.shape == (144, 160, 4)
    shrunk = cv2.resize(whole, (160, 144), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(shrunk - small).mean() < 2.0
    path = tmp_path / "smile.png"
    upcoming = [{"frame": 7, "motions": [SMILE.to_json()]}]
    options = {"save": {"path": str(path), "format": "PNG"}, "upcoming": upcoming}
    session.frame(opened["handle"], SMILE, frame=6, options=options)
    saved = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    assert (saved == whole).all()


def test_without_a_track_other_frames_are_shown_unchanged(
    session: Session, clip: Path, faces: list[Any]
) -> None:
    handle = session.open(clip, faces)["handle"]
    assert session.frame(handle, SMILE).fields["rectangle"][2] > 0
    reply = session.frame(handle, SMILE, frame=5)
    assert reply.fields["rectangle"][2] == 0
    assert "not followed to source frame 5" in reply.fields["notices"][0]


def test_frames_that_there_are_not_and_bad_requests_are_refused(
    session: Session, clip: Path, faces: list[Any], opened: dict[str, Any], tmp_path: Path
) -> None:
    handle = opened["handle"]
    motions = [NEUTRAL.to_json()]
    beyond = session.refusal("render", handle=handle, motions=motions, options={}, frame=COUNT)
    assert beyond.code == "bad_clip" and "no source frame 10" in beyond.message
    for wrong in ({"frame": "2"}, {"frame": 1.0}, {"options": {"holds": ["eyes"]}}):
        fields = {"handle": handle, "motions": motions, "options": {}, **wrong}
        assert session.refusal("render", **fields).code == "bad_request"
    gone = session.refusal("detect", clip={"path": str(tmp_path / "gone.mp4")}, frame=0)
    assert gone.code == "bad_clip" and "gone.mp4" in gone.message and gone.hint
    assert session.refusal("detect", clip={"path": ""}, frame=0).code == "bad_request"
    assert session.refusal("detect", clip={"path": str(clip)}, frame=-1).code == "bad_clip"
    assert session.refusal("detect", clip={"path": str(clip)}).code == "bad_request"


def test_a_track_of_something_else_is_refused(
    session: Session, clip: Path, faces: list[Any], track: Path, photo: np.ndarray, tmp_path: Path
) -> None:
    other = make_clip(tmp_path / "other.mp4", images=moved(photo, 4))
    fields = {"renderer": "analytic", "options": {}, "frame": 0, "faces": faces}
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(track.read_bytes()[:2000])
    elsewhere = [{**faces[0], "box": [value + 9.0 for value in faces[0]["box"]]}]
    for change in (
        {"clip": {"path": str(other)}, "track": str(track)},
        {"clip": {"path": str(clip)}, "track": str(damaged)},
        {"clip": {"path": str(clip)}, "track": str(tmp_path / "none.npz")},
        {"clip": {"path": str(clip)}, "track": str(track), "faces": elsewhere},
    ):
        assert session.refusal("open", **{**fields, **change}).code == "bad_track"


def test_a_cancelled_track_leaves_nothing(
    session: Session, faces: list[Any], opened: dict[str, Any], photo: np.ndarray, tmp_path: Path
) -> None:
    long = make_clip(tmp_path / "long.mp4", images=[photo] * 120)
    path = tmp_path / "new" / "track.npz"
    fields = {"clip": {"path": str(long)}, "frame": 0, "faces": faces, "path": str(path)}
    ticket = session.engine.submit("track", fields, use_drain=False)
    wait_until(lambda: ticket.progress.fraction > 0.0 or ticket.is_done, "the first frame")
    # A source frame is looked at meanwhile.
    session.frame(opened["handle"], NEUTRAL, frame=4)
    session.engine.cancel(ticket)
    with pytest.raises(EngineError) as caught:
        session.engine.wait(ticket, PATIENCE_S)
    assert caught.value.code == "cancelled"
    assert not path.parent.exists()


def test_a_clip_that_changes_or_goes_away_is_told(
    session: Session, photo: np.ndarray, tmp_path: Path
) -> None:
    path = make_clip(tmp_path / "short.mp4", images=moved(photo, 2))
    opened = session.open(path, session.detect(path))
    fields = {"handle": opened["handle"], "motions": [NEUTRAL.to_json()], "options": {}}
    os.utime(path, ns=(1, 1))
    assert "has changed" in session.refusal("render", **fields, frame=1).message
    path.unlink()
    error = session.refusal("render", **fields, frame=1)
    assert error.code == "bad_clip" and "short.mp4" in error.message and error.hint
