"""Work that goes on in a second thread while one picture is drawn and a core is free."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

_MANY_CORES = (os.cpu_count() or 1) > 1
_second = ThreadPoolExecutor(1, "aside")
_lock = threading.Lock()
_drawing: set[int] = set()


@contextmanager
def drawing() -> Iterator[bool]:
    """A picture is drawn by this thread; gives whether nobody else draws one."""
    thread = threading.get_ident()
    with _lock:
        is_alone = not _drawing
        _drawing.add(thread)
    try:
        yield is_alone and _MANY_CORES
    finally:
        with _lock:
            _drawing.discard(thread)


def begin(work: Callable[[], None]) -> Future[None]:
    """Start work that shares nothing with what its thread goes on with; `result` waits for it."""
    return _second.submit(work)


def share(works: Sequence[Callable[[], None]]) -> None:
    """Do independent works, two at a time where nobody else draws; they may raise nothing."""
    waiting = deque(works)

    def go() -> None:
        while True:
            try:
                work = waiting.popleft()
            except IndexError:
                return
            work()

    if _MANY_CORES and len(works) > 1 and len(_drawing) < 2:
        other = _second.submit(go)
        go()
        # Not begun: the second thread is busy, or is this one.
        if not other.cancel():
            other.result()
    else:
        go()
