"""Our own file of a performance: what is written comes back, and nothing else is believed."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from engine.analytic.slider_fit import FITTED
from engine.capture import capture, read_performance
from engine.controls import motion_from_controls
from engine.motion import Face
from engine.performance.geometry import rotation_matrix
from engine.performance.mirror import mirrored_performance
from engine.performance.performance import Performance, PerformanceError, Rest
from engine.performance.performance_file import MAX_BYTES, read_performance_file, write_performance
from engine.performance.ratios import OpeningRatios
from engine.renderer import ReportedError
from engine.take import NEUTRAL, PerformanceSource, TakeOptions

COUNT = 12
FACE = Face((0.0, 0.0, 1.0, 1.0), pitch=4.0, yaw=-8.0, roll=3.0)


def quiet(_fraction: float, _text: str) -> None:
    pass


@pytest.fixture
def performance() -> Performance:
    """Uneven times, a smile on a slider, a rest of its own."""
    rng = np.random.default_rng(1)
    smile = np.linspace(0.2, 0.9, COUNT).astype(np.float32)
    expression = np.array([motion_from_controls({"smile": v}).expression for v in smile])
    turn = np.linspace(-10.0, 10.0, COUNT)
    return Performance(
        times=np.cumsum(rng.uniform(0.01, 0.1, COUNT)),
        rotation=rotation_matrix(0 * turn, turn, 0 * turn),
        translation=rng.normal(0, 0.1, (COUNT, 3)).astype(np.float32),
        scale=np.linspace(1.0, 1.2, COUNT).astype(np.float32),
        expression=expression.reshape(COUNT, 21, 3).astype(np.float32),
        ratios=OpeningRatios(
            rng.uniform(0, 1, (COUNT, 2)).astype(np.float32),
            rng.uniform(0, 1, (COUNT, 1)).astype(np.float32),
        ),
        is_seen=np.arange(COUNT) != 3,
        cuts=(5, 9),
        sliders={"smile": smile},
        rest=Rest(
            np.eye(3, dtype=np.float32),
            np.zeros(3, np.float32),
            1.0,
            np.zeros((21, 3), np.float32),
            OpeningRatios(np.full((1, 2), 0.35, np.float32), np.zeros((1, 1), np.float32)),
        ),
        keypoints=rng.normal(0, 1, (21, 3)).astype(np.float32),
        neutral=rng.normal(0, 0.01, (21, 3)).astype(np.float32),
    )


@pytest.fixture
def path(tmp_path, performance):
    path = tmp_path / "ada.npz"
    write_performance(path, performance)
    return path


def test_a_performance_comes_back_whole(path, performance) -> None:
    back = read_performance_file(path)
    assert back.times == pytest.approx(performance.times - performance.times[0])
    for name in (
        "rotation",
        "translation",
        "scale",
        "expression",
        "is_seen",
        "keypoints",
        "neutral",
    ):
        assert np.array_equal(getattr(back, name), getattr(performance, name)), name
    assert back.ratios is not None
    assert np.array_equal(back.ratios.eyes, performance.ratios.eyes)
    assert np.array_equal(back.ratios.lips, performance.ratios.lips)
    assert back.cuts == (5, 9)
    assert np.array_equal(back.sliders["smile"], performance.sliders["smile"])
    assert back.rest is not None
    assert np.array_equal(back.rest.rotation, np.eye(3))
    assert np.array_equal(back.rest.ratios.eyes, performance.rest.ratios.eyes)


def test_numpy_opens_it_without_pickle(path) -> None:
    with np.load(path, allow_pickle=False) as file:
        assert int(file["keyportrait_performance"]) == 1
        assert file["expression"].shape == (COUNT, 21, 3)


def test_a_known_rest_gives_the_sliders_as_they_were(path, performance) -> None:
    source = PerformanceSource(str(path))
    taken = capture(source, [FACE], TakeOptions(reference=NEUTRAL), quiet)
    assert taken.reference == -1
    values = dict(zip(taken.columns, taken.values[0].T, strict=True))
    assert values["smile"] == pytest.approx(performance.sliders["smile"], abs=1e-6)
    others = [values[name] for name in FITTED if name != "smile"]
    assert np.abs(others).max() == 0.0
    assert np.abs(taken.expression).max() < 1e-6
    assert taken.times[-1] == pytest.approx(np.ptp(performance.times))


def test_a_mirrored_performance_has_mirrored_sliders(performance) -> None:
    there = mirrored_performance(replace(performance, sliders={"wink_left": np.ones(COUNT)}))
    assert set(there.sliders) == {"wink_right"}
    back = mirrored_performance(mirrored_performance(performance))
    assert back.expression == pytest.approx(performance.expression)
    assert back.rest.rotation == pytest.approx(performance.rest.rotation)


def test_one_frame_with_a_known_rest_is_a_pose(performance, tmp_path) -> None:
    path = tmp_path / "pose.npz"
    one = replace(
        performance,
        **{n: getattr(performance, n)[-1:] for n in ("times", "rotation", "translation", "scale",
                                                     "expression", "ratios", "is_seen")},
        sliders={"smile": performance.sliders["smile"][-1:]},
        cuts=(),
    )  # fmt: skip
    write_performance(path, one)
    taken = capture(PerformanceSource(str(path)), [FACE], TakeOptions(), quiet)
    values = dict(zip(taken.columns, taken.values[0].T, strict=True))
    assert values["smile"] == pytest.approx([0.9])
    assert abs(values["head_yaw"][0]) > 5.0


def test_the_first_frame_may_be_the_rest_all_the_same(path, performance) -> None:
    taken = capture(PerformanceSource(str(path)), [FACE], TakeOptions(), quiet)
    values = dict(zip(taken.columns, taken.values[0].T, strict=True))
    smile = performance.sliders["smile"]
    assert values["smile"] == pytest.approx(smile - smile[0], abs=1e-6)


def arrays_of(path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("keyportrait_performance", np.int64(2), "newer"),
        ("keyportrait_performance", np.int64(0), "no format 0"),
        ("times", np.zeros(COUNT), "do not rise"),
        ("times", np.zeros(0), "no frames"),
        ("times", np.full(COUNT, np.nan), "no numbers"),
        ("rotation", np.ones((COUNT, 3, 3), np.float32), "no rotations"),
        ("rotation", -np.tile(np.eye(3), (COUNT, 1, 1)), "no rotations"),
        ("scale", np.zeros(COUNT, np.float32), "above 0"),
        ("expression", np.zeros((COUNT, 20, 3), np.float32), "shape"),
        ("expression", np.full((COUNT, 21, 3), np.inf, np.float32), "no numbers"),
        ("expression", np.zeros((50 * COUNT, 21, 3), np.float32), "larger than"),
        ("expression", np.zeros((COUNT, 21, 3), np.complex64), "instead of numbers"),
        ("is_seen", np.array(["yes"] * COUNT), "instead of numbers"),
        ("cuts", np.array([COUNT]), "that there are not"),
        ("cuts", np.array([0.5]), "that there are not"),
        ("slider_smile", np.ones(3, np.float32), "shape"),
        ("rest_scale", np.float32(-1), "rest_scale"),
    ],
)
def test_what_makes_no_sense_is_refused_and_named(path, name, value, says) -> None:
    np.savez(path, **arrays_of(path) | {name: value})
    with pytest.raises(PerformanceError, match=says) as caught:
        read_performance_file(path)
    assert "'ada.npz'" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["times", "rotation", "expression", "is_seen", "scale"])
def test_a_missing_array_is_named(path, name) -> None:
    arrays = arrays_of(path)
    del arrays[name]
    np.savez(path, **arrays)
    with pytest.raises(PerformanceError, match=f"no '{name}'"):
        read_performance_file(path)


def test_sliders_and_arrays_of_other_versions_are_left_alone(path) -> None:
    np.savez(path, **arrays_of(path) | {"slider_ears": np.ones(2), "mood": np.array(["calm"])})
    assert set(read_performance_file(path).sliders) == {"smile"}


class Bomb:
    def __reduce__(self):
        return (eval, ("1/0",))


def test_pickled_objects_are_refused_unread(path) -> None:
    np.savez(path, **arrays_of(path) | {"scale": np.array([Bomb()] * COUNT, object)})
    with pytest.raises(PerformanceError, match="instead of numbers"):
        read_performance_file(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", pickle.dumps({"motion": []}), b"PK\5\6"])
def test_other_files_are_refused(tmp_path, content) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(PerformanceError, match=r"other\.npz"):
        read_performance_file(path)


def test_a_zip_of_something_else_is_refused(tmp_path) -> None:
    path = tmp_path / "notes.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(PerformanceError, match="no performance of KeyPortrait"):
        read_performance_file(path)


def test_every_cut_and_every_flipped_byte_is_survived(path) -> None:
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:length])
        with pytest.raises(PerformanceError):
            read_performance_file(path)
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 300):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        path.write_bytes(broken)
        try:
            read_performance_file(path)
        except PerformanceError as error:
            assert "ada.npz" in str(error)


def npy_header(shape: str, dtype: str = "<f4") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def with_member(path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {item: archive.read(item) for item in archive.namelist()}
    members[f"{name}.npy"] = content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for item, data in members.items():
            archive.writestr(item, data)


@pytest.mark.parametrize(
    "content",
    [
        npy_header("(99999999999,)"),
        npy_header("(-1, -1)"),
        npy_header("(" * 400 + ")" * 400),
        npy_header("(12,)", "|O"),
        b"\x93NUMPY\x02\x00" + b"\xff" * 40,
        b"\x93NUMPY\x01\x00\xff\xff",
        b"",
    ],
)
@pytest.mark.parametrize("name", ["times", "scale", "cuts"])
def test_lying_headers_claim_no_memory(path, content, name) -> None:
    with_member(path, name, content)
    tracemalloc.start()
    try:
        with pytest.raises(PerformanceError):
            read_performance_file(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("size", "says"), [(MAX_BYTES, "unpack to more"), (MAX_BYTES // 4, "larger than")]
)
def test_a_bomb_is_not_unpacked(path, size: int, says: str) -> None:
    with_member(path, "times", npy_header(f"({size // 8},)", "<f8") + bytes(size))
    assert path.stat().st_size < 1e6
    tracemalloc.start()
    try:
        with pytest.raises(PerformanceError, match=says):
            read_performance_file(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_directory_without_end_is_not_read(tmp_path) -> None:
    path = tmp_path / "many.npz"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(3000):
            archive.writestr(f"{number}.npy", b"")
    path.write_bytes(buffer.getvalue())
    with pytest.raises(PerformanceError, match="table of contents"):
        read_performance_file(path)


def test_two_parts_of_one_name_and_foreign_packing_are_refused(path) -> None:
    with zipfile.ZipFile(path) as archive:
        content = archive.read("times.npy")
        members = {item: archive.read(item) for item in archive.namelist()}
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("times.npy", content)
    with pytest.raises(PerformanceError, match="one name"):
        read_performance_file(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for item, data in members.items():
            archive.writestr(item, data)
    with pytest.raises(PerformanceError, match="numpy does not use"):
        read_performance_file(path)


def test_capture_reports_it_with_the_next_step(tmp_path) -> None:
    path = tmp_path / "broken.npz"
    path.write_bytes(b"PK\3\4 and no more")
    with pytest.raises(ReportedError, match=r"broken\.npz") as caught:
        read_performance(PerformanceSource(str(path)))
    assert caught.value.code == "bad_performance"
    assert caught.value.hint
    with pytest.raises(ReportedError, match=r"missing\.npz"):
        read_performance(PerformanceSource(str(tmp_path / "missing.npz")))
