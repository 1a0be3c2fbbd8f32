"""Turn a list of motions into a numbered picture sequence on disk.

A `SequenceBake` is moved on by calling `step` (from a timer) or `run` (blocking). Every frame is
first looked for in the output folder, then in the cache, and only then rendered; the engine writes
pictures into the cache itself, so that no pixels cross the wire. What is in the log of the
sequence is not made again: a bake that was stopped, or whose motion has partly changed, makes only
what is missing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ..engine.part_files import remove_left
from .cache import CacheError, FrameCache, copy_whole, is_whole
from .client import Engine
from .errors import EngineError
from .sequence import (
    BakeError,
    FrameTask,
    OpenRequest,
    SequenceOutput,
    append_log,
    check_folder,
    read_log,
    write_error,
)
from .ticket import Ticket

IN_FLIGHT = 3
FRAME_TIMEOUT_S = 300.0
OPEN_TIMEOUT_S = 120.0
# Facts of a renderer that `opened` repeats and that decide pixels.
DECISIVE = ("device_class", "precision", "model_set")
# After these the engine, or what it had open, is gone, but nothing is wrong with the frame.
LOST_ENGINE = frozenset({"engine_died", "engine_silent", "garbled", "not_running"})
LOST_HANDLE = frozenset({"unknown_handle"})


@dataclass
class Counts:
    """Frames finished so far, by where they came from."""

    kept: int = 0
    cached: int = 0
    rendered: int = 0

    @property
    def total(self) -> int:
        """Finished frames."""
        return self.kept + self.cached + self.rendered


@dataclass
class _Flight:
    """A render request and the tasks that wait for its picture."""

    ticket: Ticket
    path: Path
    is_in_cache: bool
    tasks: list[FrameTask] = field(default_factory=list[FrameTask])


class SequenceBake:
    """One running bake. Not thread-safe: call it from one thread.

    engine        must be started; it is restarted when it dies
    open_request  called when the first frame has to be rendered, and again after a restart
    use_existing  keep pictures that the log says are up to date
    facts         what the keys say of the renderer; an engine that opens with others is refused
    Raises BakeError when the output folder cannot be used.
    """

    def __init__(
        self,
        engine: Engine,
        open_request: Callable[[], OpenRequest],
        tasks: Iterable[FrameTask],
        output: SequenceOutput,
        cache: FrameCache,
        *,
        use_existing: bool = True,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        self._facts = {name: value for name, value in (facts or {}).items() if name in DECISIVE}
        self.output = output
        self.counts = Counts()
        self.warnings: list[str] = []
        self._engine = engine
        self._open_request = open_request
        self._cache = cache
        self._use_cache = True
        self._todo = deque(tasks)
        self.frame_count = len(self._todo)
        self._flights: dict[str, _Flight] = {}
        self._handle: int | None = None
        self._batch_size = 1
        self._opening: Ticket | None = None
        self._generation = engine.generation
        self._lost_at = -1
        self._retried: set[int] = set()
        self._is_cancelled = False
        check_folder(output.folder)
        remove_left(output.folder)
        self._log = read_log(output.log_path) if use_existing else {}

    # --- for the caller -------------------------------------------------------------------------

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do, or the bake was cancelled."""
        return self._is_cancelled or not (self._todo or self._flights)

    @property
    def fraction(self) -> float:
        """Finished part, 0..1; of frames at work, what the engine tells of them."""
        at_work = sum(
            flight.ticket.progress.fraction * len(flight.tasks)
            for flight in list(self._flights.values())
        )
        return (self.counts.total + at_work) / self.frame_count if self.frame_count else 1.0

    def step(self, budget_s: float = 0.03) -> None:
        """Go on without waiting for the engine, for about this long. Raises BakeError."""
        end = time.monotonic() + budget_s
        while not self.is_done:
            is_moved = self._collect() or self._advance()
            if not is_moved or time.monotonic() > end:
                break

    def wait(self, timeout_s: float) -> None:
        """Block until the engine has finished something, at most this long."""
        flights = [flight.ticket for flight in self._flights.values()]
        for ticket in [*flights[:1], self._opening]:
            if ticket is not None and not ticket.is_done:
                ticket.wait(timeout_s)
                return

    def run(self, on_progress: Callable[[SequenceBake], None] | None = None) -> None:
        """Bake to the end, blocking. Raises BakeError."""
        try:
            while not self.is_done:
                self.step(0.2)
                if on_progress is not None:
                    on_progress(self)
                self.wait(0.2)
        finally:
            self.close()

    def cancel(self) -> None:
        """Stop; finished frames stay on disk."""
        self._is_cancelled = True
        self.close()

    def close(self) -> None:
        """Give back what the engine holds for this bake. Safe to call twice."""
        for flight in self._flights.values():
            self._engine.cancel(flight.ticket)
        self._flights.clear()
        if self._opening is not None:
            self._engine.abandon(self._opening)
            self._opening = None
        if self._handle is not None and self._engine.generation == self._generation:
            self._engine.submit("close", {"handle": self._handle}, use_drain=False)
        self._handle = None

    # --- one move -------------------------------------------------------------------------------

    def _advance(self) -> bool:
        """Begin the next frame; False when that has to wait for the engine."""
        if not self._todo:
            return False
        task = self._todo[0]
        flight = self._flights.get(task.key)
        if flight is not None:
            flight.tasks.append(task)
            self._todo.popleft()
            return True
        if self._is_up_to_date(task):
            self._todo.popleft()
            self.counts.kept += 1
            return True
        if self._copy_from_cache(task):
            self._todo.popleft()
            self.counts.cached += 1
            return True
        if len(self._flights) >= IN_FLIGHT or not self._is_open(task):
            return False
        self._todo.popleft()
        self._submit(task)
        return True

    def _is_up_to_date(self, task: FrameTask) -> bool:
        return self._log.get(task.frame) == task.key and is_whole(self.output.path(task.frame))

    def _copy_from_cache(self, task: FrameTask) -> bool:
        target = self.output.path(task.frame)
        try:
            is_found = self._cache.copy_to(task.key, self.output.extension, target)
            if is_found:
                self._note_finished(task)
        except OSError as error:
            raise write_error(task.frame, target, error) from error
        return is_found

    def _is_open(self, task: FrameTask) -> bool:
        """Whether the source is open in the engine; begins opening it when it is not."""
        if self._engine.generation != self._generation:
            self._generation = self._engine.generation  # somebody else restarted it
            self._handle = self._opening = None
        if self._handle is not None:
            return True
        if self._opening is None:
            request = self._open_request()
            self._opening = self._engine.submit(
                "open", request.fields, request.arrays, use_drain=False
            )
        if not self._opening.is_done:
            if self._engine.idle_s(self._opening) > OPEN_TIMEOUT_S:
                raise BakeError("The engine did not open the picture.", self._log_hint())
            return False
        ticket, self._opening = self._opening, None
        if ticket.error is not None:
            self._recover(ticket.error, task.frame)
            return False
        fields = ticket.result().fields
        self._handle = int(fields["handle"])
        at_work = fields.get("renderer", {})
        self._batch_size = int(at_work.get("batch_size", 1))
        self._check_facts(at_work)
        for number, face in enumerate(fields["faces"]):
            if face.get("problem"):
                text = f"Face {number + 1} stays at rest: {face['problem'].get('message', '')}"
                self.warnings.append(text)
        return True

    def _check_facts(self, at_work: Mapping[str, Any]) -> None:
        """Keep frames out of keys that name another device class or precision than made them."""
        for name, wanted in self._facts.items():
            found = at_work.get(name, wanted)
            if found != wanted:
                text = f"The engine works with {name.replace('_', ' ')} '{found}', not '{wanted}'."
                raise BakeError(text, "Restart the engine and bake again.")

    def _submit(self, task: FrameTask) -> None:
        path, is_in_cache = self._target(task)
        save = {"path": str(path), **self.output.settings()}
        options = {"save": save, "upcoming": self._upcoming(), **task.options}
        fields = {"handle": self._handle, "motions": list(task.motions), "options": options}
        if task.source_frame is not None:
            fields["frame"] = task.source_frame
        ticket = self._engine.submit("render", fields, use_drain=False)
        self._flights[task.key] = _Flight(ticket, path, is_in_cache, [task])

    def _upcoming(self) -> list[Any]:
        """What is asked for next, where the renderer makes several at once."""
        ahead = islice(self._todo, self._batch_size - 1)
        tasks = (task for task in ahead if task.key not in self._flights)
        moments = (moment for task in tasks for moment in task.moments)
        return list(islice(moments, self._batch_size - 1))

    def _target(self, task: FrameTask) -> tuple[Path, bool]:
        if self._use_cache and task.frame not in self._retried:
            try:
                return self._cache.prepare(task.key, self.output.extension), True
            except CacheError as error:
                self._stop_using_cache(str(error))
        return self.output.path(task.frame), False

    def _stop_using_cache(self, reason: str) -> None:
        if self._use_cache:
            self.warnings.append(f"{reason}. Baking without the cache")
        self._use_cache = False

    # --- answers --------------------------------------------------------------------------------

    def _collect(self) -> bool:
        """Take in finished renders; True when there was one."""
        is_moved = False
        for key, flight in list(self._flights.items()):
            if flight.ticket.is_done:
                is_moved = True
                del self._flights[key]
                if flight.ticket.error is not None:
                    self._take_failure(flight, flight.ticket.error)
                    break
                self._take_picture(flight)
            elif self._engine.idle_s(flight.ticket) > FRAME_TIMEOUT_S:
                self._engine.cancel(flight.ticket)
                text = f"Frame {flight.tasks[0].frame} took longer than {FRAME_TIMEOUT_S:g} s."
                raise BakeError(text, self._log_hint())
        return is_moved

    def _take_picture(self, flight: _Flight) -> None:
        for notice in flight.ticket.result().fields.get("notices", ()):
            if notice not in self.warnings:
                self.warnings.append(str(notice))
        if flight.is_in_cache:
            self._cache.note_written(flight.path)
        for number, task in enumerate(flight.tasks):
            target = self.output.path(task.frame)
            try:
                if flight.is_in_cache:
                    is_found = self._cache.copy_to(task.key, self.output.extension, target)
                else:
                    is_found = self._copy_beside(flight.path, target)
                if not is_found:
                    self._retry(task)
                    continue
                self._note_finished(task)
            except OSError as error:
                raise write_error(task.frame, target, error) from error
            if number == 0:
                self.counts.rendered += 1
            else:
                self.counts.cached += 1

    def _retry(self, task: FrameTask) -> None:
        """Ask once more, past the cache, for a picture that vanished from it."""
        if task.frame in self._retried:
            text = f"Frame {task.frame} was rendered, but its picture is missing or damaged."
            raise BakeError(text, self._log_hint())
        self._retried.add(task.frame)
        self._todo.appendleft(task)

    @staticmethod
    def _copy_beside(path: Path, target: Path) -> bool:
        if path != target:
            copy_whole(path, target)
        return is_whole(target)

    def _take_failure(self, flight: _Flight, error: EngineError) -> None:
        """Put the frames back in order, then recover from the error or raise BakeError."""
        task = flight.tasks[0]
        others = [t for other in self._flights.values() for t in other.tasks]
        is_lost = error.code in LOST_ENGINE | LOST_HANDLE
        if is_lost:
            # Whatever else was asked of the lost engine fails, too, and is asked for again.
            self._flights.clear()
            self._requeue([*flight.tasks, *others])
        elif error.code == "write_failed" and flight.is_in_cache:
            self._requeue(flight.tasks)
            self._stop_using_cache(error.message.rstrip("."))
            return
        self._recover(error, task.frame)

    def _requeue(self, tasks: list[FrameTask]) -> None:
        self._todo.extendleft(sorted(tasks, key=lambda task: task.frame, reverse=True))

    def _recover(self, error: EngineError, frame: int) -> None:
        """Get a lost engine back, once for each finished frame; otherwise raise BakeError."""
        is_lost_again = self._lost_at == self.counts.total
        if error.code not in LOST_ENGINE | LOST_HANDLE or is_lost_again:
            message = error.message.rstrip(".")
            hint = error.hint or self._log_hint()
            raise BakeError(f"Frame {frame}: {message}.", hint) from error
        self._lost_at = self.counts.total
        self._handle = self._opening = None
        if not self._engine.is_running:
            self._engine.restart()
            self.warnings.append(f"The engine stopped at frame {frame} and was restarted")
        self._generation = self._engine.generation
        # A killed engine has left what it was writing.
        self._cache.remove_left_parts()
        remove_left(self.output.folder)

    def _note_finished(self, task: FrameTask) -> None:
        append_log(self.output.log_path, task.frame, task.key)
        self._log[task.frame] = task.key

    def _log_hint(self) -> str:
        return f"See the log: {self._engine.log_path}"
