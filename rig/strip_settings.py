"""`Scene.keyportrait_strips`: how the portraits of strips are baked back into the Sequencer."""

from __future__ import annotations

import bpy

from . import pump
from .kept_properties import BoolProperty, EnumProperty, PointerProperty

AUTO, PICTURES, MOVIE = "AUTO", "PICTURES", "MOVIE"
FORMAT_ITEMS = (
    (AUTO, "As Strip", "A movie for a strip that is one, pictures for pictures"),
    (PICTURES, "Pictures", "One picture per frame: PNG, or OpenEXR where the strip is one"),
    (MOVIE, "Movie", "H.264 with sound; ProRes 4444 where the picture is transparent"),
)
STRIP, PERFORMANCE, NONE = "STRIP", "PERFORMANCE", "NONE"
SOUND_ITEMS = (
    (AUTO, "Automatic", "The strip's own sound, else that of the captured performance"),
    (STRIP, "Strip's", "The sound of the strip's own movie, or of the sound strip beside it"),
    (PERFORMANCE, "Performance's", "The sound of the clip that the face was captured from"),
    (NONE, "None", "A silent movie"),
)


def _on_preview_changed(_settings: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    pump.redraw()


class KEYPORTRAIT_PG_strips(bpy.types.PropertyGroup):
    """How the bakes of strips become strips."""

    format: EnumProperty(
        name="Format", items=FORMAT_ITEMS, description="What a strip with a portrait is baked to"
    )
    sound: EnumProperty(
        name="Sound",
        items=SOUND_ITEMS,
        description="The sound in a movie's file; sound strips stay as they are",
    )
    use_trimmed: BoolProperty(
        name="Trimmed Parts",
        description="Also bake what the handles of the strip hide, so that the baked strip can be "
        "drawn out as far as the strip itself",
    )
    use_mute: BoolProperty(
        name="Mute Original",
        default=True,
        description="Mute the strip that was baked, so that it does not shine through its bake",
    )
    use_preview: BoolProperty(
        name="Live in Preview",
        default=True,
        description="Show the moving picture over the Sequencer's preview where the strip lies. "
        "Off, it shows what lies in the strips: the files, or their bakes",
        update=_on_preview_changed,
    )


CLASSES = (KEYPORTRAIT_PG_strips,)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.keyportrait_strips = PointerProperty(type=KEYPORTRAIT_PG_strips)


def unregister() -> None:
    del bpy.types.Scene.keyportrait_strips
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
