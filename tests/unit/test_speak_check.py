"""The speak check on a sound whose phones are known, and what it says of others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_speech import DATA, PHONES, RATE, samples, write_wav

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
speak_check = pytest.importorskip("speak_check")

LENGTH_S = 1.4


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    write_wav(folder / "good.wav", samples()[: int(LENGTH_S * RATE)])
    lines = [f"{a} {b} {p}" for a, b, p in PHONES if b <= LENGTH_S]
    (folder / "good.phones").write_text("\n".join(lines))
    (folder / "broken.wav").write_bytes(b"no sound")
    (folder / "broken.phones").write_text("0 1 SIL")
    (folder / "alone.wav").write_bytes(b"without phones")
    return folder


def test_lips_are_looked_at_and_troubles_are_listed(folder, tmp_path) -> None:
    sounds = speak_check.sounds_of(folder)
    assert [path.name for path in sounds] == ["broken.wav", "good.wav"]
    summary = speak_check.run(sounds, DATA / "astronaut.jpg", tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["closed_share"] >= 0.85 and summary["open_share"] >= 0.9
    assert summary["corr"] > summary["corr_loudness"]
    assert abs(summary["lag_frames"]) <= 1.0
    assert summary["cpu_s_per_min"] > 0.0 and summary["keys_per_s"] < 18.0
    assert [row["sound"] for row in summary["failed"]] == ["broken.wav"]
    assert cv2.imread(str(tmp_path / "sheets" / "good.png")).shape[1] == 16 * speak_check.CELL
    assert "good.wav" in (tmp_path / "table.txt").read_text()


def test_a_late_mouth_is_told() -> None:
    truth = np.random.default_rng(0).random(300)
    assert speak_check.lag_s(np.roll(truth, 6), truth) == pytest.approx(0.06)


def test_bad_phones_name_the_line(tmp_path) -> None:
    path = tmp_path / "bad.phones"
    path.write_text("0.0 0.1 AA\nnonsense\n")
    with pytest.raises(ValueError, match=r"'bad\.phones', line 2"):
        speak_check.read_phones(path)
    with pytest.raises(FileNotFoundError, match=r"NAME\.phones"):
        speak_check.sounds_of(tmp_path)
