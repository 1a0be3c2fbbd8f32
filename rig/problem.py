"""Why a portrait cannot move, and whether asking the engine again may help."""

from __future__ import annotations

from dataclasses import dataclass

from ..host.client import EngineError
from .errors import AddonError

# The engine no longer has what we opened; opening again puts it right.
LOST_CODES = frozenset({"unknown_handle", "engine_died", "engine_silent", "garbled", "not_running"})
# What Blender's side found out by itself.
ADDON_CODE = "addon"
QUIET_CODES = frozenset({"superseded", "cancelled"})
# What fails for another reason while a picture is opened would fail again for the same picture and
# faces, and these would fail again for any motion.
HOPELESS_CODES = frozenset({"out_of_memory", "bad_request"})
# The cause may be gone although nothing in the file has changed.
PASSING_CODES = frozenset({"out_of_memory", "internal"})
REFRESH_HINT = "Then press Refresh beside Live."


@dataclass(frozen=True)
class Problem:
    """What the panel shows when a portrait cannot move.

    is_final  asking the engine again is no use until the picture, a face or the renderer changes,
              the engine is restarted, or the artist presses Refresh
    """

    code: str
    message: str
    hint: str
    is_final: bool = False

    @classmethod
    def of(cls, error: AddonError | EngineError, *, is_opening: bool = False) -> Problem:
        """The problem that an error tells about; whether it came when a picture was opened."""
        code = error.code if isinstance(error, EngineError) else ADDON_CODE
        is_final = code in HOPELESS_CODES
        if is_opening:
            is_final = code not in LOST_CODES | QUIET_CODES | {ADDON_CODE, "timeout"}
        hint = f"{error.hint} {REFRESH_HINT}" if is_final and code in PASSING_CODES else error.hint
        return cls(code, error.message, hint.strip(), is_final)
