"""The settings of speech on every face, and what it has spoken last."""

from __future__ import annotations

import bpy

from .kept_properties import PointerProperty
from .speech_choices import SpeechChoices
from .take_records import TakeRecord, is_in_use


class KEYPORTRAIT_PG_speech(SpeechChoices, TakeRecord, bpy.types.PropertyGroup):
    """`Object.keyportrait_speech` of a face: how it speaks, and what it has spoken last."""

    sound: PointerProperty(
        type=bpy.types.Sound, name="Sound", description="A sound of this file, packed ones too"
    )


def has_spoken(controller: bpy.types.Object) -> bool:
    """Whether speech of a face is still in use, as its action or in its NLA."""
    return is_in_use(controller, controller.keyportrait_speech)


def register() -> None:
    bpy.utils.register_class(KEYPORTRAIT_PG_speech)
    bpy.types.Object.keyportrait_speech = PointerProperty(type=KEYPORTRAIT_PG_speech)


def unregister() -> None:
    del bpy.types.Object.keyportrait_speech
    bpy.utils.unregister_class(KEYPORTRAIT_PG_speech)
