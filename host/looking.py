"""What lies on a disk that may not answer: a thread looks, whoever asks waits a moment at most."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
# Looking takes one of so many seconds at most.
SELDOM = 20.0


class Look(Generic[T]):
    """The newest answer to a question that a thread finds out; thread-safe.

    While a look hangs, for example on a network drive that is gone, nobody waits for it a second
    time, and it is not begun again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._question: Hashable = None
        self._answer: T | None = None
        self._answered_at = 0.0
        self._took_s = 0.0
        self._running: tuple[Hashable, float, threading.Event] | None = None
        self._is_waited_for = False

    def ask(
        self, question: Hashable, work: Callable[[], T], *, patience_s: float, fresh_s: float = 0.0
    ) -> T | None:
        """The newest answer; None where there is none yet.

        question    what `work` depends on; another one is looked up at once
        work        finds the answer out; runs in another thread
        patience_s  how long to wait for a new answer
        fresh_s     an answer of this age is new enough
        """
        with self._lock:
            is_known = question == self._question and self._answered_at > 0.0
            # What takes long is looked at the more seldom.
            limit_s = max(fresh_s, SELDOM * self._took_s) if fresh_s else 0.0
            if is_known and time.monotonic() - self._answered_at < limit_s:
                return self._answer
            is_running = self._running is not None and self._running[0] == question
            if not is_running:
                self._begin(question, work)
            is_patient = not (is_running and self._is_waited_for)
            self._is_waited_for = True
            event = self._running[2] if self._running is not None else None
        if is_patient and event is not None:
            event.wait(patience_s)
        with self._lock:
            return self._answer if question == self._question else None

    @property
    def silent_s(self) -> float:
        """Seconds that the running look has lasted; 0 while none runs."""
        running = self._running
        return 0.0 if running is None else time.monotonic() - running[1]

    def _begin(self, question: Hashable, work: Callable[[], T]) -> None:
        done = threading.Event()
        self._running = (question, time.monotonic(), done)
        self._is_waited_for = False

        def run() -> None:
            try:
                answer = work()
                with self._lock:
                    if self._running is not None and self._running[2] is done:
                        self._question, self._answer = question, answer
                        self._answered_at = time.monotonic()
                        self._took_s = self._answered_at - self._running[1]
            finally:
                with self._lock:
                    if self._running is not None and self._running[2] is done:
                        self._running = None
                done.set()

        threading.Thread(target=run, name="keyportrait-look", daemon=True).start()
