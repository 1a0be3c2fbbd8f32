"""Which build of PyTorch goes into the environment, and where its pinned wheels are listed.

uv looks at the graphics driver and names a build; we install the nearest one whose wheels are
pinned by hash, one file for each build below engine/requirements. uv compares hashes by the exact
version, so the local part ("+cu130") must be known before the installation.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .task import SetupError

TORCH_VERSION = "2.13.0"
# What the user can ask for. On a Mac there is one build, and it comes from the package index.
TORCH_BACKENDS = ("auto", "cpu", "cu126", "cu130")
# The builds with pinned wheels, the newest CUDA first. "pypi" is the one without a local version.
PINNED_BUILDS = ("cu130", "cu126", "cpu", "pypi")
# What the package index's own build is on each system.
PYPI_BACKENDS = {"linux": "cu130", "win32": "cpu", "darwin": "cpu"}
OTHER_CARD_NOTICE = (
    "PyTorch for CPU is installed: its pinned builds support NVIDIA cards, and uv found '{wanted}'."
)


@dataclass(frozen=True)
class TorchBuild:
    """One build of PyTorch.

    name    "cu130", "cu126", "cpu", or "pypi" for the package index's own
    notice  what the user should know of this choice, "" usually
    """

    name: str
    notice: str = ""

    @property
    def requirement(self) -> str:
        """The exact version, as pip writes it."""
        local = "" if self.name == "pypi" else f"+{self.name}"
        return f"torch=={TORCH_VERSION}{local}"

    @property
    def file_name(self) -> str:
        """Its requirements file."""
        return f"torch-{self.name}.txt"

    @property
    def libraries_file_name(self) -> str:
        """The requirements file of its CUDA libraries; "" where the wheel brings them itself."""
        backend = PYPI_BACKENDS.get(sys.platform, "cpu") if self.name == "pypi" else self.name
        is_apart = sys.platform == "linux" and backend.startswith("cu")
        return f"cuda-{backend}.txt" if is_apart else ""


def of_backend(backend: str, chosen: Callable[[], str]) -> TorchBuild:
    """The build for one of TORCH_BACKENDS; `chosen` reads what uv wrote for "auto"."""
    if sys.platform == "darwin":
        return TorchBuild("pypi")
    if backend != "auto":
        return TorchBuild(backend)
    return nearest_pinned(local_version_in(chosen()))


def local_version_in(requirements: str) -> str:
    """The build that a requirements text names: "cu132" for "torch==2.13.0+cu132"; "" for none.

    Raises SetupError when there is no PyTorch of our version in it.
    """
    found = re.search(rf"^torch=={re.escape(TORCH_VERSION)}(?:\+(\S+))?\s*$", requirements, re.M)
    if found is None:
        raise SetupError(
            f"uv found no build of PyTorch {TORCH_VERSION} for this machine.",
            "Choose PyTorch for CPU, then try again. The set-up log has the details.",
        )
    return found.group(1) or ""


def nearest_pinned(wanted: str) -> TorchBuild:
    """The pinned build that runs wherever `wanted` does; CPU for cards of other makers."""
    if wanted in PINNED_BUILDS:
        return TorchBuild(wanted)
    if not re.fullmatch(r"cu\d+", wanted):
        return TorchBuild("cpu", OTHER_CARD_NOTICE.format(wanted=wanted) if wanted else "")
    # CUDA's minor releases share their driver: an older one of the same major always runs.
    older = [b for b in PINNED_BUILDS if b.startswith(wanted[:4]) and int(b[2:]) < int(wanted[2:])]
    if older:
        return TorchBuild(older[0])
    text = f"PyTorch for CPU is installed: its build for CUDA {wanted[2:4]}.{wanted[4:]} is not"
    return TorchBuild("cpu", f"{text} pinned. Update the NVIDIA driver, then install again.")


def of_wheels(folder: Path, backend: str) -> TorchBuild:
    """The build that a folder of wheels has. Raises SetupError when it has not the wanted one."""
    if sys.platform == "darwin":
        backend = "auto"
    names = [path.name for path in folder.glob(f"torch-{TORCH_VERSION}*.whl")]
    pattern = re.compile(rf"torch-{re.escape(TORCH_VERSION)}(?:\+([^-]+))?-")
    found = {match.group(1) or "pypi" for name in names if (match := pattern.match(name))}
    builds = [build for build in PINNED_BUILDS if build in found]
    if not builds:
        has = f"only PyTorch for {', '.join(sorted(found))}" if found else "no wheel of PyTorch"
        raise SetupError(
            f"The wheels folder has {has}; version {TORCH_VERSION} is needed, as cu130, cu126 or "
            "cpu.",
            "The page about LivePortrait's networks in the docs says how to fill the folder.",
        )
    pypi_backend = PYPI_BACKENDS.get(sys.platform, "cpu")
    for build in builds:
        if backend in ("auto", build) or (build == "pypi" and backend == pypi_backend):
            return TorchBuild(build)
    raise SetupError(
        f"The wheels folder has PyTorch for {', '.join(builds)}, not for {backend}.",
        "Choose what the folder has, or bring other wheels.",
    )


def check_pinned(requirements: Path, python: str, system: str, machine: str) -> None:
    """Raise SetupError when a build's file pins no wheel for this Python and machine.

    python   major and minor version, "3.11"
    system   sys.platform
    machine  platform.machine()
    """
    wanted = (f"== '{python}'", f"== '{system}'", f"== '{machine}'")
    lines = requirements.read_text(encoding="utf-8").splitlines()
    if not any(all(word in line for word in wanted) for line in lines):
        raise SetupError(
            f"No wheel of PyTorch {TORCH_VERSION} is pinned for Python {python} on {system}, "
            f"{machine}.",
            "Choose a Python of 3.11 to 3.14 in the preferences; the docs list the systems.",
        )
