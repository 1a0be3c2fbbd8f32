"""The presets that the panel offers, read once, and how they are applied."""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import bpy
from bpy.props import BoolProperty, FloatProperty, PointerProperty

from ..preferences import user_folder
from . import presets
from .presets import Preset

FOLDER = "presets"
# How much of a preset is applied, as a property's options: the panel's and the operator's.
STRENGTH = {
    "name": "Strength",
    "default": 1.0,
    "min": 0.0,
    "soft_max": 1.0,
    "max": 2.0,
    "subtype": "FACTOR",
    "description": "0 is the picture's rest, 1 the preset, more is exaggerated",
}

log = logging.getLogger(__name__)

# Called after the presets were read again: each has an operator of its own.
listeners: list[Callable[[], None]] = []

_users: list[Preset] | None = None
_problems: list[str] = []


class KEYPORTRAIT_PG_presets(bpy.types.PropertyGroup):
    """`WindowManager.keyportrait_presets`: how the next click applies a preset."""

    factor: FloatProperty(**STRENGTH)
    use_key: BoolProperty(
        name="Key",
        description="Also set keyframes on the current frame. "
        "Always done while Blender's auto keying is on",
    )


def folder() -> Path:
    """Where the user's presets lie."""
    return user_folder(FOLDER)


def all_presets() -> list[Preset]:
    """Shipped presets, the mouth chart, then the user's; read from disk at the first use."""
    if _users is None:
        reload()
    return [*presets.shipped(), *presets.chart(), *(_users or [])]


def problems() -> list[str]:
    """One line for each preset file that was skipped."""
    return _problems


def reload() -> None:
    """Read the user's presets again."""
    global _users
    _users, _problems[:] = presets.users(folder())
    for problem in _problems:
        log.warning("%s", problem)
    for listener in listeners:
        listener()


def operator_name(preset: Preset) -> str:
    """What comes after "keyportrait." in the name of a preset's own operator."""
    plain = re.sub(r"[^a-z0-9]+", "_", preset.name.lower()).strip("_")[:32]
    if preset.is_shipped:
        return f"preset_{plain}"
    return f"preset_own_{plain}_{zlib.crc32(preset.name.casefold().encode()):08x}"


def find(name: str) -> Preset | None:
    """The preset of a name, None if there is none."""
    return presets.find(name, all_presets())


def save(preset: Preset) -> None:
    """Save one of the user's presets. Raises PresetError."""
    presets.save(preset, folder())
    reload()


def delete(preset: Preset) -> None:
    """Delete one of the user's presets. Raises PresetError."""
    presets.delete(preset)
    reload()


def register() -> None:
    bpy.utils.register_class(KEYPORTRAIT_PG_presets)
    bpy.types.WindowManager.keyportrait_presets = PointerProperty(type=KEYPORTRAIT_PG_presets)


def unregister() -> None:
    global _users
    del bpy.types.WindowManager.keyportrait_presets
    bpy.utils.unregister_class(KEYPORTRAIT_PG_presets)
    _users = None
