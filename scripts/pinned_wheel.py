"""Download one wheel from the package index and check it against its pinned SHA-256."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class PinError(Exception):
    """A file is not the one that was pinned, or could not be had; the text is for the terminal."""


class PinnedWheel(NamedTuple):
    """One wheel of one release for one platform.

    requirement  name==version
    tag          platform tag, as in the file name
    filename     exact file name on the index
    sha256       hexadecimal digest of the file
    """

    requirement: str
    tag: str
    filename: str
    sha256: str


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify(path: Path, sha256: str) -> None:
    """Raise PinError unless the file has this digest."""
    found = sha256_of(path)
    if found != sha256:
        raise PinError(
            f"{path} is not the pinned file.\n"
            f"  expected sha256 {sha256}\n"
            f"  found    sha256 {found}\n"
            "Delete it and run the command again; if it stays different, do not use it."
        )


def download(wheel: PinnedWheel, folder: Path) -> Path:
    """Fetch the wheel into `folder` with pip, check it and return its path.

    Raises PinError when pip fails or the file differs from the pinned one.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", "3.11", "--platform", wheel.tag]
    command += ["--dest", str(folder), wheel.requirement]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    path = folder / wheel.filename
    if result.returncode or not path.exists():
        reason = (result.stderr or result.stdout).strip().splitlines()
        raise PinError(
            f"Could not download {wheel.filename} ({wheel.requirement}).\n"
            f"  pip says: {reason[-1] if reason else 'nothing'}"
        )
    verify(path, wheel.sha256)
    return path
