"""Finding faces without blocking: what the operators of source.py share."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import bpy

from ..engine.renderer_table import PREVIEW
from ..host.client import Engine, EngineError, Ticket
from ..preferences import preferences
from ..rig import engine as engine_process
from ..rig.creation import Finding
from ..rig.errors import AddonError
from ..rig.images import read_picture
from ._long_run import RunsLong


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
        with suppress(EngineError):  # which the ticket keeps
            self._client.wait(self.ticket, preferences().open_timeout_s)

    def cancel(self) -> None:
        """Tell the engine to drop the work."""
        if not self.ticket.is_done:
            self.is_cancelled = True
            self._client.cancel(self.ticket)


class FindsFaces(RunsLong):
    """Mixin: `picture` names the image, faces are found in it, `finish` uses them."""

    stop_text = "Finding faces was cancelled"
    max_faces: int
    is_image_new = False
    # Whether to go on without a face: the networks also move what the artist draws a box around.
    takes_boxes = False

    def picture(self, context: bpy.types.Context) -> bpy.types.Image:
        """The image to look at; sets is_image_new when it was loaded for this."""
        raise NotImplementedError

    def wanted_renderer(self) -> str:
        """The renderer whose faces are looked for: one of them moves animals."""
        return PREVIEW

    def finish(self, context: bpy.types.Context, finding: Finding) -> str:
        """Use the faces; what to report."""
        raise NotImplementedError

    def _begin(self, context: bpy.types.Context) -> RequestRun:
        image = self.picture(context)
        self._image_name = image.name
        self._library = image.library
        picture = read_picture(image)
        if self.is_blocking:
            client = engine_process.start_ready(preferences().open_timeout_s)
        else:
            client = engine_process.start()
            if client.error is not None:
                client = engine_process.restart()
        fields = {"encoding": picture.encoding, "name": image.name}
        fields["renderer"] = self.wanted_renderer()
        arrays = {"image": picture.to_wire()}
        ticket = client.submit("detect", fields, arrays, use_drain=False)
        return RequestRun(client, ticket, f"Looking for faces in '{image.name}'")

    def _finish(self, context: bpy.types.Context, run: RequestRun) -> set[str]:
        finding = Finding.read(self._found(run.ticket), self.max_faces)
        if not self.takes_boxes:
            finding.check(self._image_name)
        text = self.finish(context, finding)
        faces = len(finding.faces)
        text += f": {faces} face{'s' if faces != 1 else ''}"
        if not faces:
            self.report(
                {"WARNING"}, f"{text}. Press Draw in the Faces panel and drag a box around it"
            )
        elif finding.refused:
            reason = finding.refused[0].problem.get("message", "")
            self.report({"WARNING"}, f"{text}, {len(finding.refused)} left out. {reason}")
        else:
            self.report({"INFO"}, text)
        return {"FINISHED"}

    def _found(self, ticket: Ticket) -> list[dict[str, Any]]:
        try:
            return ticket.result().fields["faces"]
        except EngineError as error:
            if error.code == "no_face" and self.takes_boxes:
                return []
            raise

    def found_image(self) -> bpy.types.Image:
        """The image that was looked at. Raises AddonError when it was removed meanwhile."""
        for image in bpy.data.images:
            if image.name == self._image_name and image.library == self._library:
                return image
        raise AddonError(f"The image '{self._image_name}' was removed meanwhile.")

    def _drop(self) -> None:
        if self.is_image_new:
            image = bpy.data.images.get(self._image_name)
            if image is not None and not image.users:
                bpy.data.images.remove(image)
