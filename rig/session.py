"""What runs for one portrait and is never saved: the opened picture, what is shown and wanted."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import bpy

from ..engine.controls import Face
from ..host.client import Engine, EngineError, Reply, Ticket
from ..preferences import preferences
from . import content, main_thread, refit
from . import engine as engine_process
from .controllers import face_of
from .drawn_faces import FittedFaces
from .errors import AddonError, OtherPictureError, PortraitError
from .images import Canvas, Picture
from .live_image import LiveImage
from .motions import NEUTRAL, is_neutral
from .opening import faces_key
from .portraits import Portrait, check_whole, find
from .problem import LOST_CODES, QUIET_CODES, Problem
from .requests import Answer, answer_of, submit_open, submit_render, submit_still

if TYPE_CHECKING:
    from ..engine.controls import Motion
    from ..engine.protocol import Message

SAVING_S = 10.0  # that a file waits for the whole picture

log = logging.getLogger(__name__)


class Session(LiveImage):
    """One portrait's traffic with the engine. Call it with the traffic lock held (see live.py).

    renderer  name, device, precision and model_set at work, as the engine said
    notices   what the engine wants the user to know, for example that memory is short
    """

    def __init__(self, uid: str) -> None:
        super().__init__()
        self.uid = uid
        self.problem: Problem | None = None
        self.wanted: tuple[Motion, ...] = ()
        self.shown: tuple[Motion, ...] | None = None
        self.renderer: dict[str, str] = {}
        self.notices: list[str] = []
        self.face_problems: list[str] = []  # why each face rests
        self.readings: list[tuple[float, ...]] = []  # of each face, see Face.reading
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
        """True while an answer of the engine is awaited, or will be asked for at rest."""
        return self._is_asked or self.look.is_awaited

    @property
    def _is_asked(self) -> bool:
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
        asked = self._rendering and answer_of(self._rendering).motions
        if motions == (asked or self.shown) and not is_unread:
            return
        self.look.begin(item.settings.output, self.picture.size)
        if is_neutral(motions):
            self._show_still(item, is_small=self.look.size is not None)
        if is_unread or not is_neutral(motions):
            self._ask_if_useful(item, self.look.size)

    def rest(self, item: Portrait) -> None:
        """Ask for the whole picture where a small one is shown and nothing moves any more."""
        if not self.look.is_due or self._is_asked:
            return
        if is_neutral(self.wanted):
            self._show_still(item)
            return
        self._ask_if_useful(item, None)
        if not self._is_asked:
            self.look.give_up()

    def complete(self, item: Portrait) -> None:
        """Show the whole picture before returning, where a small one is shown: a file is saved.

        Where the engine cannot give it soon, the small one is enlarged.
        """
        if not self.look.is_shown:
            return
        try:
            if is_neutral(self.wanted):
                self._show_still(item)
            else:
                self._render_now(item, self.wanted, SAVING_S, SAVING_S)
        except (AddonError, EngineError) as error:
            log.warning("Portrait %s is saved as it was while it moved: %s", self.uid, error)
            self.enlarge(item.plane)

    def retry(self) -> None:
        """Forget what failed, so that the next wish asks the engine again."""
        self.problem = None
        self.shown = None
        self._drop_handle()

    def _ask_if_useful(self, item: Portrait, size: tuple[int, int] | None) -> None:
        if self.problem is not None and self.problem.is_final:
            return
        client = engine_process.start(item.settings.renderer)
        if not client.is_running:
            if client.error is not None:
                self.problem = Problem.of(client.error)
            return
        self._use(client)
        if self._handle is not None:
            if size is not None and self.look.take_still_request():
                neutral = tuple(NEUTRAL for _ in self.wanted)
                submit_still(client, Answer(self._on_still, neutral, self._handle, size))
            key = ("live", self.uid)
            self._rendering = self._submit_render(client, self.wanted, key, size)
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

    def _on_still(self, reply: Reply) -> None:
        answer = answer_of(reply.ticket)
        if reply.message is not None and answer.handle == self._handle and self.canvas is not None:
            pixels = self.picture.from_wire(reply.message.arrays["pixels"])
            self.look.take_still(replace(self.picture, pixels=pixels))

    def _on_frame(self, reply: Reply) -> None:
        if reply.ticket is self._rendering:
            self._rendering = None
        answer = answer_of(reply.ticket)
        if answer.handle != self._handle or is_neutral(self.wanted):
            return
        item = find(self.uid)
        if reply.error is not None:
            self._fail(reply.error)
        elif reply.message is not None and item is not None:
            try:
                self._show(item, reply.message, answer)
            except AddonError as error:
                self.problem = Problem.of(error)

    def _fail(self, error: EngineError, *, is_opening: bool = False) -> None:
        if error.code in QUIET_CODES:
            return
        if error.code in LOST_CODES:
            self._drop_handle()
        self.shown = None
        self.look.give_up()
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
        if motions == self.shown and not self.look.is_shown:
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

    def _render_now(
        self,
        item: Portrait,
        motions: tuple[Motion, ...],
        open_s: float | None = None,
        frame_s: float | None = None,
    ) -> None:
        """The time-outs are those of the preferences unless others are given."""
        open_s = open_s or preferences().open_timeout_s
        client = engine_process.start_ready(open_s, item.settings.renderer)
        self._open_now(item, client, open_s)
        ticket = self._submit_render(client, motions)
        message = client.wait(ticket, frame_s or preferences().frame_timeout_s)
        self._show(item, message, answer_of(ticket))

    def _open_now(self, item: Portrait, client: Engine, timeout_s: float) -> None:
        self._use(client)
        if self._handle is None:
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
                timeout_s = preferences().open_timeout_s
                client = engine_process.start_ready(timeout_s, item.settings.renderer)
                self._open_now(item, client, timeout_s)
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
        picture = self.picture
        self._use(client)
        self._asked = [face_of(controller) for controller in item.controllers]
        return submit_open(client, item, picture, Answer(self._on_opened), use_drain=use_drain)

    def _submit_render(
        self,
        client: Engine,
        motions: tuple[Motion, ...],
        key: Any = None,
        size: tuple[int, int] | None = None,
    ) -> Ticket:
        return submit_render(client, Answer(self._on_frame, motions, self._handle, size), key)

    def _show(self, item: Portrait, message: Message, answer: Answer) -> None:
        canvas = self.canvas if answer.size is None else self.look.canvas
        is_newer_wanted = answer.size is None and answer.motions != self.wanted
        if canvas is None or answer.size not in {None, canvas.picture.size} or is_newer_wanted:
            return
        canvas.show(
            tuple(message.fields["rectangle"]),
            self.picture.from_wire(message.arrays["pixels"]),
        )
        self.notices = list(message.fields.get("notices", ()))
        self.look.note_shown(is_small=answer.size is not None)
        self.push(item)
        self.shown = answer.motions
        self.problem = None

    def _show_still(self, item: Portrait, *, is_small: bool = False) -> None:
        if self.canvas is None:
            return
        self.push_still(item, is_small=is_small)
        self.shown = self.wanted
        if self._handle is not None or self._client is None:
            self.problem = None

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
        self.look.forget()
        self.renderer, self.face_problems, self.readings = {}, [], []
