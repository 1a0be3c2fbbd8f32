"""The engine's loop: one thread listens, so that pings and cancels never wait for the work.

One thread works. Long requests work in steps: whenever one tells how far it is, more urgent ones
(see backlog.Rank) are worked on in between, in the same thread, so that nothing that requests share
needs a lock. Requests about the camera share nothing with the others and have a thread beside it.
"""

from __future__ import annotations

import io
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .backlog import Backlog
from .camera_table import BESIDE
from .operations import Later, Operations
from .protocol import (
    MESSAGE_TYPES,
    PROTOCOL_VERSION,
    Message,
    ProtocolError,
    read_message,
    write_message,
)
from .renderer import ReportedError

# Encoding a large PNG takes longer than rendering it; it runs beside the next render.
WRITERS = min(3, os.cpu_count() or 1)
# Progress between these is not sent: a step may be short, and every message wakes Blender.
PROGRESS_S = 0.05
LEAVE_S = 2.0  # for the running request, once nobody listens any more
OPENCV_NO_MEMORY = -4

log = logging.getLogger("engine")


class Service:
    """Answers requests until the stream of requests ends or `shutdown` comes.

    requests, replies  binary streams; every request gets one final reply
    """

    def __init__(self, requests: io.BufferedReader, replies: io.RawIOBase) -> None:
        self._requests = requests
        self._replies = replies
        self._write_lock = threading.Lock()
        self._backlog = Backlog(WRITERS)
        self._open_ids: set[int] = set()  # waiting or running, and can be cancelled
        self._cancelled_ids: set[int] = set()
        self._ids_lock = threading.Lock()
        self._operations: Operations | None = None
        self._writers = ThreadPoolExecutor(WRITERS, "writer")
        self._beside = ThreadPoolExecutor(1, "beside")

    def run(self) -> None:
        """Work in this thread, listen in another. Returns when the engine is to end."""
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        log.info("engine %d started, protocol %d", os.getpid(), PROTOCOL_VERSION)
        while (message := self._backlog.take()) is not None:
            self._work(message, self._answer)
            if message.type == "shutdown":
                break
        self._writers.shutdown()
        if self._operations is not None:
            self._operations.close()
        log.info("engine %d ends", os.getpid())

    # --- the listening thread -----------------------------------------------------------------

    def _listen(self) -> None:
        try:
            while (message := read_message(self._requests)) is not None:
                self._hear(message)
        except (ProtocolError, OSError) as error:
            log.error("unreadable request: %s", error)
            self._say_failed(0, ReportedError("bad_request", f"Unreadable request: {error}."))
        except MemoryError:
            self._say_failed(0, _no_memory())
        finally:
            self._leave()

    def _hear(self, message: Message) -> None:
        if message.type == "ping":
            self._say(Message("pong", message.id, {"is_busy": bool(self._open_ids)}))
        elif message.type == "cancel":
            self._cancel_one(message)
        elif not MESSAGE_TYPES[message.type].reply:
            self._say_failed(
                message.id, ReportedError("bad_request", f"'{message.type}' is no request.")
            )
        else:
            if message.type == "shutdown":
                self._cancel_all()
            if message.type not in ("hello", "shutdown"):
                with self._ids_lock:
                    self._open_ids.add(message.id)
            if message.type in BESIDE:
                self._beside.submit(self._work, message, self._answer)
            else:
                self._backlog.put(message)

    def _cancel_one(self, message: Message) -> None:
        """Cancel what a `cancel` names; one that runs ends at its next step."""
        wanted = message.fields["request"]
        with self._ids_lock:
            is_found = wanted in list(self._open_ids)
            if is_found:
                self._cancelled_ids.add(wanted)
        self._say(Message("cancelled", message.id, {"request": wanted, "is_found": is_found}))
        if is_found:
            self._end_waiting(self._backlog.withdraw(wanted))

    def _cancel_all(self) -> None:
        with self._ids_lock:
            self._cancelled_ids |= self._open_ids
        self._end_waiting(self._backlog.withdraw())

    def _end_waiting(self, messages: list[Message]) -> None:
        """Answer at once: what runs before these may take minutes."""
        for message in messages:
            self._say_failed(message.id, _cancelled())
            self._forget(message)

    def _leave(self) -> None:
        self._cancel_all()
        self._backlog.close()
        # Nobody listens any more: a picture being written may be finished, a long fit may not.
        timer = threading.Timer(LEAVE_S, os._exit, args=(0,))
        timer.daemon = True
        timer.start()

    # --- the working thread -------------------------------------------------------------------

    def _work(self, message: Message, answer: Callable[[Message], Message | Later]) -> None:
        is_final = True
        try:
            self._check_cancelled(message.id)
            reply = answer(message)
            if isinstance(reply, Message):
                self._say(reply)
            else:
                is_final = False
                self._writers.submit(self._work, message, lambda _: reply())
        except ReportedError as error:
            self._say_failed(message.id, error)
        except MemoryError:
            self._say_failed(message.id, _no_memory())
        except Exception as error:  # noqa: BLE001 - the boundary: a bug must not end the engine
            log.error("%s failed\n%s", message.type, traceback.format_exc())
            self._say_failed(message.id, _from_bug(error))
        finally:
            if is_final:
                self._forget(message)

    def _forget(self, message: Message) -> None:
        """A request has had its final reply."""
        self._backlog.free_writer(message)
        with self._ids_lock:
            self._open_ids.discard(message.id)
            self._cancelled_ids.discard(message.id)

    def _answer(self, message: Message) -> Message | Later:
        if message.type == "hello":
            self._operations, fields = Operations.hello(message)
            return Message("ready", message.id, fields)
        if message.type == "shutdown":
            self._writers.shutdown()
            return Message("bye", message.id)
        if self._operations is None:
            raise ReportedError("bad_request", "The first request must be 'hello'.")
        return self._operations.answer(message, self._reporter(message))

    def _reporter(self, message: Message) -> Callable[[float, str], None]:
        """What a request calls at each of its steps; raises ReportedError when it is cancelled."""
        told_text, told_at = "", 0.0

        def report(fraction: float, text: str) -> None:
            nonlocal told_text, told_at
            self._check_cancelled(message.id)
            if text != told_text or time.monotonic() - told_at >= PROGRESS_S:
                told_text, told_at = text, time.monotonic()
                self._say(Message("progress", message.id, {"fraction": fraction, "text": text}))
            for urgent in self._backlog.between(message):
                self._work(urgent, self._answer)
                self._check_cancelled(message.id)

        return report

    def _check_cancelled(self, request_id: int) -> None:
        with self._ids_lock:
            is_cancelled = request_id in self._cancelled_ids
        if is_cancelled:
            raise _cancelled()

    # --- replies ------------------------------------------------------------------------------

    def _say_failed(self, request_id: int, error: ReportedError) -> None:
        fields: dict[str, Any] = {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
        }
        self._say(Message("failed", request_id, fields))

    def _say(self, message: Message) -> None:
        with self._write_lock:
            try:
                write_message(self._replies, message)  # type: ignore[arg-type]
            except OSError:
                os._exit(0)  # nobody listens any more


def _cancelled() -> ReportedError:
    return ReportedError("cancelled", "The request was cancelled.")


def _no_memory() -> ReportedError:
    return ReportedError(
        "out_of_memory",
        "The engine ran out of memory.",
        "Use a smaller picture, or close other portraits and programs.",
    )


def _from_bug(error: Exception) -> ReportedError:
    # OpenCV and torch have their own ways to say it, and neither may be imported here.
    is_memory = getattr(error, "code", None) == OPENCV_NO_MEMORY
    if is_memory or type(error).__name__ == "OutOfMemoryError":
        return _no_memory()
    text = f"The engine has a bug: {type(error).__name__}: {error}"
    return ReportedError("internal", text[:500], "Please report it with the engine's log.")
