"""One run of real Blender under Xvfb; the tests read its report and its screenshots."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSIDE = Path(__file__).parent / "inside"
OUTPUT = ROOT / "build" / "gui"
PLACE = "srv/keyportrait-gui"
TIME_LIMIT_S = 600


@pytest.fixture(scope="session")
def debian() -> Path:
    folder = Path(os.environ.get("KEYPORTRAIT_DEBIAN", ROOT / "build" / "debian"))
    if not (folder / "usr/bin/blender").exists():
        pytest.fail(f"no Blender in {folder}; run 'sh scripts/debian_folder.sh {folder}'")
    return folder


@pytest.fixture(scope="session")
def picture() -> Path:
    """Astronaut Eileen Collins (NASA, public domain)."""
    return ROOT / "tests" / "data" / "astronaut.jpg"


@pytest.fixture(scope="session")
def report(debian: Path, picture: Path) -> dict:
    """What the driver noted at each step; the screenshots are in build/gui."""
    place = debian / PLACE
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(INSIDE, place, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(picture, place)
    zips = sorted((ROOT / "build" / "dist").glob("keyportrait-*-linux_x64.zip"))
    assert len(zips) == 1, "run 'make zip' first"
    shutil.copy(zips[0], place)
    command = ["sh", str(ROOT / "scripts" / "debian_run.sh"), str(debian)]
    command += ["sh", f"/{PLACE}/run.sh", f"/{PLACE}"]
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=TIME_LIMIT_S
    )
    shutil.rmtree(OUTPUT, ignore_errors=True)
    if (place / "out").exists():
        shutil.copytree(place / "out", OUTPUT)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "blender.log").write_text(result.stdout + result.stderr)
    path = OUTPUT / "report.json"
    tail = (result.stdout + result.stderr)[-3000:]
    assert path.exists(), f"Blender wrote no report (status {result.returncode}):\n{tail}"
    return json.loads(path.read_text())
