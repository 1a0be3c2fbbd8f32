"""Which strip of the Video Sequencer belongs to which portrait, and which strip is its bake.

A strip is no data-block, so nothing can point at it. It points itself, by custom properties that
are saved with it and copied with it: at its portrait's plane, and a bake also at its strip, by an
identity. Copies of a strip have its identity, too; a bake belongs to the nearest of them.
"""

from __future__ import annotations

import uuid
from typing import Any

import bpy

from .. import compat

PLANE = "keyportrait"
IDENTITY = "keyportrait_strip"
BAKE_OF = "keyportrait_bake_of"


def link(strip: Any, plane: bpy.types.Object) -> None:
    """Let a strip be the source of a portrait."""
    strip[PLANE] = plane
    strip[IDENTITY] = uuid.uuid4().hex


def link_bake(bake: Any, strip: Any) -> None:
    """Let a strip be the bake of another one, which has a portrait."""
    bake[PLANE] = strip[PLANE]
    bake[BAKE_OF] = strip[IDENTITY]


def plane_of_strip(strip: Any) -> bpy.types.Object | None:
    """The plane of the portrait that a strip, or its bake, belongs to; None when it is gone."""
    plane = None if strip is None else strip.get(PLANE)
    if not isinstance(plane, bpy.types.Object) or plane.keyportrait.kind != "PORTRAIT":
        return None
    return plane if plane.users_collection else None


def active_strip_plane(context: bpy.types.Context) -> bpy.types.Object | None:
    """The plane of the active strip's portrait, in the Sequencer; None elsewhere."""
    space = context.space_data
    if space is None or space.type != "SEQUENCE_EDITOR":
        return None
    return plane_of_strip(compat.active_strip(context)[0])


def is_bake(strip: Any) -> bool:
    """Whether a strip was made by a bake."""
    return strip.get(BAKE_OF) is not None


def source_of_bake(scene: bpy.types.Scene, bake: Any) -> Any:
    """The strip that a bake was made from; None when it is gone."""
    identity = bake.get(BAKE_OF)
    found = [s for s in compat.all_strips(scene) if s.get(IDENTITY) == identity]
    return min(found, key=lambda strip: _distance(strip, bake), default=None)


def bake_of(scene: bpy.types.Scene, strip: Any) -> Any:
    """The strip that an earlier bake of a strip has made; None when there is none."""
    identity = strip.get(IDENTITY)
    bakes = [s for s in compat.all_strips(scene) if s.get(BAKE_OF) == identity]
    own = [bake for bake in bakes if source_of_bake(scene, bake) == strip]
    return min(own, key=lambda bake: _distance(strip, bake), default=None)


def _distance(strip: Any, other: Any) -> float:
    place, there = compat.strip_place(strip), compat.strip_place(other)
    return abs(place.left - there.left) + abs(place.right - there.right)
