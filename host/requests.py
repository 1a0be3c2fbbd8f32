"""Which requests wait, which are in the engine, which are finished. No input or output here."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from ..engine.protocol import MESSAGE_TYPES, Array, Message, ProtocolError, encode_header
from .errors import CancelledError, EngineError, GarbledError, SupersededError, from_fields
from .ticket import Policy, Progress, Reply, Ticket

REQUESTS = frozenset(row.name for row in MESSAGE_TYPES.values() if row.reply)

Send = Callable[[Message], None]


class RequestBook:
    """Tickets of one Engine, thread-safe; `send` must not block.

    Requests are held back until `open(send)` and after `fail_all`.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._ids = itertools.count(1)
        self._send: Send | None = None
        self._held: list[Message] = []
        self._in_flight: dict[int, Ticket] = {}
        self._busy_keys: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, tuple[Ticket, Message]] = {}
        self._finished: deque[Ticket] = deque()

    @property
    def is_busy(self) -> bool:
        """True while the engine owes an answer."""
        return bool(self._in_flight)

    def new_id(self) -> int:
        """An id for a message that has no ticket (hello, ping…)."""
        return next(self._ids)

    def open(self, send: Send) -> None:
        """Send what was held back, and from now on send directly."""
        with self._lock:
            self._send = send
            held, self._held = self._held, []
            for message in held:
                send(message)

    def submit(
        self,
        type: str,
        fields: Mapping[str, Any] | None,
        arrays: Mapping[str, Array] | None,
        policy: Policy,
        key: Hashable,
        tag: object,
        use_drain: bool,
    ) -> Ticket:
        """Enter one request: send it, let it wait for its key, or hold it until open."""
        with self._lock:
            ticket = Ticket(self.new_id(), type, policy, key, tag, use_drain)
            message = Message(type, ticket.id, fields or {}, arrays or {})
            if type not in REQUESTS:
                raise ProtocolError(f"'{type}' is not a request")
            encode_header(message)
            if policy is Policy.NEWEST and key in self._busy_keys:
                self._replace_waiting(key, ticket, message)
            else:
                self._dispatch(ticket, message)
            return ticket

    def refuse(
        self,
        type: str,
        policy: Policy,
        key: Hashable,
        tag: object,
        use_drain: bool,
        error: EngineError,
    ) -> Ticket:
        """A ticket that has failed already."""
        with self._lock:
            ticket = Ticket(self.new_id(), type, policy, key, tag, use_drain)
            self._finish(ticket, None, error)
            return ticket

    def _replace_waiting(self, key: Hashable, ticket: Ticket, message: Message) -> None:
        older = self._waiting.get(key)
        self._waiting[key] = (ticket, message)
        if older is not None:
            self._finish(older[0], None, SupersededError("A newer request took its place."))

    def _dispatch(self, ticket: Ticket, message: Message) -> None:
        self._in_flight[ticket.id] = ticket
        if ticket.policy is Policy.NEWEST:
            self._busy_keys[ticket.key] = ticket.id
        if self._send is None:
            self._held.append(message)
        else:
            self._send(message)

    def _finish(self, ticket: Ticket, reply: Message | None, error: EngineError | None) -> None:
        if ticket.is_done:
            return
        ticket.finish(reply, error)
        if ticket.use_drain:
            self._finished.append(ticket)

    def receive(self, message: Message) -> None:
        """Book a message of the engine; raises ProtocolError for one that answers nothing."""
        with self._lock:
            ticket = self._in_flight.get(message.id)
            if ticket is None:
                raise ProtocolError(f"'{message.type}' answers no request (id {message.id})")
            if message.type == "progress":
                ticket.progress = read_progress(message)
                return
            self._release(ticket)
            if ticket.is_done:
                # Cancelled too late for the engine: nobody is going to close what it opened.
                self._close_opened(message)
            elif message.type == "failed":
                self._finish(ticket, None, from_fields(message.fields))
            elif message.type == MESSAGE_TYPES[ticket.type].reply:
                self._finish(ticket, message, None)
            else:
                text = f"The engine answered '{ticket.type}' with '{message.type}'."
                self._finish(ticket, None, GarbledError(text, "Reinstall the extension."))

    def _release(self, ticket: Ticket) -> None:
        del self._in_flight[ticket.id]
        if self._busy_keys.get(ticket.key) != ticket.id:
            return
        del self._busy_keys[ticket.key]
        following = self._waiting.pop(ticket.key, None)
        if following is not None:
            self._dispatch(*following)

    def cancel(self, ticket: Ticket, error: EngineError | None = None) -> bool:
        """End a ticket now; True when the engine has to be told, too.

        A request that is in the engine keeps its key busy until the engine has answered.
        """
        error = error or CancelledError("The request was cancelled.")
        with self._lock:
            if ticket.is_done:
                return False
            self._finish(ticket, None, error)
            waiting = self._waiting.get(ticket.key)
            if waiting is not None and waiting[0] is ticket:
                del self._waiting[ticket.key]
                return False
            held = [m for m in self._held if m.id == ticket.id]
            if held:
                self._held.remove(held[0])
                self._release(ticket)
                return False
            return True

    def abandon(self, ticket: Ticket) -> bool:
        """Cancel a ticket, and close what it has opened; True as for `cancel`."""
        with self._lock:
            is_new, ticket.is_abandoned = not ticket.is_abandoned, True
            if ticket.reply is not None and is_new:
                self._close_opened(ticket.reply)
            return self.cancel(ticket)

    def _close_opened(self, reply: Message) -> None:
        if reply.type == "opened":
            fields = {"handle": reply.fields["handle"]}
            self.submit("close", fields, None, Policy.ALL, None, None, False)

    def claim(self, ticket: Ticket) -> None:
        """Keep a ticket out of drain: someone waits for it."""
        with self._lock:
            ticket.use_drain = False
            if ticket in self._finished:
                self._finished.remove(ticket)

    def fail_all(self, error: EngineError) -> None:
        """End every unfinished ticket, and hold new requests back until open."""
        with self._lock:
            tickets = [*self._in_flight.values(), *(entry[0] for entry in self._waiting.values())]
            self._send = None
            self._held.clear()
            self._in_flight.clear()
            self._busy_keys.clear()
            self._waiting.clear()
            for ticket in tickets:
                self._finish(ticket, None, error)

    def drain(self) -> list[Reply]:
        """Finished tickets that nobody waits for, oldest first, each one once."""
        with self._lock:
            tickets, self._finished = list(self._finished), deque()
            return [Reply(t, t.reply, t.error) for t in tickets]


def read_progress(message: Message) -> Progress:
    """The progress of a `progress` message. Raises ProtocolError on a bad fraction."""
    try:
        fraction = float(message.fields["fraction"])
    except (TypeError, ValueError) as error:
        raise ProtocolError("progress without a number") from error
    return Progress(min(max(fraction, 0.0), 1.0), str(message.fields["text"]))
