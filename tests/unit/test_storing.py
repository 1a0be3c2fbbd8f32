"""A face's own curves as files: what is stored and captured again is the same motion."""

from __future__ import annotations

import errno
import pickle

import numpy as np
import pytest
from full_disk import files_of_at_most

from engine import storing
from engine.capture import capture, read_performance
from engine.controls import CONTROLS_BY_NAME, Motion, motion_from_controls
from engine.motion import Face
from engine.operations import Operations
from engine.performance.geometry import rotation_matrix
from engine.performance.performance import Performance, PerformanceError
from engine.performance.resampling import on_frames, resampled
from engine.performance.slider_expression import slider_expression
from engine.performance.template import read_template
from engine.protocol import Array, Message
from engine.renderer import ReportedError
from engine.storing import FaceCurves, store
from engine.take import AUTO, KEYPORTRAIT, LIVEPORTRAIT, PerformanceSource, TakeOptions, with_take

COUNT = 40
FACE = Face((0.0, 0.0, 1.0, 1.0), pitch=4.0, yaw=-8.0, roll=3.0, eyes_open=0.36, lips_open=0.02)


def quiet(_fraction: float, _text: str) -> None:
    pass


@pytest.fixture
def motions() -> list[tuple[Motion, dict[str, float]]]:
    """(motion, sliders) at uneven times: two sliders, detail, and the head."""
    rng = np.random.default_rng(5)
    detail = rng.normal(0.0, 0.001, 63)
    found = []
    for i in range(COUNT):
        share = i / (COUNT - 1)
        sliders = {"smile": 0.8 * share, "blink": float(i == 20), "gaze_x": -0.4 * share}
        motion = motion_from_controls({**sliders, "head_yaw": 12.0 * share, "head_scale": 1.1})
        motion = with_take(motion, share * detail, [0.05 * share, -0.02, 0.0], {})
        found.append((motion, sliders))
    return found


@pytest.fixture
def curves(motions) -> FaceCurves:
    times = np.cumsum(np.where(np.arange(COUNT) % 3 == 0, 0.03, 0.05))
    names = list(motions[0][1])
    return FaceCurves(
        times=times,
        pose=np.array([[m.pitch, m.yaw, m.roll] for m, _ in motions]),
        translation=np.array([m.translation for m, _ in motions]),
        scale=np.array([m.scale for m, _ in motions]),
        expression=np.array([m.expression for m, _ in motions]),
        openings=np.full((COUNT, 2), np.nan),
        sliders={name: np.array([s[name] for _, s in motions]) for name in names},
    )


def played(taken, index: int) -> Motion:
    """The motion of one frame of a take, every frame keyed."""
    values = {n: float(v) for n, v in zip(taken.columns, taken.values[0, index], strict=True)}
    return with_take(
        motion_from_controls(values), taken.expression[0, index], taken.translation[0, index], {}
    )


def test_what_is_stored_and_captured_again_is_the_same(tmp_path, curves, motions) -> None:
    path = tmp_path / "ada.npz"
    store(curves, FACE, path, KEYPORTRAIT, 25.0, quiet)
    taken = capture(PerformanceSource(str(path)), [FACE], TakeOptions(reference=AUTO), quiet)
    assert taken.times == pytest.approx(curves.times - curves.times[0])
    values = dict(zip(taken.columns, taken.values[0].T, strict=True))
    for name, column in curves.sliders.items():
        assert values[name] == pytest.approx(column, abs=1e-5), name
    for index, (motion, _) in enumerate(motions):
        again = played(taken, index)
        assert again.expression == pytest.approx(motion.expression, abs=1e-6)
        assert again.yaw == pytest.approx(motion.yaw, abs=1e-3)
        assert again.scale == pytest.approx(motion.scale, abs=1e-5)
        assert again.translation == pytest.approx(motion.translation, abs=1e-6)


def test_the_motion_goes_to_another_face_as_it_is(tmp_path, curves, motions) -> None:
    path = tmp_path / "ada.npz"
    store(curves, FACE, path, KEYPORTRAIT, 25.0, quiet)
    other = Face((0.0, 0.0, 1.0, 1.0), eyes_open=0.2)
    taken = capture(PerformanceSource(str(path)), [other], TakeOptions(reference=AUTO), quiet)
    last, (motion, _) = played(taken, COUNT - 1), motions[-1]
    assert last.expression == pytest.approx(motion.expression, abs=1e-6)
    assert last.yaw == pytest.approx(motion.yaw, abs=1.0)


def test_a_template_has_what_liveportraits_loop_reads(tmp_path, curves) -> None:
    path = tmp_path / "ada.pkl"
    store(curves, FACE, path, LIVEPORTRAIT, 30.0, quiet)
    data = pickle.loads(path.read_bytes())
    count = data["n_frames"]
    assert data["output_fps"] == 30
    assert len(data["motion"]) == len(data["c_eyes_lst"]) == len(data["c_lip_lst"]) == count
    assert count == int((curves.times[-1] - curves.times[0]) * 30.0 + 1e-6) + 1
    shapes = {"scale": (1, 1), "R": (1, 3, 3), "exp": (1, 21, 3), "t": (1, 3)}
    for frame in data["motion"]:
        assert {key: frame[key].shape for key in shapes} == shapes
        assert all(frame[key].dtype == np.float32 for key in shapes)
    assert data["c_eyes_lst"][0].shape == (1, 2)
    assert data["c_lip_lst"][0].shape == (1, 1)
    assert data["c_eyes_lst"][0] == pytest.approx(0.36, abs=0.02)
    assert min(row.min() for row in data["c_eyes_lst"]) < 0.15
    assert len(read_template(path)) == count


def test_a_templates_motion_is_the_curves(tmp_path, curves) -> None:
    path = tmp_path / "ada.pkl"
    store(curves, FACE, path, LIVEPORTRAIT, 60.0, quiet)
    performance = read_performance(PerformanceSource(str(path)))
    smile = performance.expression[:, 20, 1]
    wanted = np.interp(
        performance.times, curves.times - curves.times[0], curves.expression[:, 3 * 20 + 1]
    )
    assert smile == pytest.approx(wanted, abs=1e-6)


def test_openings_become_lids_and_lips_of_the_next_face(tmp_path, curves) -> None:
    openings = curves.openings.copy()
    openings[10:, 0] = 0.18
    openings[10:, 1] = 0.4
    path = tmp_path / "ada.npz"
    store(
        FaceCurves(**{**curves.__dict__, "openings": openings}),
        FACE,
        path,
        KEYPORTRAIT,
        25.0,
        quiet,
    )
    stored = read_performance(PerformanceSource(str(path)))
    assert stored.sliders["blink"][12] == pytest.approx(0.5, abs=1e-5)
    assert stored.ratios is not None
    assert stored.ratios.eyes[12].mean() == pytest.approx(0.18, abs=1e-6)
    assert stored.ratios.lips[12, 0] == pytest.approx(0.4, abs=1e-6)
    assert stored.expression[12, 19, 1] > 0.03
    assert stored.ratios.lips[2, 0] == pytest.approx(0.02, abs=0.05)


def test_columns_of_sliders_are_what_the_controls_make() -> None:
    rng = np.random.default_rng(2)
    names = [name for name, control in CONTROLS_BY_NAME.items() if control.terms]
    table = {}
    for name in names:
        control = CONTROLS_BY_NAME[name]
        table[name] = rng.uniform(control.minimum, control.maximum, 9)
    found = slider_expression(table, 9)
    for row in range(9):
        values = {name: float(column[row]) for name, column in table.items()}
        wanted = motion_from_controls(values).expression
        assert found[row].reshape(-1) == pytest.approx(wanted, abs=1e-9)


def performance_at(times, yaw, cuts=()) -> Performance:
    yaw = np.asarray(yaw, np.float64)
    count = len(yaw)
    return Performance(
        times=np.asarray(times, np.float64),
        rotation=rotation_matrix(0 * yaw, yaw, 0 * yaw),
        translation=np.repeat(yaw[:, None], 3, axis=1).astype(np.float32),
        scale=np.ones(count, np.float32),
        expression=np.zeros((count, 21, 3), np.float32),
        ratios=None,
        is_seen=np.ones(count, bool),
        cuts=cuts,
    )


def test_resampling_keeps_time_and_length() -> None:
    times = np.arange(0, 20 * 60 * 29.97) / 29.97
    even = resampled(performance_at(times, times / 100.0), 24.0)
    assert even.times == pytest.approx(np.arange(len(even)) / 24.0)
    assert times[-1] - even.times[-1] < 1.0 / 24.0
    assert even.translation[:, 0] == pytest.approx(even.times / 100.0, abs=1e-4)


def test_turns_stay_turns_and_nothing_is_blended_over_a_cut() -> None:
    even = resampled(performance_at([0.0, 0.5, 1.0, 1.5], [0.0, 60.0, -40.0, -40.0], (2,)), 10.0)
    products = even.rotation @ even.rotation.transpose(0, 2, 1)
    assert products == pytest.approx(np.tile(np.eye(3), (16, 1, 1)), abs=1e-5)
    assert even.translation[:, 0] == pytest.approx(
        [0, 12, 24, 36, 48, 60, 60, 60, 60, 60, -40, -40, -40, -40, -40, -40], abs=1e-3
    )
    assert even.cuts == (10,)


def test_moments_become_those_of_a_scene_s_frames() -> None:
    """From the frame beside the first moment to the one beside the last, whatever the phase."""
    times = np.arange(31) / 30.0
    given = performance_at(times, 20.0 * times, (15,))
    even = on_frames(given, 0.02, 24.0)
    assert (even.times - 0.02) * 24.0 == pytest.approx(np.round((even.times - 0.02) * 24.0))
    assert np.diff(even.times) == pytest.approx(1.0 / 24.0)
    assert abs(even.times[0]) <= 0.5 / 24.0 and abs(even.times[-1] - 1.0) <= 0.5 / 24.0
    moments = np.clip(even.times, 0.0, 1.0)
    is_before = (moments > times[14]) & (moments < times[15])
    wanted = np.where(is_before, 20.0 * times[14], 20.0 * moments)
    assert even.translation[:, 0] == pytest.approx(wanted, abs=1e-4)
    assert even.cuts == (int(np.flatnonzero(even.times >= times[15] - 1e-6)[0]),)
    assert on_frames(given, 0.1, 30.0) is given
    assert on_frames(performance_at([0.0], [5.0]), 0.0, 24.0).times == pytest.approx([0.0])
    with pytest.raises(PerformanceError):
        on_frames(performance_at([0.0, 1e6 + 0.02], [0.0, 1.0]), 0.0, 24.0)


def test_one_frame_and_impossible_rates() -> None:
    assert len(resampled(performance_at([0.0], [5.0]), 25.0)) == 1
    for rate in (0.0, -1.0, float("nan"), float("inf"), 1e9):
        with pytest.raises(PerformanceError):
            resampled(performance_at([0.0, 1.0], [0.0, 1.0]), rate)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path, curves) -> None:
    path = tmp_path / "missing" / "ada.npz"
    with pytest.raises(ReportedError, match=r"ada\.npz") as caught:
        store(curves, FACE, path, KEYPORTRAIT, 25.0, quiet)
    assert caught.value.code == "write_failed"

    def stop(_fraction: float, _text: str) -> None:
        raise ReportedError("cancelled", "stopped")

    path = tmp_path / "ada.npz"
    with pytest.raises(ReportedError, match="stopped"):
        store(curves, FACE, path, KEYPORTRAIT, 25.0, stop)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("kind", "name"), [(KEYPORTRAIT, "ada.npz"), (LIVEPORTRAIT, "ada.pkl")])
@pytest.mark.parametrize("room", [0, 1, 700, 5000, 9000])
def test_a_disk_that_fills_up_keeps_the_older_file(tmp_path, curves, kind, name, room) -> None:
    path = tmp_path / name
    path.write_bytes(b"older")
    with files_of_at_most(room), pytest.raises(ReportedError) as caught:
        store(curves, FACE, path, kind, 25.0, quiet)
    assert caught.value.code == "write_failed"
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [(name, b"older")]


def test_a_full_disk_asks_for_space(tmp_path, curves, monkeypatch) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storing, "write_performance", fail)
    with pytest.raises(ReportedError, match=r"ada\.npz.*No space left") as caught:
        store(curves, FACE, tmp_path / "ada.npz", KEYPORTRAIT, 25.0, quiet)
    assert caught.value.hint == "Free some space on this disk, or choose another folder."


def request(curves: FaceCurves, place, **changes) -> Message:
    arrays = {
        name: np.ascontiguousarray(getattr(curves, name), np.float64)
        for name in ("times", "pose", "translation", "scale", "expression", "openings")
    }
    arrays["sliders"] = np.stack(list(curves.sliders.values()), axis=1)
    fields = {
        "path": str(place), "format": KEYPORTRAIT, "fps": 25.0, "face": FACE.to_json(),
        "columns": list(curves.sliders),
    }  # fmt: skip
    for name, value in changes.items():
        (arrays if name in arrays else fields)[name] = value
    wire = {n: Array(a.dtype.name, a.shape, a.tobytes()) for n, a in arrays.items()}
    return Message("store", 1, fields, wire)


def test_the_engine_answers_store(tmp_path, curves) -> None:
    path = tmp_path / "ada.npz"
    answer = Operations().answer(request(curves, path), quiet)
    assert isinstance(answer, Message)
    assert answer.fields == {"path": str(path), "frame_count": COUNT}
    assert path.is_file()


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "MP4"},
        {"path": ""},
        {"fps": "many"},
        {"face": {"box": [1]}},
        {"columns": ["ears", "smile", "grin"]},
        {"columns": ["smile"]},
        {"times": np.zeros(COUNT)},
        {"times": np.zeros(0)},
        {"pose": np.zeros((3, 3))},
        {"expression": np.full((COUNT, 63), np.nan)},
    ],
)
def test_requests_that_make_no_sense_are_refused(tmp_path, curves, changes) -> None:
    with pytest.raises(ReportedError) as caught:
        Operations().answer(request(curves, tmp_path / "ada.npz", **changes), quiet)
    assert caught.value.code == "bad_request"
