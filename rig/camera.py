"""The camera while it runs: the engine is polled, faces are moved, the newest wins.

The engine owns the device and reads the face; here its motions are laid over the faces that were
selected at the start (see puppets.py). The newest frame lies ready (see camera_polls.py) and one
picture of it is on its way, so nothing piles up: what comes too late is never asked for. Where
Blender takes long to draw its window, the next picture is begun only when the last was drawn: made
meanwhile it would wait, and be late by the whole drawing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import bpy
from bpy.app.handlers import persistent

from ..engine.camera_table import IN_USE, OFF, OPENING, STATES
from ..engine.controls import Motion
from ..engine.renderer_table import PREVIEW
from ..engine.take import AUTO, TakeOptions
from ..host.client import Engine
from . import (
    camera_devices,
    camera_preview,
    engine,
    live,
    main_thread,
    picture_views,
    portraits,
    pump,
    puppets,
)
from .camera_meter import Meter
from .camera_polls import Frame, Polls
from .controllers import face_of
from .errors import AddonError, PortraitError
from .puppets import Puppet

if TYPE_CHECKING:
    from .wishes import Wish

INTERVAL_S = 0.008
SLOW_INTERVAL_S = 0.025  # between polls where the window is drawn slowly
ASK_S = 0.05  # after which changed settings are told the engine
REDRAW_S = 0.5  # between two drawings of the panels
PREVIEW_S = 0.12
SLOW_PREVIEW_S = 0.5
SLOW_PANELS_S = 2.0  # that panels wait for a picture there
RESTART_S = 5.0  # between two starts of an engine that died
STEP_S = 30.0


class Status(NamedTuple):
    """What the panel shows.

    device   its name
    state, message, hint  of engine.camera_table.STATES, in words
    fps      pictures a second that come to the viewport; camera_fps: frames that are read
    latency_s  from the camera's frame until its picture was drawn
    draw_s   of it what Blender takes to draw its window, 0 without one
    is_slow  whether that takes most of the time
    dropped  frames of the camera that nobody had time to read
    neutral_s  seconds until the performer must be at rest, 0 where nobody asked
    has_neutral  rest is known
    """

    device: str = ""
    state: str = OFF
    message: str = STATES[OFF]
    hint: str = ""
    fps: float = 0.0
    camera_fps: float = 0.0
    latency_s: float = 0.0
    draw_s: float = 0.0
    is_slow: bool = False
    dropped: int = 0
    neutral_s: float = 0.0
    has_neutral: bool = False

    @property
    def is_in_use(self) -> bool:
        """Whether the camera's light is on."""
        return self.state in IN_USE


class _Camera:
    """The camera as it runs.

    faces  names of the controllers that it moves
    """

    def __init__(self) -> None:
        self.faces: list[str] = []
        self.device = ""
        self.told: Mapping[str, Any] = {}
        self.problem: tuple[str, str] | None = None
        self.meter = Meter(self._shown)
        self.number = 0
        self._polls: Polls | None = None
        self._generation = -1
        self._started_s = self._redrawn_s = self._previewed_s = self._asked_s = 0.0
        if not bpy.app.background:
            self.meter.begin()

    def close(self) -> None:
        """Ask nothing more, notice nothing more."""
        self.meter.end()
        if self._polls is not None:
            self._polls.stop()

    def tick(self) -> None:
        """Go on without waiting: take what came, ask for the next."""
        camera_devices.look()
        self.meter.beat()
        client = self._running()
        if client is None:
            return
        polls = self._polls_of(client)
        self._take(polls)
        if not self.faces:
            return
        now_s = time.monotonic()
        if now_s - self._asked_s > ASK_S:
            self._asked_s = now_s
            interval_s = SLOW_INTERVAL_S if self.meter.is_slow else INTERVAL_S
            polls.ask(self._fields(), tuple(self.faces), interval_s)
        if now_s - self._redrawn_s > REDRAW_S:
            self._redrawn_s = now_s
            self._ask_for_panels()
        if not bpy.app.background:
            picture_views.redraw_late()

    def _ask_for_panels(self) -> None:
        picture_views.ask_for_panels(SLOW_PANELS_S if self.meter.is_slow else 0.0)

    def _shown(self) -> Wish | None:
        item = self._first_portrait()
        return None if item is None else live.session(item).shown

    def _running(self) -> Engine | None:
        """The engine; one that died is started again after a while."""
        client = engine.engine(PREVIEW)
        if client.is_running:
            self.problem = None
            return client
        if client.error is not None:
            self.problem = (client.error.message, client.error.hint)
        if time.monotonic() - self._started_s > RESTART_S:
            self._started_s = time.monotonic()
            return engine.restart(PREVIEW) if client.error is not None else engine.start(PREVIEW)
        return None

    def _polls_of(self, client: Engine) -> Polls:
        """The polls of the engine that runs, which opens the camera first."""
        if self._polls is not None and client.generation == self._generation:
            return self._polls
        if self._polls is not None:
            self._polls.stop()
        self._generation, self._asked_s = client.generation, 0.0
        width, height = settings().size.split("x")
        fields = {"device": self.device, "size": [int(width), int(height)]}
        client.submit("camera_start", fields, use_drain=False)
        camera_devices.ask(client)
        self._polls = Polls(client)
        return self._polls

    def _take(self, polls: Polls) -> None:
        error = polls.error
        self.problem = None if error is None else (error.message, error.hint)
        self.told = polls.told or self.told
        if main_thread.is_render_running() or (self.meter.is_slow and self._is_under_way()):
            return
        frame = polls.take()
        if frame is None:
            return
        # What changed meanwhile is told at once.
        self.number, self._asked_s = frame.number, 0.0
        if frame.preview is not None:
            self._previewed_s = time.monotonic()
            camera_preview.show(frame.preview)
            self._ask_for_panels()
        self._move(frame)

    def _is_under_way(self) -> bool:
        """Whether a picture is being made, or is made and about to be drawn."""
        moved = moved_portraits(self.faces)
        return any(live.session(item).is_rendering for item in moved) or self.meter.is_drawing_due

    def _fields(self) -> dict[str, Any]:
        """The fields of a poll; faces that are gone are forgotten."""
        chosen = settings()
        options = TakeOptions(
            region=chosen.region,
            multiplier=chosen.multiplier,
            reference=AUTO,
            use_mirror=chosen.use_mirror,
        )
        self.faces = [name for name in self.faces if _controller(name) is not None]
        faces = [_controller(name) for name in self.faces]
        told = [replace(face_of(c), reading=live.reading_of(c)).to_json() for c in faces]
        fields: dict[str, Any] = {
            "faces": told,
            "options": options.to_json(),
            "smooth": round(chosen.smooth, 4),
        }
        preview_s = SLOW_PREVIEW_S if self.meter.is_slow else PREVIEW_S
        if chosen.use_preview and time.monotonic() - self._previewed_s > preview_s:
            fields["preview"] = [camera_preview.SIDE, camera_preview.SIDE]
        return fields

    def _move(self, frame: Frame) -> None:
        motions = [Motion.from_json(data) for data in frame.motions]
        if len(motions) != len(self.faces) or frame.names != tuple(self.faces):
            return
        region = settings().region
        puppets.move(
            {name: Puppet(motion, region) for name, motion in zip(self.faces, motions, strict=True)}
        )
        depsgraph = bpy.context.evaluated_depsgraph_get()
        for number, item in enumerate(moved_portraits(self.faces)):
            live.show(item, depsgraph)
            if number == 0:
                self.meter.want(live.session(item).wanted, frame.time_s)

    def _first_portrait(self) -> portraits.Portrait | None:
        return next(iter(moved_portraits(self.faces)), None)


_camera: _Camera | None = None


def settings() -> bpy.types.PropertyGroup:
    """The settings of the scene that is shown."""
    return bpy.context.scene.keyportrait_camera


def _controller(name: str) -> bpy.types.Object | None:
    found = bpy.data.objects.get(name)
    return found if found is not None and found.keyportrait.kind == "FACE" else None


def moved_portraits(names: list[str]) -> list[portraits.Portrait]:
    """The live portraits of some controllers, each once."""
    planes = [c.keyportrait.face.portrait for c in map(_controller, names) if c is not None]
    return [
        item
        for item in portraits.all_portraits()
        if item.plane in planes and item.settings.use_live and not item.settings.use_baked
    ]


def is_on() -> bool:
    """Whether the camera was started, and not stopped."""
    return _camera is not None


def faces() -> list[str]:
    """Names of the controllers that the camera moves."""
    return [] if _camera is None else list(_camera.faces)


def status() -> Status:
    """How the camera is now. For panels."""
    if _camera is None:
        return Status()
    told, problem = _camera.told, _camera.problem
    state = told.get("state", OPENING)
    message, hint = told.get("message", STATES[OPENING]), told.get("hint", "")
    if problem is not None:
        state, (message, hint) = OPENING, problem
    return Status(
        device=camera_devices.name_of(_camera.device),
        state=state,
        message=message,
        hint=hint,
        fps=_camera.meter.fps,
        camera_fps=told.get("fps", 0.0),
        latency_s=_camera.meter.latency_s,
        draw_s=_camera.meter.draw_s,
        is_slow=_camera.meter.is_slow,
        dropped=told.get("dropped", 0),
        neutral_s=told.get("neutral_s", 0.0),
        has_neutral=told.get("has_neutral", False),
    )


def start(controllers: list[bpy.types.Object]) -> None:
    """Let the chosen camera move these faces. Raises AddonError.

    One that runs moves these from now on, and is opened anew where another was chosen.
    """
    global _camera
    names = [controller.name for controller in controllers]
    if not moved_portraits(names):
        raise PortraitError(
            f"'{names[0]}' is on a portrait that does not move." if names else "No face is chosen.",
            "Switch Live on, and Baked off, in the Portrait panel.",
        )
    if _camera is not None and _camera.device == camera_devices.chosen():
        _camera.faces = names
        return
    stop()
    _camera = _Camera()
    _camera.faces, _camera.device = names, camera_devices.chosen()
    _camera.tick()
    if not bpy.app.background:
        bpy.app.timers.register(_tick, first_interval=0.0)


def stop() -> None:
    """Close the camera; the faces do what their sliders and curves say."""
    global _camera
    if _camera is None:
        return
    _camera.close()
    _camera = None
    client = engine.engine(PREVIEW)
    if client.is_running:
        client.submit("camera_stop", use_drain=False)
    camera_preview.forget()
    puppets.move({})
    live.refresh_later()


def set_neutral(countdown_s: float) -> None:
    """Take the performer's face as it is after a countdown as neutral. Raises AddonError."""
    client_of_running().submit("camera_neutral", {"countdown_s": countdown_s}, use_drain=False)


def client_of_running() -> Engine:
    """The engine whose camera runs. Raises AddonError."""
    client = engine.engine(PREVIEW)
    if _camera is None or not client.is_running:
        raise AddonError("The camera is off.", "Press Start Camera in the Camera panel.")
    return client


def step(timeout_s: float = STEP_S) -> bool:
    """Wait for the next frame of the camera and its picture, for scripts and the background.

    Returns whether one came in time. Raises AddonError where the camera is off.
    """
    client_of_running()
    before, end_s = 0 if _camera is None else _camera.number, time.monotonic() + timeout_s
    while _camera is not None and time.monotonic() < end_s:
        _camera.tick()
        pump.drain()
        if _camera.number != before and not live.is_pending():
            return True
        time.sleep(INTERVAL_S)
    return False


def tick() -> None:
    """Go on without waiting."""
    if _camera is not None:
        _camera.tick()


def _tick() -> float | None:
    if _camera is None:
        return None
    _camera.tick()
    if not _camera.faces:
        stop()
        return None
    return INTERVAL_S


@persistent
def _on_load(*_args: object) -> None:
    stop()


def register() -> None:
    bpy.app.handlers.load_pre.append(_on_load)


def unregister() -> None:
    bpy.app.handlers.load_pre.remove(_on_load)
    stop()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    camera_preview.free()
