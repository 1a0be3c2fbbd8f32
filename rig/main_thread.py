"""Lets the render thread have things done in the main thread.

While a render runs in the window, handlers are called in the render's thread and the main thread
draws. Data that the one writes and the other draws crash Blender, unless the interface is locked;
a render reads that setting before it calls its first handler. So what handlers change during such
a render is changed by the main thread, between two drawings, while the render's thread waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import bpy

from .errors import AddonError

# A job waits no longer than this for its turn; it is short while a render runs.
IDLE_S = 0.1
RENDERING_S = 0.002
# A main thread that takes longer waits for the render itself, to end it, and draws nothing.
PATIENCE_S = 3.0


class _Job:
    """Something to do, by whichever thread takes it first."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.is_done = threading.Event()
        self.error: Exception | None = None
        self._work = work
        self._free = threading.Lock()

    def take(self) -> None:
        """Do it, unless another thread has begun to."""
        if not self._free.acquire(blocking=False):
            return
        try:
            self._work()
        except (AddonError, ReferenceError, RuntimeError) as error:
            self.error = error
        finally:
            self.is_done.set()


_jobs: deque[_Job] = deque()


def is_here() -> bool:
    """Whether this is the main thread."""
    return threading.current_thread() is threading.main_thread()


def is_render_running() -> bool:
    """Whether a render runs in the window, in a thread of its own.

    While Cycles renders, Blender refuses what other threads write to data-blocks.
    """
    return not bpy.app.background and bpy.app.is_job_running("RENDER")


def do(work: Callable[[], None]) -> None:
    """Have `work` done by the main thread, and wait for it. Raises what it raises."""
    if is_here():
        work()
        return
    job = _Job(work)
    _jobs.append(job)
    if not job.is_done.wait(PATIENCE_S):
        job.take()
        job.is_done.wait()
    if job.error is not None:
        raise job.error


def _tick() -> float:
    while _jobs:
        _jobs.popleft().take()
    return RENDERING_S if is_render_running() else IDLE_S


def register() -> None:
    """In the background every handler is called in the main thread, and no timer ticks."""
    if not bpy.app.background:
        bpy.app.timers.register(_tick, first_interval=IDLE_S, persistent=True)


def unregister() -> None:
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    while _jobs:
        _jobs.popleft().take()
