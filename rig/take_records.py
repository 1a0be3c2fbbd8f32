"""What captures and speech leave on a face: which action they lie in, and what was there before."""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat
from .kept_properties import FloatProperty, IntProperty, PointerProperty, StringProperty

# Properties of a face that hold a record each.
RECORDS = ("keyportrait_capture", "keyportrait_speech")


class TakeRecord:
    """What the last take of a kind has left; property groups that remember one have this."""

    action: PointerProperty(type=bpy.types.Action, description="The action with the performance")
    base: PointerProperty(type=bpy.types.Action, description="The action that was there before")
    # Scene frames between which the action's keys are the performance.
    first_frame: FloatProperty()
    last_frame: FloatProperty()
    captured_region: StringProperty()
    frame_offset: FloatProperty(description="Frames by which this face begins after the first")
    layer: IntProperty(description="The face's take with the greatest was written last")
    captured: StringProperty(description="What was captured, for the panel")


def is_in_use(controller: bpy.types.Object, record: Any) -> bool:
    """Whether the take of a record is still in use, as the face's action or in its NLA."""
    return record.action is not None and record.action in compat.used_actions(controller)


def in_use(controller: bpy.types.Object) -> list[Any]:
    """The records of a face whose takes are still in use."""
    records = [getattr(controller, name) for name in RECORDS]
    return [record for record in records if is_in_use(controller, record)]


def raise_above(controller: bpy.types.Object, record: Any) -> None:
    """Note that the take of a record is written over all others."""
    record.layer = 1 + max(getattr(controller, name).layer for name in RECORDS)


def above(controller: bpy.types.Object, record: Any) -> list[Any]:
    """Records of takes in the same action that were written over the one of `record`."""
    others = [getattr(controller, name) for name in RECORDS]
    return [o for o in others if o.action == record.action and o.layer > record.layer]


def follow(controller: bpy.types.Object, old: bpy.types.Action, new: bpy.types.Action) -> None:
    """Let the records of takes that lie in one action mean its changed copy."""
    for name in RECORDS:
        record = getattr(controller, name)
        if record.action == old:
            record.action = new
