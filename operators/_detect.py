"""Finding faces without blocking: what the operators of source.py share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import bpy

from ..host.client import EngineError, Ticket
from ..preferences import preferences
from ..rig import engine as engine_process
from ..rig import pump
from ..rig.creation import Finding
from ..rig.errors import AddonError
from ..rig.images import read_picture
from ._base import ReportsErrors

TICK_S = 0.05


class FindsFaces(ReportsErrors):
    """Mixin: `picture` names the image, faces are found in it, `finish` uses them.

    In the interface this runs as a modal operator with progress, Esc cancels. In the background,
    or with use_wait, it waits with a time-out.
    """

    use_wait: bpy.props.BoolProperty(
        name="Wait",
        description="Return only when done, for scripts",
        options={"HIDDEN", "SKIP_SAVE"},
    )
    max_faces: int
    is_image_new = False
    # Whether to go on without a face: the networks also move what the artist draws a box around.
    takes_boxes = False
    _ticket: Ticket | None = None
    _timer: bpy.types.Timer | None = None

    def picture(self, context: bpy.types.Context) -> bpy.types.Image:
        """The image to look at; sets is_image_new when it was loaded for this."""
        raise NotImplementedError

    def wanted_renderer(self) -> str:
        """The renderer whose faces are looked for: one of them moves animals."""
        return "analytic"

    def finish(self, context: bpy.types.Context, finding: Finding) -> str:
        """Use the faces; what to report."""
        raise NotImplementedError

    def _run(self, context: bpy.types.Context) -> set[str]:
        image = self.picture(context)
        self._image_name = image.name
        self._library = image.library
        return self._or_clean(self._look, context, image)

    def _look(self, context: bpy.types.Context, image: bpy.types.Image) -> set[str]:
        picture = read_picture(image)
        use_wait = self.use_wait or bpy.app.background
        if use_wait:
            client = engine_process.start_ready(preferences().open_timeout_s)
        else:
            client = engine_process.start()
            if client.error is not None:
                client = engine_process.restart()
        fields = {"encoding": picture.encoding, "name": image.name}
        fields["renderer"] = self.wanted_renderer()
        arrays = {"image": picture.to_wire()}
        self._ticket = client.submit("detect", fields, arrays, use_drain=False)
        if use_wait:
            with suppress(EngineError):  # which the ticket keeps
                client.wait(self._ticket, preferences().open_timeout_s)
            return self._use(context)
        self._timer = context.window_manager.event_timer_add(TICK_S, window=context.window)
        context.window_manager.modal_handler_add(self)
        context.window_manager.progress_begin(0.0, 1.0)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Wait for the engine without blocking."""
        if event.type == "ESC":
            engine_process.engine().cancel(self._ticket)
            self._end_modal(context)
            self._drop_image()
            self.report({"WARNING"}, "Finding faces was cancelled")
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        if not self._ticket.is_done:
            fraction, text = self._ticket.progress
            context.window_manager.progress_update(fraction)
            what = text or f"Looking for faces in '{self._image_name}'"
            context.workspace.status_text_set(f"{what}  |  Esc: cancel")
            return {"RUNNING_MODAL"}
        self._end_modal(context)
        return self._guard(self._or_clean, self._use, context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: it quits, or the file browser was left."""
        if self._timer is not None:
            self._end_modal(context)

    def _end_modal(self, context: bpy.types.Context) -> None:
        context.window_manager.event_timer_remove(self._timer)
        context.window_manager.progress_end()
        context.workspace.status_text_set(None)
        pump.redraw()

    def _or_clean(self, work: Callable[..., set[str]], *arguments: Any) -> set[str]:
        """Call `work`; when it raises, drop the image that was loaded for it."""
        result = None
        try:
            result = work(*arguments)
        finally:
            if result is None:
                self._drop_image()
        return result

    def _use(self, context: bpy.types.Context) -> set[str]:
        finding = Finding.read(self._found(), self.max_faces)
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

    def _found(self) -> list[dict[str, Any]]:
        try:
            return self._ticket.result().fields["faces"]
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

    def _drop_image(self) -> None:
        if self.is_image_new:
            image = bpy.data.images.get(self._image_name)
            if image is not None and not image.users:
                bpy.data.images.remove(image)
