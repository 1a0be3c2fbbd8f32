"""Motion templates: old and new files, damage, and pickles that would run something."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.performance.geometry import rotation_matrix
from engine.performance.ratios import OpeningRatios
from engine.performance.template import (
    MotionTemplate,
    TemplateError,
    read_template,
    write_template,
)

RANDOM = np.random.default_rng(11)
COUNT = 5


def frames(rotation_key: str = "R", **extra: tuple[int, ...]) -> list[dict[str, np.ndarray]]:
    shapes = {rotation_key: (1, 3, 3), "exp": (1, 21, 3), "t": (1, 3), "scale": (1, 1), **extra}
    return [
        {key: RANDOM.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}
        for _ in range(COUNT)
    ]


def official(**changes: Any) -> dict[str, Any]:
    return {"n_frames": COUNT, "output_fps": 25, "motion": frames()} | changes


def save(path: Path, data: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_templates_of_any_pickle_protocol(tmp_path: Path, protocol: int) -> None:
    data = official()
    template = read_template(save(tmp_path / "t.pkl", data, protocol))
    assert len(template) == COUNT
    assert template.fps == 25.0
    assert template.ratios is None
    for i, frame in enumerate(data["motion"]):
        assert np.array_equal(template.rotation[i], frame["R"][0])
        assert np.array_equal(template.expression[i], frame["exp"][0])
        assert np.array_equal(template.translation[i], frame["t"][0])
        assert template.scale[i] == frame["scale"][0, 0]


def test_old_key_names(tmp_path: Path) -> None:
    lists = {
        "c_d_eyes_lst": [np.array([[0.1 * i, 0.2]], np.float32) for i in range(COUNT)],
        "c_d_lip_lst": [np.array([[0.05]], np.float32) for _ in range(COUNT)],
    }
    data = official(motion=frames("R_d"), **lists)
    template = read_template(save(tmp_path / "d.pkl", data))
    assert np.array_equal(template.rotation[3], data["motion"][3]["R_d"][0])
    assert template.ratios is not None
    assert template.ratios.eyes[2] == pytest.approx([0.2, 0.2])
    assert template.ratios.lips.shape == (COUNT, 1)


def test_arrays_of_other_types_and_orders(tmp_path: Path) -> None:
    data = official()
    for frame in data["motion"]:
        frame["exp"] = np.asfortranarray(frame["exp"].astype(">f8"))
    template = read_template(save(tmp_path / "t.pkl", data))
    assert template.expression[1] == pytest.approx(data["motion"][1]["exp"][0])
    assert template.expression.dtype == np.float32


def test_number_scalars_of_numpy_are_numbers(tmp_path: Path) -> None:
    template = read_template(save(tmp_path / "t.pkl", official(output_fps=np.float64(29.97))))
    assert template.fps == pytest.approx(29.97)


def test_written_templates_come_back_and_load_as_plain_pickles(tmp_path: Path) -> None:
    template = MotionTemplate(
        rotation=rotation_matrix(*RANDOM.normal(size=(3, COUNT)) * 20),
        expression=RANDOM.normal(size=(COUNT, 21, 3)).astype(np.float32),
        translation=RANDOM.normal(size=(COUNT, 3)).astype(np.float32),
        scale=RANDOM.uniform(1, 2, COUNT).astype(np.float32),
        fps=30.0,
        ratios=OpeningRatios(
            RANDOM.uniform(size=(COUNT, 2)).astype(np.float32),
            RANDOM.uniform(size=(COUNT, 1)).astype(np.float32),
        ),
        keypoints=RANDOM.normal(size=(COUNT, 21, 3)).astype(np.float32),
    )
    path = tmp_path / "own.pkl"
    write_template(path, template)
    again = read_template(path)
    for name in ("rotation", "expression", "translation", "scale", "keypoints"):
        assert np.array_equal(getattr(again, name), getattr(template, name))
    assert again.ratios is not None
    assert template.ratios is not None
    assert np.array_equal(again.ratios.eyes, template.ratios.eyes)
    plain = pickle.loads(path.read_bytes())
    assert plain["output_fps"] == 30
    assert {key: value.shape for key, value in plain["motion"][0].items()} == {
        "scale": (1, 1), "R": (1, 3, 3), "exp": (1, 21, 3), "t": (1, 3), "kp": (1, 21, 3),
        "x_s": (1, 21, 3),
    }  # fmt: skip
    assert plain["c_eyes_lst"][0].shape == (1, 2)
    assert plain["c_lip_lst"][0].shape == (1, 1)


class RunsSomething:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("place", ["motion", "extra", "frame"])
def test_hostile_pickles_run_nothing(tmp_path: Path, place: str) -> None:
    trap = RunsSomething(tmp_path / "was here")
    data = official()
    if place == "frame":
        data["motion"][0]["exp"] = trap
    else:
        data[place] = trap
    with pytest.raises(TemplateError, match=r"'bad.pkl' is refused: .*mkdir"):
        read_template(save(tmp_path / "bad.pkl", data))
    assert not (tmp_path / "was here").exists()


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    data = official(extra=np.array([{}, []], dtype=object))
    with pytest.raises(TemplateError):
        read_template(save(tmp_path / "bad.pkl", data))


def test_an_array_may_not_claim_more_than_it_holds(tmp_path: Path) -> None:
    path = save(tmp_path / "t.pkl", np.zeros((1, 21, 3), np.float32), protocol=2)
    # K\x15K\x03 is the shape's end, (…, 21, 3): claim 255 keypoints in the same bytes.
    forged = path.read_bytes().replace(b"K\x15K\x03", b"K\xffK\x03")
    assert forged != path.read_bytes()
    path.write_bytes(forged)
    with pytest.raises(TemplateError, match="impossible shape"):
        read_template(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"motion": []}, "no motion"),
        ({"motion": "none"}, "no motion"),
        ({"n_frames": 99}, "frames do not fit"),
        ({"output_fps": -1}, "frame rate"),
        ({"n_frames": np.array([COUNT, COUNT])}, "frames do not fit"),
        ({"output_fps": None}, "frame rate"),
        ({"output_fps": np.array([25, 30])}, "frame rate"),
        ({"motion": frames("rotation")}, "no usable 'R_d'"),
        ({"motion": [{**frames()[0], "exp": np.zeros((1, 68, 2))}] * COUNT}, "no usable 'exp'"),
        ({"motion": [{**frames()[0], "t": np.full((1, 3), np.nan)}] * COUNT}, "no numbers"),
        ({"c_eyes_lst": [np.zeros((1, 2))], "c_lip_lst": [np.zeros((1, 1))]}, "ratios"),
    ],
)
def test_damage_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        read_template(save(tmp_path / "some.pkl", official(**changes)))
    assert "some.pkl" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps([1, 2])])
def test_other_files_are_no_templates(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.pkl"
    path.write_bytes(content)
    with pytest.raises(TemplateError, match=r"other\.pkl"):
        read_template(path)


def test_cut_files_are_damaged_at_every_length(tmp_path: Path) -> None:
    whole = pickle.dumps(official(), protocol=4)
    path = tmp_path / "cut.pkl"
    for length in range(0, len(whole) - 1, 97):
        path.write_bytes(whole[:length])
        with pytest.raises(TemplateError):
            read_template(path)


def test_missing_files_are_file_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_template(tmp_path / "nowhere.pkl")


def test_points_and_slices() -> None:
    zeros = np.zeros((COUNT, 3), np.float32)
    template = MotionTemplate(
        np.tile(np.eye(3, dtype=np.float32), (COUNT, 1, 1)),
        np.zeros((COUNT, 21, 3), np.float32),
        zeros + np.array([0.5, 0.25, 3.0], np.float32),
        np.arange(1, COUNT + 1, dtype=np.float32),
        keypoints=np.ones((COUNT, 21, 3), np.float32),
    )
    expected = np.tile([3.5, 3.25, 3.0], (1, 21, 1))
    assert template[2:3].points == pytest.approx(expected)
    assert len(template[1:4]) == 3
    assert template[1:4].ratios is None


# ---- what a file may cost ----------------------------------------------------------------------

# Run in a process of its own: reads every file of a folder and tells the peak of its memory.
# Linux hands the peak that getrusage tells down from a large parent; that of the memory map is the
# process's own.
MEASURE = """
import re, resource, sys
from pathlib import Path
from engine.performance.template import TemplateError, read_template

def peak():
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\\s+([0-9]+) kB", status.read_text())[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = peak()
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_template(path)
    except TemplateError:
        pass
    print(path.name, peak() - before)
"""


def megabytes_to_read(folder: Path) -> dict[str, int]:
    """File name → MB that the process has grown by when the file was read."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder)],
        cwd=root, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: int(size) for name, size in (line.split() for line in done.stdout.splitlines())}


def text_encoded_often(count: int) -> bytes:
    """A text of 1 MB in the memo, and calls that make bytes of it."""
    text = b"X" + (1 << 20).to_bytes(4, "little") + b"a" * (1 << 20) + b"q\x01"
    call = b"c_codecs\nencode\nh\x01X\x06\0\0\0latin1\x86R"
    return b"\x80\x02(" + text + call * count + b"l."


def lists_of_lists(width: int) -> bytes:
    """Five levels, each the level below `width` times."""
    level = b"\x80\x02]q\0(" + b"K\1" * width + b"e"
    for number in range(1, 5):
        level += b"0]q" + bytes([number]) + b"(" + (b"h" + bytes([number - 1])) * width + b"e"
    return b"\x80\x02}X\x06\0\0\0motion" + level[2:] + b"s."


GREEDY = {
    "memo": b"\x80\x02Nr\xff\xff\xff\x01.",
    "memo in text": b"Np33554431\n.",
    "frame": b"\x80\x04\x95" + (1 << 29).to_bytes(8, "little") + b"N.",
    "bytes": b"\x80\x04\x8e" + (1 << 29).to_bytes(8, "little") + b"abc.",
    "bytearray": b"\x80\x05\x96" + (1 << 29).to_bytes(8, "little") + b"abc.",
    "text": b"\x80\x04\x8d" + (1 << 29).to_bytes(8, "little") + b"abc.",
    "number": b"\x80\x02\x8b" + (1 << 29).to_bytes(4, "little") + b"abc.",
    "encode": text_encoded_often(300),
    "sets": b"\x80\x04(" + b"\x8f" * 2_000_000 + b"l.",
    "lists": b"\x80\x04(" + b"]" * 2_500_000 + b"l.",
    "sharing": lists_of_lists(60),
}


@pytest.mark.parametrize("kind", GREEDY)
def test_a_small_file_costs_little(tmp_path: Path, kind: str) -> None:
    (tmp_path / "greedy.pkl").write_bytes(GREEDY[kind])
    with pytest.raises(TemplateError, match=r"greedy\.pkl"):
        read_template(tmp_path / "greedy.pkl")
    assert max(megabytes_to_read(tmp_path).values()) < 150


def test_random_damage_costs_little(tmp_path: Path) -> None:
    """Bytes of a real template overwritten at random, and opcodes in random order."""
    wholes = [pickle.dumps(official(), protocol) for protocol in (0, 2, 4, 5)]
    for number in range(300):
        damaged = bytearray(wholes[number % 4])
        for place in RANDOM.integers(0, len(damaged), 1 + number % 7):
            damaged[place] = RANDOM.integers(0, 256)
        (tmp_path / f"damaged{number}").write_bytes(damaged)
        codes = np.frombuffer(b"(.0N]})1e2tlasu\x85\x86\x87\x8e\x8d\x8b\x96\x95rjRbq\xff\x01", "u1")
        (tmp_path / f"random{number}").write_bytes(b"\x80\x04" + RANDOM.choice(codes, 40).tobytes())
    assert max(megabytes_to_read(tmp_path).values()) < 60


def test_a_still_pose_may_be_one_frame_many_times(tmp_path: Path) -> None:
    still = official(n_frames=900, motion=frames()[:1] * 900)
    assert len(read_template(save(tmp_path / "still.pkl", still))) == 900
