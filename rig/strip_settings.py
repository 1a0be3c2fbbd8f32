"""`Scene.keyportrait_strips`: how the portraits of strips are baked back into the Sequencer."""

from __future__ import annotations

import bpy

from .kept_properties import BoolProperty, PointerProperty


class KEYPORTRAIT_PG_strips(bpy.types.PropertyGroup):
    """How the bakes of strips become strips."""

    use_mute: BoolProperty(
        name="Mute Original",
        default=True,
        description="Mute the strip that was baked, so that it does not shine through its bake",
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
