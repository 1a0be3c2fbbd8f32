"""The engine as Blender's side sees it: start it, ask it, never wait for it by accident.

engine = Engine(Launch(python, root, log_path))
engine.start()
ticket = engine.submit("render", fields, policy=Policy.NEWEST, key=("live", handle))
for reply in engine.drain(): ...             # from a timer, never blocks
message = engine.wait(ticket, timeout_s=60)  # while rendering and in the background
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Hashable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from ..engine.protocol import Array, Message
from .errors import EngineError, NotRunningError, WaitTimeoutError
from .life import Callbacks, EngineLife, Timing
from .log import EngineLog
from .process import Launch
from .requests import RequestBook
from .ticket import Policy, Progress, Reply, Ticket

__all__ = [
    "Engine",
    "EngineError",
    "Launch",
    "Policy",
    "Progress",
    "Reply",
    "State",
    "Ticket",
    "Timing",
]


class State(Enum):
    """What the engine process is doing."""

    STOPPED = "stopped"  # not started, or stopped on purpose
    STARTING = "starting"  # started, has not answered yet; requests are kept until it does
    READY = "ready"  # idle
    BUSY = "busy"  # working on requests
    FAILED = "failed"  # could not start, died, hung or spoke garbage; `error` says which


class Engine:
    """A background engine process. Every method may be called from any thread.

    Nothing here blocks but `wait`, `wait_ready` and `stop`, and those no longer than told. The disk
    is only looked at by the engine's own threads.
    """

    def __init__(self, launch: Launch, timing: Timing | None = None) -> None:
        self.launch = launch
        self._timing = timing or Timing()
        self._log = EngineLog(launch.log_path)
        self._book = RequestBook()
        self._changed = threading.Condition(threading.RLock())
        self._life: EngineLife | None = None
        self._state = State.STOPPED
        self._error: EngineError | None = None
        self._capabilities: dict[str, Any] = {}
        self._generation = 0

    # --- state --------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state to show."""
        if self._state is State.READY and self._book.is_busy:
            return State.BUSY
        return self._state

    @property
    def is_running(self) -> bool:
        """True while requests are accepted: STARTING, READY or BUSY."""
        return self._state in (State.STARTING, State.READY)

    @property
    def error(self) -> EngineError | None:
        """Why the state is FAILED; None in every other state."""
        return self._error

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the engine said about itself in `ready`; empty before."""
        return self._capabilities

    @property
    def generation(self) -> int:
        """Number of starts so far. Handles are only good in the generation that opened them."""
        return self._generation

    @property
    def pid(self) -> int | None:
        """Process id of the engine, None when none runs (yet)."""
        process = None if self._life is None else self._life.process
        return None if process is None else process.pid

    @property
    def log_path(self) -> Path:
        """The file with the engine's stderr."""
        return self.launch.log_path

    def log_tail(self) -> list[str]:
        """The last lines of the log, oldest first."""
        return self._log.tail()

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process if none runs. Returns at once; `state` tells how it goes."""
        with self._changed:
            if self.is_running:
                return
            self._generation += 1
            self._error = None
            self._capabilities = {}
            callbacks = Callbacks(self._on_ready, self._book.receive, self._on_failed)
            life = EngineLife(self.launch, self._timing, self._log, callbacks, self._book.new_id)
            self._life = life
            self._state = State.STARTING
            atexit.register(self._kill)
            life.start()

    def leave(self, grace_s: float = 1.0) -> None:
        """As `stop`, but returns at once: the process ends and is reaped meanwhile."""
        self._detach(grace_s)

    def stop(self, grace_s: float = 1.0) -> None:
        """End the process: ask, kill after `grace_s` seconds, reap. Fails open tickets."""
        life = self._detach(grace_s)
        if life is not None:
            life.join(grace_s + 3.0)

    def restart(self) -> None:
        """Kill the process, if any, and start a new one. Returns at once."""
        self._detach(0.0)
        self.start()

    def _detach(self, grace_s: float) -> EngineLife | None:
        error = NotRunningError("The engine was stopped.", "Start it and try again.")
        with self._changed:
            life, self._life = self._life, None
            self._state, self._error = State.STOPPED, None
            self._book.fail_all(error)
            self._changed.notify_all()
        atexit.unregister(self._kill)
        if life is not None:
            life.end(grace_s)
        return life

    def _kill(self) -> None:
        self.stop(0.0)

    def _on_ready(self, life: EngineLife, capabilities: dict[str, Any]) -> None:
        with self._changed:
            if life is not self._life:
                return
            self._capabilities = capabilities
            self._state = State.READY
            self._book.open(life.send)
            self._changed.notify_all()

    def _on_failed(self, life: EngineLife, error: EngineError) -> None:
        with self._changed:
            if life is not self._life:
                return
            self._life = None
            self._set_failed(error)

    def _set_failed(self, error: EngineError) -> None:
        self._state, self._error = State.FAILED, error
        atexit.unregister(self._kill)
        self._book.fail_all(error)
        self._changed.notify_all()

    # --- requests -----------------------------------------------------------------------------

    def submit(
        self,
        type: str,
        fields: Mapping[str, Any] | None = None,
        arrays: Mapping[str, Array] | None = None,
        *,
        policy: Policy = Policy.ALL,
        key: Hashable = None,
        tag: object = None,
        use_drain: bool = True,
    ) -> Ticket:
        """Ask the engine something; the ticket is finished later, or at once when none runs.

        type, fields, arrays  as in engine.protocol.MESSAGE_TYPES; arrays are not copied and must
                   not change until the ticket is done
        policy     ALL sends every request; NEWEST sends only the newest one per `key`
        tag        the caller's own, kept on the ticket
        use_drain  False keeps the ticket out of `drain`, for a caller that looks at the ticket

        Raises ProtocolError, TypeError or ValueError for a request that breaks the table.
        """
        with self._changed:
            if not self.is_running:
                error = self._error or NotRunningError(
                    "The engine is not running.", "Start it first."
                )
                return self._book.refuse(type, policy, key, tag, use_drain, error)
            ticket = self._book.submit(type, fields, arrays, policy, key, tag, use_drain)
            ticket.generation = self._generation
            return ticket

    def cancel(self, ticket: Ticket) -> None:
        """End a ticket as `cancelled` and tell the engine to drop the work."""
        self._cancel(ticket, None)

    def _cancel(self, ticket: Ticket, error: EngineError | None) -> None:
        with self._changed:
            self._tell_cancelled(ticket, self._book.cancel(ticket, error))

    def _tell_cancelled(self, ticket: Ticket, is_sent: bool) -> None:
        life = self._life
        if is_sent and life is not None:
            life.send(Message("cancel", self._book.new_id(), {"request": ticket.id}))

    def abandon(self, ticket: Ticket) -> None:
        """Forget a request whatever becomes of it: it is cancelled, and what it opens is closed.

        For a ticket whose answer the caller has not used. A handle of an earlier generation is
        gone with its process.
        """
        with self._changed:
            if self.is_running and ticket.generation == self._generation:
                self._tell_cancelled(ticket, self._book.abandon(ticket))

    def idle_s(self, ticket: Ticket) -> float:
        """Seconds without a sign of work since the request was made.

        Progress and answers of any request count: the engine works on one at a time, and whoever
        waits behind a long one is not forgotten. A pong does not: it comes from another thread.
        """
        life = self._life
        heard_at = ticket.made_at if life is None else max(ticket.made_at, life.heard_at)
        return time.monotonic() - heard_at

    def drain(self) -> list[Reply]:
        """Requests finished since the last call, oldest first; each one once. Never blocks.

        Superseded requests are among them. Requests that someone waits for are not.
        """
        return self._book.drain()

    def wait(self, ticket: Ticket, timeout_s: float) -> Message:
        """Block until this ticket is done and return the answer; nobody needs to drain meanwhile.

        timeout_s  without a sign of work, see idle_s: networks take as long to load as the disk
                   needs

        Raises the ticket's EngineError, or WaitTimeoutError, which cancels the request.
        """
        self._book.claim(ticket)
        start = time.monotonic()
        left = timeout_s
        while left > 0 and not ticket.wait(left):
            left = timeout_s - min(self.idle_s(ticket), time.monotonic() - start)
        if not ticket.is_done:
            text = f"The engine did not go on with '{ticket.type}' for {timeout_s:g} s."
            self._cancel(ticket, WaitTimeoutError(text, f"See the log: {self.log_path}"))
        return ticket.result()

    def wait_ready(self, timeout_s: float) -> None:
        """Block until the handshake is over.

        Raises the engine's error when it failed, NotRunningError when it is stopped, and
        WaitTimeoutError.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._state is State.STARTING:
                if not self._changed.wait(deadline - time.monotonic()):
                    text = f"The engine was not ready within {timeout_s:g} s."
                    raise WaitTimeoutError(text, f"See the log: {self.log_path}")
            if self._state is not State.READY:
                raise self._error or NotRunningError(
                    "The engine is not running.", "Start it first."
                )
