"""Pictures that are painted on: no handler is told of a brush stroke, but its editor is drawn anew.

Whoever draws an unsaved picture may have changed it. It is compared a moment later, and no more
often than its size allows.
"""

from __future__ import annotations

import time
from typing import Any

import bpy

from . import content, live, portraits

DELAY_S = 0.3
# A look may take this part of the time at most.
LOOK_SHARE = 0.1

_handles: list[tuple[type, Any]] = []
_suspects: set[int] = set()
_next_look = 0.0


def _on_image_editor_drawn() -> None:
    image = bpy.context.space_data.image
    if image is not None and image.is_dirty:
        suspect({image.session_uid})


def _on_viewport_drawn() -> None:
    if bpy.context.mode == "PAINT_TEXTURE":
        suspect({image.session_uid for image in bpy.data.images if image.is_dirty})


def suspect(uids: set[int]) -> None:
    """Compare the pictures among these images soon (session_uid of each)."""
    sources = (item.settings.source for item in portraits.all_portraits())
    found = {s.session_uid for s in sources if s is not None} & uids
    if not found:
        return
    _suspects.update(found)
    if not bpy.app.timers.is_registered(_tick):
        delay = max(DELAY_S, _next_look - time.monotonic())
        bpy.app.timers.register(_tick, first_interval=delay)


def _tick() -> None:
    global _next_look
    started = time.monotonic()
    content.note_changed(image for image in bpy.data.images if image.session_uid in _suspects)
    _suspects.clear()
    live.refresh(bpy.context.scene, bpy.context.evaluated_depsgraph_get())
    ended = time.monotonic()
    _next_look = ended + (ended - started) / LOOK_SHARE


def register() -> None:
    """Nobody draws or paints in the background."""
    if bpy.app.background:
        return
    for space, drawn in (
        (bpy.types.SpaceImageEditor, _on_image_editor_drawn),
        (bpy.types.SpaceView3D, _on_viewport_drawn),
    ):
        handle = space.draw_handler_add(drawn, (), "WINDOW", "POST_PIXEL")
        _handles.append((space, handle))


def unregister() -> None:
    for space, handle in _handles:
        space.draw_handler_remove(handle, "WINDOW")
    _handles.clear()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _suspects.clear()
