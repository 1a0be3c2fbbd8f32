"""One moment of a take as the pose of a face: values instead of curves."""

from __future__ import annotations

import bpy

from .. import compat
from ..engine.controls import CONTROLS, CONTROLS_BY_NAME
from ..engine.take import EXPRESSION, REGION_GROUPS, REGION_KEYPOINTS, TRANSLATION
from . import keying
from .expressions import rest_values, set_controls
from .takes import GROUP, SIZES, FaceTake, ensure_properties

# Numbers of a take nearer to rest than this need no key.
_STILL = 1e-6


def apply_pose(
    controller: bpy.types.Object, take: FaceTake, region: str, key_frame: float | None = None
) -> list[str]:
    """Put a face into the pose of a take's first moment; what is outside the region stays.

    region  a name of engine.take.REGION_ITEMS
    Returns the names of controls that a driver holds and that were left alone.
    """
    ensure_properties(controller)
    groups = REGION_GROUPS[region]
    rest = rest_values(controller)
    values = {control.name: rest[control.name] for control in CONTROLS if control.group in groups}
    for name, value in zip(take.columns, take.values[0], strict=True):
        if CONTROLS_BY_NAME[name].group in groups:
            values[name] = float(value)
    held = set_controls(controller, values, key_frame)
    rows = [3 * point + axis for point in REGION_KEYPOINTS[region] for axis in range(3)]
    _set_numbers(controller, EXPRESSION, {i: float(take.expression[0, i]) for i in rows}, key_frame)
    if "Head" in groups:
        moved = {i: float(take.translation[0, i]) for i in range(SIZES[TRANSLATION])}
        _set_numbers(controller, TRANSLATION, moved, key_frame)
    controller.update_tag()
    return held


def _set_numbers(
    controller: bpy.types.Object, name: str, numbers: dict[int, float], key_frame: float | None
) -> None:
    """Set some of the numbers of a take property; key those that are not at rest, or have keys."""
    path = keying.control_path(name)
    if path in keying.driven_paths(controller):
        return
    now = list(controller[name])
    for index, number in numbers.items():
        now[index] = number
    controller[name] = now
    if key_frame is None:
        return
    curves = compat.fcurves(controller)
    keyed = {curve.array_index for curve in curves if curve.data_path == path}
    for index, number in numbers.items():
        if index in keyed or abs(number) > _STILL:
            controller.keyframe_insert(path, index=index, frame=key_frame, group=GROUP)
