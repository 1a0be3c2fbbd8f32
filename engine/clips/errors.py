"""What is wrong with a clip, and PyAV, without which none can be read."""

from __future__ import annotations

import importlib
import sys
from typing import Any

CONVERT_HINT = "Convert it to an MP4 with H.264 video, or choose another clip."
COPY_HINT = "Copy or export the clip again; the file may be incomplete."
INSTALL_HINT = "Reinstall the extension; the networks' engine: run Set Up again."
if sys.platform == "darwin":
    INSTALL_HINT = f"Clips need macOS 14 or newer. {INSTALL_HINT}"


class ClipError(Exception):
    """A clip that cannot be read; the text names the file.

    hint  the next step
    code  of protocol.ERROR_CODES
    """

    def __init__(self, message: str, hint: str, code: str = "bad_performance") -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


def load_av() -> Any:
    """The module av. Raises ClipError (not_installed) where it is missing or broken."""
    try:
        module = importlib.import_module("av")
        # FFmpeg would write to stderr what is said better by the errors here.
        module.logging.set_level(None)
    except (ImportError, AttributeError, OSError) as error:
        text = f"Clips cannot be read: PyAV does not work in '{sys.executable}': {error}."
        raise ClipError(text, INSTALL_HINT, "not_installed") from error
    return module
