"""Messages over a child's pipes: one thread reads, one writes, one keeps stderr in the log."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, cast

from ..engine.protocol import (
    Array,
    Message,
    ProtocolError,
    TruncatedError,
    encode_header,
    read_message,
    write_raw,
)
from .log import EngineLog

BUFFER_BYTES = 1 << 16
MAX_LOG_LINE_BYTES = 1 << 13

_Packet = tuple[bytes, list[Array]]


class Wire:
    """Speaks the protocol with a child. `send` and `close` never block.

    on_message  called by the reading thread with every message
    on_end      called once by the reading thread: None at the end of the stream, else what was
                wrong with the bytes
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        log: EngineLog,
        *,
        on_message: Callable[[Message], None],
        on_end: Callable[[ProtocolError | None], None],
    ) -> None:
        self._process = process
        self._log = log
        self._on_message = on_message
        self._on_end = on_end
        self._outbox: SimpleQueue[_Packet | None] = SimpleQueue()
        self.threads = [
            threading.Thread(target=target, name=f"keyportrait-{name}", daemon=True)
            for name, target in (("read", self._read), ("write", self._write), ("log", self._keep))
        ]

    def start(self) -> None:
        """Begin to read and write."""
        # The log's thread first: the reading one waits for it when the child is dead already.
        for thread in reversed(self.threads):
            thread.start()

    def send(self, message: Message) -> None:
        """Queue one message. Its arrays must not change until it is answered.

        Raises ProtocolError, ValueError or TypeError for a message that cannot be encoded.
        """
        self._outbox.put((encode_header(message), list(message.arrays.values())))

    def close(self) -> None:
        """Close the child's stdin once everything queued is written."""
        self._outbox.put(None)

    def wait_log(self, timeout_s: float) -> None:
        """Wait until everything that a dead child wrote to stderr is in the log."""
        self.threads[-1].join(timeout_s)

    def _write(self) -> None:
        # Not every host program ignores SIGPIPE, and it would end the whole of Blender.
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
        stdin = cast("Any", self._process.stdin)
        with stdin:
            while (packet := self._outbox.get()) is not None:
                try:
                    write_raw(stdin, *packet)
                except OSError:
                    return  # the child has gone; the reading thread tells

    def _read(self) -> None:
        # What stays when a bug of ours ends this thread: the engine must not seem to live on.
        error: ProtocolError | None = ProtocolError("its answer met a bug in KeyPortrait")
        with io.BufferedReader(cast("Any", self._process.stdout), BUFFER_BYTES) as stdout:
            try:
                while (message := read_message(stdout)) is not None:
                    self._on_message(message)
                error = None
            except ProtocolError as caught:
                error = caught
            except OSError as caught:
                error = TruncatedError(f"the pipe broke: {caught}")
            finally:
                # With the pipe still open: a child that goes on writing is to be killed by us.
                self._on_end(error)

    def _keep(self) -> None:
        with io.BufferedReader(cast("Any", self._process.stderr), BUFFER_BYTES) as stderr:
            while line := stderr.readline(MAX_LOG_LINE_BYTES):
                self._log.write(line.decode(errors="replace").rstrip("\r\n"))
