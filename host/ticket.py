"""Requests to the engine as their caller sees them."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from enum import Enum
from typing import NamedTuple

from ..engine.protocol import Message
from .errors import EngineError


class Policy(Enum):
    """What happens to a request when a later one with the same key is made.

    NEWEST  live preview: one in the engine, at most one waiting; a newer one replaces the waiting
    ALL     bakes, opening, closing: every request is sent; see Order in docs/protocol.md
    """

    NEWEST = "newest"
    ALL = "all"


class Progress(NamedTuple):
    """How far a running request is: fraction 0..1 and a short text, maybe empty."""

    fraction: float = 0.0
    text: str = ""


class Ticket:
    """One request on its way. Read-only for callers; made by Engine.submit.

    id        unique in this Engine, above 0
    type      message type of the request
    key, tag  as given to submit; `tag` is the caller's own
    progress  newest progress of the request
    made_at   time.monotonic() when the request was made
    reply     the engine's answer, None until done or when it failed
    error     why it failed, None until done or when it succeeded
    generation    start of the engine that it was made for, see Engine.generation
    is_abandoned  nobody wants the outcome any more, see Engine.abandon
    """

    def __init__(
        self, id: int, type: str, policy: Policy, key: Hashable, tag: object, use_drain: bool
    ) -> None:
        self.id = id
        self.type = type
        self.policy = policy
        self.key = key
        self.tag = tag
        self.progress = Progress()
        self.made_at = time.monotonic()
        self.generation = 0
        self.is_abandoned = False
        self.reply: Message | None = None
        self.error: EngineError | None = None
        self.use_drain = use_drain
        self._done = threading.Event()

    def __repr__(self) -> str:
        if not self.is_done:
            return f"<Ticket {self.id} {self.type}: waiting>"
        return f"<Ticket {self.id} {self.type}: {self.error.code if self.error else 'done'}>"

    @property
    def is_done(self) -> bool:
        """True once `reply` or `error` is set; neither changes afterwards."""
        return self._done.is_set()

    def result(self) -> Message:
        """The answer of a finished request; raises its error instead when it failed."""
        if self.error is not None:
            raise self.error
        if self.reply is None:
            raise ValueError("the request is not finished")
        return self.reply

    def finish(self, reply: Message | None, error: EngineError | None) -> None:
        """Set the outcome and wake every waiter; called once, by the request book."""
        self.reply, self.error = reply, error
        self._done.set()

    def wait(self, timeout_s: float | None) -> bool:
        """Block until done; False when the time is over first."""
        return self._done.wait(timeout_s)


class Reply(NamedTuple):
    """A finished request as Engine.drain hands it out: either `message` or `error` is set."""

    ticket: Ticket
    message: Message | None
    error: EngineError | None
