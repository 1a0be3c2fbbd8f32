"""Which parts of Blender's windows show portraits' pictures, and are drawn again for a new one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import bpy

from . import portraits

_panels_due_s: float | None = None  # time.monotonic() at which panels are drawn at the latest


def redraw_pictures() -> None:
    """Draw again what shows pictures, and panels only where somebody has asked for them."""
    outputs = {item.settings.output for item in portraits.all_portraits()}
    for area in all_areas():
        space = area.spaces.active
        if area.type == "SEQUENCE_EDITOR":
            _redraw(area, "PREVIEW")
            continue
        if area.type == "VIEW_3D":
            is_seen = space.shading.type != "WIREFRAME"
        else:
            is_seen = area.type == "IMAGE_EDITOR" and space.image in outputs
        if is_seen:
            _redraw(area, "WINDOW")
    if _panels_due_s is not None:
        redraw_panels()


def ask_for_panels(patience_s: float) -> None:
    """Draw panels with the next picture: each drawing alone costs showing the whole window again.

    patience_s  after which `redraw_late` does not wait for a picture any more
    """
    global _panels_due_s
    due_s = time.monotonic() + patience_s
    _panels_due_s = due_s if _panels_due_s is None else min(_panels_due_s, due_s)


def redraw_late() -> None:
    """Draw the panels for which no picture came in time."""
    if _panels_due_s is not None and time.monotonic() >= _panels_due_s:
        redraw_panels()


def redraw_panels() -> None:
    """Draw what tells of portraits again, but for the pictures."""
    global _panels_due_s
    _panels_due_s = None
    for area in all_areas():
        if area.type == "VIEW_3D":
            for kind in ("UI", "HEADER"):
                _redraw(area, kind)
        elif area.type == "PREFERENCES":
            area.tag_redraw()


def all_areas() -> Iterator[bpy.types.Area]:
    """The areas of all windows."""
    for window in bpy.context.window_manager.windows:
        yield from window.screen.areas


def _redraw(area: bpy.types.Area, kind: str) -> None:
    for region in area.regions:
        if region.type == kind:
            region.tag_redraw()
