"""The drive check on a clip whose performer does known things, and what it says when none does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
drive_check = pytest.importorskip("drive_check")

DATA = Path(__file__).resolve().parents[1] / "data"
COUNT = 12


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """A photograph and what is none; a clip of it that tilts, and what is no clip."""
    sources, drivers = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("drivers")
    picture = (DATA / "astronaut.jpg").read_bytes()
    (sources / "astronaut.jpg").write_bytes(picture)
    (sources / "broken.png").write_bytes(b"no picture")
    photo = cv2.cvtColor(cv2.imdecode(np.frombuffer(picture, np.uint8), 1), cv2.COLOR_BGR2RGB)
    with av.open(str(drivers / "tilt.mp4"), "w") as container:
        stream = container.add_stream("libx264", 25)
        stream.width, stream.height, stream.pix_fmt = 340, 300, "yuv420p"
        for step in np.linspace(-1.0, 1.0, COUNT):
            matrix = cv2.getRotationMatrix2D((225, 120), -10.0 * step, 1.0)
            moved = cv2.warpAffine(photo, matrix, photo.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(moved[:300, 60:400]), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (drivers / "notes.txt").write_text("no clip")
    return sources, drivers


def test_a_tilt_is_carried_over_and_troubles_are_listed(folders, tmp_path) -> None:
    sources, drivers = folders
    summary = drive_check.run(
        drive_check.pictures_of(sources), drive_check.files_of(drivers), tmp_path, COUNT
    )
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["pairs"] == 1
    assert summary["signals"]["roll"]["corr_min"] > 0.97
    assert 0.8 < summary["signals"]["roll"]["gain_median"] < 1.2
    assert "yaw" not in summary["signals"]  # the driver does not turn
    assert summary["jitter_px"] < 0.4 and summary["scale_sigma"] < 0.2
    assert summary["read_fps"] > 0.0
    failed = {next(iter(row.values())) for row in summary["failed"]}
    assert failed == {"broken.png", "notes.txt"}
    sheet = cv2.imread(str(tmp_path / "sheets" / "astronaut by tilt.mp4.png"))
    assert sheet.shape[:2] == (2 * drive_check.CELL, COUNT * drive_check.CELL)
    assert "astronaut.jpg" in (tmp_path / "table.txt").read_text()
    assert len((tmp_path / "pairs.csv").read_text().splitlines()) == 2


def test_a_missed_floor_is_named() -> None:
    summary = {
        "signals": {"lips": {"corr_median": 0.5, "corr_min": 0.5}},
        "jitter_px": 0.1,
        "scale_sigma": 0.0,
    }
    assert drive_check.missed_floors(summary) == ["lips: 0.5 instead of 0.9"]


def test_an_empty_folder_says_so(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="No clips"):
        drive_check.files_of(tmp_path)
