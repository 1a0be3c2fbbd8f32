"""A timer that brings the engine's answers to the main thread, running only while some are due."""

from __future__ import annotations

import time

import bpy

from . import engine as engine_process
from . import main_thread

INTERVAL_S = 0.01
# Panels show progress while answers are due, at this rate.
REDRAW_S = 0.2
# Answers and wishes wait for a render's end, for data-blocks may not be written meanwhile.
RENDERING_S = 0.1

_next_redraw = 0.0


def start() -> None:
    """Look for answers until none is due. Does nothing in the background: no timer ticks there."""
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=0.0)


def drain() -> int:
    """Hand every finished request to its caller; the number of requests. Never blocks."""
    from . import live

    if not live.traffic.acquire(blocking=False):
        return 0
    try:
        replies = [reply for engine in engine_process.engines() for reply in engine.drain()]
        for reply in replies:
            receive = getattr(reply.ticket.tag, "receive", None)
            if receive is not None:
                receive(reply)
    finally:
        live.traffic.release()
    return len(replies)


def _tick() -> float | None:
    global _next_redraw
    from . import live, picture_views, puppets

    if main_thread.is_render_running():
        return RENDERING_S
    count = drain()
    live.rest_all()
    if live.take_due_refresh():
        live.refresh(bpy.context.scene, bpy.context.evaluated_depsgraph_get())
    if puppets.current():
        # The camera draws the panels when they are due. Nothing is drawn before the picture is
        # there: it would be late by the whole drawing.
        if count:
            picture_views.redraw_pictures()
    elif count or time.monotonic() > _next_redraw:
        _next_redraw = time.monotonic() + REDRAW_S
        redraw()
    return INTERVAL_S if live.is_pending() else None


def redraw() -> None:
    """Redraw what shows portraits or their state."""
    from . import picture_views

    for area in picture_views.all_areas():
        if area.type in {"VIEW_3D", "IMAGE_EDITOR", "SEQUENCE_EDITOR", "PREFERENCES"}:
            area.tag_redraw()


def register() -> None:
    """The timer starts when it is first needed."""


def unregister() -> None:
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
