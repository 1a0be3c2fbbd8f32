"""What a performer's own face answers to the sliders tells what was done to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from engine.analytic.renderer import AnalyticRenderer
from engine.analytic.response_fit import LEVELS, Direction, Response, directions, solve
from engine.analytic.slider_fit import FITTED
from engine.clip_reading import performance_of
from engine.controls import motion_from_controls
from engine.faces.features import FEATURE_COUNT
from engine.faces.find import find_faces
from engine.motion import Face
from engine.own_face import load_response, response_of, save_response
from engine.performance.geometry import rotation_matrix
from engine.renderer import ReportedError, SourceImage
from engine.take import AUTO, TakeOptions
from engine.taking import COLUMNS, make_takes
from engine.tracking.clip_tracks import read_tracks

DATA = Path(__file__).resolve().parents[1] / "data"
FACE = Face((0.0, 0.0, 1.0, 1.0))
POSES = (
    {"brow_inner_left": 0.7},
    {"smile_left": 0.6},
    {"cheek_puff": 0.8},
    {"mouth_open": 0.6},
    {"blink": 0.8, "smile": 0.5},
    {"brows": 0.6, "pout": 0.6},
    {"head_yaw": 12.0},
)
REST, HOLD = 4, 5


class Frame(NamedTuple):
    time_s: float
    image: np.ndarray


def quiet(_fraction: float, _text: str) -> None:
    pass


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """A photograph that takes every pose, with rests between."""
    picture = cv2.imread(str(DATA / "astronaut.jpg"))
    photo = np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGBA)[:300, 60:400])
    portrait = AnalyticRenderer().open(
        SourceImage(photo, "srgb"), find_faces(SourceImage(photo, "srgb"))[0]
    )
    images = [photo] * REST
    for pose in POSES:
        canvas = photo.copy()
        portrait.render(motion_from_controls(pose), canvas)
        images += [canvas] * HOLD + [photo] * REST
    return [Frame(n / 25.0, np.ascontiguousarray(i[..., :3])) for n, i in enumerate(images)]


@pytest.fixture(scope="module")
def tracks(frames):
    return read_tracks(frames)


@pytest.fixture(scope="module")
def response(frames, tracks):
    response = response_of(frames[0].image, tracks.performers[0], 0, quiet)
    assert response is not None
    return response


def held(tracks, response) -> list[dict[str, float]]:
    """What a capture says of each pose."""
    performance = performance_of(tracks, 0, 0.5, respond=lambda _row: response)
    taken = make_takes(performance, [FACE], TakeOptions(reference=AUTO, tolerance=0.0))
    found = []
    for number in range(len(POSES)):
        first = REST + number * (HOLD + REST)
        values = np.median(taken.values[0, first + 1 : first + HOLD - 1], axis=0)
        found.append(dict(zip(taken.columns, map(float, values), strict=True)))
    return found


def errors_of(found: list[dict[str, float]]) -> list[float]:
    return [
        abs(values[name] - keyed)
        for values, pose in zip(found, POSES, strict=True)
        for name, keyed in pose.items()
        if name in FITTED
    ]


def test_sliders_come_back(tracks, response) -> None:
    errors = errors_of(held(tracks, response))
    # Of a small face that smiles already; single ones change by .09 with a single grey level.
    assert np.mean(errors) < 0.16


def test_a_head_that_turns_does_nothing_else(tracks, response) -> None:
    turned = held(tracks, response)[-1]
    assert turned["head_yaw"] == pytest.approx(12.0, abs=2.5)
    assert max(abs(turned[name]) for name in FITTED) < 0.15


def test_most_sliders_that_were_not_moved_stay(tracks, response) -> None:
    alone = [pose for pose in POSES if len(pose) == 1]
    for values, pose in zip(held(tracks, response), alone, strict=False):
        others = [abs(values[n]) for n in COLUMNS if n not in pose and not n.startswith("head")]
        assert np.median(others) < 0.1, pose


def test_small_moves_come_back_whose_answer_is_soon_over() -> None:
    """As of corners that go down: what counts as nothing is not measured by the end of the way."""
    ways = directions()
    apart = np.linalg.qr(np.random.default_rng(1).normal(size=(FEATURE_COUNT, len(ways))))[0].T
    answers = np.repeat(0.07 * apart[:, None], len(LEVELS), axis=1)
    known = Response(answers.astype(np.float32), np.zeros((1, FEATURE_COUNT), np.float32))
    number = ways.index(Direction(FITTED.index("smile_left"), -1.0))
    values = solve(0.5 * answers[number, :1], known).values[0]
    assert values[FITTED.index("smile_left")] == pytest.approx(-0.5 * LEVELS[0], abs=0.02)
    assert np.count_nonzero(np.abs(values) > 0.01) == 1


def test_the_average_face_knows_less(tracks, response) -> None:
    """What is gained: the same clip, read without the performer's own answers."""
    own, average = (errors_of(held(tracks, known)) for known in (response, None))
    assert np.mean(own) < 0.4 * np.mean(average)


def test_faces_that_cannot_be_opened_are_not_tried(frames, tracks) -> None:
    track = tracks.performers[0]
    turned = rotation_matrix(*np.array([[0.0], [40.0], [0.0]]))[0].T.astype(np.float32)
    aside = replace(track, rotation=np.broadcast_to(turned, track.rotation.shape))
    assert response_of(frames[0].image, aside, 0, quiet) is None
    far = replace(track, scale=np.full_like(track.scale, 2.0))
    assert response_of(frames[0].image, far, 0, quiet) is None
    assert response_of(np.zeros_like(frames[0].image), track, 0, quiet) is None


def test_the_trial_tells_and_can_be_stopped(frames, tracks) -> None:
    told: list[float] = []

    def report(fraction: float, _text: str) -> None:
        told.append(fraction)
        if len(told) == 20:
            raise ReportedError("cancelled", "")

    with pytest.raises(ReportedError):
        response_of(frames[0].image, tracks.performers[0], 0, report)
    assert len(told) == 20
    assert told == sorted(told)
    assert 0.0 < told[-1] < 0.2


def test_what_was_tried_is_kept(tmp_path, response) -> None:
    path = tmp_path / "kept.npz"
    save_response(response, path)
    for before, after in zip(response, load_response(path), strict=True):
        assert np.array_equal(before, after)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises((OSError, ValueError)):
        load_response(path)
