"""Requests that wait for the working thread, and which of them comes next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from enum import IntEnum

from .protocol import Message

# So long after a slider was moved, another move is likely, and a bake leaves the cores to it.
DRAG_S = 0.5


class Rank(IntEnum):
    """How soon a request is due; a higher one comes between the steps of a lower one."""

    ALONE = 0  # hello, shutdown: what came before is done, what came after waits
    BACKGROUND = 1  # reading a performance, the frames of a bake: minutes
    ASKED = 2  # somebody looks at a progress bar: seconds
    LIVE = 3  # somebody drags a slider, or a render waits for its frame


RANKS = {
    "hello": Rank.ALONE,
    "shutdown": Rank.ALONE,
    "capture": Rank.BACKGROUND,
    "performers": Rank.BACKGROUND,
    "write_movie": Rank.BACKGROUND,
    "track": Rank.BACKGROUND,
    "render": Rank.LIVE,
    "close": Rank.LIVE,
}


def is_saving(message: Message) -> bool:
    """Whether a request makes a picture that a writer puts into a file: a frame of a bake."""
    options = message.fields.get("options")
    is_asked = isinstance(options, dict) and options.get("save") is not None
    return message.type == "render" and is_asked


def rank_of(message: Message) -> Rank:
    """How soon a request is due."""
    return Rank.BACKGROUND if is_saving(message) else RANKS.get(message.type, Rank.ASKED)


class Backlog:
    """Thread-safe. Requests come out by rank, those of one rank and those of one handle in order.

    writers  how many pictures may be written at a time; a request that saves one stays here until
             a writer is free, so that it keeps nobody else waiting; while sliders are dragged
             there is one writer
    clock    seconds
    """

    def __init__(self, writers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._changed = threading.Condition()
        self._waiting: list[Message] = []
        self._writing: set[int] = set()
        self._writers = writers
        self._clock = clock
        self._live_at = -DRAG_S
        self._is_closed = False

    def put(self, message: Message) -> None:
        """Add a request."""
        with self._changed:
            if message.type == "render" and not is_saving(message):
                self._live_at = self._clock()
            self._waiting.append(message)
            self._changed.notify()

    def close(self) -> None:
        """No more requests come: `take` ends when none is left."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def withdraw(self, request_id: object = None) -> list[Message]:
        """Take out the waiting request with this id, for None all but those that stand ALONE."""
        with self._changed:
            found = [
                message
                for message in self._waiting
                if message.id == request_id
                or (request_id is None and rank_of(message) is not Rank.ALONE)
            ]
            self._waiting = [message for message in self._waiting if message not in found]
            self._changed.notify()
            return found

    def take(self) -> Message | None:
        """The next request, waited for; None when no more come.

        One that saves a picture holds a writer until `free_writer`.
        """
        with self._changed:
            while (found := self._next(Rank.ALONE)) is None:
                if self._is_closed and not self._waiting:
                    return None
                self._changed.wait(DRAG_S if self._waiting else None)
            return found

    def between(self, running: Message) -> Iterator[Message]:
        """Requests to work on between two steps of a running one; never waits.

        No more than those that wait now, so that the running one goes on as well. A performance
        that is read lets one frame of a bake pass at each step: they share the time.
        """
        rank = rank_of(running)
        with self._changed:
            count = sum(rank_of(message) > rank for message in self._waiting)
        for _ in range(count):
            with self._changed:
                found = self._next(Rank(rank + 1))
            if found is None:
                break
            yield found
        if rank is Rank.BACKGROUND and not is_saving(running):
            with self._changed:
                found = self._next(rank, is_saving_only=True)
            if found is not None:
                yield found

    def free_writer(self, request: Message) -> None:
        """The picture of a request is written, or will never be."""
        with self._changed:
            self._writing.discard(request.id)
            self._changed.notify()

    def _next(self, lowest: Rank, *, is_saving_only: bool = False) -> Message | None:
        """Take out the first of the most urgent requests; with the lock held."""
        best: Message | None = None
        handles: set[int] = set()
        is_dragged = self._clock() - self._live_at < DRAG_S
        has_writer = len(self._writing) < (1 if is_dragged else self._writers)
        for message in self._waiting:
            rank = rank_of(message)
            if rank is Rank.ALONE:
                if lowest is Rank.ALONE and message is self._waiting[0]:
                    best = message
                break
            handle = message.fields.get("handle")
            is_free = handle not in handles if isinstance(handle, int) else True
            if isinstance(handle, int):
                handles.add(handle)
            if is_saving(message):
                is_free = is_free and has_writer
            elif is_saving_only:
                continue
            if is_free and rank >= lowest and (best is None or rank > rank_of(best)):
                best = message
        if best is not None:
            self._waiting.remove(best)
            if is_saving(best):
                self._writing.add(best.id)
        return best
