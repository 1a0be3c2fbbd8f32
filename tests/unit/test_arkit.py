"""Live Link Face's recordings: shapes by name, times by timecode, a table that users edit."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from engine.capture import capture
from engine.controls import CONTROLS_BY_NAME, motion_from_controls
from engine.motion import Face
from engine.performance.arkit import read_arkit
from engine.performance.arkit_table import SHAPES, matrix, read_table, shipped_table
from engine.performance.geometry import euler_degrees
from engine.performance.performance import PerformanceError
from engine.performance.timecode import seconds_of
from engine.renderer import ReportedError
from engine.take import AUTO, PerformanceSource, TakeOptions
from engine.taking import make_takes

FACE = Face((0.0, 0.0, 1.0, 1.0), eyes_open=0.35)
NAMES = tuple(shipped_table())


def timecode(frame: int, rate: int = 60, start_s: int = 15 * 3600 + 59 * 60 + 58) -> str:
    seconds, rest = divmod(frame, rate)
    seconds = (start_s + seconds) % 86400
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}.250"


def write(path, rows, names=NAMES, codes=None, *, delimiter=",", count="61"):
    """A recording: one {shape: value} for each row; other shapes are 0."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["Timecode", "BlendShapeCount", *names])
        for frame, row in enumerate(rows):
            values = [f"{row.get(name, 0.0):.6f}" for name in names]
            writer.writerow([codes[frame] if codes else timecode(frame), count, *values])
    return path


def ramp(**shapes):
    """90 rows in which shapes go from 0 to these values."""
    return [{name: value * i / 89 for name, value in shapes.items()} for i in range(90)]


def quiet(_fraction: float, _text: str) -> None:
    pass


def test_the_table_has_a_row_for_each_of_the_52_shapes() -> None:
    assert len(SHAPES) == len({name.lower() for name in SHAPES}) == 52
    assert {"EyeBlinkLeft", "JawOpen", "CheekPuff", "NoseSneerRight", "TongueOut"} <= set(SHAPES)
    lefts = [name for name in SHAPES if name.endswith("Left")]
    assert all(name.removesuffix("Left") + "Right" in SHAPES for name in lefts)


def test_the_table_is_the_same_in_a_mirror() -> None:
    """What a shape of one side does, that of the other side does mirrored."""
    table = shipped_table()
    for name in SHAPES:
        partner = name.replace("Left", "#").replace("Right", "Left").replace("#", "Right")
        mirrored = {}
        for control, amount in table[name].items():
            row = CONTROLS_BY_NAME[control]
            mirrored[row.mirror or control] = row.mirror_sign * amount
        if partner != name:
            assert mirrored == pytest.approx(table[partner]), name
        else:
            assert mirrored == pytest.approx(table[name]), name


def test_a_recording_becomes_sliders(tmp_path) -> None:
    path = write(tmp_path / "take.csv", ramp(JawOpen=0.8, EyeBlinkLeft=1.0, HeadYaw=0.2))
    performance = read_arkit(path)
    assert performance.times == pytest.approx(np.arange(90) / 60.0, abs=1e-6)
    assert performance.sliders["mouth_open"][-1] == pytest.approx(0.8)
    # The performer's left is on the picture's right.
    assert performance.sliders["wink_right"][-1] == pytest.approx(1.0)
    assert performance.sliders["wink_left"][-1] == 0.0
    yaw = euler_degrees(performance.rotation)[-1, 1]
    assert yaw == pytest.approx(-np.degrees(0.2), abs=1e-3)
    assert performance.notices == ()
    values = {name: float(column[-1]) for name, column in performance.sliders.items()}
    expected = motion_from_controls(values).expression
    assert performance.expression[-1].reshape(-1) == pytest.approx(expected, abs=1e-7)


def test_two_winks_are_a_blink(tmp_path) -> None:
    path = write(tmp_path / "take.csv", ramp(EyeBlinkLeft=1.0, EyeBlinkRight=0.6))
    sliders = read_arkit(path).sliders
    assert sliders["blink"][-1] == pytest.approx(0.6)
    assert sliders["wink_right"][-1] == pytest.approx(0.4)


def test_a_smirk_is_a_smirk(tmp_path) -> None:
    path = write(tmp_path / "take.csv", ramp(MouthSmileLeft=0.9, MouthSmileRight=0.3))
    taken = make_takes(read_arkit(path), [FACE], TakeOptions(reference=AUTO))
    values = dict(zip(taken.columns, taken.values[0, -1], strict=True))
    assert values["smile"] == pytest.approx(0.3)
    assert values["smile_right"] == pytest.approx(0.6)
    assert values["smile_left"] == pytest.approx(0.0)
    assert np.abs(taken.expression).max() < 1e-6


def test_takes_are_what_the_table_says_without_detail(tmp_path) -> None:
    rows = [{"JawOpen": 0.5, "MouthPucker": 0.3}] * 30 + ramp(JawOpen=0.8)
    path = write(tmp_path / "take.csv", rows)
    taken = capture(PerformanceSource(str(path)), [FACE], TakeOptions(reference=AUTO), quiet)
    values = dict(zip(taken.columns, taken.values[0].T, strict=True))
    assert values["mouth_open"][0] == pytest.approx(0.5)
    assert values["purse"][0] == pytest.approx(0.3)
    assert np.abs(taken.expression).max() < 1e-6
    keys = dict(zip(taken.columns, taken.keys[0].T, strict=True))
    assert keys["mouth_open"].sum() < 8


def test_mirror_changes_sides(tmp_path) -> None:
    path = write(tmp_path / "take.csv", ramp(EyeBlinkLeft=1.0, HeadYaw=0.2))
    options = TakeOptions(reference=AUTO, use_mirror=True)
    taken = make_takes(read_arkit(path), [FACE], options)
    values = dict(zip(taken.columns, taken.values[0].T, strict=True))
    assert values["wink_left"][-1] == pytest.approx(1.0)
    assert values["head_yaw"][-1] == pytest.approx(np.degrees(0.2), abs=1e-2)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name[0].lower() + name[1:],
        lambda name: name[0].lower() + name[1:].replace("Left", "_L").replace("Right", "_R"),
        str.upper,
    ],
)
def test_names_may_be_written_otherwise_and_in_any_order(tmp_path, rename) -> None:
    rows = ramp(JawOpen=0.8, EyeBlinkLeft=1.0)
    plain = read_arkit(write(tmp_path / "a.csv", rows))
    names = [rename(name) if "Eye" not in name[1:] else name for name in reversed(NAMES)]
    renamed = [{rename(name): value for name, value in row.items()} for row in rows]
    other = read_arkit(write(tmp_path / "b.csv", renamed, names))
    assert other.expression == pytest.approx(plain.expression)


def test_a_spreadsheets_semicolons_and_commas_are_read(tmp_path) -> None:
    path = write(tmp_path / "a.csv", ramp(JawOpen=0.8), delimiter=";")
    path.write_text("\ufeff" + path.read_text().replace("0.", "0,"), encoding="utf-8")
    assert read_arkit(path).sliders["mouth_open"][-1] == pytest.approx(0.8)


def test_missing_columns_are_said(tmp_path) -> None:
    names = [name for name in SHAPES if name not in ("TongueOut", "CheekPuff")]
    performance = read_arkit(write(tmp_path / "take.csv", ramp(JawOpen=0.8), names))
    text = " ".join(performance.notices)
    assert "lacks 2 of 52 shapes" in text
    assert "TongueOut" in text
    assert "no head angles" in text


def test_eyes_without_shapes_follow_their_angles(tmp_path) -> None:
    names = [name for name in NAMES if not name.startswith("EyeLook")]
    rows = ramp(LeftEyeYaw=0.35, RightEyeYaw=0.35)
    gaze = read_arkit(write(tmp_path / "take.csv", rows, names)).sliders["gaze_x"]
    assert gaze[-1] == pytest.approx(0.5, abs=0.02)
    both = ramp(LeftEyeYaw=0.35, RightEyeYaw=0.35, EyeLookOutLeft=0.4, EyeLookInRight=0.4)
    gaze = read_arkit(write(tmp_path / "both.csv", both)).sliders["gaze_x"]
    assert gaze[-1] == pytest.approx(0.4, abs=1e-6)


@pytest.mark.parametrize("rate", [24, 25, 30, 50, 60])
def test_timecodes_are_read_at_their_rate(rate: int) -> None:
    found = seconds_of([timecode(frame, rate) for frame in range(3 * rate)])
    assert found is not None
    assert found[1] == rate
    assert found[0] == pytest.approx(np.arange(3 * rate) / rate, abs=1e-6)


def test_midnight_drops_and_short_recordings() -> None:
    found = seconds_of([timecode(frame, start_s=86399) for frame in range(120)])
    assert found is not None
    assert found[0] == pytest.approx(np.arange(120) / 60.0, abs=1e-6)
    short = seconds_of([timecode(frame) for frame in range(10)])
    assert short is not None
    assert short[1] == 60
    with_drops = seconds_of([timecode(frame) for frame in range(0, 300, 7)])
    assert with_drops is not None
    assert with_drops[0][-1] == pytest.approx(294 / 60.0, abs=1e-6)
    assert seconds_of(["1:2"]) is None


def test_rows_without_a_face_are_filled_in(tmp_path) -> None:
    path = write(tmp_path / "take.csv", ramp(JawOpen=0.89))
    lines = path.read_text().splitlines()
    for i in (41, 42, 43):
        code = lines[i].split(",")[0]
        lines[i] = ",".join([code, "0", *[""] * len(NAMES)])
    path.write_text("\n".join(lines) + "\n")
    performance = read_arkit(path)
    assert (~performance.is_seen).sum() == 3
    assert performance.sliders["mouth_open"] == pytest.approx(np.arange(90) / 100.0, abs=1e-5)
    assert any("3 rows" in notice for notice in performance.notices)


def test_rows_out_of_order_and_a_cut_last_row_are_told(tmp_path) -> None:
    codes = [timecode(frame) for frame in range(90)]
    codes[20] = codes[10]
    path = write(tmp_path / "take.csv", ramp(JawOpen=0.8), codes=codes)
    path.write_text(path.read_text()[:-40])
    performance = read_arkit(path)
    assert len(performance) == 88
    text = " ".join(performance.notices)
    assert "out of order" in text
    assert "cut off" in text


def test_times_in_seconds_none_or_standing_still(tmp_path) -> None:
    names = [name for name in NAMES if name != "Timecode"]
    seconds = [f"{100.0 + i / 30.0:.6f}" for i in range(90)]
    performance = read_arkit(write(tmp_path / "a.csv", ramp(JawOpen=0.8), names, seconds))
    assert performance.times[-1] == pytest.approx(89 / 30.0, abs=1e-5)
    still = read_arkit(write(tmp_path / "b.csv", ramp(JawOpen=0.8), codes=["10:00:00:00"] * 90))
    assert still.times[-1] == pytest.approx(89 / 60.0)
    assert any("stand still" in notice for notice in still.notices)


BAD = {
    "empty": ("", "empty"),
    "only a header": ("Timecode,BlendShapeCount,JawOpen\n", "no rows"),
    "metahuman": ("Frame,CTRL_expressions_jawOpen\n1,0.5\n", "MetaHuman"),
    "action units": ("frame, timestamp, AU01_r\n1,0.1,0.5\n", "none of ARKit's"),
    "text": ("Dear Ada,\n", "none of ARKit's"),
    "letters": ("Timecode,BlendShapeCount,JawOpen\n00:00:00:00,1,open\n", "line 2 has 'open'"),
    "percent": ("Timecode,BlendShapeCount,JawOpen\n00:00:00:00,1,70\n", "0 to 1"),
    "nan": ("Timecode,BlendShapeCount,JawOpen\n00:00:00:00,1,nan\n", "no numbers"),
    "huge": ("Timecode,BlendShapeCount,JawOpen\n00:00:00:00,1,1e300\n", "no numbers"),
    "codes": ("Timecode,BlendShapeCount,JawOpen\nnoon,1,0.5\n", "no timecode"),
    "no face": ("Timecode,BlendShapeCount,JawOpen\n00:00:00:00,0,\n", "no face"),
    "short row": (
        "Timecode,BlendShapeCount,JawOpen\n00:00:00:00,1\n00:00:00:01,1,0.5\n", "line 2"
    ),
    "long cell": ("Timecode,JawOpen\n" + "a" * 200_000 + ",1\n", "no CSV table"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_other_files_are_refused_and_named(tmp_path, kind: str) -> None:
    content, says = BAD[kind]
    path = tmp_path / "other.csv"
    path.write_text(content)
    with pytest.raises(PerformanceError, match=says) as caught:
        read_arkit(path)
    assert "'other.csv'" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"\xff\xfeJ\x00", bytes(range(256)) * 40, b"\x00" * 5000])
def test_bytes_that_are_no_text_are_refused(tmp_path, content: bytes) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    with pytest.raises(PerformanceError, match=r"other\.csv"):
        read_arkit(path)


def test_a_long_recording_can_be_cancelled(tmp_path) -> None:
    path = write(tmp_path / "take.csv", ramp(JawOpen=0.8) * 30)

    def stop(_fraction: float, text: str) -> None:
        if text.startswith("Reading row"):
            raise ReportedError("cancelled", "stopped")

    with pytest.raises(ReportedError, match="stopped"):
        capture(PerformanceSource(str(path)), [FACE], TakeOptions(), stop)


def test_the_users_table_takes_the_place_of_rows(tmp_path) -> None:
    table = tmp_path / "arkit.csv"
    table.write_text("shape,control,amount\n# mine\njawOpen,mouth_open,0.5,grin,0.2\nHeadYaw\n")
    path = write(tmp_path / "take.csv", ramp(JawOpen=1.0, HeadYaw=0.2, MouthPucker=0.4))
    source = PerformanceSource(str(path), arkit_table=str(table))
    taken = capture(source, [FACE], TakeOptions(reference=AUTO), quiet)
    values = dict(zip(taken.columns, taken.values[0].T, strict=True))
    assert values["mouth_open"][-1] == pytest.approx(0.5)
    assert values["grin"][-1] == pytest.approx(0.2)
    assert values["purse"][-1] == pytest.approx(0.4)
    assert not values["head_yaw"].any()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("EarsUp,smile,1", "no ARKit shape"),
        ("JawOpen,ears,1", "no control"),
        ("JawOpen,eyes_open,1", "no control"),
        ("JawOpen,mouth_open", "without an amount"),
        ("JawOpen,mouth_open,much", "no amount"),
        ("JawOpen,mouth_open,nan", "no amount"),
    ],
)
def test_a_wrong_row_of_the_users_table_is_named(tmp_path, row: str, says: str) -> None:
    table = tmp_path / "arkit.csv"
    table.write_text(f"shape,control,amount\n{row}\n")
    with pytest.raises(PerformanceError, match=says) as caught:
        read_table(table)
    assert "'arkit.csv', line 2" in str(caught.value)


def test_a_missing_or_huge_table_is_named(tmp_path) -> None:
    path = write(tmp_path / "take.csv", ramp(JawOpen=1.0))
    table = tmp_path / "arkit.csv"
    source = PerformanceSource(str(path), arkit_table=str(table))
    with pytest.raises(ReportedError, match="cannot be read"):
        capture(source, [FACE], TakeOptions(), quiet)
    table.write_text("x" * 100_000)
    with pytest.raises(ReportedError, match=r"arkit\.csv"):
        capture(source, [FACE], TakeOptions(), quiet)


def test_a_matrix_is_the_table() -> None:
    controls, weights = matrix(shipped_table(), ["JawOpen", "MouthClose", "TongueOut"])
    assert controls == ("mouth_open",)
    assert weights[:, 0] == pytest.approx([1.0, -0.9, 0.0])
