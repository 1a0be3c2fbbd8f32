"""Prepare what the full set-up test needs: a folder of wheels, and weights without a download.

The wheels are everything that an environment for this Python is made of, as an artist without a
network would bring them along. The weights are synthetic, see scheme_weights.py, in the shapes
that the networks of this checkout have. Both are kept in build/ until what they follow from
changes.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import scheme_weights
import torch
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from engine.networks.checkpoints import BUILDERS  # noqa: E402
from host.torch_build import TorchBuild  # noqa: E402

WHEELS = ROOT / "build" / "wheelhouse"
WEIGHTS = ROOT / "build" / "scheme-weights"
REQUIREMENTS = ROOT / "engine" / "requirements"
# uv makes environments without pip; this one has it, and the same version of Python.
PIP = (str(ROOT / ".venv" / "bin" / "python"), "-m", "pip", "download", "-q", "--prefer-binary")
SEED = "set-up test"
STAMP = "complete.txt"
ANIMAL_FOLDER = "liveportrait_animals"
SHARED_BY_ANIMALS = "stitching_retargeting_module"


def digest_of(*paths: Path) -> str:
    """One digest for the content of some files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def is_current(folder: Path, digest: str) -> bool:
    """Whether a folder was finished for this digest."""
    stamp = folder / STAMP
    return stamp.exists() and stamp.read_text(encoding="utf-8") == digest


def fetch_wheels() -> None:
    """Download every wheel of an environment. Raises CalledProcessError."""
    inputs = [REQUIREMENTS / "uv.txt", REQUIREMENTS / "engine.txt"]
    digest = digest_of(*inputs, *sorted(REQUIREMENTS.glob("torch-*.txt")), Path(__file__))
    if is_current(WHEELS, digest):
        print(f"wheels: {WHEELS} is complete")
        return
    shutil.rmtree(WHEELS, ignore_errors=True)
    WHEELS.mkdir(parents=True)
    for path in inputs:
        download(path)
    fetch_torch()
    (WHEELS / STAMP).write_text(digest, encoding="utf-8")
    count = len(list(WHEELS.glob("*.whl")))
    size = sum(path.stat().st_size for path in WHEELS.glob("*.whl"))
    print(f"wheels: {count} in {WHEELS} ({size / 1e6:,.0f} MB)")


def fetch_torch() -> None:
    """Torch's CPU build, a tenth of the size, where pip knows of it; else the index's own."""
    try:
        download(REQUIREMENTS / TorchBuild("cpu").file_name, is_quiet=True)
    except subprocess.CalledProcessError:
        build = TorchBuild("pypi")
        download(REQUIREMENTS / build.file_name)
        if build.libraries_file_name:
            download(REQUIREMENTS / build.libraries_file_name)


def download(requirements: Path, *, is_quiet: bool = False) -> None:
    """Put the pinned wheels of a requirements file into the folder. Raises CalledProcessError."""
    command = (*PIP, "--require-hashes", "--no-deps", "-r", str(requirements), "-d", str(WHEELS))
    subprocess.run(command, check=True, capture_output=is_quiet)


def write_weights() -> None:
    """Fill every network of people and animals by the scheme."""
    networks = sorted((ROOT / "engine" / "networks").glob("*.py"))
    digest = digest_of(Path(__file__), Path(scheme_weights.__file__), *networks)
    if is_current(WEIGHTS, digest):
        print(f"weights: {WEIGHTS} is complete")
        return
    shutil.rmtree(WEIGHTS, ignore_errors=True)
    (WEIGHTS / ANIMAL_FOLDER).mkdir(parents=True)
    for name, build in BUILDERS.items():
        with torch.device("meta"):
            shapes = {key: tuple(value.shape) for key, value in build().state_dict().items()}
        path = WEIGHTS / f"{name}.safetensors"
        save_file(scheme_weights.scheme_weights(SEED, name, shapes), path)
        if name != SHARED_BY_ANIMALS:
            (WEIGHTS / ANIMAL_FOLDER / path.name).hardlink_to(path)
        print(f"weights: {path} ({path.stat().st_size / 1e6:,.0f} MB)")
    (WEIGHTS / STAMP).write_text(digest, encoding="utf-8")


def main() -> int:
    """Command line; returns the exit status."""
    try:
        fetch_wheels()
    except subprocess.CalledProcessError as error:
        print(f"prepare_setup: {error}", file=sys.stderr)
        return 1
    write_weights()
    return 0


if __name__ == "__main__":
    sys.exit(main())
