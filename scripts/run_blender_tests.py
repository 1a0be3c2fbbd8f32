"""Run tests/blender on the built zip inside one Blender Python module (bpy).

usage: run_blender_tests.py VERSION [--flavour embedded] [--debian DIR] [-- PYTEST_ARGUMENTS]

One process per bpy, with a throw-away BLENDER_USER_RESOURCES, killed with its children at the time
limit. bpy 5.2 needs Python 3.13; where the machine has none, the tests run in the Debian folder.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "build" / "envs"
UV = ROOT / ".venv" / "bin" / "uv"
TIME_LIMIT_S = 2400
PLATFORMS = {"Linux": "linux_x64", "Windows": "windows_x64", "Darwin": "macos_arm64"}


def find_zip(flavour: str = "full") -> Path:
    """The zip of this machine's platform, as built by `make zip [FLAVOUR=embedded]`."""
    pattern = f"keyportrait-*-{PLATFORMS[platform.system()]}.zip"
    folder = ROOT / "build" / "dist"
    found = sorted((folder if flavour == "full" else folder / flavour).glob(pattern))
    if len(found) != 1:
        raise SystemExit(f"{folder} holds {len(found)} files {pattern}; run 'make zip'.")
    return found[0]


def run_limited(command: list[str], environment: dict[str, str]) -> int:
    """Run a command in a process group of its own; returns its status, 124 at the time limit."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        return process.wait(timeout=TIME_LIMIT_S)
    except subprocess.TimeoutExpired:
        print(f"Stopped after {TIME_LIMIT_S} s: {' '.join(command)}", file=sys.stderr)
        return 124
    finally:
        # The engine's children end with bpy; this is for a bpy that did not end itself.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def pytest_command(python: str, tests: Path, arguments: list[str]) -> list[str]:
    """pytest on tests/blender with the settings of tests/pytest.ini."""
    settings = ["-c", f"{tests}/pytest.ini", "--rootdir", str(tests), "-p", "no:cacheprovider"]
    return [python, "-m", "pytest", *settings, f"{tests}/blender", *arguments]


def run_here(python: Path, flavour: str, arguments: list[str]) -> int:
    """The tests in an environment of this machine; returns pytest's status."""
    with tempfile.TemporaryDirectory(prefix="keyportrait-blender-") as resources:
        environment = {
            **os.environ,
            "BLENDER_USER_RESOURCES": resources,
            "KEYPORTRAIT_ZIP": str(find_zip(flavour)),
            "KEYPORTRAIT_FLAVOUR": flavour,
        }
        return run_limited(pytest_command(str(python), ROOT / "tests", arguments), environment)


def run_in_debian(version: str, debian: Path, arguments: list[str]) -> int:
    """The tests with Python 3.13 of the Debian folder; returns pytest's status."""
    if not (debian / "usr/bin/python3").exists():
        raise SystemExit(
            f"No Debian folder at {debian}; run 'sh scripts/debian_folder.sh {debian}'."
        )
    place = debian / "srv" / f"bpy-{version}"
    # The tests' stand-in for the engine takes the protocol from beside the tests.
    for name in ("tests", "engine"):
        shutil.rmtree(place / name, ignore_errors=True)
        left_out = shutil.ignore_patterns("__pycache__", "models")
        shutil.copytree(ROOT / name, place / name, ignore=left_out)
    shutil.copy(find_zip(), place)
    shutil.copy(UV, place)
    requirements = ROOT / "scripts" / "requirements" / f"bpy-{version}.txt"
    shutil.copy(requirements, place / "requirements.txt")
    inside = f"/srv/bpy-{version}"
    pytest = pytest_command(f"{inside}/venv/bin/python", Path(inside) / "tests", arguments)
    script = (
        f"cd {inside} && ./uv venv -q --clear --python /usr/bin/python3 venv"
        " && ./uv pip install -q --python venv -r requirements.txt"
        f" && export KEYPORTRAIT_ZIP={inside}/{find_zip().name}"
        " && BLENDER_USER_RESOURCES=$(mktemp -d) && export BLENDER_USER_RESOURCES"
        ' && exec "$@"'
    )
    runner = ["sh", str(ROOT / "scripts" / "debian_run.sh"), str(debian)]
    return run_limited([*runner, "sh", "-c", script, "sh", *pytest], dict(os.environ))


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", help="version of bpy, for example 4.5.15")
    parser.add_argument("--flavour", choices=("full", "embedded"), default="full")
    parser.add_argument("--debian", type=Path, default=ROOT / "build" / "debian")
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:split])
    pytest_arguments = sys.argv[split + 1 :]
    print(f"== tests/blender on bpy {options.version}, {options.flavour} ==", flush=True)
    python = ENVIRONMENTS / f"bpy-{options.version}" / "bin" / "python"
    if python.exists():
        return run_here(python, options.flavour, pytest_arguments)
    return run_in_debian(options.version, options.debian, pytest_arguments)


if __name__ == "__main__":
    sys.exit(main())
