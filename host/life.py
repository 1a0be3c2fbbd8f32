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
    """A running child. Raises StartError from the constructor when it cannot be started.

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
        self.process: subprocess.Popen[bytes] = spawn(launch)
        log.write(f"--- engine {self.process.pid} started {time.strftime('%Y-%m-%d %H:%M:%S')}")
        self._wire = Wire(self.process, log, on_message=self._receive, on_end=self._on_end)
        self._watcher = threading.Thread(target=self._watch, name="keyportrait-watch", daemon=True)

    def start(self) -> None:
        """Say hello and watch."""
        fields = {"protocol": PROTOCOL_VERSION, "version": self._launch.version}
        self._wire.send(Message("hello", self._hello_id, fields))
        self._wire.start()
        self._watcher.start()

    def send(self, message: Message) -> None:
        """Queue a message; never blocks."""
        self._wire.send(message)

    def end(self, grace_s: float) -> None:
        """Ask the child to leave, kill it after `grace_s` (0: at once). Returns at once."""
        with self._lock:
            if self._over.is_set():
                return
            self._grace_s = grace_s
            self._over.set()
        if grace_s > 0:
            self._wire.send(Message("shutdown", self._new_id()))
        else:
            self.process.kill()
        self._wire.close()

    def join(self, timeout_s: float) -> bool:
        """Wait until the child is reaped and its threads have ended."""
        deadline = time.monotonic() + timeout_s
        for thread in (self._watcher, *self._wire.threads):
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(t.is_alive() for t in (self._watcher, *self._wire.threads))

    def _fail(self, error: EngineError) -> None:
        with self._lock:
            if self._over.is_set():
                return
            self._log.write(f"--- engine {self.process.pid}: {error.message}")
            self._over.set()
        self.process.kill()
        self._callbacks.on_failed(self, error)

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
        try:
            status = self.process.wait(EXIT_STATUS_S)
        except subprocess.TimeoutExpired:
            status = None
        self._wire.wait_log(EXIT_STATUS_S)
        kind = EngineDiedError if self._is_ready else StartError
        during = "" if self._is_ready else " while starting"
        text = f"The engine ended{during} ({exit_text(status)})."
        self._fail(kind(text, f"{self._last_line()}{log}"))

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
        end(self.process, self._grace_s)
        self._wire.close()
        for thread in self._wire.threads:
            thread.join(EXIT_STATUS_S)
        self._log.close()

    def _check_handshake(self, waited_s: float) -> None:
        if waited_s > self._timing.handshake:
            text = f"The engine did not answer within {self._timing.handshake:g} s of its start."
            self._fail(StartError(text, f"Restart it, or see the log: {self._log.path}"))

    def _check_heartbeat(self, now: float) -> None:
        since = self._unanswered_since
        if since is None:
            self._unanswered_since = now
            self._wire.send(Message("ping", self._new_id()))
        elif now - since > self._timing.heartbeat_timeout:
            text = f"The engine has not answered for {now - since:.0f} s and was ended."
            self._fail(EngineSilentError(text, f"Restart it, or see the log: {self._log.path}"))
