"""Asks the engine for the camera's newest frame again and again, beside Blender's main thread.

A window that is drawn slowly seldom comes to its timers. An answer that had been asked for before
the window was drawn would be that much late; so the newest lies ready, and older ones are dropped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..engine.protocol import Array, Message
from ..host.client import Engine, EngineError

ALONE_S = 1.0  # after which nobody is there any more who wants the answers
WAIT_S = 1.0


class Frame(NamedTuple):
    """What a frame of the camera asks of the faces.

    number, time_s  of the frame, see `camera_sample` in docs/protocol.md
    motions  `Motion.to_json` of each face; names: of the controllers that they are for
    preview  the camera's picture, None where it was not asked for
    """

    number: int
    time_s: float
    motions: list[dict[str, Any]]
    names: tuple[str, ...]
    preview: Array | None


class Polls:
    """The polls of one camera in one engine; a thread that runs until `stop`.

    told   what the newest answer says of the camera; empty before the first
    error  why there is no answer, None where there is one
    """

    def __init__(self, client: Engine) -> None:
        self.told: Mapping[str, Any] = {}
        self.error: EngineError | None = None
        self._client = client
        self._changed = threading.Condition()
        self._fields: dict[str, Any] | None = None
        self._names: tuple[str, ...] = ()
        self._interval_s = 0.0
        self._asked_s = 0.0
        self._number = 0
        self._frame: Frame | None = None
        self._is_wanted = True
        threading.Thread(target=self._run, name="camera polls", daemon=True).start()

    def ask(self, fields: dict[str, Any], names: tuple[str, ...], interval_s: float) -> None:
        """What to ask from now on; somebody must go on asking, or the polls pause.

        fields  of `camera_poll`, without `after`; not changed by the caller any more
        names   of the controllers of its faces
        interval_s  between two polls
        """
        with self._changed:
            self._fields, self._names, self._interval_s = fields, names, interval_s
            self._asked_s = time.monotonic()
            self._changed.notify_all()

    def take(self) -> Frame | None:
        """The newest frame that was not taken yet."""
        with self._changed:
            frame, self._frame = self._frame, None
            return frame

    def stop(self) -> None:
        """Ask nothing more. Does not wait."""
        with self._changed:
            self._is_wanted = False
            self._changed.notify_all()

    def _run(self) -> None:
        while self._is_wanted:
            with self._changed:
                is_alone = time.monotonic() - self._asked_s > ALONE_S
                if self._fields is None or is_alone:
                    self._changed.wait(WAIT_S)
                    continue
                fields, names = {**self._fields, "after": self._number}, self._names
                interval_s = self._interval_s
            ticket = self._client.submit("camera_poll", fields, use_drain=False)
            while self._is_wanted and not ticket.wait(WAIT_S):
                pass
            with self._changed:
                self._note(ticket.reply, ticket.error, names)
                self._changed.wait_for(lambda: not self._is_wanted, interval_s)

    def _note(
        self, reply: Message | None, error: EngineError | None, names: tuple[str, ...]
    ) -> None:
        self.error = error
        if reply is None:
            return
        self.told = told = reply.fields
        if told["number"] != self._number:
            self._number = told["number"]
            preview = reply.arrays.get("preview")
            self._frame = Frame(
                told["number"], told["time_s"], list(told["motions"]), names, preview
            )
