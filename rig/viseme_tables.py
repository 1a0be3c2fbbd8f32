"""The user's own tables of visemes: what the mouth does for each sound, CSV files."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..engine.viseme_table import SHIPPED_TABLE
from ..preferences import user_folder
from .errors import AddonError

FOLDER = "speech"


def ensure_own_table(chosen: Path | None) -> Path:
    """The table that is chosen, else the user's own, made as a copy of the one that ships.

    Raises AddonError.
    """
    path = chosen or user_folder(FOLDER) / SHIPPED_TABLE.name
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SHIPPED_TABLE, path)
    except OSError as error:
        raise AddonError(f"'{path}' cannot be written: {error.strerror}.") from error
    return path
