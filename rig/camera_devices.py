"""Which cameras there are, as the engine has last told."""

from __future__ import annotations

from typing import Any

import bpy

from ..host.client import Engine, Ticket
from . import engine, pump

FIRST = "FIRST"
LOOK_S = 0.1  # between looks for an answer

# Blender keeps no reference to the texts of items that a function makes.
_items: list[tuple[str, str, str]] = [(FIRST, "First Camera", "The first camera that is found")]
_asked: Ticket | None = None


def items(_self: Any, _context: bpy.types.Context | None) -> list[tuple[str, str, str]]:
    """Items of an EnumProperty: the first camera, whichever it is, and those that are known."""
    return _items


def ask(client: Engine) -> Ticket:
    """Ask the engine for the cameras; `look` takes its answer."""
    global _asked
    _asked = client.submit("camera_devices", use_drain=False)
    return _asked


def ask_later() -> None:
    """Ask without waiting; a timer takes the answer."""
    ask(engine.start())
    if not bpy.app.timers.is_registered(_look_on):
        bpy.app.timers.register(_look_on, first_interval=LOOK_S)


def _look_on() -> float | None:
    if look():
        pump.redraw()
    return LOOK_S if _asked is not None else None


def look() -> bool:
    """Take the answer if it is there; whether there are other cameras than before."""
    global _asked
    if _asked is None or not _asked.is_done:
        return False
    ticket, _asked = _asked, None
    if ticket.reply is None:
        return False
    found = [
        (str(device["id"]), str(device["name"]), str(device["id"]))
        for device in ticket.reply.fields["devices"]
    ]
    if found == _items[1:]:
        return False
    del _items[1:]
    _items.extend(found)
    return True


def count() -> int:
    """How many cameras are known."""
    return len(_items) - 1


def chosen() -> str:
    """The id of the chosen camera, "" for the first that the engine finds."""
    name = bpy.context.window_manager.keyportrait_camera
    return "" if name in {FIRST, ""} else name


def name_of(device_id: str) -> str:
    """What people call a camera."""
    known = {item[0]: item[1] for item in _items}
    return known.get(device_id, device_id) if device_id else (_items + _items)[1][1]
