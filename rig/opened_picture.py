"""What the engine has open for one portrait, and what it has been asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ..engine.controls import Face
from ..host.client import Engine, EngineError, Ticket
from ..preferences import preferences
from . import clips, face_tracks
from . import engine as engine_process
from .controllers import face_of
from .drawn_faces import FittedFaces
from .live_image import LiveImage
from .requests import Answer, submit_open, submit_track

if TYPE_CHECKING:
    from ..engine.protocol import Message
    from .portraits import Portrait

# What `open` says of a track that is damaged, or not of this clip.
BAD_TRACK = "bad_track"

log = logging.getLogger(__name__)


class OpenedPicture(LiveImage):
    """The handle of one portrait's source in the engine.

    renderer       name, device, precision and model_set at work, as the engine said
    face_problems  why each face rests
    readings       of each face, see Face.reading
    """

    def __init__(self, uid: str) -> None:
        super().__init__()
        self.uid = uid
        self.renderer: dict[str, str] = {}
        self.face_problems: list[str] = []
        self.readings: list[tuple[float, ...]] = []
        self.fitted = FittedFaces()
        self._asked: list[Face] = []  # as `open` was told them
        self._handle: int | None = None
        self._client: Engine | None = None
        self._generation = -1
        self._tracking: Ticket | None = None
        self._opening: Ticket | None = None
        self._rendering: Ticket | None = None
        self._is_renewed = False

    @property
    def is_pending(self) -> bool:
        """True while an answer of the engine is awaited, or will be asked for at rest."""
        return self._is_asked or self.look.is_awaited

    @property
    def is_rendering(self) -> bool:
        """True while a picture is being made."""
        return self._rendering is not None

    @property
    def _is_asked(self) -> bool:
        return not (self._tracking is self._opening is self._rendering is None)

    @property
    def progress(self) -> tuple[float, str] | None:
        """(fraction, text) while faces are followed or the picture is being opened."""
        ticket = self._tracking or self._opening
        return None if ticket is None else tuple(ticket.progress)

    def track_now(self, item: Portrait) -> None:
        """Follow the faces of a clip before returning, where nobody has.

        Raises AddonError or EngineError.
        """
        if not clips.is_moving(item.settings) or face_tracks.is_there(item):
            return
        timeout_s = preferences().open_timeout_s
        client = engine_process.start_ready(timeout_s, item.settings.renderer)
        self._use(client)
        ticket = self._tracking or submit_track(client, item, Answer(None), use_drain=False)
        self._tracking = None
        client.wait(ticket, timeout_s)

    def _is_track_renewed(self, error: EngineError, item: Portrait) -> bool:
        """Whether an error of `open` is worth following the faces again: once for each handle."""
        if error.code != BAD_TRACK or self._is_renewed:
            return False
        clip = clips.clip_of(item.settings.source)
        face_tracks.drop(face_tracks.track_path(item, clip))
        self._is_renewed = True
        return True

    def _submit_open(
        self, client: Engine, item: Portrait, receive: Any, *, use_drain: bool = False
    ) -> Ticket:
        picture = None if clips.is_moving(item.settings) else self.picture
        self._use(client)
        self._asked = [face_of(controller) for controller in item.controllers]
        return submit_open(client, item, picture, Answer(receive), use_drain=use_drain)

    def _take_handle(self, opened: Message) -> None:
        self._handle = int(opened.fields["handle"])
        self.encoding = str(opened.fields.get("encoding", self.encoding))
        self._is_renewed = False
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
        for ticket in (self._tracking, self._opening, self._rendering):
            self._abandon(ticket)
        client = self._client
        is_there = client is not None and client.generation == self._generation
        if client is not None and is_there and client.is_running and self._handle is not None:
            client.submit("close", {"handle": self._handle}, use_drain=False)
        self._handle = None
        self._tracking = self._opening = self._rendering = None
        self.look.forget()
        self.renderer, self.face_problems, self.readings = {}, [], []
