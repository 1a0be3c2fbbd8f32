"""The user's own table from ARKit's shapes to face controls, a CSV in the extension's folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..preferences import user_folder
from .errors import AddonError

FOLDER, NAME = "arkit", "arkit.csv"
SHIPPED_TABLE = Path(__file__).resolve().parent.parent / "engine" / "performance" / NAME


def user_table() -> Path | None:
    """The user's table, None where there is none."""
    path = user_folder(FOLDER) / NAME
    return path if path.is_file() else None


def ensure_user_table() -> Path:
    """The user's table, a copy of the shipped one where there is none. Raises AddonError."""
    path = user_folder(FOLDER) / NAME
    if not path.is_file():
        try:
            shutil.copyfile(SHIPPED_TABLE, path)
        except OSError as error:
            raise AddonError(f"'{path}' cannot be written: {error.strerror}.") from error
    return path
