"""The engine's loop: one thread listens, so that pings and cancels never wait for the work."""

from __future__ import annotations

import io
import logging
import os
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

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
        self._todo: SimpleQueue[Message | None] = SimpleQueue()
        self._open_ids: set[int] = set()  # waiting or running, and can be cancelled
        self._cancelled_ids: set[int] = set()
        self._ids_lock = threading.Lock()
        self._operations: Operations | None = None
        self._writers = ThreadPoolExecutor(WRITERS, "writer")
        self._free_writers = threading.Semaphore(WRITERS)

    def run(self) -> None:
        """Work in this thread, listen in another. Returns when the engine is to end."""
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        log.info("engine %d started, protocol %d", os.getpid(), PROTOCOL_VERSION)
        while (message := self._todo.get()) is not None:
            self._work(message, self._answer)
            if message.type == "shutdown":
                break
        self._writers.shutdown()
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
            wanted = message.fields["request"]
            is_found = self._cancel(wanted)
            self._say(Message("cancelled", message.id, {"request": wanted, "is_found": is_found}))
        elif not MESSAGE_TYPES[message.type].reply:
            self._say_failed(
                message.id, ReportedError("bad_request", f"'{message.type}' is no request.")
            )
        else:
            if message.type == "shutdown":
                self._cancel(None)
            if message.type not in ("hello", "shutdown"):
                with self._ids_lock:
                    self._open_ids.add(message.id)
            self._todo.put(message)

    def _cancel(self, wanted: object) -> bool:
        """Mark one request, or for None all, as cancelled; False when there is none."""
        with self._ids_lock:
            found = {i for i in self._open_ids if wanted is None or i == wanted}
            self._cancelled_ids |= found
            return bool(found)

    def _leave(self) -> None:
        self._cancel(None)
        self._todo.put(None)
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
                self._hand_to_writers(message, reply)
        except ReportedError as error:
            self._say_failed(message.id, error)
        except MemoryError:
            self._say_failed(message.id, _no_memory())
        except Exception as error:  # noqa: BLE001 - the boundary: a bug must not end the engine
            log.error("%s failed\n%s", message.type, traceback.format_exc())
            self._say_failed(message.id, _from_bug(error))
        finally:
            if is_final:
                with self._ids_lock:
                    self._open_ids.discard(message.id)
                    self._cancelled_ids.discard(message.id)

    def _hand_to_writers(self, message: Message, finish: Later) -> None:
        def run() -> None:
            try:
                self._work(message, lambda _: finish())
            finally:
                self._free_writers.release()

        # Each waiting picture costs memory: with all writers busy, the next render waits.
        self._free_writers.acquire()
        self._writers.submit(run)

    def _answer(self, message: Message) -> Message | Later:
        if message.type == "hello":
            self._operations, fields = Operations.hello(message)
            return Message("ready", message.id, fields)
        if message.type == "shutdown":
            self._writers.shutdown()
            return Message("bye", message.id)
        if self._operations is None:
            raise ReportedError("bad_request", "The first request must be 'hello'.")

        def report(fraction: float, text: str) -> None:
            self._check_cancelled(message.id)
            self._say(Message("progress", message.id, {"fraction": fraction, "text": text}))

        return self._operations.answer(message, report)

    def _check_cancelled(self, request_id: int) -> None:
        with self._ids_lock:
            is_cancelled = request_id in self._cancelled_ids
        if is_cancelled:
            raise ReportedError("cancelled", "The request was cancelled.")

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
