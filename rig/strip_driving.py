"""Which strip is the performance, and for which faces, when one strip drives another."""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat
from . import portraits, strip_links
from .clip_sources import STRIP_TYPES
from .errors import AddonError

SELECT_HINT = "Select the performer's strip, then Shift-click the strip of the portrait."


def performance_strip(context: bpy.types.Context) -> Any:
    """The strip that performs. Raises AddonError when none is meant.

    The active strip; where that has a portrait itself, the other selected one.
    """
    active, scene = compat.active_strip(context)
    if active is None:
        raise AddonError("No strip is active.", SELECT_HINT)
    if strip_links.plane_of_strip(active) is None:
        return _usable(active)
    others = [s for s in compat.all_strips(scene) if s.select and s != active]
    others = [s for s in others if s.type in STRIP_TYPES and not strip_links.is_bake(s)]
    if len(others) != 1:
        what = "More than one strip is" if others else "No other strip is"
        raise AddonError(f"{what} selected beside '{active.name}'.", SELECT_HINT)
    return others[0]


def driven_faces(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The face controllers that the performance is for. Raises AddonError where there is none.

    Those of a selected strip's portrait; without one the active face and those selected with it.
    """
    active, scene = compat.active_strip(context)
    planes = []
    if active is not None:
        found = [active, *(s for s in compat.all_strips(scene) if s.select)]
        planes = [strip_links.plane_of_strip(strip) for strip in found]
    plane = next((plane for plane in planes if plane is not None), None)
    if plane is None:
        faces = portraits.editable_controllers(context)
        if not faces:
            raise AddonError("No face is meant.", f"{SELECT_HINT} Or select a face controller.")
        return faces
    own = [face for face in portraits.portrait(plane).controllers if face.is_editable]
    chosen = [face for face in own if face == context.active_object] or own
    if len(chosen) != 1:
        what = f"'{plane.name}' has {len(own) or 'no'} faces."
        raise AddonError(what, "Choose one in the list of the Strip panel.")
    return chosen


def _usable(strip: Any) -> Any:
    if strip.type not in STRIP_TYPES:
        raise AddonError(f"The strip '{strip.name}' has no clip of its own.", SELECT_HINT)
    return strip
