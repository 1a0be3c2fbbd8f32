"""What runs for one portrait and is never saved: the opened picture, what is shown and wanted."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import bpy

from ..host.client import Engine, EngineError, Reply, Ticket
from ..preferences import preferences
from . import clips, content, face_tracks, main_thread, refit, riding
from . import engine as engine_process
from .controllers import face_of
from .errors import AddonError, OtherPictureError, PortraitError
from .images import Canvas, Picture
from .opened_picture import OpenedPicture
from .opening import faces_key
from .portraits import Portrait, check_whole, find, picture_size
from .problem import ADDON_CODE, LOST_CODES, QUIET_CODES, Problem
from .requests import (
    Answer,
    answer_of,
    submit_render,
    submit_still,
    submit_track,
)
from .wishes import Wish

if TYPE_CHECKING:
    from ..engine.protocol import Message

SAVING_S = 10.0  # that a file waits for the whole picture

log = logging.getLogger(__name__)


class Session(OpenedPicture):
    """One portrait's traffic with the engine. Call it with the traffic lock held (see live.py).

    notices   what the engine wants the user to know, for example that memory is short
    """

    def __init__(self, uid: str) -> None:
        super().__init__(uid)
        self.problem: Problem | None = None
        self.wanted = Wish()
        self.shown: Wish | None = None
        self.notices: list[str] = []
        self._key: tuple[Any, ...] | None = None
        self._newest = content.Newest()
        self._is_unreadable = False

    # --- live: never waits ---------------------------------------------------------------------

    def want(self, item: Portrait, wish: Wish) -> None:
        """Show this as soon as the engine can; a newer wish replaces an older one."""
        if not item.settings.is_fitted:
            wish = wish.at_rest
        self.wanted = wish
        try:
            self._check_picture(item)
        except AddonError as error:
            self.problem = Problem.of(error)
            return
        is_unread = self.fitted.is_waited_for(item.controllers)
        asked = self._rendering and answer_of(self._rendering).wish
        if wish == (asked or self.shown) and not is_unread:
            if self.problem is not None and self.problem.code == ADDON_CODE:
                self.problem = None  # a file that was gone is there again
            return
        self.look.begin(item.settings.output, picture_size(item.plane))
        if wish.is_still:
            self._show_still(item, is_small=self.look.size is not None)
        if is_unread or not wish.is_still:
            self._ask_if_useful(item, self.look.size)

    def rest(self, item: Portrait) -> None:
        """Ask for the whole picture where a small one is shown and nothing moves any more."""
        if not self.look.is_due or self._is_asked:
            return
        if self.wanted.is_still:
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
            if self.wanted.is_still:
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
            is_laid_over = size is not None and self.wanted.frame is None
            if is_laid_over and self.look.take_still_request():
                answer = Answer(self._on_still, self.wanted.at_rest, self._handle, size)
                submit_still(client, answer)
            key = ("live", self.uid)
            self._rendering = self._submit_render(client, self.wanted, key, size)
        elif self._opening is None and self._tracking is None:
            try:
                self._open(client, item)
            except AddonError as error:
                self.problem = Problem.of(error)

    def _open(self, client: Engine, item: Portrait) -> None:
        """Follow the faces of a clip where that is not done yet, else open the picture."""
        if clips.is_moving(item.settings) and not face_tracks.is_there(item):
            answer = Answer(self._on_tracked)
            self._tracking = submit_track(client, item, answer, use_drain=True)
        else:
            self._opening = self._submit_open(client, item, self._on_opened, use_drain=True)

    def _on_tracked(self, reply: Reply) -> None:
        if reply.ticket is not self._tracking:
            return
        self._tracking = None
        if reply.error is not None:
            self._fail(reply.error, is_opening=True)
        else:
            item = find(self.uid)
            if item is not None:
                riding.ride_quietly(item)
            # Wishes hold how the faces differ from the track.
            refresh_later()

    def _on_opened(self, reply: Reply) -> None:
        if reply.ticket is not self._opening:
            return
        self._opening = None
        item = find(self.uid)
        if item is None:
            self._abandon(reply.ticket)
        elif reply.error is not None and self._is_track_renewed(reply.error, item):
            self._ask_if_useful(item, self.look.size)
        elif reply.error is not None:
            self._fail(reply.error, is_opening=True)
        elif reply.message is not None:
            self._take_handle(reply.message)
            self.problem = None
            self.shown = None
            if self.give_ratios(item):
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
        if answer.handle != self._handle or self.wanted.is_still:
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

    def show_now(self, item: Portrait, wish: Wish) -> None:
        """Show this before returning. Raises AddonError or EngineError.

        An engine that has died is started again once.
        """
        self.wanted = wish
        if not item.settings.is_fitted:
            raise PortraitError(
                f"The faces of '{item.settings.source.name}' are still looked for.",
                "Wait a moment and render again.",
            )
        self._check_picture(item, is_certain=True)
        self.restore_mode(item)
        if wish == self.shown and not self.look.is_shown:
            return
        if wish.is_still:
            self._show_still(item)
            return
        try:
            self._render_now(item, wish)
        except EngineError as error:
            if error.code not in LOST_CODES:
                self.problem = Problem.of(error)
                raise
            log.warning("%s The frame is tried again.", error)
            self._drop_handle()
            self._render_again(item, wish)

    def _render_again(self, item: Portrait, wish: Wish) -> None:
        try:
            self._render_now(item, wish)
        except EngineError as error:
            self.problem = Problem.of(error)
            raise

    def _render_now(
        self,
        item: Portrait,
        wish: Wish,
        open_s: float | None = None,
        frame_s: float | None = None,
    ) -> None:
        """The time-outs are those of the preferences unless others are given."""
        open_s = open_s or preferences().open_timeout_s
        client = engine_process.start_ready(open_s, item.settings.renderer)
        self._open_now(item, client, open_s)
        ticket = self._submit_render(client, wish)
        message = client.wait(ticket, frame_s or preferences().frame_timeout_s)
        self._show(item, message, answer_of(ticket))

    def _open_now(self, item: Portrait, client: Engine, timeout_s: float) -> None:
        self._use(client)
        if self._handle is None:
            ticket = self._opening or self._submit_open(client, item, self._on_opened)
            self._opening = None
            try:
                opened = client.wait(ticket, timeout_s)
            except EngineError as error:
                if not self._is_track_renewed(error, item):
                    raise
                self.track_now(item)
                ticket = self._submit_open(client, item, self._on_opened)
                opened = client.wait(ticket, timeout_s)
            self._take_handle(opened)
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
        is_moving = clips.is_moving(item.settings)
        picture = None if is_moving else self._newer_picture(item, is_certain)
        key = faces_key(item)
        if is_moving:
            clip = clips.clip_of(item.settings.source, is_certain=is_certain)
            key = *key, clip.digest, item.settings.clip.found_frame
        if picture is None and key == self._key:
            return
        self.close()
        self._key = key
        self.shown = None
        self.problem = None
        if is_moving:
            self._newest, self.canvas = content.Newest(), None
        elif picture is not None:
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

    def _submit_render(
        self,
        client: Engine,
        wish: Wish,
        key: Any = None,
        size: tuple[int, int] | None = None,
    ) -> Ticket:
        return submit_render(client, Answer(self._on_frame, wish, self._handle, size), key)

    def _show(self, item: Portrait, message: Message, answer: Answer) -> None:
        is_whole = answer.size is None
        # A late whole picture would change the size of what moves.
        if is_whole and self.look.size is not None and answer.wish != self.wanted:
            return
        if answer.wish.frame is not None:
            self.take_frame(item, message.arrays["pixels"], is_small=not is_whole)
        else:
            canvas = self.canvas if is_whole else self.look.canvas
            if canvas is None or answer.size not in {None, canvas.picture.size}:
                return
            canvas.show(
                tuple(message.fields["rectangle"]),
                self.picture.from_wire(message.arrays["pixels"]),
            )
        self.notices = list(message.fields.get("notices", ()))
        self.look.note_shown(is_small=not is_whole)
        self.push(item)
        self.shown = answer.wish
        self.problem = None

    def _show_still(self, item: Portrait, *, is_small: bool = False) -> None:
        if self.canvas is None:
            return
        self.push_still(item, is_small=is_small)
        self.shown = self.wanted
        if self._handle is not None or self._client is None:
            self.problem = None


def refresh_later() -> None:
    """live.refresh_later, which imports this module."""
    from . import live

    live.refresh_later()
