"""What can go wrong with the engine, as typed exceptions with a code, a message and a hint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Codes that the host adds to engine.protocol.ERROR_CODES.
HOST_ERROR_CODES: Mapping[str, str] = {
    "start_failed": "the engine process could not be started or did not say hello in time",
    "not_running": "a request was made while the engine was stopped",
    "engine_died": "the engine process ended by itself",
    "engine_silent": "the engine process runs but no longer answers the heartbeat",
    "garbled": "the engine wrote something that is not a message",
    "timeout": "a waited-for request took too long",
    "superseded": "a newer live request took this one's place; nothing went wrong",
}


class EngineError(Exception):
    """A request or the engine itself failed.

    code     a key of HOST_ERROR_CODES or of engine.protocol.ERROR_CODES
    message  what happened, one sentence for the user
    hint     what to do about it; may be empty
    """

    code = "internal"

    def __init__(self, message: str, hint: str = "", *, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class RequestError(EngineError):
    """The engine answered `failed`; `code` says why."""


class StartError(EngineError):
    """The engine process could not be started or did not say hello in time."""

    code = "start_failed"


class VersionError(EngineError):
    """Host and engine are of different versions."""

    code = "version_skew"


class NotRunningError(EngineError):
    """The engine is stopped."""

    code = "not_running"


class EngineDiedError(EngineError):
    """The engine process ended while it was needed."""

    code = "engine_died"


class EngineSilentError(EngineError):
    """The engine process no longer answers; it has been killed."""

    code = "engine_silent"


class GarbledError(EngineError):
    """The engine wrote bytes that are no message; it has been killed."""

    code = "garbled"


class WaitTimeoutError(EngineError):
    """A waited-for request took too long and was cancelled."""

    code = "timeout"


class CancelledError(EngineError):
    """The request was cancelled on this side."""

    code = "cancelled"


class SupersededError(EngineError):
    """A newer live request took this one's place before it was sent."""

    code = "superseded"


def from_fields(fields: Mapping[str, Any]) -> EngineError:
    """The exception for the fields of a `failed` message."""
    code, message, hint = (str(fields.get(name, "")) for name in ("code", "message", "hint"))
    kinds: dict[str, type[EngineError]] = {
        "version_skew": VersionError,
        "cancelled": CancelledError,
    }
    kind = kinds.get(code, RequestError)
    return kind(message or "The engine gave no reason.", hint, code=code or "internal")
