"""Long commands beside Blender: one thread, progress to read, cancel, and a typed end.

Used by the set-up of the LivePortrait environment. Nothing here blocks the caller; a panel or a
modal operator reads `Task.progress` and `Task.state`, and in background mode `Task.wait` waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from .errors import CancelledError, EngineError

# Lines of a command's output kept for its error message.
TAIL_LINES = 40
GRACE_S = 5.0


class TaskState(Enum):
    """RUNNING until one of the three ends."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


class Progress(NamedTuple):
    """How far a task is: fraction 0..1 of the whole, and what it is doing."""

    fraction: float
    text: str


class SetupError(EngineError):
    """A step of the set-up failed; message and hint are for the user."""

    code = "setup_failed"


def _no_variables() -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class Step:
    """One command of a task.

    title        shown while it runs
    command      program and arguments; a function of them is asked when the step starts, and may
                 raise SetupError
    weight       share of the whole progress, any unit
    environment  variables added to ours
    measure      () → 0..1, asked while the command runs when it reports no progress itself
    explain      (last lines of output) → SetupError for the user
    is_done      () → True to skip the step (resume)
    """

    title: str
    command: tuple[str, ...] | Callable[[], tuple[str, ...]]
    weight: float = 1.0
    environment: Mapping[str, str] = field(default_factory=_no_variables)
    measure: Callable[[], float] | None = None
    explain: Callable[[str], SetupError] | None = None
    is_done: Callable[[], bool] = lambda: False


class Task:
    """Runs steps one after the other in a thread of its own.

    A step's command may print JSON lines: {"fraction", "text"} is progress, {"error": {code,
    message, hint}} is its failure, {"result": {…}} is merged into `result`. Other lines are
    kept for the error message only and written to the log.
    """

    def __init__(self, steps: Iterable[Step], log_path: Path, finish: Callable[[], None]) -> None:
        """`finish` runs in the task's thread after the last step; it may raise SetupError."""
        self._steps = list(steps)
        self._log_path = log_path
        self._finish = finish
        self._process: subprocess.Popen[str] | None = None
        self._is_cancelled = threading.Event()
        self._lock = threading.Lock()
        self._started_weight = 0.0
        self._own_fraction: float | None = None
        self._own_text = ""
        self._current: Step | None = None
        self.state = TaskState.RUNNING
        self.error: EngineError | None = None
        self.result: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._run, name="keyportrait-setup", daemon=True)
        self._thread.start()

    @property
    def progress(self) -> Progress:
        """Where the task is now; cheap enough for a panel's draw."""
        total = sum(step.weight for step in self._steps) or 1.0
        step = self._current
        if self.state is TaskState.DONE or step is None:
            return Progress(1.0 if self.state is TaskState.DONE else 0.0, "")
        inner = self._own_fraction
        if inner is None:
            inner = step.measure() if step.measure else 0.0
        done = self._started_weight + step.weight * min(max(inner, 0.0), 1.0)
        text = f"{step.title}: {self._own_text}" if self._own_text else step.title
        return Progress(min(done / total, 1.0), text)

    def cancel(self) -> None:
        """Ask the running command to end; what is finished stays for the next try."""
        self._is_cancelled.set()
        with self._lock:
            process = self._process
        if process is not None:
            # The command may take its time to end, the caller must not.
            threading.Thread(target=_interrupt, args=(process,), daemon=True).start()

    def wait(self, timeout_s: float | None = None) -> TaskState:
        """Block until the task ends (background mode only); returns its state."""
        self._thread.join(timeout_s)
        return self.state

    def _run(self) -> None:
        try:
            for step in self._steps:
                self._check_cancelled()
                self._current, self._own_fraction, self._own_text = step, None, ""
                if not step.is_done():
                    self._run_step(step)
                self._started_weight += step.weight
            self._check_cancelled()
            self._finish()
            self.state = TaskState.DONE
        except CancelledError as error:
            self.error, self.state = error, TaskState.CANCELLED
        except EngineError as error:
            self.error, self.state = error, TaskState.FAILED
        except OSError as error:
            self.error = SetupError(f"{error.strerror or error}: '{error.filename or ''}'.")
            self.state = TaskState.FAILED
        finally:
            # A bug goes on to threading.excepthook, but nobody may wait for this task for ever.
            if self.state is TaskState.RUNNING:
                self._fail_from_bug(traceback.format_exc())

    def _fail_from_bug(self, report: str) -> None:
        with contextlib.suppress(OSError):
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            with self._log_path.open("a", encoding="utf-8") as log:
                log.write(f"\n{report}")
        last = report.strip().splitlines()[-1]
        text = f"The set-up has a bug: {last}"
        self.error = SetupError(
            text[:500], "Please report it with the set-up log.", code="internal"
        )
        self.state = TaskState.FAILED

    def _check_cancelled(self) -> None:
        if self._is_cancelled.is_set():
            raise CancelledError("The set-up was cancelled.", "Start it again to go on.")

    def _run_step(self, step: Step) -> None:
        command = step.command() if callable(step.command) else step.command
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **step.environment},
                start_new_session=sys.platform != "win32",
                creationflags=flags,
            )
        except OSError as error:
            raise SetupError(
                f"{step.title} could not start '{command[0]}': {error.strerror}."
            ) from error
        with self._lock:
            self._process = process
        if self._is_cancelled.is_set():
            _interrupt(process)
        title = f"{step.title}: {' '.join(command)}"
        is_read = False
        with process:
            try:
                tail, failure = self._read_output(process, title)
                is_read = True
            finally:
                # The log is on a full disk, or there is a bug: without a reader the command hangs.
                if not is_read:
                    _interrupt(process)
        status = process.wait()
        with self._lock:
            self._process = None
        self._check_cancelled()
        if failure is not None:
            raise failure
        if status != 0:
            raise step.explain(tail) if step.explain else _plain_failure(step, status, tail)

    def _read_output(
        self, process: subprocess.Popen[str], title: str
    ) -> tuple[str, SetupError | None]:
        tail: list[str] = []
        failure: SetupError | None = None
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("a", encoding="utf-8") as log:
            log.write(f"\n== {title}\n")
            for line in process.stdout or ():
                event = _parse_event(line)
                if event is None:
                    log.write(line)
                    tail = [*tail, line.rstrip()][-TAIL_LINES:]
                elif "error" in event:
                    failure = _failure_from(event["error"])
                elif "result" in event:
                    self.result.update(event["result"])
                else:
                    self._own_fraction = event["fraction"]
                    self._own_text = str(event.get("text", ""))
        return "\n".join(tail), failure


def _parse_event(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        event: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    # Installers and downloaders print JSON of their own, which must not end the task's thread.
    is_known = isinstance(event.get("error"), dict) or isinstance(event.get("result"), dict)
    return event if is_known or isinstance(event.get("fraction"), float | int) else None


def _failure_from(fields: Mapping[str, Any]) -> SetupError:
    return SetupError(
        str(fields.get("message", "The step failed.")),
        str(fields.get("hint", "")),
        code=str(fields.get("code", "setup_failed")),
    )


def _plain_failure(step: Step, status: int, tail: str) -> SetupError:
    last = tail.strip().splitlines()[-1] if tail.strip() else f"exit code {status}"
    return SetupError(f"{step.title} failed: {last}", "The set-up log has the details.")


def _interrupt(process: subprocess.Popen[str]) -> None:
    """End a command and what it started; kill it when it does not listen."""
    if sys.platform == "win32":
        process.terminate()
        return
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(GRACE_S)
    except ProcessLookupError:
        return
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
