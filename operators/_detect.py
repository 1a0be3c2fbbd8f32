"""Finding faces without blocking: what the operators of source.py share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import bpy

from ..engine.renderer_table import PREVIEW
from ..host.client import Engine, EngineError, Ticket
from ..preferences import preferences
from ..rig import content
from ..rig import engine as engine_process
from ..rig.clips import Place
from ..rig.creation import Finding
from ..rig.errors import AddonError
from ..rig.images import Picture
from ._long_run import RunsLong

DRAW_HINT = "Press Draw in the Portrait panel and drag a box around the face"

# Gives an image, and whether it was loaded for this.
Source = Callable[[], tuple[bpy.types.Image, bool]]


class RequestRun:
    """A request to the engine as a LongRun; `ticket` has the answer, or the error, when done."""

    def __init__(self, client: Engine, ticket: Ticket, text: str) -> None:
        self.ticket = ticket
        self.is_cancelled = False
        self._client = client
        self._text = text

    @property
    def text(self) -> str:
        """What the engine says, else what was asked."""
        return self.ticket.progress.text or self._text

    @property
    def fraction(self) -> float:
        """As the engine says, 0..1."""
        return self.ticket.progress.fraction

    @property
    def is_done(self) -> bool:
        """Whether the engine has answered, or the request was cancelled."""
        return self.ticket.is_done

    def step(self) -> None:
        """The engine works by itself."""

    def run(self) -> None:
        """Wait for the answer, with the time-out for opening pictures."""
        self._wait(self.ticket)

    def _wait(self, ticket: Ticket) -> None:
        with suppress(EngineError):  # which the ticket keeps
            self._client.wait(ticket, preferences().open_timeout_s)

    def cancel(self) -> None:
        """Tell the engine to drop the work."""
        if not self.ticket.is_done:
            self.is_cancelled = True
            self._client.cancel(self.ticket)

    def detected(self, limit: int) -> Finding:
        """The faces of the answer, at most `limit` of them (0: all). Raises EngineError."""
        return Finding.read(self.ticket.result().fields["faces"], limit)


def started_engine(*, is_blocking: bool) -> Engine:
    """The engine that looks for faces, waited for where the caller waits. Raises EngineError."""
    if is_blocking:
        return engine_process.start_ready(preferences().open_timeout_s)
    client = engine_process.start()
    return client if client.error is None else engine_process.restart()


def submit_in_clip(client: Engine, place: Place, fields: dict[str, Any]) -> Ticket:
    """Ask for the faces in a frame of a clip; fields: what it says beside that."""
    where = {"clip": place.clip.wire_fields, "frame": place.frame}
    return client.submit("detect", {**fields, **where}, use_drain=False)


def ask_for_faces(
    picture: Picture, fields: dict[str, Any], text: str, *, is_blocking: bool
) -> RequestRun:
    """Send a `detect` request for a picture. Raises AddonError or EngineError.

    fields  what it says beside the pixels
    """
    client = started_engine(is_blocking=is_blocking)
    fields = {"encoding": picture.encoding, **fields}
    arrays = {"image": picture.to_wire()}
    return RequestRun(client, client.submit("detect", fields, arrays, use_drain=False), text)


@dataclass
class Look:
    """One picture that is looked at: the request for its faces, or why there is none."""

    image_name: str = ""
    library: bpy.types.Library | None = None
    is_image_new: bool = False
    request: RequestRun | None = None
    error: AddonError | EngineError | None = None

    def finding(self, max_faces: int, *, needs_faces: bool) -> Finding:
        """The faces that were found; none is an error where they are needed.

        Raises AddonError or EngineError.
        """
        if self.error is not None or self.request is None:
            raise self.error or AddonError("Nobody has looked for faces yet.")
        try:
            finding = self.request.detected(max_faces)
        except EngineError as error:
            if needs_faces or error.code != "no_face":
                raise
            finding = Finding(nothing=error.message)
        if needs_faces:
            finding.check(self.image_name)
        return finding

    def image(self) -> bpy.types.Image:
        """The image that was looked at. Raises AddonError when it was removed meanwhile."""
        for image in bpy.data.images:
            if image.name == self.image_name and image.library == self.library:
                return image
        raise AddonError(f"The image '{self.image_name}' was removed meanwhile.")

    def drop_image(self) -> None:
        """Remove the image if it was loaded for this and nothing uses it."""
        image = bpy.data.images.get(self.image_name)
        if self.is_image_new and image is not None and not image.users:
            bpy.data.images.remove(image)


class LooksRun:
    """Pictures looked at one after the other, as a LongRun.

    ask   sends the request for an image's faces
    With several pictures the error of one is kept in its Look; that of a single one is raised.
    """

    def __init__(
        self, sources: Sequence[Source], ask: Callable[[bpy.types.Image], RequestRun]
    ) -> None:
        self.looks: list[Look] = []
        self.is_cancelled = False
        self._waiting = list(sources)
        self._count = len(sources)
        self._ask = ask

    @property
    def _current(self) -> RequestRun | None:
        return self.looks[-1].request if self.looks else None

    @property
    def text(self) -> str:
        """What is looked at, and which of several it is."""
        text = self._current.text if self._current is not None else ""
        return f"{len(self.looks)} of {self._count}: {text}" if self._count > 1 else text

    @property
    def fraction(self) -> float:
        """How many pictures are done, 0..1."""
        done = len(self.looks) - 1
        part = self._current.fraction if self._current is not None else 1.0
        return max(done + part, 0.0) / self._count

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to look at."""
        is_idle = self._current is None or self._current.is_done
        return self.is_cancelled or (not self._waiting and is_idle)

    def step(self) -> None:
        """Go on with the next picture when the engine has answered."""
        if self._current is not None:
            self._current.step()
        if self._waiting and (self._current is None or self._current.is_done):
            self._next()

    def run(self) -> None:
        """Look at all of them, waiting for each answer."""
        while not self.is_done:
            if self._current is not None:
                self._current.run()
            self.step()

    def cancel(self) -> None:
        """Look at no more pictures."""
        if not self.is_done:
            self.is_cancelled = True
            if self._current is not None:
                self._current.cancel()

    def _next(self) -> None:
        look = Look()
        self.looks.append(look)
        try:
            image, look.is_image_new = self._waiting.pop(0)()
            look.image_name, look.library = image.name, image.library
            look.request = self._ask(image)
        except (AddonError, EngineError) as error:
            if self._count == 1:
                raise
            look.error = error


class FindsFaces(RunsLong):
    """Mixin: faces are found in the images of `sources`, `finish` uses those of each."""

    stop_text = "Finding faces was cancelled"
    max_faces: int
    # Whether a picture without a face that can be moved is an error.
    needs_faces = False
    _looks: LooksRun | None = None

    def sources(self, context: bpy.types.Context) -> Sequence[Source]:
        """The images to look at, at least one. Raises AddonError."""
        raise NotImplementedError

    def read(self, image: bpy.types.Image) -> Picture:
        """The pixels that faces are looked for in. Raises AddonError."""
        return content.upright(image)

    def wanted_renderer(self) -> str:
        """The renderer whose faces are looked for: one of them moves animals."""
        return PREVIEW

    def finish(self, context: bpy.types.Context, image: bpy.types.Image, finding: Finding) -> str:
        """Use the faces of one image; what to report."""
        raise NotImplementedError

    def conclude(self, context: bpy.types.Context) -> None:
        """What is left to do after the last of the images."""

    def _begin(self, context: bpy.types.Context) -> LooksRun:
        run = self._looks = LooksRun(self.sources(context), self._ask)
        run.step()
        return run

    def place(self, image: bpy.types.Image) -> Place | None:
        """The frame of a clip to look in; None for pictures. Raises AddonError."""
        return None

    def _ask(self, image: bpy.types.Image) -> RequestRun:
        fields = {"name": image.name, "renderer": self.wanted_renderer()}
        text = f"Looking for faces in '{image.name}'"
        place = self.place(image)
        if place is not None:
            return self.ask_in_clip(place, fields, text)
        return ask_for_faces(self.read(image), fields, text, is_blocking=self.is_blocking)

    def ask_in_clip(self, place: Place, fields: dict[str, Any], text: str) -> RequestRun:
        """Look for the faces of a clip in one of its frames."""
        client = started_engine(is_blocking=self.is_blocking)
        return RequestRun(client, submit_in_clip(client, place, fields), text)

    def _finish(self, context: bpy.types.Context, run: LooksRun) -> set[str]:
        problems: list[AddonError | EngineError] = []
        for look in run.looks:
            try:
                self._use(context, look)
            except (AddonError, EngineError) as error:
                problems.append(error)
                look.drop_image()
        if len(problems) == len(run.looks):
            self._tell(problems[:-1])
            raise problems[-1]
        self.conclude(context)
        self._tell(problems)
        return {"FINISHED"}

    def _use(self, context: bpy.types.Context, look: Look) -> None:
        finding = look.finding(self.max_faces, needs_faces=self.needs_faces)
        text = self.finish(context, look.image(), finding)
        count = len(finding.faces)
        text += f": {count} face{'s' if count != 1 else ''}"
        if finding.refused:
            text += f", {len(finding.refused)} left out"
        text = ", ".join([text, *finding.notes])
        reason = f"{text}. {finding.reason}".strip()
        if not count:
            self.report({"WARNING"}, f"{reason} {DRAW_HINT}")
        elif finding.reason:
            self.report({"WARNING"}, reason)
        else:
            self.report({"INFO"}, text)

    def _tell(self, problems: Sequence[AddonError | EngineError]) -> None:
        for text in dict.fromkeys(str(problem) for problem in problems):
            self.report({"WARNING"}, text)

    def _drop(self) -> None:
        for look in self._looks.looks if self._looks is not None else ():
            look.drop_image()
