"""A face's own curves on their way into a file: walk the frames, then let the engine write."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import bpy

from ..host.client import Engine, EngineError, Ticket
from ..preferences import preferences
from . import engine, live
from .bake import evaluated_depsgraph
from .errors import AddonError
from .face_curves import FaceRecording

WALK_PART = 0.7  # of the progress bar


class StoreRun:
    """The curves of one face become a file, as a LongRun of operators.

    path, kind, fps  as in a `store` request
    frames           of the scene, rising, at least one
    Raises AddonError or EngineError.
    """

    def __init__(
        self,
        scene: bpy.types.Scene,
        controller: bpy.types.Object,
        frames: range,
        path: str,
        kind: str,
        fps: float,
        *,
        is_blocking: bool,
    ) -> None:
        if not frames:
            raise AddonError("The range of frames is empty.", "Let it end after it starts.")
        self.ticket: Ticket | None = None
        self.is_cancelled = False
        self._scene_name, self._name = scene.name, controller.name
        self._path, self._kind, self._fps = path, kind, fps
        self._frames = frames
        self._recording = FaceRecording(controller)
        self._client: Engine = start_engine(is_blocking)
        self._steps = self._walk(scene.frame_current, scene.frame_subframe)
        self._walked = 0

    @property
    def text(self) -> str:
        """What is done now."""
        if self.ticket is not None:
            return self.ticket.progress.text or f"Writing '{self._path}'"
        return f"Reading frame {self._frames[min(self._walked, len(self._frames) - 1)]}"

    @property
    def fraction(self) -> float:
        """0..1."""
        written = 0.0 if self.ticket is None else self.ticket.progress.fraction
        return WALK_PART * self._walked / len(self._frames) + (1.0 - WALK_PART) * written

    @property
    def is_done(self) -> bool:
        """Whether the file is written, or will not be."""
        return self.is_cancelled or (self.ticket is not None and self.ticket.is_done)

    def step(self, budget_s: float = 0.03) -> None:
        """Walk on for about this long; the engine works by itself."""
        end = time.monotonic() + budget_s
        while self.ticket is None and time.monotonic() < end:
            self._next()

    def run(self) -> None:
        """Walk to the end and wait for the engine."""
        while self.ticket is None:
            self._next()
        with suppress(EngineError):  # which the ticket keeps
            self._client.wait(self.ticket, preferences().open_timeout_s)

    def cancel(self) -> None:
        """Stop; the scene's frame is put back and no file is left."""
        if not self.is_done:
            self.is_cancelled = True
            self._steps.close()
            if self.ticket is not None:
                self._client.cancel(self.ticket)

    def result(self) -> int:
        """How many frames were written. Raises EngineError."""
        if self.ticket is None:
            raise ValueError("nothing was asked for yet")
        return int(self.ticket.result().fields["frame_count"])

    def _next(self) -> None:
        if next(self._steps, None) is not None:
            return
        render = self._scene().render
        fps = render.fps / render.fps_base
        request = self._recording.request(self._path, self._kind, self._fps or fps, fps)
        self.ticket = self._client.submit("store", **request, use_drain=False)

    def _walk(self, frame_current: int, subframe: float) -> Iterator[int]:
        with live.paused():
            try:
                for frame in self._frames:
                    scene = self._scene()
                    scene.frame_set(frame)
                    controller = bpy.data.objects.get(self._name)
                    if controller is None:
                        raise AddonError(f"'{self._name}' was deleted meanwhile.", "Try again.")
                    self._recording.note(frame, controller, evaluated_depsgraph(scene))
                    self._walked += 1
                    yield frame
            finally:
                scene = bpy.data.scenes.get(self._scene_name)
                if scene is not None:
                    scene.frame_set(frame_current, subframe=subframe)
                live.refresh_later()

    def _scene(self) -> bpy.types.Scene:
        scene = bpy.data.scenes.get(self._scene_name)
        if scene is None:
            raise AddonError(f"The scene '{self._scene_name}' was deleted meanwhile.")
        return scene


def start_engine(is_blocking: bool) -> Engine:
    """Preview's engine, ready where the caller waits, else at least starting."""
    if is_blocking:
        return engine.start_ready(preferences().open_timeout_s)
    client = engine.start()
    return client if client.error is None else engine.restart()
