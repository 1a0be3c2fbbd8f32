"""The camera while it runs: the engine is polled, faces are moved, the newest wins.

The engine owns the device and reads the face; here its motions are laid over the faces that were
selected at the start (see puppets.py). One poll is under way at a time, so nothing piles up: what
comes too late is never asked for.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import bpy
from bpy.app.handlers import persistent

from ..engine.camera_table import IN_USE, OFF, OPENING, STATES
from ..engine.controls import Motion
from ..engine.renderer_table import PREVIEW
from ..engine.take import AUTO, TakeOptions
from ..host.client import Engine, Ticket
from . import (
    camera_devices,
    camera_preview,
    engine,
    live,
    main_thread,
    portraits,
    pump,
    puppets,
)
from .camera_meter import Meter
from .controllers import face_of
from .errors import AddonError, PortraitError
from .puppets import Puppet

INTERVAL_S = 0.008
REDRAW_S = 0.2
PREVIEW_S = 0.08
RESTART_S = 5.0  # between two starts of an engine that died
STEP_S = 30.0


class Status(NamedTuple):
    """What the panel shows.

    device   its name
    state, message, hint  of engine.camera_table.STATES, in words
    fps      pictures a second that come to the viewport; camera_fps: frames that are read
    latency_s  from the camera's frame to the viewport's picture
    dropped  frames of the camera that nobody had time for
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
        self.meter = Meter()
        self.number = 0
        self._poll: Ticket | None = None
        self._generation = -1
        self._started_s = self._redrawn_s = self._previewed_s = 0.0

    def tick(self) -> None:
        """Go on without waiting: take what came, ask for the next."""
        camera_devices.look()
        client = self._running()
        if client is None:
            return
        self._tell_device(client)
        self._take_poll()
        if not self.faces:
            return
        if self._poll is None:
            self._poll = client.submit("camera_poll", self._fields(), use_drain=False)
        item = self._first_portrait()
        if item is not None:
            self.meter.look(live.session(item).shown)
        if not bpy.app.background and time.monotonic() - self._redrawn_s > REDRAW_S:
            self._redrawn_s = time.monotonic()
            pump.redraw()

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

    def _tell_device(self, client: Engine) -> None:
        if client.generation == self._generation:
            return
        self._generation, self._poll = client.generation, None
        width, height = settings().size.split("x")
        fields = {"device": self.device, "size": [int(width), int(height)]}
        client.submit("camera_start", fields, use_drain=False)
        camera_devices.ask(client)

    def _take_poll(self) -> None:
        if self._poll is None or not self._poll.is_done:
            return
        ticket, self._poll = self._poll, None
        if ticket.reply is None:
            error = ticket.error
            self.problem = None if error is None else (error.message, error.hint)
            return
        self.problem, self.told = None, ticket.reply.fields
        if "preview" in ticket.reply.arrays:
            self._previewed_s = time.monotonic()
            camera_preview.show(ticket.reply.arrays["preview"])
        if self.told["number"] != self.number and not main_thread.is_render_running():
            self.number = self.told["number"]
            self._move(ticket.tag, self.told)

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
            "after": self.number,
        }
        if chosen.use_preview and time.monotonic() - self._previewed_s > PREVIEW_S:
            fields["preview"] = [camera_preview.SIDE, camera_preview.SIDE]
        return fields

    def _move(self, _tag: object, told: Mapping[str, Any]) -> None:
        motions = [Motion.from_json(data) for data in told["motions"]]
        if len(motions) != len(self.faces):
            return
        region = settings().region
        puppets.move(
            {name: Puppet(motion, region) for name, motion in zip(self.faces, motions, strict=True)}
        )
        depsgraph = bpy.context.evaluated_depsgraph_get()
        for number, item in enumerate(moved_portraits(self.faces)):
            live.show(item, depsgraph)
            if number == 0:
                self.meter.want(live.session(item).wanted, told["time_s"])

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
