"""A face that is moved on purpose is followed, and what is read of it is what was done."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from engine.analytic.encoder import encode
from engine.analytic.renderer import AnalyticRenderer
from engine.clip_reading import performance_of
from engine.controls import motion_from_controls
from engine.faces.find import find_faces
from engine.faces.measures import MEASURE_NAMES
from engine.motion import Face
from engine.performance.geometry import euler_degrees
from engine.performance.smoothing import OneEuro, steadied
from engine.renderer import SourceImage
from engine.take import AUTO, TakeOptions
from engine.taking import make_takes
from engine.tracking.clip_tracks import ClipTracks, read_tracks
from engine.tracking.curves import curves_of, ratios_of

DATA = Path(__file__).resolve().parents[1] / "data"
RATE = 25.0
COUNT = 30
FACE = Face((0.0, 0.0, 1.0, 1.0))


class Frame(NamedTuple):
    time_s: float
    image: np.ndarray


def frames_of(images) -> list[Frame]:
    return [Frame(index / RATE, image) for index, image in enumerate(images)]


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    picture = cv2.imread(str(DATA / "astronaut.jpg"))
    return np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)[:300, 60:400])


@pytest.fixture(scope="module")
def moves() -> dict[str, np.ndarray]:
    """What the face is made to do: a turn, a tilt, a word, a smile and a blink."""
    steps = np.linspace(0.0, 2.0 * np.pi, COUNT)
    blink = np.zeros(COUNT)
    blink[14:17] = (0.9, 1.0, 0.9)
    return {
        "head_yaw": 10.0 * np.sin(steps),
        "head_roll": 5.0 * np.sin(2.0 * steps),
        "smile": np.maximum(0.0, -0.8 * np.sin(steps)),
        "mouth_open": np.maximum(0.0, 0.5 * np.sin(steps)),
        "blink": blink,
    }


@pytest.fixture(scope="module")
def moved(photo, moves) -> list[np.ndarray]:
    """The photo's frames with these moves."""
    image = SourceImage(np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)]), "srgb")
    portrait = AnalyticRenderer().open(image, find_faces(image)[0])
    frames = []
    for row in range(COUNT):
        canvas = image.pixels.copy()
        motion = motion_from_controls({name: values[row] for name, values in moves.items()})
        portrait.render(motion, canvas)
        frames.append(canvas[..., :3].copy())
    return frames


@pytest.fixture(scope="module")
def tracks(moved) -> ClipTracks:
    return read_tracks(frames_of(moved))


def correlation(first, second) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def measure_of(curves, name: str) -> np.ndarray:
    return curves.measures[:, MEASURE_NAMES.index(name)]


def test_what_was_done_is_read_back(tracks, moves) -> None:
    assert not tracks.cuts
    assert len(tracks.performers) == 1
    assert tracks.performers[0].is_seen.all()
    curves = curves_of(tracks.performers[0], tracks.times, tracks.cuts, 0.5)
    _, yaw, roll = euler_degrees(curves.rotation).T
    assert correlation(yaw, moves["head_yaw"]) > 0.97
    assert correlation(roll, moves["head_roll"]) > 0.97
    assert correlation(measure_of(curves, "lift_left"), moves["smile"]) > 0.8
    assert correlation(measure_of(curves, "lip_gap"), moves["mouth_open"]) > 0.9
    assert ratios_of(curves.measures).lips.min() >= 0.0


def test_a_blink_of_three_frames_survives_smoothing(tracks) -> None:
    track = tracks.performers[0]
    eyes = [
        ratios_of(curves_of(track, tracks.times, (), smooth).measures).eyes for smooth in (0.0, 0.5)
    ]
    for ratios in eyes:
        shut = ratios[14:17].mean(axis=1)
        assert (shut < 0.6 * np.median(ratios)).all()
    assert np.abs(eyes[0] - eyes[1])[14:17].max() < 0.05


def test_the_encoder_says_what_the_decoder_reads(tracks, moves) -> None:
    """The same moves come out of a performance as sliders."""
    from engine.analytic.slider_fit import FITTED, fit_sliders

    curves = curves_of(tracks.performers[0], tracks.times, tracks.cuts, 0.5)
    expression = encode(curves.measures, curves.lids_open).reshape(COUNT, -1)
    sliders = fit_sliders(expression - expression[:1])
    assert correlation(sliders[:, FITTED.index("mouth_open")], moves["mouth_open"]) > 0.9
    assert correlation(sliders[:, FITTED.index("blink")], moves["blink"]) > 0.8
    assert sliders[15, FITTED.index("blink")] > 0.9
    opened = sliders[:, FITTED.index("mouth_open")]
    assert 0.75 < np.polyfit(moves["mouth_open"], opened, 1)[0] < 1.25


def test_no_neutral_first_frame_is_needed(moved, tracks) -> None:
    """A clip that begins in the middle of a word opens the mouth as the whole clip does."""
    begun = 5
    part = read_tracks(frames_of(moved[begun:]))
    opened = []
    for read in (tracks, part):
        takes = make_takes(
            performance_of(read, 0, 0.5), [FACE], TakeOptions(reference=AUTO, tolerance=0.0)
        )
        opened.append(takes.values[0, :, takes.columns.index("mouth_open")])
    assert opened[1][0] > 0.2
    difference = np.abs(opened[0][begun:] - opened[1])
    assert np.percentile(difference, 80) < 0.05  # smoothing knows less of the first frames
    assert difference.max() < 0.12


def test_a_still_head_stays_still(photo) -> None:
    rng = np.random.default_rng(1)
    noisy = [
        np.clip(photo + rng.normal(0.0, 3.0, photo.shape), 0, 255).astype(np.uint8)
        for _ in range(20)
    ]
    tracks = read_tracks(frames_of(noisy))
    curves = curves_of(tracks.performers[0], tracks.times, tracks.cuts, 0.5)
    assert curves.scale.std() < 0.002
    assert curves.translation[:, :2].std(axis=0).max() < 0.002
    assert euler_degrees(curves.rotation).std(axis=0).max() < 0.15


def test_cuts_black_and_losses_shift_no_time(moved) -> None:
    """Two shots with black between, and a hand before the face in the second."""
    other = [cv2.resize(image[:240, :260], (340, 300)) for image in moved[:12]]
    black = [np.zeros_like(moved[0])] * 3
    for image in other[4:7]:
        cv2.rectangle(image, (130, 70), (280, 270), (150, 110, 90), -1)
    tracks = read_tracks(frames_of([*moved[:6], *black, *other]))
    assert tracks.cuts == (9,)
    assert len(tracks.performers) == 1
    seen = tracks.performers[0].is_seen
    assert seen[:6].all() and not seen[6:9].any()
    assert seen[9:13].all() and not seen[13:16].any() and seen[16:].all()
    curves = curves_of(tracks.performers[0], tracks.times, tracks.cuts, 0.5)
    assert np.isfinite(curves.measures).all() and np.isfinite(curves.rotation).all()
    assert len(curves.scale) == len(tracks.times) == 21


def test_who_is_who_is_kept_when_two_faces_cross(photo) -> None:
    """Two people walk past each other; the nearer one hides the other for a while."""
    first = photo[20:220, 60:260]
    tinted = first[:, ::-1].astype(np.float32) * [0.75, 0.85, 1.0]
    second = cv2.resize(tinted.astype(np.uint8), (160, 160), interpolation=cv2.INTER_AREA)
    images = []
    for step in np.linspace(0.0, 1.0, 24):
        image = np.full((260, 640, 3), (60, 90, 70), np.uint8)
        x = round(10 + 440 * (1.0 - step))
        image[40:200, x : x + 160] = second
        x = round(10 + 420 * step)
        image[30:230, x : x + 200] = first
        images.append(image)
    tracks = read_tracks(frames_of(images))
    assert not tracks.cuts
    assert len(tracks.performers) == 2
    near, far = tracks.performers
    assert near.place[0, 0] < 250 and near.place[-1, 0] > 400
    assert far.place[0, 0] > 400 and far.place[-1, 0] < 250
    assert not far.is_seen.all()
    listed = tracks.listed()
    assert [p.index for p in listed] == [0, 1]
    assert listed[0].box[2] - listed[0].box[0] > listed[1].box[2] - listed[1].box[0]


def test_who_comes_later_is_noticed_within_a_quarter_of_a_second(photo) -> None:
    alone = np.full((260, 640, 3), (60, 90, 70), np.uint8)
    alone[30:230, 20:220] = photo[20:220, 60:260]
    both = alone.copy()
    both[30:230, 400:600] = photo[20:220, 60:260][:, ::-1]
    tracks = read_tracks(frames_of([alone] * 10 + [both] * 8))
    _, later = tracks.performers
    assert later.place[-1, 0] > 400
    assert 10 <= np.flatnonzero(later.is_seen)[0] <= 10 + 0.25 * 25


def test_a_small_face_is_found_where_there_is_no_larger_one(photo) -> None:
    image = np.full((1080, 1200, 3), (60, 90, 70), np.uint8)
    image[300:400, 500:613] = cv2.resize(photo, (113, 100), interpolation=cv2.INTER_AREA)
    tracks = read_tracks(frames_of([image]))
    assert len(tracks.performers) == 1
    assert tracks.listed()[0].box[0] == pytest.approx(0.44, abs=0.03)
    curves = curves_of(tracks.performers[0], tracks.times, tracks.cuts, 0.5)
    assert np.isfinite(curves.measures).all()


def test_what_was_read_is_kept_whole(tracks, tmp_path) -> None:
    path = tmp_path / "performance.npz"
    tracks.save(path)
    again = ClipTracks.load(path)
    assert again.size == tracks.size and again.cuts == tracks.cuts
    for name, array in tracks.performers[0].arrays.items():
        assert np.array_equal(array, again.performers[0].arrays[name], equal_nan=True)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError):
        ClipTracks.load(path)


def test_smoothing_takes_noise_and_leaves_motion() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.02, 0.06, 200))
    clean = np.where(times < times[100], 0.0, 5.0)[:, None]
    noisy = clean + rng.normal(0.0, 0.1, (200, 1))
    spread, window = np.array([0.1]), np.array([0.2])
    smooth = steadied(noisy, times, spread, window, 0.5)
    assert np.abs(smooth - clean)[10:-10].max() < 0.2
    assert np.abs(smooth - clean).mean() < 0.5 * np.abs(noisy - clean).mean()
    assert np.array_equal(steadied(noisy, times, spread, window, 0.0), noisy)
    causal = OneEuro(1.0, 0.5)
    live = np.array([causal.step(row, t) for row, t in zip(noisy, times, strict=True)])
    assert np.std(live[50:100]) < 0.6 * np.std(noisy[50:100])
    assert abs(live[108, 0] - 5.0) < 0.8
