"""Lets Cycles' rendered viewport follow the live images.

Until 5.2 Cycles loads a picture once and keeps it for as long as its key stays the same; pixels
written later are no part of the key. `cycles_keys` says what of it can change unseen. Keys go
round with the pictures, but only while a viewport shows Cycles; the image's own is put back when
none does, before the file is saved, and for renders.

What nodes say is not quite unseen, so theirs is put back as soon as the picture stands still.

Cycles looks at the scene again only when it has drawn something since the last time. Turns that
come faster than that could end where they began, and the last picture would be missed; so they keep
a distance, and a series of them is closed by one more.
"""

from __future__ import annotations

import time

import bpy

from .. import compat
from . import main_thread
from .cycles_keys import Key, Nodes, equal_keys
from .images import Picture

SPACING_S = 0.15
# Longer than Cycles takes to its first samples.
CLOSING_S = 1.0
# Slow scenes must have been looked at before nodes get their own values back.
RETURN_S = 3.0
TICK_S = 0.08


def is_shown() -> bool:
    """Whether some viewport shows Cycles and would keep an old picture."""
    if bpy.app.background or not compat.CYCLES_KEEPS_PICTURES:
        return False
    for window in bpy.context.window_manager.windows:
        if window.scene.render.engine != "CYCLES":
            continue
        for area in window.screen.areas:
            if area.type == "VIEW_3D" and area.spaces.active.shading.type == "RENDERED":
                return True
    return False


class Turns:
    """The keys that one live image goes through.

    home  the alpha mode that the image has otherwise; "" while nothing is turned
    """

    def __init__(self) -> None:
        self.home = ""
        self._key = Key("")
        self._nodes = Nodes()
        self._turned_at = 0.0
        self._count = 0
        self._due_at: float | None = None

    def begin(self, image: bpy.types.Image, picture: Picture) -> bool:
        """Call before pixels are written: turn, put back or wait; whether finish() must follow."""
        if not is_shown():
            return self.restore(image)
        home = self.home or image.alpha_mode
        keys = equal_keys(image, home, is_transparent=picture.is_transparent)
        now = time.monotonic()
        if now < self._turned_at + SPACING_S:
            self._look_again(self._turned_at + SPACING_S)
            return False
        self._turn(image, keys, home, now)
        return True

    def _turn(self, image: bpy.types.Image, keys: tuple[Key, ...], home: str, now: float) -> None:
        is_series = now < self._turned_at + (RETURN_S if self._key.is_other else CLOSING_S)
        self._count = self._count + 1 if is_series else 1
        self.home = home
        # Not the image's own mode counts, which undo may have changed, but the last one set here.
        last = self._key if self._key in keys else Key(home)
        self._key = keys[(keys.index(last) + 1) % len(keys)]
        self._turned_at = now
        self._due_at = None
        image.alpha_mode = self._key.alpha_mode
        self._nodes.turn(image, is_other=self._key.is_other)
        # Fewer turns cannot have ended where they began.
        if self._key.is_other:
            self._look_again(now + RETURN_S)
        else:
            self._look_again(now + CLOSING_S if self._count >= len(keys) else None)

    def finish(self, image: bpy.types.Image) -> None:
        """Call after pixels were written: materials, worlds and lights that show them are read."""
        image.update_tag()

    def restore(self, image: bpy.types.Image) -> bool:
        """Put the image's own mode back; whether its pixels must be written again."""
        home, self.home, self._due_at = self.home, "", None
        self._nodes.turn(image, is_other=False)
        if not home or image.alpha_mode == home:
            return False
        image.alpha_mode = home
        return True

    def note_undo(self) -> None:
        """Nodes may have come back as they were turned."""
        self._nodes.note_undo()

    @property
    def is_due(self) -> bool:
        """Whether the picture must be written again now, to be seen."""
        return self._due_at is not None and time.monotonic() >= self._due_at

    def _look_again(self, due_at: float | None) -> None:
        self._due_at = due_at
        if not bpy.app.timers.is_registered(_tick):
            bpy.app.timers.register(_tick, first_interval=TICK_S)


def _tick() -> float | None:
    """Write pictures that must be seen again, or whose own mode must come back."""
    from . import live

    if main_thread.is_render_running():
        return TICK_S
    return TICK_S if live.push_turned(is_shown()) else None


def register() -> None:
    """The timer starts when it is first needed."""


def unregister() -> None:
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
