"""What the live image of one portrait shows, and how it is written."""

from __future__ import annotations

import bpy

from . import main_thread
from .cycles_view import Turns
from .errors import AddonError
from .images import Canvas, Picture
from .portraits import Portrait
from .quick_look import QuickLook


class LiveImage:
    """The whole picture, the small one that is shown while something moves, and Cycles' turns.

    canvas  the whole picture; None before it was read
    look    the small one
    """

    def __init__(self) -> None:
        self.canvas: Canvas | None = None
        self.look = QuickLook()
        self.turns = Turns()

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

    def push(self, item: Portrait) -> None:
        """Write what should be visible into the image again, after an undo or a load."""
        use_turns = main_thread.is_here()
        main_thread.do(lambda: self._write(item.plane, use_turns=use_turns))

    def _write(self, plane: bpy.types.Object, *, use_turns: bool) -> None:
        output, canvas = plane.keyportrait.portrait.output, self.visible
        if canvas is None or output is None:
            return
        is_turned = use_turns and self.turns.begin(output, self.picture)
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
        if output is not None and tuple(output.size) != self.picture.size:
            output.scale(*self.picture.size)
