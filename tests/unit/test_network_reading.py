"""A clip whose performer M reads: what M is shown, in which order, and what becomes of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clip_maker import make_clip
from conftest import ROOT
from fakes.model_set import FakeModelSet

from engine import operations
from engine.capture import capture, read_performance
from engine.clip_reading import clip_frames, read_clip_tracks
from engine.faces.find import find_faces
from engine.faces.mesh import fit_landmarks
from engine.liveportrait.crop import driving_input, upright_box
from engine.liveportrait.mesh_landmarks import landmarks_203
from engine.liveportrait.renderer import LivePortraitRenderer
from engine.motion import Face
from engine.network_reading import MotionReader, crops_of
from engine.operations import Operations
from engine.performance.files import SUFFIXES
from engine.performance.geometry import euler_degrees
from engine.protocol import Message
from engine.renderer import ReportedError, SourceImage
from engine.take import AUTO, MOTION_SUFFIXES, NETWORKS, PerformanceSource, TakeOptions

sys.path.insert(0, str(ROOT / "scripts"))
from official_video import crop_driving_video

FACE = Face((0.0, 0.0, 100.0, 100.0))
FIRST, BLACK, SECOND = 7, 5, 6  # frames
SEEN = [*range(FIRST), *range(FIRST + BLACK, FIRST + BLACK + SECOND)]
BATCH = 4


class CountingModels(FakeModelSet):
    """M turns each further picture's head by 2° and opens its mouth a little more."""

    def __init__(self) -> None:
        super().__init__()
        self.batch_size = BATCH

    def extract_motion(self, images: np.ndarray) -> dict[str, np.ndarray]:
        first = sum(self.calls["motion"])
        heads = super().extract_motion(images)
        for row, number in enumerate(range(first, first + len(images))):
            place = (2.0 * number + 97.5) / 3.0
            logits = np.full(66, -60.0, np.float32)
            low, share = int(place), place - int(place)
            logits[[low, low + 1]] = np.log([max(1.0 - share, 1e-9), max(share, 1e-9)])
            heads["yaw"][row] = logits
            heads["exp"][row, 3 * 19 + 1] = 0.001 * number
        return heads

    @property
    def pictures(self) -> np.ndarray:
        return np.concatenate(self.seen)


class Networks:
    """Finds a reader, and remembers what was loaded."""

    def __init__(self, identity: str = "weights fp32") -> None:
        self.models = CountingModels()
        self.identity = identity
        self.loads = 0

    def __call__(self, report: Any) -> MotionReader:
        report(0.0, "Looking")
        return MotionReader(self.identity, self._load)

    def _load(self, report: Any) -> CountingModels:
        report(0.5, "Loading")
        self.loads += 1
        return self.models


def quiet(_fraction: float, _text: str) -> None:
    pass


def ended() -> ReportedError:
    return ReportedError("cancelled", "The request was cancelled.")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face that moves aside; black; the face from nearer."""
    photo = cv2.cvtColor(cv2.imread(str(ROOT / "tests/data/astronaut.jpg")), cv2.COLOR_BGR2RGB)
    face = np.ascontiguousarray(photo[:288, 80:400])
    shots = [np.roll(face, 3 * step, axis=1) for step in range(FIRST)]
    shots += [np.zeros_like(face)] * BLACK
    nearer = cv2.resize(face[10:250, 30:297], (320, 288), interpolation=cv2.INTER_CUBIC)
    path = tmp_path_factory.mktemp("clips") / "shots.mp4"
    return make_clip(path, rate=25, images=shots + [nearer] * SECOND)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the tests share, so that the faces are followed once."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def source(clip: Path, kept: Path) -> PerformanceSource:
    return PerformanceSource(str(clip), smooth=0.0, cache_dir=str(kept), reader=NETWORKS)


def forget_motion(kept: Path) -> None:
    for path in kept.glob("performance-*-*.npz"):
        path.unlink()


@pytest.fixture(autouse=True)
def _nothing_read(kept: Path) -> None:
    forget_motion(kept)


def test_m_sees_what_the_official_cropper_shows_it(source: PerformanceSource) -> None:
    networks = Networks()
    read_performance(source, quiet, networks)
    tracks = read_clip_tracks(source, quiet)
    track = tracks.performers[0]
    frames = [frame.image for frame in clip_frames(source, quiet)]
    wanted = []
    for rows in (SEEN[:FIRST], SEEN[FIRST:]):
        # The official tracker on these very points.
        points = iter([landmarks_203(track.mesh(row)) for row in rows])

        class Locate:
            def locate(self, _frame: Any, _start: Any, points: Any = points) -> np.ndarray:
                return next(points)

        shot = [frames[row] for row in rows]
        wanted += crop_driving_video(shot, lambda _frame: np.zeros((5, 2)), Locate())  # type: ignore[arg-type]
    assert networks.models.calls["motion"] == [4, 4, 4, 1]
    pictures = [driving_input(frame.crop.image).astype(np.float32) / 255 for frame in wanted]
    assert networks.models.pictures == pytest.approx(np.stack(pictures), abs=1e-6)


def test_the_crop_is_where_the_face_s_own_landmarks_put_it(source: PerformanceSource) -> None:
    tracks = read_clip_tracks(source, quiet)
    frames = [frame.image for frame in clip_frames(source, quiet)]
    crops = crops_of(tracks.performers[0], tracks.cuts)
    assert list(crops) == SEEN
    for row in (3, SEEN[-1]):  # the middle of a moving shot, and a still one
        alpha = np.full((*frames[row].shape[:2], 1), 255, np.uint8)
        (found, *_) = find_faces(SourceImage(np.concatenate([frames[row], alpha], 2), "srgb"))
        own = np.array(upright_box(landmarks_203(fit_landmarks(frames[row], found))))
        assert np.array(crops[row]) == pytest.approx(own, abs=0.05 * (own[2] - own[0]))


def test_rows_unseen_lie_between_and_order_and_losses_are_the_clip_s(
    source: PerformanceSource,
) -> None:
    networks = Networks()
    told: list[float] = []
    found = read_performance(source, lambda part, _text: told.append(part), networks)
    assert told == sorted(told) and told[-1] <= 1.0
    assert np.flatnonzero(found.is_seen).tolist() == SEEN
    yaw = euler_degrees(found.rotation)[:, 1]
    assert yaw[SEEN] == pytest.approx(2.0 * np.arange(len(SEEN)), abs=0.01)
    assert np.diff(yaw)[FIRST - 1 : FIRST + BLACK].min() > -1e-4  # also over the black frames
    assert found.expression[SEEN, 19, 1] == pytest.approx(0.001 * np.arange(len(SEEN)), abs=1e-6)
    assert found.scale == pytest.approx(1.5, abs=1e-5)
    assert found.keypoints is not None and found.keypoints.shape == (21, 3)
    landmarks = read_performance(replace(source, reader="LANDMARKS"), quiet)
    assert found.times == pytest.approx(landmarks.times)
    assert found.cuts == landmarks.cuts
    assert found.ratios is not None and landmarks.ratios is not None
    assert found.ratios.eyes == pytest.approx(landmarks.ratios.eyes)
    assert found.rest is not None
    assert euler_degrees(found.rest.rotation[None])[0, 1] == pytest.approx(12.0, abs=0.01)
    assert 0.0 <= found.rest.expression[19, 1] <= 0.012
    assert found.neutral is None  # M's own


def test_it_becomes_a_take_with_a_known_rest(source: PerformanceSource) -> None:
    taken = capture(source, [FACE], TakeOptions(reference=AUTO), quiet, Networks())
    assert taken.reference == -1
    yaw = taken.values[0, :, taken.columns.index("head_yaw")]
    assert yaw[SEEN[-1]] - yaw[0] == pytest.approx(24.0, abs=0.1)
    assert np.abs(yaw[SEEN]).min() == pytest.approx(0.0, abs=0.5)


def test_smoothing_is_that_of_the_settings(source: PerformanceSource, kept: Path) -> None:
    networks = Networks()
    rough = read_performance(source, quiet, networks)
    smooth = read_performance(replace(source, smooth=1.0), quiet, networks)
    assert networks.loads == 1  # both from one reading
    assert not np.array_equal(rough.expression, smooth.expression)


def test_it_is_read_once_for_each_m(source: PerformanceSource, kept: Path) -> None:
    first, again, other = Networks(), Networks(), Networks("weights fp16")
    once = read_performance(source, quiet, first)
    twice = read_performance(source, quiet, again)
    read_performance(source, quiet, other)
    assert (first.loads, again.loads, other.loads) == (1, 0, 1)
    assert np.array_equal(once.expression, twice.expression)
    path = next(iter(kept.glob("performance-*-*.npz")))
    path.write_bytes(path.read_bytes()[:200])  # damaged: it is read again
    networks = [Networks(), Networks("weights fp16")]
    for each in networks:
        read_performance(source, quiet, each)
    assert sum(each.loads for each in networks) == 1


def test_it_can_be_cancelled_between_batches(source: PerformanceSource, kept: Path) -> None:
    networks = Networks()

    def report(_fraction: float, _text: str) -> None:
        if len(networks.models.calls["motion"]) == 2:
            raise ended()

    with pytest.raises(ReportedError) as caught:
        read_performance(source, report, networks)
    assert caught.value.code == "cancelled"
    assert networks.models.calls["motion"] == [BATCH, BATCH]
    assert not list(kept.glob("performance-*-*.npz"))


def test_a_face_that_leaves_the_crop_is_lost_and_told(source: PerformanceSource) -> None:
    tracks = read_clip_tracks(source, quiet)
    track = tracks.performers[0]
    place = track.place.copy()
    place[0] += 400.0
    assert 0 not in crops_of(replace(track, place=place), tracks.cuts)


def message_of(source: PerformanceSource) -> Message:
    fields = {"source": source.to_json(), "faces": [FACE.to_json()], "options": {}}
    return Message("capture", 1, fields)


def test_the_request_uses_the_networks_that_render(
    source: PerformanceSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = CountingModels()
    facts = {"weights": "abc", "precision": "fp32"}
    monkeypatch.setattr(operations, "probe", lambda _name, _report: facts)
    monkeypatch.setattr(operations, "create", lambda _name, _report: LivePortraitRenderer(models))
    served = Operations()
    for _ in range(2):
        reply = served.answer(message_of(source), quiet)
        assert isinstance(reply, Message)
        yaw = reply.fields["columns"].index("head_yaw")
        array = reply.arrays["values"]
        values = np.frombuffer(array.data, array.dtype).reshape(array.shape)
        assert values[0, SEEN[-1], yaw] == pytest.approx(24.0, abs=0.1)
    assert sum(models.calls["motion"]) == len(SEEN)


def test_networks_that_are_not_there_are_told_before_anything_is_read(
    source: PerformanceSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEYPORTRAIT_WEIGHTS", raising=False)
    gone = replace(source, path=f"{source.path}.gone")
    with pytest.raises(ReportedError, match="LivePortrait") as caught:
        Operations().answer(message_of(gone), quiet)
    assert caught.value.code in ("not_installed", "no_models")
    assert "Set Up LivePortrait" in caught.value.hint
    with pytest.raises(ReportedError) as caught:
        read_performance(gone, quiet)
    assert caught.value.code == "not_installed"


def test_both_sides_know_the_same_files_without_performers() -> None:
    assert set(MOTION_SUFFIXES) == set(SUFFIXES)
    with pytest.raises(ValueError, match="no reader"):
        PerformanceSource.from_json({"path": "a.mp4", "reader": "AUTO"})
