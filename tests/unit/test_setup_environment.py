"""host.environment: building, going on, explaining and removing, with a stand-in for Python."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from keyportrait.host import environment
from keyportrait.host.environment import EnvironmentPlan, environment_steps
from keyportrait.host.task import SetupError, Task, TaskState

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")

# Plays Blender's Python, the environment's Python and uv. What it was asked goes to a log; a file
# says at which stage it must fail, and with which words, and which build of PyTorch uv chooses.
STAND_IN = """#!{python}
import json, pathlib, shutil, sys
arguments = sys.argv[1:]
words = " ".join(arguments)
kinds = {{"-m venv": "venv", "-m pip": "uv", "pip compile": "choice", "engine.txt": "packages",
          "cuda-": "libraries", "torch-": "torch", "insightface.txt": "insightface"}}
stage = next(stage for word, stage in kinds.items() if word in words)
with open({log!r}, "a") as log:
    log.write(stage + ": " + words + "\\n")
faults = json.loads(pathlib.Path({faults!r}).read_text())
if stage == "choice":
    pathlib.Path(arguments[-1]).write_text(faults.get("chosen", "torch==2.13.0+cpu") + "\\n")
if stage in faults:
    print(faults[stage])
    raise SystemExit(1)
me = pathlib.Path(__file__)
if stage == "venv":
    folder = pathlib.Path(arguments[-1])
    (folder / "bin").mkdir(parents=True)
    pip = folder / "lib" / "python3.11" / "site-packages" / "pip"
    pip.mkdir(parents=True)
    (pip / "__init__.py").touch()
    shutil.copy(me, folder / "bin" / "python")
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\\nversion = {version}\\n")
if stage == "uv":
    shutil.copy(me, me.with_name("uv"))
"""


class Place:
    """A folder for an environment and the stand-in that builds it."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "place"
        self.log = root / "asked.txt"
        self.faults = root / "faults.json"
        self.base = root / "base-python"
        self.make_python("3.11.7")
        self.fail({})

    def make_python(self, version: str) -> None:
        text = STAND_IN.format(
            python=sys.executable, log=str(self.log), faults=str(self.faults), version=version
        )
        self.base.write_text(text)
        self.base.chmod(0o755)

    def fail(self, faults: dict[str, str]) -> None:
        self.faults.write_text(json.dumps(faults))

    def build(self, **options: Any) -> Task:
        plan = EnvironmentPlan(self.folder, str(self.base), ROOT, **options)

        def finish() -> None:
            environment.write_marker(plan.folder, environment.marker_content(plan))

        task = Task(environment_steps(plan), self.folder.parent / "setup.log", finish)
        task.wait(60)
        return task

    @property
    def stages(self) -> list[str]:
        return [line.split(":")[0] for line in self.log.read_text().splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(environment.platform, "machine", lambda: "x86_64")


@pytest.mark.usefixtures("linux")
def test_everything_is_built_in_order_and_marked_last(place: Place) -> None:
    place.fail({"chosen": "torch==2.13.0+cu130"})
    task = place.build(use_insightface=True)
    assert task.state is TaskState.DONE, task.error
    assert place.stages == [
        "venv", "uv", "choice", "packages", "libraries", "torch", "insightface"
    ]  # fmt: skip
    marker = environment.read_marker(place.folder)
    assert marker == {"torch": "torch==2.13.0+cu130", "backend": "auto", "notice": ""}
    lines = place.log.read_text().splitlines()
    assert "--torch-backend=auto" in lines[2]
    assert "--offline" not in "".join(lines)
    # uv's choice installs nothing; everything that does is held to pinned hashes.
    assert all("--require-hashes" in line for line in [lines[1], *lines[3:]])
    assert "cuda-cu130.txt" in lines[4]
    assert "--torch-backend" not in lines[4]
    assert "torch-cu130.txt" in lines[5]
    assert "--torch-backend=cu130" in lines[5]
    assert all("--no-deps" in line for line in lines[4:])


@pytest.mark.usefixtures("linux")
def test_a_card_without_a_pinned_build_gets_the_nearest_and_is_told(place: Place) -> None:
    place.fail({"chosen": "torch==2.13.0+rocm7.2"})
    assert place.build().state is TaskState.DONE
    assert "libraries" not in place.stages
    assert "--torch-backend=cpu" in place.log.read_text().splitlines()[-1]
    marker = environment.read_marker(place.folder)
    assert marker is not None
    assert "rocm7.2" in marker["notice"]


@pytest.mark.usefixtures("linux")
def test_a_named_build_is_not_asked_for(place: Place) -> None:
    assert place.build(torch_backend="cpu").state is TaskState.DONE
    assert place.stages == ["venv", "uv", "packages", "torch"]
    assert "torch-cpu.txt" in place.log.read_text()


def test_a_mac_takes_the_package_indexs_own_build(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(environment.platform, "machine", lambda: "arm64")
    assert place.build().state is TaskState.DONE
    assert place.stages == ["venv", "uv", "packages", "torch"]
    assert "torch-pypi.txt" in place.log.read_text()
    assert "--torch-backend" not in place.log.read_text()


@pytest.mark.usefixtures("linux")
def test_a_python_without_a_pinned_wheel_is_refused_before_the_downloads(place: Place) -> None:
    place.make_python("3.10.2")
    task = place.build()
    assert place.stages == ["venv", "uv", "choice"]
    assert task.error is not None
    assert "Python 3.10" in task.error.message
    assert "preferences" in task.error.hint


@pytest.mark.usefixtures("linux")
def test_a_wheels_folder_keeps_the_network_out(place: Place, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "torch-2.13.0+cu126-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    assert place.build(wheels_folder=wheels).state is TaskState.DONE
    assert place.stages == ["venv", "uv", "packages", "libraries", "torch"]
    lines = place.log.read_text().splitlines()
    for line in lines[1:]:
        assert "--no-index" in line
        assert "--require-hashes" in line
        assert f"--find-links {wheels}" in line
    assert "torch-cu126.txt" in lines[-1]
    assert "--torch-backend" not in place.log.read_text()


@pytest.mark.usefixtures("linux")
def test_a_second_try_goes_on_where_the_first_stopped(place: Place) -> None:
    place.fail({"torch": "error: something"})
    task = place.build()
    assert task.state is TaskState.FAILED
    assert environment.read_marker(place.folder) is None
    place.fail({})
    place.log.unlink()
    assert place.build().state is TaskState.DONE
    assert place.stages == ["choice", "packages", "torch"]
    assert environment.read_marker(place.folder) is not None


def test_a_cut_off_venv_is_made_again(place: Place) -> None:
    python = environment.python_of(place.folder)
    python.parent.mkdir(parents=True)
    python.write_text("half")  # without pip beside it
    task = place.build()
    assert place.stages[0] == "venv"
    assert task.state is TaskState.FAILED  # the stand-in does not overwrite; a real venv does


REAL_WORDS = [
    ("venv", "Error: Command '-m ensurepip' returned 1", "setup_failed", "no ensurepip"),
    ("uv", "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
     "bad_checksum", "hash differs"),
    ("packages", "  x Failed to download `numpy==2.4.6`\n  Hash mismatch for `numpy==2.4.6`",
     "bad_checksum", "numpy==2.4.6 is not the published file"),
    ("torch", "error: failed to write: No space left on device (os error 28)",
     "disk_full", "disk is full"),
    ("packages", "error: Failed to fetch: `https://pypi.org/simple/numpy/`\n  dns error",
     "download_failed", "could not be reached"),
    ("uv", "WARNING: Retrying after connection broken by 'NewConnectionError'\n"
     "ERROR: No matching distribution found for uv==0.13.9",
     "download_failed", "could not be reached"),
    ("torch", "  x No solution found when resolving dependencies", "setup_failed", "lacks it"),
    ("packages", "error: unheard of", "setup_failed", "unheard of"),
    ("choice", "error: Failed to fetch PyTorch's index\n  cause: dns error", "download_failed",
     "could not be reached"),
]  # fmt: skip


@pytest.mark.usefixtures("linux")
@pytest.mark.parametrize(("stage", "words", "code", "text"), REAL_WORDS)
def test_what_tools_say_is_explained(
    place: Place, stage: str, words: str, code: str, text: str
) -> None:
    place.fail({stage: words})
    error = place.build().error
    assert error is not None
    assert error.code == code
    assert text in error.message
    assert error.hint
    assert environment.read_marker(place.folder) is None


def test_a_marker_without_its_interpreter_counts_for_nothing(place: Place) -> None:
    assert place.build().state is TaskState.DONE
    environment.python_of(place.folder).unlink()
    assert environment.read_marker(place.folder) is None
    (place.folder / environment.MARKER).write_text("[1]")
    assert environment.read_marker(place.folder) is None


def test_removal_takes_what_is_ours_and_nothing_else(place: Place) -> None:
    place.build()
    (place.folder / "weights").mkdir()
    (place.folder / "mine.txt").touch()
    environment.remove(place.folder)
    assert [path.name for path in place.folder.iterdir()] == ["mine.txt"]
    with pytest.raises(SetupError, match="not a LivePortrait environment"):
        environment.remove(place.folder)
    (place.folder / "mine.txt").unlink()
    (place.folder / "cache").mkdir()
    environment.remove(place.folder)
    assert not place.folder.exists()
    environment.remove(place.folder)


def test_a_full_disk_is_seen_beforehand(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = EnvironmentPlan(place.folder, str(place.base), ROOT, torch_backend="cpu")
    usage = type("usage", (), {"free": plan.size_bytes // 2})
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(SetupError, match="GB are free") as caught:
        environment.check_space(plan)
    assert caught.value.code == "disk_full"
    usage.free = plan.size_bytes + environment.SPARE_BYTES
    environment.check_space(plan)


def test_sizes_of_folders_survive_what_vanishes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(bytes(1000))
    (tmp_path / "loop").symlink_to(tmp_path)
    assert environment.folder_bytes(tmp_path) == 1000
    assert environment.folder_bytes(tmp_path / "nowhere") == 0
