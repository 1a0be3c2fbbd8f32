"""The settings of captures on every face, and what its last capture left on it."""

from __future__ import annotations

import bpy

from . import performer_list
from .capture_choices import CaptureChoices
from .kept_properties import CollectionProperty, IntProperty, PointerProperty, StringProperty
from .take_records import TakeRecord, is_in_use


class KEYPORTRAIT_PG_capture_marker(bpy.types.PropertyGroup):
    """A timeline marker that a capture has set; markers have no properties of their own."""

    label: StringProperty()
    frame: IntProperty()


class KEYPORTRAIT_PG_capture(CaptureChoices, TakeRecord, bpy.types.PropertyGroup):
    """`Object.keyportrait_capture` of a face: how it is captured, and its last capture."""

    clip: PointerProperty(
        type=bpy.types.MovieClip, name="Movie Clip", description="A movie clip of this file"
    )
    markers: CollectionProperty(type=KEYPORTRAIT_PG_capture_marker)


def is_captured(controller: bpy.types.Object) -> bool:
    """Whether a face has a capture that is still in use, as its action or in its NLA."""
    return is_in_use(controller, controller.keyportrait_capture)


CLASSES = (KEYPORTRAIT_PG_capture_marker, KEYPORTRAIT_PG_capture)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Object.keyportrait_capture = PointerProperty(type=KEYPORTRAIT_PG_capture)


def unregister() -> None:
    performer_list.forget()
    del bpy.types.Object.keyportrait_capture
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
