"""scripts/read_clip.py, run as somebody runs it who reports a problem with a clip."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clip_maker import make_clip

ROOT = Path(__file__).resolve().parents[2]
SHOT, BLACK = 8, 6
RATE = Fraction(30000, 1001)


def run(path: Path, out: Path, *options: str) -> tuple[int, str, dict[str, Any]]:
    """(exit status, what was printed, the JSON)."""
    command = [sys.executable, str(ROOT / "scripts" / "read_clip.py"), str(path)]
    result = subprocess.run(
        [*command, "--json", str(out), *options], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in result.stderr, result.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    return result.returncode, result.stdout + result.stderr, found


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shots of a face with black between them, filmed with the camera on its side."""
    photo = cv2.cvtColor(cv2.imread(str(ROOT / "tests/data/astronaut.jpg")), cv2.COLOR_BGR2RGB)
    one = np.ascontiguousarray(photo[:288, 80:400])
    two = cv2.resize(one[10:250, 30:297], (320, 288), interpolation=cv2.INTER_CUBIC)
    images = [one] * SHOT + [np.zeros_like(one)] * BLACK + [two] * SHOT
    return make_clip(
        tmp_path_factory.mktemp("clips") / "shots.mov",
        rate=RATE,
        codec="libx265",
        pixel_format="yuv420p10le",
        degrees=90,
        images=images,
        options={"x265-params": "log-level=none", "crf": "14"},
    )


def test_frames_times_size_cuts_losses_and_performers_are_told(clip: Path, tmp_path: Path) -> None:
    status, printed, found = run(clip, tmp_path / "out.json")
    assert status == 0
    count = 2 * SHOT + BLACK
    assert found["frames"] == count
    assert found["times"] == [pytest.approx(float(n / RATE), abs=1e-4) for n in range(count)]
    assert found["size"] == [320, 288]
    assert (found["facts"]["rotation"], found["facts"]["pixel_format"]) == (90, "yuv420p10le")
    assert {SHOT, SHOT + BLACK} >= {cut["frame"] for cut in found["cuts"]} != set()
    assert len(found["performers"]) == 1
    (loss,) = found["losses"]
    assert (loss["first"], loss["last"], loss["frames"]) == (SHOT, SHOT + BLACK - 1, BLACK)
    assert found["performers"][0]["losses"] == [loss]
    assert found["damage"]["text"] == ""
    assert not found["steps"]["is_variable"]
    assert "320 x 288 upright, stored 288 x 320, turned by 90°" in printed
    assert "losses 1" in printed


def test_a_part_without_faces(clip: Path, tmp_path: Path) -> None:
    options = ("--no-faces", "--start", "0.1", "--end", "0.2")
    status, _, found = run(clip, tmp_path / "out.json", *options)
    assert status == 0
    assert found["times"] == [pytest.approx(float(n / RATE), abs=1e-4) for n in (3, 4, 5)]
    assert "performers" not in found


def test_what_is_no_clip_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    path = tmp_path / "letter.mp4"
    path.write_text("Dear all,")
    status, printed, found = run(path, tmp_path / "out.json")
    assert status == 1
    assert found["error"]["code"] == "bad_performance"
    assert found["error"]["hint"]
    assert "'letter.mp4' is no clip" in printed
