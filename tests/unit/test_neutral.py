"""The frame that counts as rest, and that the curves do not depend on where a clip begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.controls import CONTROLS_BY_NAME, motion_from_controls
from engine.motion import Face
from engine.neutral import neutral_frame
from engine.performance.geometry import rotation_matrix
from engine.performance.performance import Performance
from engine.take import FIRST, NEUTRAL, TakeOptions
from engine.taking import make_takes

FPS = 25.0
FACE = Face((0.0, 0.0, 1.0, 1.0), eyes_open=0.35)


def envelope(times: np.ndarray, start: float, end: float, ramp: float = 0.3) -> np.ndarray:
    """0 outside and 1 inside, with soft ends, seconds."""
    return np.clip(np.minimum((times - start) / ramp, (end - times) / ramp), 0.0, 1.0)


@pytest.fixture(scope="module")
def performance() -> Performance:
    """Ten seconds: at rest, a long smile, speech with nods, a wink, rest again, a raised brow."""
    rng = np.random.default_rng(11)
    times = np.arange(250) / FPS
    speaking = envelope(times, 4.0, 6.5)
    curves = {
        "smile": 0.9 * envelope(times, 1.0, 3.6, 0.5) + 0.3 * speaking,
        "mouth_open": speaking * (0.35 + 0.35 * np.sin(14.0 * times)),
        "blink": sum(envelope(times, t, t + 0.25, 0.1) for t in (0.5, 3.0, 5.1, 8.7)),
        "wink_left": 0.9 * envelope(times, 7.0, 7.5, 0.15),
        "brows": 0.8 * envelope(times, 8.9, 9.8),
        "gaze_x": 0.5 * envelope(times, 6.6, 8.0),
    }
    rows = [
        motion_from_controls(dict(zip(curves, map(float, row), strict=True))).expression
        for row in np.stack(list(curves.values()), axis=1) + rng.normal(0.0, 0.004, (250, 6))
    ]
    # A performer whose brows lie low and whose mouth hangs a little.
    own = np.array(motion_from_controls({"brows": -0.4, "smile": -0.15}).expression)
    expression = np.array(rows) + own
    pitch = 4.0 * speaking * np.sin(9.0 * times) + rng.normal(0.0, 0.05, len(times))
    yaw = 12.0 * envelope(times, 6.6, 8.0) - 6.0
    return Performance(
        times=times,
        rotation=rotation_matrix(pitch, yaw, np.full(len(times), 1.5)),
        translation=np.zeros((len(times), 3), np.float32),
        scale=np.ones(len(times), np.float32),
        expression=expression.reshape(-1, 21, 3).astype(np.float32),
        ratios=None,
        is_seen=np.ones(len(times), bool),
        neutral=np.zeros((21, 3)),
    )


def cut(performance: Performance, first: int) -> Performance:
    """What is left of a performance that begins later."""
    rows = {
        name: getattr(performance, name)[first:]
        for name in ("times", "rotation", "translation", "scale", "expression", "is_seen")
    }
    return replace(performance, **rows)


def test_rest_is_where_nothing_happens(performance: Performance) -> None:
    rest = neutral_frame(performance) / FPS
    assert rest < 0.5 or 3.6 < rest < 4.0 or 8.0 < rest < 8.7 or rest > 9.8


@pytest.mark.parametrize("start_s", [2.0, 3.2, 4.6, 7.2])
def test_a_clip_that_starts_mid_smile_gives_the_same_curves(
    performance: Performance, start_s: float
) -> None:
    first = round(start_s * FPS)
    # Every moment as it is: what few keys leave out is no matter of the rest.
    options = TakeOptions(reference=NEUTRAL, tolerance=0.0)
    whole, later = (
        make_takes(part, [FACE], options) for part in (performance, cut(performance, first))
    )
    assert later.columns == whole.columns
    for index, name in enumerate(whole.columns):
        low, high = CONTROLS_BY_NAME[name].soft_range
        difference = np.abs(later.values[0, :, index] - whole.values[0, first:, index])
        assert difference.max() < 0.05 * (high - low), name
    # The first frame as rest would turn the smile into its opposite.
    smile = whole.columns.index("smile")
    wrong = make_takes(cut(performance, first), [FACE], replace(options, reference=FIRST))
    if start_s == 2.0:
        off = np.abs(wrong.values[0, :, smile] - whole.values[0, first:, smile])
        assert off.max() > 0.4


def test_a_face_that_is_lost_is_no_rest(performance: Performance) -> None:
    seen = np.ones(len(performance), bool)
    seen[neutral_frame(performance)] = False
    assert seen[neutral_frame(replace(performance, is_seen=seen))]
    assert neutral_frame(replace(performance, is_seen=np.zeros(len(performance), bool))) == 0
    assert neutral_frame(cut(performance, len(performance) - 1)) == 0
