"""Whether a file stays as it is while it is read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Self

from .errors import ClipError

HINT = "Wait until it is written or copied, then try again."


class Stamp(NamedTuple):
    """What tells a changed file from the one that was opened."""

    path: Path
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """The stamp of a file now. Raises ClipError for one that is gone."""
        try:
            status = path.stat()
        except OSError as error:
            raise ClipError(f"'{path.name}' went away while it was read.", HINT) from error
        return cls(path, status.st_size, status.st_mtime_ns)

    def check(self) -> None:
        """Raise ClipError unless the file is as it was."""
        if Stamp.of(self.path) != self:
            raise ClipError(f"'{self.path.name}' changed while it was read.", HINT)
