"""Real Blender without a window, as on a render farm: `-a`, `-f`, and the exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def renders(run_inside: Any) -> Path:
    """The folder with NAME.status, NAME.files and NAME.log of every render."""
    place, result = run_inside(Path(__file__).parent / "headless")
    assert result.returncode == 0, result.stdout + result.stderr
    return place


def written(renders: Path, name: str) -> dict[str, str]:
    """File name → sha256 of what a render wrote."""
    lines = (renders / f"{name}.files").read_text().splitlines()
    return {line.split()[1]: line.split()[0] for line in lines}


def status(renders: Path, name: str) -> int:
    return int((renders / f"{name}.status").read_text())


def test_every_frame_shows_its_own_picture(renders: Path) -> None:
    files = written(renders, "animation")
    assert status(renders, "animation") == 0
    assert sorted(files) == [f"frame_000{number}.png" for number in (1, 2, 3)]
    assert len(set(files.values())) == 3


def test_a_single_frame_is_written(renders: Path) -> None:
    assert status(renders, "still") == 0
    assert list(written(renders, "still")) == ["frame_0003.png"]


@pytest.mark.parametrize(
    ("name", "files"), [("broken_animation", ["frame_0001.png"]), ("broken_still", [])]
)
def test_without_its_picture_a_frame_is_not_written(renders: Path, name, files) -> None:
    # Frame 1 is the picture itself and needs no engine.
    assert list(written(renders, name)) == files
    assert status(renders, name) == 1
    log = (renders / f"{name}.log").read_text()
    assert "Frame 2 was not rendered. The engine could not be started" in log
