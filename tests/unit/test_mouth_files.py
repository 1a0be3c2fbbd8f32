"""Mouth shapes of Rhubarb and Papagayo become performances."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.performance.performance import Performance
from engine.reading import read_performance
from engine.renderer import ReportedError
from engine.take import PerformanceSource

CUES = [(0.0, 0.3, "X"), (0.3, 0.6, "D"), (0.6, 0.8, "A"), (0.8, 1.2, "F"), (1.2, 1.5, "X")]
TSV = "".join(f"{start:.2f}\t{shape}\n" for start, _, shape in CUES)
JSON = json.dumps(
    {
        "metadata": {"soundFile": "a.wav", "duration": 1.5},
        "mouthCues": [{"start": a, "end": b, "value": v} for a, b, v in CUES],
    }
)
XML = (
    '<?xml version="1.0" encoding="utf-8"?>\n<rhubarbResult><metadata><duration>1.5</duration>'
    "</metadata><mouthCues>"
    + "".join(f'<mouthCue start="{a}" end="{b}">{v}</mouthCue>' for a, b, v in CUES)
    + "</mouthCues></rhubarbResult>"
)
DAT = "MohoSwitch1\n1 rest\n8 AI\n15 MBP\n20 U\n30 rest\n"


def read(path: Path, text: str, **source: object) -> Performance:
    path.write_text(text, encoding="utf-8")
    return read_performance(PerformanceSource(str(path), **source))


def at(performance: Performance, name: str, seconds: float) -> float:
    return float(np.interp(seconds, performance.times, performance.sliders[name]))


@pytest.mark.parametrize(("name", "text"), [("a.tsv", TSV), ("a.json", JSON), ("a.XML", XML)])
def test_rhubarbs_letters_are_spoken(tmp_path, name, text) -> None:
    performance = read(tmp_path / name, text)
    assert at(performance, "mouth_open", 0.45) > 0.4
    assert at(performance, "mouth_open", 0.7) < 0.0
    assert at(performance, "purse", 1.0) > 0.8
    assert abs(at(performance, "mouth_open", 0.1)) < 0.02
    length_s = 1.3 if name == "a.tsv" else 1.5
    assert performance.times[-1] == pytest.approx(length_s, abs=0.021)
    assert performance.rest is not None and not performance.notices


def test_papagayos_frames_need_a_rate(tmp_path) -> None:
    performance = read(tmp_path / "a.dat", DAT)
    assert at(performance, "mouth_open", 10 / 24) > 0.35
    assert at(performance, "mouth_open", 16 / 24) < 0.0
    assert "24 frames a second" in performance.notices[0]
    faster = read(tmp_path / "a.dat", DAT, frame_rate=48.0)
    assert at(faster, "mouth_open", 10 / 48) > 0.25
    assert not faster.notices


def test_a_part_can_be_taken(tmp_path) -> None:
    performance = read(tmp_path / "a.tsv", TSV, start_s=0.3, end_s=0.8)
    assert performance.times[-1] < 0.5
    assert at(performance, "mouth_open", 0.15) > 0.4


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.tsv", "", "holds no mouth shapes"),
        ("a.tsv", "0.0\tX\nsoon\tA\n", "line 2 has 'soon'"),
        ("a.tsv", "0.0 X Y\n", "line 1"),
        ("a.tsv", "0.0\tQ\n", "the mouth shape 'Q'"),
        ("a.tsv", "1.0\tX\n0.5\tA\n", "go back"),
        ("a.tsv", "1e9\tX\n", "times that no sound has"),
        ("a.json", "{}", "no mouthCues"),
        ("a.json", '{"mouthCues": [{"start": NaN, "end": 1, "value": "A"}]}', "no numbers"),
        ("a.xml", "<a><b></a>", "no XML"),
        ("a.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "entities"),
        ("a.xml", "<other/>", "holds no mouth shapes"),
        ("a.dat", "1 rest\n", "does not begin with MohoSwitch1"),
        ("a.dat", "MohoSwitch1\n1 smirk\n", "the mouth shape 'smirk'"),
        ("a.dat", "MohoSwitch1\nrest\n", "line 2"),
    ],
)
def test_other_files_say_what_is_wrong(tmp_path, name, text, what) -> None:
    with pytest.raises(ReportedError, match=what) as caught:
        read(tmp_path / name, text)
    assert caught.value.code == "bad_performance"
    assert name in caught.value.message and caught.value.hint
