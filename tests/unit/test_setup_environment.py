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
# says at which stage it must fail, and with which words.
STAND_IN = """#!{python}
import json, pathlib, shutil, sys
arguments = sys.argv[1:]
words = " ".join(arguments)
kinds = {{"-m venv": "venv", "-m pip": "uv", "engine.txt": "packages", "torch==": "torch",
          "insightface.txt": "insightface"}}
stage = next(stage for word, stage in kinds.items() if word in words)
with open({log!r}, "a") as log:
    log.write(stage + ": " + words + "\\n")
faults = json.loads(pathlib.Path({faults!r}).read_text())
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
        text = STAND_IN.format(python=sys.executable, log=str(self.log), faults=str(self.faults))
        self.base.write_text(text)
        self.base.chmod(0o755)
        self.fail({})

    def fail(self, faults: dict[str, str]) -> None:
        self.faults.write_text(json.dumps(faults))

    def build(self, **options: Any) -> Task:
        plan = EnvironmentPlan(self.folder, str(self.base), ROOT, **options)

        def finish() -> None:
            environment.write_marker(plan.folder, {"torch": "x"})

        task = Task(environment_steps(plan), self.folder.parent / "setup.log", finish)
        task.wait(60)
        return task

    @property
    def stages(self) -> list[str]:
        return [line.split(":")[0] for line in self.log.read_text().splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_everything_is_built_in_order_and_marked_last(place: Place) -> None:
    task = place.build(use_insightface=True)
    assert task.state is TaskState.DONE, task.error
    assert place.stages == ["venv", "uv", "packages", "torch", "insightface"]
    assert environment.read_marker(place.folder) == {"torch": "x"}
    asked = place.log.read_text()
    assert asked.count("--require-hashes") == 3
    assert "--torch-backend=auto" in asked
    assert "--offline" not in asked


def test_a_wheels_folder_keeps_the_network_out(place: Place, tmp_path: Path) -> None:
    assert place.build(wheels_folder=tmp_path / "wheels").state is TaskState.DONE
    for line in place.log.read_text().splitlines()[1:]:
        assert "--no-index" in line
        assert f"--find-links {tmp_path / 'wheels'}" in line
    assert "--torch-backend" not in place.log.read_text()


def test_a_second_try_goes_on_where_the_first_stopped(place: Place) -> None:
    place.fail({"torch": "error: something"})
    task = place.build()
    assert task.state is TaskState.FAILED
    assert environment.read_marker(place.folder) is None
    place.fail({})
    place.log.unlink()
    assert place.build().state is TaskState.DONE
    assert place.stages == ["packages", "torch"]
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
     "bad_checksum", "hash differs"),
    ("torch", "error: failed to write: No space left on device (os error 28)",
     "disk_full", "disk is full"),
    ("packages", "error: Failed to fetch: `https://pypi.org/simple/numpy/`\n  dns error",
     "download_failed", "could not be reached"),
    ("uv", "WARNING: Retrying after connection broken by 'NewConnectionError'\n"
     "ERROR: No matching distribution found for uv==0.13.9",
     "download_failed", "could not be reached"),
    ("torch", "  x No solution found when resolving dependencies", "setup_failed", "lacks it"),
    ("packages", "error: unheard of", "setup_failed", "unheard of"),
]  # fmt: skip


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
