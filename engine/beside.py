"""Long work that takes no steps of its own, done beside the working thread."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from .renderer import Step

Result = TypeVar("Result")

STEP_S = 0.02


class _StoppedError(Exception):
    """Nobody wants the work any more."""


def done_beside(work: Callable[[], Result], step: Step) -> Result:
    """What `work` returns or raises, while `step` is called all along.

    work  runs in a thread of its own; it may share nothing that can change, such as OpenCV's
          networks
    When `step` raises, the work is given up.
    """
    idents: list[int] = []

    def run() -> Result:
        idents.append(threading.get_ident())
        return work()

    pool = ThreadPoolExecutor(1, "beside")
    future = pool.submit(run)
    try:
        while not future.done():
            step()
            wait([future], STEP_S)
    finally:
        if not future.done() and not future.cancel() and idents:
            _stop(idents[0])
        pool.shutdown(wait=False)
    return future.result()


def _stop(ident: int) -> None:
    """Raise in a thread, between two of its instructions; it is not waited for."""
    error = ctypes.py_object(_StoppedError)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), error)
