"""One life of the engine process: from its start over the handshake to its end."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from ..engine.protocol import PROTOCOL_VERSION, Message, ProtocolError, TruncatedError
from .errors import (
    EngineDiedError,
    EngineError,
    EngineSilentError,
    GarbledError,
    StartError,
    VersionError,
    from_fields,
)
from .log import EngineLog
from .process import Launch, end, exit_text, spawn
from .wire import Wire

# A watch that wakes this much too late has slept with the computer; the child has, too.
OVERSLEPT_S = 3.0
EXIT_STATUS_S = 1.0
REINSTALL = "Reinstall the extension and restart Blender."


@dataclass(frozen=True)
class Timing:
    """Time-outs in seconds.

    handshake          from start to `ready`; covers a cold disk and a virus scanner
    heartbeat          between two pings
    heartbeat_timeout  without any sign of life after a ping, the engine counts as hung
    """

    handshake: float = 30.0
    heartbeat: float = 2.0
    heartbeat_timeout: float = 20.0


@dataclass(frozen=True)
class Callbacks:
    """Whom a session tells, from its own threads.

    on_ready    capabilities of the engine
    on_message  every answer to a ticket; may raise ProtocolError
    on_failed   once, unless `end` was called first; the process has been killed
    """

    on_ready: Callable[[EngineLife, dict[str, Any]], None]
    on_message: Callable[[Message], None]
    on_failed: Callable[[EngineLife, EngineError], None]


class EngineLife:
    """A child from before its start, which happens in a thread: the disk it lies on may hang.

    process   the running child, None until it is started
    heard_at  time.monotonic() of the last sign of work: progress or an answer, never a pong, which
              a hung worker's engine still sends
    """

    def __init__(
        self,
        launch: Launch,
        timing: Timing,
        log: EngineLog,
        callbacks: Callbacks,
        new_id: Callable[[], int],
    ) -> None:
        self._launch, self._timing, self._log, self._callbacks = launch, timing, log, callbacks
        self._new_id = new_id
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._is_ready = False
        self._grace_s = 0.0
        self._unanswered_since: float | None = None
        self.heard_at = time.monotonic()
        self._hello_id = new_id()
        self.process: subprocess.Popen[bytes] | None = None
        self._wire: Wire | None = None
        self._starter = threading.Thread(target=self._start, name="keyportrait-start", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="keyportrait-watch", daemon=True)

    def start(self) -> None:
        """Start the child, say hello and watch. Returns at once."""
        self._watcher.start()
        self._starter.start()

    def send(self, message: Message) -> None:
        """Queue a message for a child that has said `ready`; never blocks."""
        if self._wire is not None:
            self._wire.send(message)

    def end(self, grace_s: float) -> None:
        """Ask the child to leave, kill it after `grace_s` (0: at once). Returns at once."""
        with self._lock:
            if self._over.is_set():
                return
            self._grace_s = grace_s
            self._over.set()
        if self._wire is not None and self.process is not None:
            if grace_s > 0:
                self._wire.send(Message("shutdown", self._new_id()))
            else:
                self.process.kill()
            self._wire.close()

    def join(self, timeout_s: float) -> bool:
        """Wait until the child is reaped and its threads have ended."""
        deadline = time.monotonic() + timeout_s
        self._starter.join(timeout_s)
        threads = (self._starter, self._watcher, *(self._wire.threads if self._wire else ()))
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _fail(self, error: EngineError) -> None:
        with self._lock:
            if self._over.is_set():
                return
            pid = "" if self.process is None else f" {self.process.pid}"
            self._log.write(f"--- engine{pid}: {error.message}")
            self._over.set()
        if self.process is not None:
            self.process.kill()
        self._callbacks.on_failed(self, error)

    # --- the starting thread ------------------------------------------------------------------

    def _start(self) -> None:
        try:
            self._launch = self._launch.resolve(self._launch)
            process = spawn(self._launch)
        except StartError as error:
            self._fail(error)
            return
        except OSError as error:
            text = f"The engine could not be started: {error.strerror}: '{error.filename}'."
            self._fail(StartError(text, "Check the folders in the extension's preferences."))
            return
        wire = Wire(process, self._log, on_message=self._receive, on_end=self._on_end)
        with self._lock:
            is_wanted = not self._over.is_set()
            if is_wanted:
                self.process, self._wire = process, wire
        if not is_wanted:
            # It was given up while the disk hung.
            end(process, 0.0)
            return
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        self._log.write(f"--- engine {process.pid} started {now}")
        fields = {"protocol": PROTOCOL_VERSION, "version": self._launch.version}
        wire.send(Message("hello", self._hello_id, fields))
        wire.start()

    # --- the reading thread -------------------------------------------------------------------

    def _receive(self, message: Message) -> None:
        self._unanswered_since = None
        if self._over.is_set():
            return
        if not self._is_ready:
            self._receive_hello(message)
        elif message.type == "failed" and message.id == 0:
            self._fail(from_fields(message.fields))
        elif message.type not in ("pong", "cancelled", "bye"):
            self.heard_at = time.monotonic()
            self._callbacks.on_message(message)

    def _receive_hello(self, message: Message) -> None:
        if message.type == "failed" and message.id in (0, self._hello_id):
            self._fail(from_fields(message.fields))
            return
        if message.type != "ready":
            raise ProtocolError(f"'{message.type}' before 'ready'")
        theirs = (message.fields["protocol"], message.fields["version"])
        ours = (PROTOCOL_VERSION, self._launch.version or theirs[1])
        capabilities: Any = message.fields["capabilities"]
        if not isinstance(capabilities, dict):
            raise ProtocolError("capabilities are not a table")
        if theirs != ours:
            text = f"The engine is version {theirs[1]}, protocol {theirs[0]}; this extension is "
            text += f"version {ours[1]}, protocol {ours[0]}."
            self._fail(VersionError(text, REINSTALL))
        else:
            self._is_ready = True
            self._callbacks.on_ready(self, cast("dict[str, Any]", capabilities))

    def _on_end(self, error: ProtocolError | None) -> None:
        if self._over.is_set():
            return
        log = f"See the log: {self._log.path}"
        if error is not None and not isinstance(error, TruncatedError):
            self._fail(GarbledError(f"The engine wrote something unreadable: {error}.", log))
            return
        status = self._exit_status()
        kind = EngineDiedError if self._is_ready else StartError
        during = "" if self._is_ready else " while starting"
        text = f"The engine ended{during} ({exit_text(status)})."
        repair = "" if self._is_ready else f" {self._launch.repair_hint}"
        self._fail(kind(text, f"{self._last_line()}{log}{'.' if repair else ''}{repair}"))

    def _exit_status(self) -> int | None:
        if self.process is None or self._wire is None:
            return None
        try:
            status = self.process.wait(EXIT_STATUS_S)
        except subprocess.TimeoutExpired:
            status = None
        self._wire.wait_log(EXIT_STATUS_S)
        return status

    def _last_line(self) -> str:
        lines = [line for line in self._log.tail() if line.strip() and not line.startswith("---")]
        return f"Its last words: {lines[-1].strip()[:200]} — " if lines else ""

    # --- the watching thread ------------------------------------------------------------------

    def _watch(self) -> None:
        started = last = time.monotonic()
        tick = min(0.5, self._timing.heartbeat / 2)
        next_ping = started
        while not self._over.wait(tick):
            now = time.monotonic()
            if now - last > tick + OVERSLEPT_S:
                started += now - last
                self._unanswered_since = None
                self.heard_at = now
            last = now
            if not self._is_ready:
                self._check_handshake(now - started)
            elif now >= next_ping:
                next_ping = now + self._timing.heartbeat
                self._check_heartbeat(now)
        if self.process is not None and self._wire is not None:
            end(self.process, self._grace_s)
            self._wire.close()
            self._starter.join()
            for thread in self._wire.threads:
                thread.join(EXIT_STATUS_S)
        self._log.close()

    def _check_handshake(self, waited_s: float) -> None:
        if waited_s > self._timing.handshake:
            limit = f"{self._timing.handshake:g} s"
            text = f"The engine did not answer within {limit} of its start."
            if self.process is None:
                text = f"The engine could not be started within {limit}: a disk does not answer."
            self._fail(StartError(text, f"Restart it, or see the log: {self._log.path}"))

    def _check_heartbeat(self, now: float) -> None:
        since = self._unanswered_since
        if since is None:
            self._unanswered_since = now
            self.send(Message("ping", self._new_id()))
        elif now - since > self._timing.heartbeat_timeout:
            text = f"The engine has not answered for {now - since:.0f} s and was ended."
            self._fail(EngineSilentError(text, f"Restart it, or see the log: {self._log.path}"))
