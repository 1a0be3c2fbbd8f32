"""What the live image of one portrait shows, and how it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from . import main_thread
from .cycles_view import Turns
from .errors import AddonError
from .images import Canvas, Picture, picture_from
from .portraits import Portrait, picture_size
from .quick_look import QuickLook

if TYPE_CHECKING:
    from ..engine.protocol import Array


class LiveImage:
    """The whole picture, the small one that is shown while something moves, and Cycles' turns.

    canvas  the whole picture; None before it was read
    look    the small one
    encoding  of what comes of a clip: "srgb" or "linear"
    """

    def __init__(self) -> None:
        self.canvas: Canvas | None = None
        self.look = QuickLook()
        self.turns = Turns()
        self.encoding = "srgb"

    @property
    def visible(self) -> Canvas | None:
        """What the image shows: the whole picture or the small one."""
        return self.look.canvas if self.look.is_shown and self.look.canvas else self.canvas

    @property
    def picture(self) -> Picture:
        """The whole still. Raises AddonError before it was read."""
        if self.canvas is None:
            raise AddonError("The portrait's picture is not loaded.")
        return self.canvas.picture

    def take_frame(self, item: Portrait, array: Array, *, is_small: bool) -> None:
        """A whole picture of a clip has come: all of it is new."""
        is_float = item.settings.output.is_float
        canvas = Canvas(picture_from(array, self.encoding, is_float=is_float))
        if is_small:
            self.look.canvas = canvas
        else:
            self.canvas = canvas

    def push(self, item: Portrait) -> None:
        """Write what should be visible into the image again, after an undo or a load."""
        use_turns = main_thread.is_here()
        main_thread.do(lambda: self._write(item.plane, use_turns=use_turns))

    def _write(self, plane: bpy.types.Object, *, use_turns: bool) -> None:
        output, canvas = plane.keyportrait.portrait.output, self.visible
        if canvas is None or output is None:
            return
        is_turned = use_turns and self.turns.begin(output, canvas.picture)
        canvas.push(output)
        if is_turned:
            self.turns.finish(output)

    def push_still(self, item: Portrait, *, is_small: bool) -> None:
        """Show the still: the small one where that is wanted and there is one."""
        self.look.is_shown = is_small and self.look.is_shown and self.look.canvas is not None
        canvas = self.visible
        if canvas is not None:
            canvas.restore()
            self.push(item)

    def restore_mode(self, item: Portrait) -> None:
        """Give the live image its own alpha mode back, where Cycles' viewport has changed it."""
        main_thread.do(lambda: self._restore_mode(item.plane))

    def _restore_mode(self, plane: bpy.types.Object) -> None:
        output, canvas = plane.keyportrait.portrait.output, self.visible
        if canvas is not None and output is not None and self.turns.restore(output):
            canvas.push(output)

    def enlarge(self, plane: bpy.types.Object) -> None:
        """Give the image the whole picture's size, with what it shows now."""
        output = plane.keyportrait.portrait.output
        size = picture_size(plane)
        if output is not None and tuple(output.size) != size:
            output.scale(*size)
