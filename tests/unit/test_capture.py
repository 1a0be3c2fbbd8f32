"""From motion templates to takes: what the sliders say, what they leave over, where keys are."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from engine.analytic.slider_fit import FITTED, expression_of, fit_sliders
from engine.capture import capture
from engine.controls import CONTROLS_BY_NAME, motion_from_controls
from engine.motion import Face, Motion
from engine.performance.curve_keys import fit_curves, fit_keys
from engine.performance.geometry import euler_degrees, rotation_matrix
from engine.performance.template import MotionTemplate, write_template
from engine.renderer import ReportedError
from engine.take import PerformanceSource, TakeOptions, weakened, with_take
from engine.taking import COLUMNS

COUNT = 40
FACE = Face((0.0, 0.0, 1.0, 1.0), pitch=4.0, yaw=-8.0, roll=3.0)


def quiet(_fraction: float, _text: str) -> None:
    pass


def values_of(captured, name: str) -> np.ndarray:
    return captured.values[0, :, captured.columns.index(name)]


@pytest.fixture
def performance(tmp_path):
    """(path, template): a turning head, keyed sliders and what no slider can say."""
    rng = np.random.default_rng(3)
    steps = np.linspace(0.0, 1.0, COUNT)
    sliders = np.zeros((COUNT, len(FITTED)))
    sliders[:, FITTED.index("mouth_open")] = 0.8 * np.sin(np.pi * steps)
    rest = rng.normal(0.0, 0.0015, 63)[None] * steps[:, None]
    expression = (expression_of(sliders) + rest).reshape(COUNT, 21, 3).astype(np.float32)
    template = MotionTemplate(
        rotation=rotation_matrix(5.0 * steps, 20.0 * steps, -3.0 * steps),
        expression=expression + rng.normal(0.0, 0.02, (1, 21, 3)).astype(np.float32),
        translation=np.stack([0.1 * steps, 0.0 * steps, 5.0 * steps], axis=1).astype(np.float32),
        scale=(1.5 + 0.3 * steps).astype(np.float32),
        fps=25.0,
    )
    path = tmp_path / "performance.pkl"
    write_template(path, template)
    return path, template


@pytest.mark.parametrize("name", FITTED)
def test_a_slider_is_recognised_by_what_it_shows(name: str) -> None:
    for value in (0.5, 1.0, -0.5):
        if value < CONTROLS_BY_NAME[name].minimum:
            continue
        wanted = np.zeros((1, len(FITTED)))
        wanted[0, FITTED.index(name)] = value
        # Alike shapes of the mouth may share it; nobody else's slider moves.
        close = 0.3 if CONTROLS_BY_NAME[name].group == "Mouth" else 0.06
        assert fit_sliders(expression_of(wanted)) == pytest.approx(wanted, abs=close * 1.6)


def test_the_sliders_expression_is_that_of_the_controls() -> None:
    values = {name: 0.3 * (-1) ** index for index, name in enumerate(FITTED)}
    values |= {name: abs(values[name]) for name in FITTED if CONTROLS_BY_NAME[name].minimum == 0}
    row = np.array([[values[name] for name in FITTED]])
    assert expression_of(row)[0] == pytest.approx(motion_from_controls(values).expression)


def test_sliders_and_detail_are_the_performance_exactly(performance) -> None:
    path, template = performance
    captured = capture(PerformanceSource(str(path)), [FACE], TakeOptions(), quiet)
    sliders = np.stack([values_of(captured, name) for name in FITTED], axis=1)
    total = expression_of(sliders) + captured.expression[0]
    wanted = (template.expression - template.expression[:1]).reshape(COUNT, -1)
    assert total == pytest.approx(wanted, abs=1e-6)
    assert values_of(captured, "mouth_open").max() > 0.5


def test_the_head_turns_from_the_faces_own_pose(performance) -> None:
    path, template = performance
    captured = capture(PerformanceSource(str(path)), [FACE], TakeOptions(), quiet)
    own = np.array([FACE.pitch, FACE.yaw, FACE.roll])
    turned = captured.values[0, :, :3] + own
    source = rotation_matrix(*own[:, None])[0]
    wanted = template.rotation @ template.rotation[0].T @ source
    assert rotation_matrix(*turned.T) == pytest.approx(wanted, abs=1e-5)
    assert values_of(captured, "head_scale")[-1] == pytest.approx(1.8 / 1.5, abs=1e-5)
    assert captured.translation[0, -1] == pytest.approx([0.1, 0.0, 0.0], abs=1e-6)
    assert captured.times[-1] == pytest.approx((COUNT - 1) / 25.0)


@pytest.mark.parametrize(
    ("region", "still"),
    [("pose", FITTED), ("exp", COLUMNS[:4]), ("lip", (*COLUMNS[:4], "blink", "gaze_x", "brows")),
     ("eyes", (*COLUMNS[:4], "brows", "smile", "mouth_open"))],
)  # fmt: skip
def test_a_region_moves_nothing_else(performance, region: str, still) -> None:
    captured = capture(
        PerformanceSource(str(performance[0])), [FACE], TakeOptions(region=region), quiet
    )
    for name in still:
        rest = 1.0 if name == "head_scale" else 0.0
        assert np.abs(values_of(captured, name) - rest).max() < 1e-6, name
    assert not captured.translation.any() or region == "pose"


def test_reduced_curves_stay_near_the_performance(performance) -> None:
    captured = capture(
        PerformanceSource(str(performance[0])), [FACE], TakeOptions(tolerance=0.02), quiet
    )
    for index, name in enumerate(COLUMNS):
        column, keys = captured.values[0, :, index], captured.keys[0, :, index]
        line = played(column, captured.slopes[0, :, index], keys, captured.times)
        low, high = CONTROLS_BY_NAME[name].soft_range
        assert np.abs(line - column).max() <= 0.02 * (high - low) + 1e-5
        assert keys.sum() <= 8 * captured.times[-1]


def played(
    values: np.ndarray, slopes: np.ndarray, is_key: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """The curve through keys as Bezier handles a third of the way along make it."""
    keys = np.flatnonzero(is_key)
    if len(keys) == 1:
        return np.full(len(times), values[keys[0]])
    line = np.empty(len(times))
    for a, b in pairwise(keys):
        t = (times[a : b + 1] - times[a]) / (times[b] - times[a])
        third = (times[b] - times[a]) / 3.0
        points = (
            values[a],
            values[a] + third * slopes[a],
            values[b] - third * slopes[b],
            values[b],
        )
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
        line[a : b + 1] = sum(w * p for w, p in zip(weights, points, strict=True))
    return line


def test_a_fast_performance_has_few_keys_too(tmp_path) -> None:
    """Looks that jump, blinks, a head that is never still: they needed up to 13 keys per second."""
    rng = np.random.default_rng(5)
    count, fps = 300, 30.0
    times = np.arange(count) / fps
    sliders = np.zeros((count, len(FITTED)))
    sliders[:, FITTED.index("gaze_x")] = np.repeat(rng.uniform(-0.6, 0.6, count // 10), 10)
    blinks = sum(np.exp(-(((times - at) / 0.05) ** 2)) for at in np.arange(0.2, 10.0, 0.6))
    sliders[:, FITTED.index("blink")] = blinks + rng.normal(0.0, 0.03, count)
    nods = np.convolve(rng.normal(0.0, 1.0, count + 6), np.full(7, 0.4), "valid")
    still = np.zeros(count)
    template = MotionTemplate(
        rotation=rotation_matrix(nods, still, still),
        expression=expression_of(sliders).reshape(count, 21, 3).astype(np.float32),
        translation=np.zeros((count, 3), np.float32),
        scale=np.ones(count, np.float32),
        fps=fps,
    )
    path = tmp_path / "fast.pkl"
    write_template(path, template)
    captured = capture(PerformanceSource(str(path)), [FACE], TakeOptions(), quiet)
    assert captured.keys[0].sum(axis=0).max() <= 8.0 * times[-1] + 2
    fitted = np.stack([values_of(captured, name) for name in FITTED], axis=1)
    wanted = (template.expression - template.expression[:1]).reshape(count, -1)
    assert expression_of(fitted) + captured.expression[0] == pytest.approx(wanted, abs=1e-6)
    loose = fit_sliders(wanted)
    for name in ("gaze_x", "blink"):
        low, high = CONTROLS_BY_NAME[name].soft_range
        off = np.abs(values_of(captured, name) - loose[:, FITTED.index(name)])
        assert off.max() <= 3 * 0.02 * (high - low) + 1e-5, name
    index = COLUMNS.index("head_pitch")
    column, is_key = captured.values[0, :, index], captured.keys[0, :, index]
    line = played(column, captured.slopes[0, :, index], is_key, captured.times)
    assert np.abs(line - column).max() <= 3 * 0.02 * 15.0 + 1e-4, "degrees"


@pytest.mark.parametrize("is_moving", [True, False])
def test_few_keys_make_a_noisy_curve_within_the_tolerance(is_moving: bool) -> None:
    rng = np.random.default_rng(2)
    times = np.cumsum(rng.uniform(0.02, 0.05, 900))  # variable frame rate
    blinks = sum(np.exp(-(((times - at) / 0.08) ** 2)) for at in rng.uniform(1.0, 29.0, 9))
    values = 0.3 * np.sin(1.7 * times) + blinks + rng.normal(0.0, 0.004, len(times))
    keys = fit_keys(values, times, 0.02, is_moving=is_moving)
    line = played(keys.values, keys.slopes, keys.is_key, times)
    assert np.abs(line - values).max() <= 0.02 + 1e-9
    assert line == pytest.approx(keys.values, abs=1e-9)
    assert keys.is_key.sum() <= (4 if is_moving else 5) * times[-1]
    if not is_moving:
        assert keys.values[keys.is_key] == pytest.approx(values[keys.is_key])


def test_curves_that_rest_have_one_key_and_short_ones_all() -> None:
    times = np.arange(9) / 25.0
    still = fit_keys(np.full(9, 0.004), times, 0.02)
    assert still.is_key.sum() == 1 and not still.values.any()
    assert fit_keys(np.full(9, 0.4), times, 0.02).values == pytest.approx(0.4)
    assert not len(fit_keys(np.zeros(0), np.zeros(0), 0.02).is_key)
    assert fit_keys(np.array([1.0]), times[:1], 0.02).is_key.all()
    assert fit_keys(np.array([0.0, 1.0]), times[:2], 0.02).is_key.all()


def test_nothing_goes_on_across_cuts_and_losses() -> None:
    times = np.arange(40) / 25.0
    values = np.where(times < 0.8, 0.0, 1.0)[:, None] * [1.0, 0.5]
    is_seen = np.ones(40, bool)
    is_seen[5:10] = False
    starts = np.arange(40) == 20
    curves = fit_curves(values, times, np.array([0.02, 0.02]), is_seen=is_seen, starts=starts)
    assert np.flatnonzero(curves.is_key[:, 0]).tolist() == [0, 10, 20]
    assert curves.values == pytest.approx(values) and not curves.slopes.any()


def test_angles_come_back() -> None:
    angles = np.random.default_rng(0).uniform(-60.0, 60.0, (50, 3))
    assert euler_degrees(rotation_matrix(*angles.T)) == pytest.approx(angles, abs=1e-3)


def test_amounts_weaken_towards_rest() -> None:
    rest = {"eyes_open": 0.4, "smile": 0.0, "head_yaw": 0.0}
    values = {"eyes_open": 0.2, "smile": 1.0, "head_yaw": 10.0}
    amounts = {"eyes_amount": 0.5, "mouth_amount": 0.0}
    expected = {"eyes_open": 0.3, "smile": 0.0, "head_yaw": 10.0}
    assert weakened(values, rest, amounts) == pytest.approx(expected)
    motion = with_take(Motion(), [0.1] * 63, [1.0, 2.0, 0.0], {"detail": 0.5, "eyes_amount": 0.5})
    assert motion.expression[0] == pytest.approx(0.05)
    assert motion.expression[3 * 11] == pytest.approx(0.025)
    assert motion.translation == (1.0, 2.0, 0.0)


@pytest.mark.parametrize(
    "options",
    [{"region": "nose"}, {"multiplier": -1.0}, {"speed": 2.0}, {"multiplier": "much"},
     {"reference": "LAST"}, {"reference_s": -1.0}, {"use_mirror": 2},
     {"fps": -1.0}, {"first_frame_s": math.inf}],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options) -> None:
    with pytest.raises((ValueError, TypeError)):
        TakeOptions.from_json(options)
    assert TakeOptions.from_json(TakeOptions(region="lip").to_json()) == TakeOptions(region="lip")


def test_a_file_that_is_no_performance_is_named(tmp_path) -> None:
    path = tmp_path / "notes.pkl"
    for content in (b"", b"some notes"):
        path.write_bytes(content)
        with pytest.raises(ReportedError, match=r"notes\.pkl") as caught:
            capture(PerformanceSource(str(path)), [FACE], TakeOptions(), quiet)
        assert caught.value.code == "bad_performance"


def test_a_part_of_a_performance_counts_from_its_own_start(performance) -> None:
    path, _ = performance

    def read(start: float | None, end: float | None):
        return capture(PerformanceSource(str(path), start, end), [FACE], TakeOptions(), quiet)

    whole, part = read(None, None), read(0.4, 1.0)
    assert part.times == pytest.approx(np.arange(15) / 25.0)
    turned, all_turned = values_of(part, "head_yaw"), values_of(whole, "head_yaw")[10:25]
    assert turned - turned[0] == pytest.approx(all_turned - all_turned[0], abs=0.1)
    with pytest.raises(ReportedError, match=r"performance\.pkl.*from 9 s on"):
        read(9.0, None)
