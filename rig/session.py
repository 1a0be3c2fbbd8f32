"""What runs for one portrait and is never saved: the opened picture, what is shown and wanted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import bpy

from ..engine.controls import Face
from ..host.client import Engine, EngineError, Policy, Reply, Ticket
from ..preferences import preferences
from . import content, main_thread, refit
from . import engine as engine_process
from .controllers import face_of
from .cycles_view import Turns
from .drawn_faces import FittedFaces
from .errors import AddonError, OtherPictureError, PortraitError
from .images import Canvas, Picture
from .motions import NEUTRAL, is_neutral
from .opening import faces_key, open_fields
from .portraits import Portrait, check_whole, find
from .problem import LOST_CODES, QUIET_CODES, Problem

if TYPE_CHECKING:
    from ..engine.controls import Motion
    from ..engine.protocol import Message

log = logging.getLogger(__name__)


class Session:
    """One portrait's traffic with the engine. Call it with the traffic lock held (see live.py).

    renderer  name, device, precision and model_set at work, as the engine said
    notices   what the engine wants the user to know, for example that memory is short
    """

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.problem: Problem | None = None
        self.wanted: tuple[Motion, ...] = ()
        self.shown: tuple[Motion, ...] | None = None
        self.canvas: Canvas | None = None
        self.renderer: dict[str, str] = {}
        self.notices: list[str] = []
        self.face_problems: list[str] = []  # why each face rests
        self.readings: list[tuple[float, ...]] = []  # of each face, see Face.reading
        self.turns = Turns()
        self.fitted = FittedFaces()
        self._key: tuple[Any, ...] | None = None
        self._newest = content.Newest()
        self._is_unreadable = False
        self._asked: list[Face] = []  # as `open` was told them
        self._handle: int | None = None
        self._client: Engine | None = None
        self._generation = -1
        self._opening: Ticket | None = None
        self._rendering: Ticket | None = None

    @property
    def is_pending(self) -> bool:
        """True while an answer of the engine is awaited."""
        return self._opening is not None or self._rendering is not None

    @property
    def progress(self) -> tuple[float, str] | None:
        """(fraction, text) while the picture is being opened."""
        return None if self._opening is None else tuple(self._opening.progress)

    # --- live: never waits ---------------------------------------------------------------------

    def want(self, item: Portrait, motions: tuple[Motion, ...]) -> None:
        """Show these motions as soon as the engine can; a newer wish replaces an older one."""
        if not item.settings.is_fitted:
            motions = tuple(NEUTRAL for _ in motions)
        self.wanted = motions
        try:
            self._check_picture(item)
        except AddonError as error:
            self.problem = Problem.of(error)
            return
        is_unread = self.fitted.is_waited_for(item.controllers)
        if motions == self.shown and self._rendering is None and not is_unread:
            return
        if is_neutral(motions):
            self._show_still(item)
        if is_unread or not is_neutral(motions):
            self._ask_if_useful(item)

    def retry(self) -> None:
        """Forget what failed, so that the next wish asks the engine again."""
        self.problem = None
        self.shown = None
        self._drop_handle()

    def _ask_if_useful(self, item: Portrait) -> None:
        if self.problem is not None and self.problem.is_final:
            return
        client = engine_process.start(item.settings.renderer)
        if not client.is_running:
            if client.error is not None:
                self.problem = Problem.of(client.error)
            return
        self._use(client)
        if self._handle is not None:
            self._rendering = self._submit_render(client, self.wanted, Policy.NEWEST, True)
        elif self._opening is None:
            self._opening = self._submit_open(client, item, True)

    def _on_opened(self, reply: Reply) -> None:
        if reply.ticket is not self._opening:
            return
        self._opening = None
        item = find(self.uid)
        if reply.error is not None:
            self._fail(reply.error, is_opening=True)
        elif item is None:
            self._abandon(reply.ticket)
        elif reply.message is not None:
            self._take_handle(reply.message)
            self.problem = None
            self.shown = None
            if self.give_ratios(item):
                from .live import refresh_later

                refresh_later()
            else:
                self.want(item, self.wanted)

    def _on_frame(self, reply: Reply) -> None:
        if reply.ticket is self._rendering:
            self._rendering = None
        answer = cast("Answer", reply.ticket.tag)
        if answer.handle != self._handle or is_neutral(self.wanted):
            return
        item = find(self.uid)
        if reply.error is not None:
            self._fail(reply.error)
        elif reply.message is not None and item is not None:
            try:
                self._show(item, reply.message, answer.motions)
            except AddonError as error:
                self.problem = Problem.of(error)

    def _fail(self, error: EngineError, *, is_opening: bool = False) -> None:
        if error.code in QUIET_CODES:
            return
        if error.code in LOST_CODES:
            self._drop_handle()
        self.shown = None
        self.problem = Problem.of(error, is_opening=is_opening)
        log.warning("Portrait %s: %s", self.uid, error)

    # --- blocking: while rendering and in the background ----------------------------------------

    def show_now(self, item: Portrait, motions: tuple[Motion, ...]) -> None:
        """Show these motions before returning. Raises AddonError or EngineError.

        An engine that has died is started again once.
        """
        self.wanted = motions
        if not item.settings.is_fitted:
            raise PortraitError(
                f"The faces of '{item.settings.source.name}' are still looked for.",
                "Wait a moment and render again.",
            )
        self._check_picture(item, is_certain=True)
        self.restore_mode(item)
        if motions == self.shown:
            return
        if is_neutral(motions):
            self._show_still(item)
            return
        try:
            self._render_now(item, motions)
        except EngineError as error:
            if error.code not in LOST_CODES:
                self.problem = Problem.of(error)
                raise
            log.warning("%s The frame is tried again.", error)
            self._drop_handle()
            self._render_again(item, motions)

    def _render_again(self, item: Portrait, motions: tuple[Motion, ...]) -> None:
        try:
            self._render_now(item, motions)
        except EngineError as error:
            self.problem = Problem.of(error)
            raise

    def _render_now(self, item: Portrait, motions: tuple[Motion, ...]) -> None:
        timeouts = preferences()
        client = engine_process.start_ready(timeouts.open_timeout_s, item.settings.renderer)
        self._open_now(item, client)
        ticket = self._submit_render(client, motions, Policy.ALL, False)
        self._show(item, client.wait(ticket, timeouts.frame_timeout_s), motions)

    def _open_now(self, item: Portrait, client: Engine) -> None:
        self._use(client)
        if self._handle is None:
            timeout_s = preferences().open_timeout_s
            ticket = self._opening or self._submit_open(client, item, False)
            self._opening = None
            self._take_handle(client.wait(ticket, timeout_s))
        self._rendering = None

    def read_faces(self, item: Portrait) -> None:
        """Let the engine read drawn faces that nobody has read, in the background.

        It waits. What fails is logged, and not tried again: a face at rest needs no engine.
        """
        if self.fitted.is_waited_for(item.controllers):
            faces = [face_of(controller) for controller in item.controllers]
            try:
                self._check_picture(item)
                client = engine_process.start_ready(
                    preferences().open_timeout_s, item.settings.renderer
                )
                self._open_now(item, client)
            except (AddonError, EngineError) as error:
                log.warning("Drawn faces of '%s' were not read: %s", item.plane.name, error)
                self.fitted.note(faces, faces)
        self.give_ratios(item)

    # --- both ----------------------------------------------------------------------------------

    def give_ratios(self, item: Portrait) -> bool:
        """Write what the engine has read of drawn faces; whether there was any. Main thread."""
        if not self.fitted.give(item.controllers):
            return False
        # The engine knows them already as they are now.
        self._key = None if self._handle is None else faces_key(item)
        return True

    def push(self, item: Portrait) -> None:
        """Write what should be visible into the image again, after an undo or a load."""
        use_turns = main_thread.is_here()
        main_thread.do(lambda: self._write(item.plane, use_turns=use_turns))

    def _write(self, plane: bpy.types.Object, *, use_turns: bool) -> None:
        output = plane.keyportrait.portrait.output
        if self.canvas is None or output is None:
            return
        is_turned = use_turns and self.turns.begin(output, self.canvas.picture)
        self.canvas.push(output)
        if is_turned:
            self.turns.finish(output)

    def restore_mode(self, item: Portrait) -> None:
        """Give the live image its own alpha mode back, where Cycles' viewport has changed it."""
        main_thread.do(lambda: self._restore_mode(item.plane))

    def _restore_mode(self, plane: bpy.types.Object) -> None:
        output = plane.keyportrait.portrait.output
        if self.canvas is not None and output is not None and self.turns.restore(output):
            self.canvas.push(output)

    def forget_picture(self) -> None:
        """Read the picture at the next wish, whatever Blender tells of it."""
        self.close()
        self._newest = content.Newest()

    def close(self) -> None:
        """Let the engine forget the picture; the session may be used again."""
        self._drop_handle()
        self._key = None

    def _check_picture(self, item: Portrait, *, is_certain: bool = False) -> None:
        """Open the picture again when it, the faces or the renderer are new. Raises AddonError.

        is_certain  compare the pixels, also where Blender tells of no change
        """
        check_whole(item)
        picture = self._newer_picture(item, is_certain)
        key = faces_key(item)
        if picture is None and key == self._key:
            return
        self.close()
        self._key = key
        self.shown = None
        self.problem = None
        if picture is not None:
            self.canvas = Canvas(picture)

    def _newer_picture(self, item: Portrait, is_certain: bool) -> Picture | None:
        """The picture when it is another one than on the canvas."""
        try:
            picture = self._newest.look(item, is_certain=is_certain)
        except AddonError as error:
            self.problem = Problem.of(error)
            self._is_unreadable = True
            if isinstance(error, OtherPictureError) and not bpy.app.background:
                main_thread.do(lambda: refit.became_another(item))
            raise
        if self._is_unreadable:
            self._is_unreadable = False
            self.problem = None
        return picture

    def _submit_open(self, client: Engine, item: Portrait, use_drain: bool) -> Ticket:
        picture = self._picture()
        self._use(client)
        self._asked = [face_of(controller) for controller in item.controllers]
        return client.submit(
            "open",
            {**open_fields(item), **picture.wire_fields},
            {"image": picture.to_wire()},
            tag=Answer(self._on_opened),
            use_drain=use_drain,
        )

    def _submit_render(
        self, client: Engine, motions: tuple[Motion, ...], policy: Policy, use_drain: bool
    ) -> Ticket:
        fields = {
            "handle": self._handle,
            "motions": [motion.to_json() for motion in motions],
            "options": {},
        }
        return client.submit(
            "render",
            fields,
            policy=policy,
            key=("live", self.uid) if policy is Policy.NEWEST else None,
            tag=Answer(self._on_frame, motions, self._handle),
            use_drain=use_drain,
        )

    def _show(self, item: Portrait, message: Message, motions: tuple[Motion, ...]) -> None:
        pixels = self._picture().from_wire(message.arrays["pixels"])
        canvas = self.canvas
        if canvas is None:
            return
        canvas.show(tuple(message.fields["rectangle"]), pixels)
        self.notices = list(message.fields.get("notices", ()))
        self.push(item)
        self.shown = motions
        self.problem = None

    def _show_still(self, item: Portrait) -> None:
        if self.canvas is None:
            return
        self.canvas.restore()
        self.push(item)
        self.shown = self.wanted
        if self._handle is not None or self._client is None:
            self.problem = None

    def _picture(self) -> Picture:
        if self.canvas is None:
            raise AddonError("The portrait's picture is not loaded.")
        return self.canvas.picture

    def _take_handle(self, opened: Message) -> None:
        self._handle = int(opened.fields["handle"])
        self.renderer = dict(opened.fields.get("renderer", {}))
        faces = opened.fields["faces"]
        self.fitted.note(self._asked, [Face.from_json(face) for face in faces])
        self.face_problems = [(face.get("problem") or {}).get("message", "") for face in faces]
        self.readings = [tuple(face.get("reading") or ()) for face in faces]
        for text in filter(None, self.face_problems):
            log.warning("A face of portrait %s stays at rest: %s", self.uid, text)

    def _use(self, client: Engine) -> None:
        """Work with this engine as it runs now; what another or a dead one had is dropped."""
        if self._client is not client or self._generation != client.generation:
            self._drop_handle()
        self._client, self._generation = client, client.generation

    def _abandon(self, ticket: Ticket | None) -> None:
        if ticket is not None and self._client is not None:
            self._client.abandon(ticket)

    def _drop_handle(self) -> None:
        self._abandon(self._opening)
        self._abandon(self._rendering)
        client = self._client
        is_there = client is not None and client.generation == self._generation
        if client is not None and is_there and client.is_running and self._handle is not None:
            client.submit("close", {"handle": self._handle}, use_drain=False)
        self._handle = None
        self._opening = None
        self._rendering = None
        self.renderer, self.face_problems, self.readings = {}, [], []


@dataclass(frozen=True)
class Answer:
    """Tag of a live request: whom the pump calls with the reply."""

    receive: Any
    motions: tuple[Motion, ...] = ()
    handle: int | None = None
