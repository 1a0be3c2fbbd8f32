"""One run of real Blender under Xvfb; the tests read its report and its screenshots."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "build" / "gui"
TIME_LIMIT_S = 600

RunInside = Callable[..., tuple[Path, "subprocess.CompletedProcess[str]"]]


@pytest.fixture(scope="session")
def debian() -> Path:
    folder = Path(os.environ.get("KEYPORTRAIT_DEBIAN", ROOT / "build" / "debian"))
    if not (folder / "usr/bin/blender").exists():
        pytest.fail(f"no Blender in {folder}; run 'sh scripts/debian_folder.sh {folder}'")
    # The installation that inside/run.sh keeps for the drivers of one session.
    shutil.rmtree(folder / "srv" / "keyportrait-home", ignore_errors=True)
    return folder


@pytest.fixture(scope="session")
def picture() -> Path:
    """Astronaut Eileen Collins (NASA, public domain)."""
    return ROOT / "tests" / "data" / "astronaut.jpg"


@pytest.fixture(scope="session")
def run_inside(debian: Path, picture: Path) -> RunInside:
    """run_inside(scripts, driver) → where run.sh of that folder ran, beside zip and picture; how.

    driver  script of the folder that run.sh starts Blender with, its own choice when ""
    """

    def run(scripts: Path, driver: str = "") -> tuple[Path, subprocess.CompletedProcess[str]]:
        name = f"srv/keyportrait-{scripts.name}"
        place = debian / name
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(scripts, place, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(picture, place)
        shutil.copy(ROOT / "tests" / "data" / "spoken.ogg", place)
        shutil.copy(ROOT / "tests" / "blender" / "soundness.py", place)
        zips = sorted((ROOT / "build" / "dist").glob("keyportrait-*-linux_x64.zip"))
        assert len(zips) == 1, "run 'make zip' first"
        shutil.copy(zips[0], place)
        command = ["sh", str(ROOT / "scripts" / "debian_run.sh"), str(debian)]
        command += ["sh", f"/{name}/run.sh", f"/{name}", *([driver] if driver else [])]
        result = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=TIME_LIMIT_S
        )
        return place, result

    return run


def drive(run_inside: RunInside, driver: str, output: Path) -> dict:
    """Run a driver of tests/gui/inside; its report. Screenshots and the log go to `output`."""
    place, result = run_inside(Path(__file__).parent / "inside", driver)
    shutil.rmtree(output, ignore_errors=True)
    if (place / "out").exists():
        shutil.copytree(place / "out", output)
    output.mkdir(parents=True, exist_ok=True)
    (output / "blender.log").write_text(result.stdout + result.stderr, encoding="utf-8")
    path = output / "report.json"
    tail = (result.stdout + result.stderr)[-3000:]
    assert path.exists(), f"Blender wrote no report (status {result.returncode}):\n{tail}"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def report(run_inside: RunInside) -> dict:
    """What the driver of the first minutes noted at each step; screenshots are in build/gui."""
    return drive(run_inside, "drive.py", OUTPUT)


@pytest.fixture(scope="session")
def long_runs(run_inside: RunInside) -> dict:
    """What drive_long_runs.py noted; screenshots are in build/gui-long-runs."""
    return drive(run_inside, "drive_long_runs.py", OUTPUT.with_name("gui-long-runs"))


@pytest.fixture(scope="session")
def renders_in_window(run_inside: RunInside) -> dict:
    """What drive_renders.py noted; screenshots are in build/gui-renders."""
    return drive(run_inside, "drive_renders.py", OUTPUT.with_name("gui-renders"))


@pytest.fixture(scope="session")
def undo(run_inside: RunInside) -> dict:
    """What drive_undo.py noted."""
    return drive(run_inside, "drive_undo.py", OUTPUT.with_name("gui-undo"))


@pytest.fixture(scope="session")
def captured(run_inside: RunInside) -> dict:
    """What drive_capture.py noted; screenshots are in build/gui-capture."""
    output = OUTPUT.with_name("gui-capture")
    return {**drive(run_inside, "drive_capture.py", output), "folder": str(output)}


@pytest.fixture(scope="session")
def spoken(run_inside: RunInside) -> dict:
    """What drive_speech.py noted; screenshots are in build/gui-speech."""
    output = OUTPUT.with_name("gui-speech")
    return {**drive(run_inside, "drive_speech.py", output), "folder": str(output)}


@pytest.fixture(scope="session")
def filmed(run_inside: RunInside) -> dict:
    """What drive_camera.py noted; screenshots are in build/gui-camera."""
    output = OUTPUT.with_name("gui-camera")
    return {**drive(run_inside, "drive_camera.py", output), "folder": str(output)}


@pytest.fixture(scope="session")
def strips(run_inside: RunInside) -> dict:
    """What drive_strips.py noted; screenshots are in build/gui-strips."""
    output = OUTPUT.with_name("gui-strips")
    return {**drive(run_inside, "drive_strips.py", output), "folder": str(output)}
