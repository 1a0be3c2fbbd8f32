"""Operators whose work takes longer than a click: modal in the window, blocking for scripts."""

from __future__ import annotations

import time
from typing import Protocol, final

import bpy

from ..rig import pump
from ._base import ReportsErrors

TICK_S = 0.02
REDRAW_S = 0.2


class LongRun(Protocol):
    """Work that is under way.

    text, fraction  what it does now, and how far it is, 0..1
    is_done         nothing is left to do, also after `cancel`
    is_cancelled    ended by `cancel`, from wherever it was called
    step            go on for a moment without waiting
    run             go on to the end, blocking, with time-outs of its own
    cancel          end now; safe to call at any time, and twice
    `step` and `run` raise AddonError or EngineError.
    """

    @property
    def text(self) -> str: ...
    @property
    def fraction(self) -> float: ...
    @property
    def is_done(self) -> bool: ...
    @property
    def is_cancelled(self) -> bool: ...
    def step(self) -> None: ...
    def run(self) -> None: ...
    def cancel(self) -> None: ...


class RunsLong(ReportsErrors):
    """Mixin for operators: write `_begin` and `_finish` instead of `execute`.

    Invoked by a button, a menu or the file browser, the operator is modal: a timer moves the run
    on, the status bar shows progress, Esc cancels, and so does Blender when it ends the operator
    itself. Called by a script, in the background, or with use_wait it returns when all is done.
    """

    use_wait: bpy.props.BoolProperty(
        name="Wait",
        description="Return only when done, for scripts",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    stop_text = "Cancelled"
    _long_run: LongRun | None = None
    _timer: bpy.types.Timer | None = None
    _shown_at = 0.0
    _is_under_way = False  # begun, and not used yet

    def _begin(self, context: bpy.types.Context) -> LongRun:
        """Start the work. May raise AddonError or EngineError."""
        raise NotImplementedError

    def _finish(self, context: bpy.types.Context, run: LongRun) -> set[str]:
        """Use what a whole run has made, and report it. May raise, as `_begin`."""
        raise NotImplementedError

    def _drop(self) -> None:
        """Clean up when the work was cancelled, failed or could not begin."""

    @property
    def is_blocking(self) -> bool:
        """Whether the caller wants everything done on return."""
        return not self.options.is_invoke or self.use_wait or bpy.app.background

    @final
    def _run(self, context: bpy.types.Context) -> set[str]:
        self._is_under_way = True
        answer: set[str] = set()
        try:
            run = self._long_run = self._begin(context)
            if not self.is_blocking:
                answer = self._start_modal(context)
                return answer
            run.run()
            return self._complete(context, run)
        finally:
            if "RUNNING_MODAL" not in answer:
                self._end(context)

    def _complete(self, context: bpy.types.Context, run: LongRun) -> set[str]:
        answer = self._finish(context, run)
        self._is_under_way = False
        return answer

    # --- in the window --------------------------------------------------------------------------

    def _start_modal(self, context: bpy.types.Context) -> set[str]:
        manager = context.window_manager
        self._timer = manager.event_timer_add(TICK_S, window=context.window)
        manager.progress_begin(0, 100)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    @final
    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Called by Blender for every event while the run is under way."""
        answer = {"PASS_THROUGH"}
        if event.type == "ESC" and event.value == "PRESS":
            answer = self._tell_stopped()
        elif event.type == "TIMER":
            answer = self._guard(self._tick, context)
        if "PASS_THROUGH" not in answer:
            self._end(context)
        return answer

    def _tick(self, context: bpy.types.Context) -> set[str]:
        run = self._long_run
        if not run.is_done:
            run.step()
        if run.is_cancelled:
            return self._tell_stopped()
        if run.is_done:
            return self._complete(context, run)
        if time.monotonic() - self._shown_at > REDRAW_S:
            self._shown_at = time.monotonic()
            context.window_manager.progress_update(int(100 * run.fraction))
            context.workspace.status_text_set(f"{run.text}  |  Esc: cancel")
            pump.redraw()
        return {"PASS_THROUGH"}

    def _tell_stopped(self) -> set[str]:
        self.report({"WARNING"}, self.stop_text)
        return {"CANCELLED"}

    @final
    def cancel(self, context: bpy.types.Context) -> None:
        """Called by Blender when it ends the operator itself: a file is opened, a window closed."""
        self._end(context)

    def _end(self, context: bpy.types.Context) -> None:
        """Leave no timer, no text and no work behind, however the operator ends."""
        run, self._long_run = self._long_run, None
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
            context.window_manager.progress_end()
            if context.workspace is not None:
                context.workspace.status_text_set(None)
        if self._is_under_way:
            self._is_under_way = False
            if run is not None:
                run.cancel()
            self._drop()
        pump.redraw()
