"""The camera over the wire, with a clip of a real face in its place."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from conftest import PATIENCE_S, ROOT

from engine.camera_table import DARK, NO_FACE, OFF, RUNNING, STAND_IN_VARIABLE, UNPLUGGED
from engine.motion import Motion
from engine.performance.performance_file import read_performance_file
from engine.take import AUTO, TakeOptions

RATE, STILL_S, TURN_DEG = 20, 2.6, 14.0
PHOTO = ROOT / "tests" / "data" / "astronaut.jpg"


def write_clip(path: Path, pictures: list[np.ndarray]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", RATE, options={"preset": "ultrafast", "crf": "16"})
        height, width = pictures[0].shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


def tilted(photo: np.ndarray, degrees: float) -> np.ndarray:
    turn = cv2.getRotationMatrix2D((230.0, 130.0), degrees, 1.0)
    return cv2.warpAffine(photo, turn, (512, 384), borderMode=cv2.BORDER_REPLICATE)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A head that rests and then tilts to one side; a wall; the dark."""
    folder = tmp_path_factory.mktemp("camera")
    photo = cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGB)[:384]
    still = round(STILL_S * RATE)
    turns = [0.0] * still + [TURN_DEG] * 3 * RATE
    wall = np.full((240, 320, 3), 150, np.uint8)
    return {
        "tilt": write_clip(folder / "tilt.mp4", [tilted(photo, turn) for turn in turns]),
        "wall": write_clip(folder / "wall.mp4", [wall] * RATE),
        "dark": write_clip(folder / "dark.mp4", [wall // 50] * RATE),
    }


class Camera:
    """An engine whose cameras are a file."""

    def __init__(self, engine: Any, stand_in: Path) -> None:
        self.engine, self.stand_in = engine, stand_in
        photo = cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGBA)
        from keyportrait.engine.protocol import Array

        image = {"image": Array("uint8", photo.shape, photo.tobytes())}
        self.faces = self.ask("detect", {"encoding": "srgb"}, image).fields["faces"]

    def ask(self, kind: str, fields: dict[str, Any] | None = None, arrays: Any = None) -> Any:
        return self.engine.wait(self.engine.submit(kind, fields or {}, arrays), PATIENCE_S)

    def start(self) -> None:
        devices = self.ask("camera_devices").fields["devices"]
        assert [device["id"] for device in devices] == [str(self.stand_in)]
        self.ask("camera_start", {"device": devices[0]["id"], "size": [640, 480]})

    def poll(self, smooth: float = 0.5, **more: Any) -> Any:
        options = more.pop("options", TakeOptions(reference=AUTO))
        fields = {"faces": self.faces, "options": options.to_json(), "smooth": smooth, **more}
        return self.ask("camera_poll", fields)

    def until(self, is_so: Callable[[dict[str, Any]], object], what: str, **more: Any) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so((sample := self.poll(**more)).fields):
            assert time.monotonic() < deadline, f"{what}: {sample.fields}"
            time.sleep(0.01)
        return sample


@pytest.fixture
def camera(start_engine: Any, tmp_path: Path) -> Iterator[Callable[[Path], Camera]]:
    def start(clip: Path) -> Camera:
        stand_in = tmp_path / clip.name
        shutil.copy(clip, stand_in)
        engine = start_engine(fake=False, environment={STAND_IN_VARIABLE: str(stand_in)})
        return Camera(engine, stand_in)

    yield start


def is_tilted(fields: dict[str, Any]) -> bool:
    return bool(fields["motions"]) and abs(fields["motions"][0]["roll"]) > 0.6 * TURN_DEG


def test_a_face_follows_the_performer_from_a_neutral_found_by_itself(
    camera: Callable[[Path], Camera], clips: dict[str, Path]
) -> None:
    seat = camera(clips["tilt"])
    assert seat.poll().fields["state"] == OFF
    seat.start()
    first = seat.until(lambda f: f["state"] == RUNNING and f["motions"], "a face")
    assert abs(first.fields["motions"][0]["roll"]) < 3.0
    turned = seat.until(is_tilted, "the tilt").fields
    roll = turned["motions"][0]["roll"]
    assert turned["has_neutral"] and turned["fps"] > 0.0 and turned["number"] > 1
    # The frame was read after it came, and not long ago.
    assert 0.0 < turned["latency_s"] < time.monotonic() - turned["time_s"] < 5.0
    mirrored = TakeOptions(reference=AUTO, use_mirror=True)
    other = seat.until(lambda f: f["motions"][0]["roll"] * roll < 0, "a mirror", options=mirrored)
    assert abs(other.fields["motions"][0]["roll"]) > 0.4 * TURN_DEG
    still = TakeOptions(reference=AUTO, region="exp")
    assert seat.poll(options=still).fields["motions"][0]["roll"] == 0.0
    assert seat.ask("camera_stop").type == "camera_done"
    assert seat.poll().fields["state"] == OFF


def test_neutral_is_set_after_a_countdown(
    camera: Callable[[Path], Camera], clips: dict[str, Path]
) -> None:
    seat = camera(clips["tilt"])
    seat.start()
    seat.until(is_tilted, "the tilt", smooth=0.0)
    seat.ask("camera_neutral", {"countdown_s": 0.2})
    assert 0.0 < seat.poll().fields["neutral_s"] <= 0.2

    def is_rest(fields: dict[str, Any]) -> bool:
        return fields["has_neutral"] and abs(fields["motions"][0]["roll"]) < 2.0

    seat.until(is_rest, "the tilted head as neutral", smooth=0.0)
    # The clip begins anew: its upright head is now tilted the other way.
    seat.until(is_tilted, "the upright head", smooth=0.0)


def test_a_take_has_the_times_of_its_frames_and_no_picture(
    camera: Callable[[Path], Camera], clips: dict[str, Path], tmp_path: Path
) -> None:
    seat = camera(clips["tilt"])
    seat.start()
    seat.until(lambda f: f["state"] == RUNNING, "a face")
    begin_s = time.monotonic()
    seat.ask("camera_record", {"start_s": begin_s})
    seat.until(is_tilted, "the tilt")
    end_s = time.monotonic()
    taken = seat.ask("camera_take", {"path": str(tmp_path / "take.npz"), "smooth": 0.5}).fields
    performance = read_performance_file(tmp_path / "take.npz")
    assert taken["frame_count"] == len(performance) >= 5 and not taken["notices"]
    assert taken["seen_count"] > 0.8 * len(performance)
    assert 0.0 <= taken["first_s"] < taken["last_s"] <= end_s - begin_s
    steps = np.diff(performance.times)
    assert steps.min() >= 0.9 / RATE
    np.testing.assert_allclose(steps * RATE, np.round(steps * RATE), atol=0.1)
    assert performance.rest is not None
    assert {p.suffix for p in tmp_path.iterdir() if p.is_file()} == {".mp4", ".npz"}
    source = {"path": str(tmp_path / "take.npz")}
    fields = {
        "source": source,
        "faces": seat.faces,
        "options": TakeOptions(reference=AUTO).to_json(),
    }
    captured = seat.ask("capture", fields)
    values = np.frombuffer(captured.arrays["values"].data, np.float32)
    values = values.reshape(captured.arrays["values"].shape)[0]
    roll = values[:, captured.fields["columns"].index("head_roll")]
    assert abs(roll[0]) < 3.0 and abs(roll[-1]) > 0.6 * TURN_DEG


def test_keep_video_keeps_the_frames_of_the_take(
    camera: Callable[[Path], Camera], clips: dict[str, Path], tmp_path: Path
) -> None:
    seat = camera(clips["tilt"])
    seat.start()
    seat.until(lambda f: f["state"] == RUNNING, "a face")
    kept = tmp_path / "kept.mp4"
    begin_s = time.monotonic()
    seat.ask("camera_record", {"start_s": begin_s, "video": str(kept)})
    seat.until(lambda f: f["time_s"] > begin_s + 1.0, "some frames")
    seat.ask("camera_take", {"path": str(tmp_path / "take.npz"), "smooth": 0.5})
    with av.open(str(kept)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) >= 3 and min(np.diff(times)) >= 0.9 / RATE


@pytest.mark.parametrize(("name", "state"), [("wall", NO_FACE), ("dark", DARK)])
def test_what_shows_no_face_is_a_state(
    camera: Callable[[Path], Camera], clips: dict[str, Path], name: str, state: str
) -> None:
    seat = camera(clips[name])
    seat.start()
    sample = seat.until(lambda f: f["state"] == state, state, preview=[80, 60]).fields
    assert sample["motions"] == [] and sample["message"] and sample["number"] > 0


def test_a_camera_that_goes_comes_back_by_itself(
    camera: Callable[[Path], Camera], clips: dict[str, Path]
) -> None:
    seat = camera(clips["tilt"])
    seat.start()
    before = seat.until(lambda f: f["state"] == RUNNING and f["motions"], "a face").fields
    away = seat.stand_in.with_suffix(".away")
    seat.stand_in.rename(away)
    gone = seat.until(lambda f: f["state"] == UNPLUGGED, "the loss").fields
    assert seat.stand_in.name in gone["message"] and gone["hint"]
    assert gone["motions"], "a face keeps what it did last"
    away.rename(seat.stand_in)
    number = gone["number"]
    seat.until(lambda f: f["state"] == RUNNING and f["number"] > number, "the return")
    assert before["number"] > 0


def test_the_preview_is_a_small_mirror(
    camera: Callable[[Path], Camera], clips: dict[str, Path]
) -> None:
    seat = camera(clips["tilt"])
    seat.start()
    sample = seat.until(lambda f: f["state"] == RUNNING, "a face", preview=[128, 96])
    pixels = np.frombuffer(sample.arrays["preview"].data, np.uint8)
    pixels = pixels.reshape(sample.arrays["preview"].shape)
    assert pixels.shape == (96, 128, 4) and sample.fields["size"] == [512, 384]
    photo = cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGB)[:384]
    difference = {}
    for is_mirrored in (True, False):
        # A slow machine sees the face first when it is tilted already.
        shown = [cv2.resize(tilted(photo, turn), (128, 96)) for turn in (0.0, TURN_DEG)]
        shown = [image[:, ::-1] if is_mirrored else image for image in shown]
        difference[is_mirrored] = min(
            np.abs(pixels[..., :3].astype(int) - image).mean() for image in shown
        )
    assert difference[True] < 14.0 and difference[True] < 0.5 * difference[False]


def test_wrong_requests_are_refused(
    camera: Callable[[Path], Camera], clips: dict[str, Path], tmp_path: Path
) -> None:
    from keyportrait.host.client import EngineError

    seat = camera(clips["wall"])
    take = {"path": str(tmp_path / "take.npz"), "smooth": 0.5}
    for kind, fields in (
        ("camera_take", take),
        ("camera_record", {"start_s": 0.0}),
        ("camera_start", {"device": 7, "size": [640, 480]}),
        ("camera_start", {"device": "x", "size": [640]}),
        ("camera_neutral", {"countdown_s": -1}),
        ("camera_poll", {"faces": [], "options": {}, "smooth": 2.0}),
    ):
        with pytest.raises(EngineError) as caught:
            seat.ask(kind, fields)
        assert caught.value.code == "bad_request", kind
    seat.start()
    seat.until(lambda f: f["state"] == NO_FACE, "the wall")
    seat.ask("camera_record", {"start_s": time.monotonic()})
    with pytest.raises(EngineError) as caught:
        seat.ask("camera_take", take)
    assert caught.value.code == "bad_performance" and not (tmp_path / "take.npz").exists()


def test_motions_are_what_a_renderer_takes(
    camera: Callable[[Path], Camera], clips: dict[str, Path]
) -> None:
    seat = camera(clips["tilt"])
    seat.start()
    sample = seat.until(lambda f: bool(f["motions"]), "a face")
    known = seat.poll(after=sample.fields["number"], preview=[64, 64])
    is_same = known.fields["number"] == sample.fields["number"]
    assert not is_same or (known.fields["motions"] == [] and not known.arrays)
    (motion,) = (Motion.from_json(data) for data in sample.fields["motions"])
    assert len(motion.expression) == 63 and 0.5 < motion.scale < 2.0
