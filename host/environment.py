"""The LivePortrait environment: a virtual environment of our own, beside Blender's Python.

`venv` makes it, a pinned uv goes into it first and then installs the pinned packages; the package
cache stays in the same folder, so that removing the folder removes everything. A small JSON file,
written last, marks a finished environment.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..engine.part_files import remove_left, write_whole
from . import torch_build
from .task import SetupError, Step
from .torch_build import TorchBuild

MARKER = "environment.json"
# What uv thinks is the right build of PyTorch for this machine.
CHOICE = "torch-choice.txt"
# Everything that the set-up ever writes into its folder; only this is removed again.
OWN_NAMES = (MARKER, CHOICE, "venv", "cache", "weights", "download.json")
# Rough sizes on disk with the package cache, bytes: for the space check and the progress bar.
PACKAGES_BYTES = 1_050_000_000
LIBRARIES_BYTES = 4_000_000_000
TORCH_BYTES = {"cpu": 1_000_000_000, "auto": 6_000_000_000}
SPARE_BYTES = 500_000_000


@dataclass(frozen=True)
class EnvironmentPlan:
    """What to build and from where.

    folder         of the whole environment; everything is written below it
    base_python    interpreter that makes the virtual environment (Blender's own)
    root           the extension's folder
    wheels_folder  take every package from this folder, without any network
    torch_backend  "auto" asks uv to look at the graphics driver
    use_insightface  also the packages for InsightFace's detector
    """

    folder: Path
    base_python: str
    root: Path
    wheels_folder: Path | None = None
    torch_backend: str = "auto"
    use_insightface: bool = False

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return python_of(self.folder)

    @property
    def size_bytes(self) -> int:
        """Rough size of what will be written."""
        backend = "cpu" if self.torch_backend == "cpu" or sys.platform == "darwin" else "auto"
        return PACKAGES_BYTES + TORCH_BYTES[backend]


def python_of(folder: Path) -> Path:
    """The interpreter of the environment in `folder`, whether it exists or not."""
    if sys.platform == "win32":
        return folder / "venv" / "Scripts" / "python.exe"
    return folder / "venv" / "bin" / "python"


def read_marker(folder: Path) -> dict[str, Any] | None:
    """What a finished environment says of itself; None when there is none."""
    try:
        content: object = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not python_of(folder).exists():
        return None
    return cast("dict[str, Any]", content)


def write_marker(folder: Path, content: dict[str, Any]) -> None:
    """Mark the environment as finished."""
    text = json.dumps(content, indent=1)
    write_whole(folder / MARKER, lambda part: part.write_text(text, encoding="utf-8"))


def own_files(folder: Path) -> list[Path]:
    """What the set-up has written into its folder so far, the marker first."""
    return [folder / name for name in OWN_NAMES if (folder / name).exists()]


def remove(folder: Path) -> None:
    """Delete an environment and all it downloaded. Raises SetupError.

    Refuses a folder that is not an environment of ours; files of others in it stay.
    """
    if not folder.exists():
        return
    found = own_files(folder)
    if not found:
        raise SetupError(f"'{folder}' is not a LivePortrait environment.", "Nothing was removed.")
    try:
        # The marker goes first: what is left after a failure is no environment any more.
        remove_left(folder)
        for path in found:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise SetupError(
            f"'{error.filename}' could not be removed: {error.strerror}.",
            "Stop the engine, then try again.",
        ) from error


def check_space(plan: EnvironmentPlan) -> None:
    """Raise SetupError when the disk is too full for the plan."""
    parent = plan.folder
    while not parent.exists():
        parent = parent.parent
    free = shutil.disk_usage(parent).free
    needed = max(plan.size_bytes - folder_bytes(plan.folder), 0) + SPARE_BYTES
    if free < needed:
        raise SetupError(
            f"Only {free / 1e9:.1f} GB are free for '{plan.folder}', {needed / 1e9:.1f} GB needed.",
            "Free some space, or choose another folder in the preferences.",
            code="disk_full",
        )


def folder_bytes(folder: Path) -> int:
    """Size of all files below a folder; files that vanish meanwhile count as nothing."""
    total = 0
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


def chosen_build(plan: EnvironmentPlan) -> TorchBuild:
    """The build of PyTorch for a plan; for "auto" only after uv has chosen. Raises SetupError."""
    if plan.wheels_folder is not None:
        return torch_build.of_wheels(plan.wheels_folder, plan.torch_backend)
    return torch_build.of_backend(
        plan.torch_backend, lambda: (plan.folder / CHOICE).read_text(encoding="utf-8")
    )


def marker_content(plan: EnvironmentPlan) -> dict[str, Any]:
    """What the marker of a finished environment says: its build of PyTorch, and a notice."""
    build = chosen_build(plan)
    return {
        "torch": build.requirement,
        "backend": plan.torch_backend,
        "notice": build.notice,
    }


def environment_steps(plan: EnvironmentPlan) -> list[Step]:
    """The commands that build the environment, each skipped when its work is done."""
    requirements = plan.root / "engine" / "requirements"
    python = str(plan.python)
    variables = _variables(plan)
    uv, install = _uv(plan), _install_command(plan)
    steps = [
        Step(
            "Make the environment",
            (plan.base_python, "-m", "venv", str(plan.folder / "venv")),
            weight=2,
            environment=variables,
            explain=_explain_venv,
            is_done=lambda: plan.python.exists() and _has_pip(plan),
        ),
        Step(
            "Install uv",
            (python, "-m", "pip", "install", "--require-hashes", *_pip_offline(plan), "-r",
             str(requirements / "uv.txt")),
            weight=3,
            environment=variables,
            explain=_explain_packages,
            is_done=uv.exists,
        ),
        Step(
            "Choose PyTorch",
            (str(uv), "pip", "compile", "--python", python, "--torch-backend=auto", "--upgrade",
             "--no-deps", "--no-header", "--no-annotate", str(requirements / "torch.in"),
             "--output-file", str(plan.folder / CHOICE)),
            weight=1,
            environment=variables,
            explain=_explain_packages,
            is_done=lambda: not _is_chosen_by_uv(plan),
        ),
        Step(
            "Install packages",
            lambda: _checked(plan, (*install, "-r", str(requirements / "engine.txt"))),
            weight=20,
            environment=variables,
            measure=lambda: folder_bytes(plan.folder) / PACKAGES_BYTES,
            explain=_explain_packages,
        ),
        *_torch_steps(plan),
    ]  # fmt: skip
    if plan.use_insightface:
        steps.append(insightface_step(plan))
    return steps


def insightface_step(plan: EnvironmentPlan) -> Step:
    """The command that adds InsightFace's package to an environment with uv in it."""
    requirements = plan.root / "engine" / "requirements" / "insightface.txt"
    return Step(
        "Install InsightFace",
        # Without its dependencies: it asks for a second OpenCV that would overwrite ours.
        (*_install_command(plan), "--no-deps", "-r", str(requirements)),
        weight=5,
        environment=_variables(plan),
        explain=_explain_packages,
    )


def _uv(plan: EnvironmentPlan) -> Path:
    return plan.python.parent / ("uv.exe" if sys.platform == "win32" else "uv")


def _install_command(plan: EnvironmentPlan) -> tuple[str, ...]:
    options = ("--python", str(plan.python), "--require-hashes", *_offline_options(plan))
    return (str(_uv(plan)), "pip", "install", *options)


def _torch_steps(plan: EnvironmentPlan) -> list[Step]:
    # PyTorch and its libraries are two installations: with a backend named, uv would look for
    # triton on PyTorch's index too, whose files are not the pinned ones of the package index.
    requirements = plan.root / "engine" / "requirements"
    alone = (*_install_command(plan), "--no-deps", "--no-build")
    growth = _Growth(plan.folder)

    def libraries() -> tuple[str, ...]:
        growth.begin(LIBRARIES_BYTES)
        return (*alone, "-r", str(requirements / chosen_build(plan).libraries_file_name))

    def torch() -> tuple[str, ...]:
        build = chosen_build(plan)
        libraries_bytes = LIBRARIES_BYTES if build.libraries_file_name else 0
        growth.begin(plan.size_bytes - PACKAGES_BYTES - libraries_bytes)
        is_apart = plan.wheels_folder is None and build.name != "pypi"
        backend = (f"--torch-backend={build.name}",) if is_apart else ()
        return (*alone, *backend, "-r", str(requirements / build.file_name))

    variables = _variables(plan)
    torch_step = Step(
        "Install PyTorch",
        torch,
        weight=40,
        environment=variables,
        measure=growth,
        explain=_explain_packages,
    )
    if sys.platform != "linux" or plan.torch_backend == "cpu":
        return [torch_step]
    libraries_step = Step(
        "Install CUDA libraries",
        libraries,
        weight=40,
        environment=variables,
        measure=growth,
        explain=_explain_packages,
        is_done=lambda: not chosen_build(plan).libraries_file_name,
    )
    return [libraries_step, torch_step]


class _Growth:
    """How far a folder has grown since the last `begin`, 0..1 of what was expected then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.begin(1)

    def begin(self, expected_bytes: int) -> None:
        """Take today's size as the start."""
        self._expected, self._start = max(expected_bytes, 1), folder_bytes(self._folder)

    def __call__(self) -> float:
        return (folder_bytes(self._folder) - self._start) / self._expected


def _is_chosen_by_uv(plan: EnvironmentPlan) -> bool:
    is_asked = plan.torch_backend == "auto" and plan.wheels_folder is None
    return is_asked and sys.platform != "darwin"


def _checked(plan: EnvironmentPlan, command: tuple[str, ...]) -> tuple[str, ...]:
    """The command, once it is sure that PyTorch is pinned for the environment's Python."""
    # Its other lines are paths, which need not be UTF-8.
    settings = (plan.folder / "venv" / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    version = re.search(r"^version\s*=\s*(\d+\.\d+)", settings, re.M)
    torch_build.check_pinned(
        plan.root / "engine" / "requirements" / chosen_build(plan).file_name,
        version.group(1) if version else "?",
        sys.platform,
        platform.machine(),
    )
    return command


def _variables(plan: EnvironmentPlan) -> dict[str, str]:
    cache = plan.folder / "cache"
    return {
        "UV_CACHE_DIR": str(cache / "uv"),
        "PIP_CACHE_DIR": str(cache / "pip"),
        "UV_LINK_MODE": "hardlink",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "PIP_NO_INPUT": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
    }


def _has_pip(plan: EnvironmentPlan) -> bool:
    # A cut-off `venv` leaves an interpreter without pip.
    return any((plan.folder / "venv").rglob("site-packages/pip/__init__.py"))


def _pip_offline(plan: EnvironmentPlan) -> tuple[str, ...]:
    if plan.wheels_folder is None:
        return ()
    return ("--no-index", "--find-links", str(plan.wheels_folder))


def _offline_options(plan: EnvironmentPlan) -> tuple[str, ...]:
    if plan.wheels_folder is None:
        return ()
    return ("--offline", "--no-index", "--find-links", str(plan.wheels_folder))


def _explain_venv(tail: str) -> SetupError:
    if "ensurepip" in tail:
        return SetupError(
            "This Python cannot make a virtual environment: it has no ensurepip.",
            "Install your system's python3-venv package, or choose another Python in the "
            "preferences.",
        )
    return _explain_packages(tail)


def _explain_packages(tail: str) -> SetupError:
    lower = tail.lower()
    if "no space left" in lower or "disk quota" in lower:
        return SetupError(
            "The disk is full.",
            "Free some space, or choose another folder in the preferences.",
            code="disk_full",
        )
    if "hash mismatch" in lower or "do not match the hashes" in lower:
        named = re.search(r"hash mismatch for `([^`]+)`", tail, re.I)
        package = f"The package {named.group(1)}" if named else "A package"
        return SetupError(
            f"{package} is not the published file: its hash differs.",
            "Try again; if it stays, your network, mirror or wheels folder has changed files.",
            code="bad_checksum",
        )
    # Before the next: pip, cut off from its index, also says that nothing matches.
    offline_words = ("failed to fetch", "connection", "dns error", "timed out", "could not connect")
    if any(word in lower for word in offline_words):
        return SetupError(
            "The package index could not be reached.",
            "Check the connection, or use the offline route with a folder of wheels.",
            code="download_failed",
        )
    if "no solution found" in lower or "no matching distribution" in lower:
        return SetupError(
            "A package does not exist for this system, or the wheels folder lacks it.",
            "The set-up log names it.",
        )
    last = tail.strip().splitlines()[-1:] or ["no output"]
    return SetupError(f"The installation failed: {last[0]}", "The set-up log has the details.")
