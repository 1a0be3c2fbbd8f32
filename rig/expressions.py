"""Set, reset and mirror the values of a face controller."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import bpy

from ..engine.controls import CONTROLS, GROUPS, mirrored
from ..engine.take import EXPRESSION, TRANSLATION, mirrored_expression
from . import keying
from .controllers import (
    MIRROR,
    complete,
    control_defaults,
    face_of,
    handle_matrix,
    place_handle,
    reset_handle,
)
from .motions import control_values
from .presets import Preset
from .takes import numbers_of, reset_amounts, reset_take, set_numbers


def rest_values(controller: bpy.types.Object) -> dict[str, float]:
    """Control name → value that leaves the face as in the picture."""
    return control_defaults(face_of(controller))


def set_controls(
    controller: bpy.types.Object, values: Mapping[str, float], key_frame: float | None = None
) -> list[str]:
    """Set control values, and key them at a frame if given.

    Returns the names of controls that a driver holds and that were left alone.
    """
    complete(controller)
    driven = keying.driven_paths(controller)
    held = [name for name in values if keying.control_path(name) in driven]
    free = [name for name in values if name not in held]
    for name in free:
        controller[name] = float(values[name])
    if key_frame is not None:
        keying.key(controller, map(keying.control_path, free), key_frame)
    controller.update_tag()
    return held


def apply_preset(
    controller: bpy.types.Object, preset: Preset, factor: float, key_frame: float | None = None
) -> list[str]:
    """Put a preset on a face; what a capture does beyond the sliders gives way to the preset's.

    Returns the names of controls that a driver holds.
    """
    held = set_controls(controller, preset.values(rest_values(controller), factor), key_frame)
    translation = dict(enumerate(preset.translation))
    for name, numbers in ((EXPRESSION, preset.offsets()), (TRANSLATION, translation)):
        scaled = {index: factor * number for index, number in numbers.items()}
        if scaled:
            set_numbers(controller, name, scaled, key_frame)
    return held


def reset(
    controller: bpy.types.Object,
    groups: Collection[str],
    *,
    use_handle: bool,
    key_frame: float | None = None,
) -> list[str]:
    """Put groups of controls back to the picture's rest, and the Empty itself if asked to.

    Returns the names of controls that a driver holds.
    """
    rest = rest_values(controller)
    names = [control.name for control in CONTROLS if control.group in groups]
    held = set_controls(controller, {name: rest[name] for name in names}, key_frame)
    reset_take(controller, groups, key_frame)
    if set(groups) >= set(GROUPS):
        reset_amounts(controller, key_frame)
    if use_handle:
        reset_handle(controller)
        if key_frame is not None:
            keying.key_transform(controller, key_frame)
    return held


def mirror(controller: bpy.types.Object, key_frame: float | None = None) -> list[str]:
    """Swap the left and the right of a face's pose, the Empty's own transform included.

    Returns the names of controls that a driver holds.
    """
    values = rest_values(controller) | control_values(controller)
    held = set_controls(controller, mirrored(values), key_frame)
    if EXPRESSION in controller:
        turned = mirrored_expression(numbers_of(controller, EXPRESSION))
        set_numbers(controller, EXPRESSION, dict(enumerate(turned)), key_frame)
    if TRANSLATION in controller:
        sideways = -numbers_of(controller, TRANSLATION)[0]
        set_numbers(controller, TRANSLATION, {0: sideways}, key_frame)
    motion = handle_matrix(controller)
    place_handle(controller, MIRROR @ motion @ MIRROR)
    if key_frame is not None:
        keying.key_transform(controller, key_frame)
    return held
