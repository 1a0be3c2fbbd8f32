"""One operator for each preset: Blender names undo steps by the operator, not by its arguments."""

from __future__ import annotations

import bpy

from ..rig import preset_library
from ..rig.presets import Preset
from .expression import AppliesPreset

_classes: dict[str, type[bpy.types.Operator]] = {}


def operator_of(preset: Preset) -> type[bpy.types.Operator]:
    """The operator that applies one preset, not yet registered."""
    name = preset_library.operator_name(preset)
    values = ", ".join(f"{control} {value:g}" for control, value in preset.controls.items())
    members = {
        "__doc__": values
        or f"All of {'the mouth' if preset.groups else 'the face but the head'} as in the picture",
        "bl_idname": f"keyportrait.{name}",
        "bl_label": f"Preset {preset.name}",
        "bl_options": {"REGISTER", "UNDO"},
        "preset": preset.name,
    }
    return type(f"KEYPORTRAIT_OT_{name}", (AppliesPreset, bpy.types.Operator), members)


def follow() -> None:
    """Register the operators of new presets, unregister those of presets that are gone."""
    wanted = {item.bl_idname: item for item in map(operator_of, preset_library.all_presets())}
    for name in [name for name in _classes if not _is_same(_classes[name], wanted.get(name))]:
        bpy.utils.unregister_class(_classes.pop(name))
    for name in [name for name in wanted if name not in _classes]:
        bpy.utils.register_class(wanted[name])
        _classes[name] = wanted[name]


def _is_same(old: type, new: type | None) -> bool:
    return new is not None and (old.__doc__, old.bl_label) == (new.__doc__, new.bl_label)


def register() -> None:
    follow()
    preset_library.listeners.append(follow)


def unregister() -> None:
    preset_library.listeners.remove(follow)
    while _classes:
        bpy.utils.unregister_class(_classes.popitem()[1])
