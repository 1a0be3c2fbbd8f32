"""Real Blender without a window, as on a render farm: `-a`, `-f`, and the exit status."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSIDE = Path(__file__).parent / "headless"
PLACE = "srv/keyportrait-headless"
TIME_LIMIT_S = 600


@pytest.fixture(scope="module")
def renders(debian: Path, picture: Path) -> Path:
    """The folder with NAME.status, NAME.files and NAME.log of every render."""
    place = debian / PLACE
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(INSIDE, place, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(picture, place)
    (zip_path,) = (ROOT / "build" / "dist").glob("keyportrait-*-linux_x64.zip")
    shutil.copy(zip_path, place)
    command = ["sh", str(ROOT / "scripts" / "debian_run.sh"), str(debian)]
    command += ["sh", f"/{PLACE}/run.sh", f"/{PLACE}"]
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=TIME_LIMIT_S
    )
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
