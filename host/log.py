"""The engine's stderr, kept in a rotating file."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
from collections import deque
from pathlib import Path

MAX_LOG_BYTES = 1_000_000
LOG_BACKUPS = 3
TAIL_LINES = 40


class _SilentRotatingHandler(logging.handlers.RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A full or read-only disk must not disturb the engine; the tail stays in memory."""


class EngineLog:
    """Appends lines to a rotating file and remembers the last few. Never raises on a bad disk.

    path       the newest file; older ones carry .1, .2, …
    max_bytes  size at which a file is rotated
    """

    def __init__(
        self, path: Path, *, max_bytes: int = MAX_LOG_BYTES, backups: int = LOG_BACKUPS
    ) -> None:
        self.path = path
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        with contextlib.suppress(OSError):  # the handler then fails silently; tail() still works
            path.parent.mkdir(parents=True, exist_ok=True)
        self._handler = _SilentRotatingHandler(
            path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8", delay=True
        )
        self._handler.setFormatter(logging.Formatter("%(message)s"))

    def write(self, line: str) -> None:
        """Append one line, without its line break."""
        self._tail.append(line)
        self._handler.handle(logging.makeLogRecord({"msg": "%s", "args": (line,)}))

    def tail(self) -> list[str]:
        """The last lines of this session, oldest first."""
        return list(self._tail)

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        self._handler.close()
