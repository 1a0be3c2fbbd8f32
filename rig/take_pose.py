"""One moment of a take as the pose of a face: values instead of curves."""

from __future__ import annotations

import bpy

from ..engine.controls import CONTROLS, CONTROLS_BY_NAME
from ..engine.take import EXPRESSION, REGION_GROUPS, REGION_KEYPOINTS, TRANSLATION
from .controllers import SIZES, complete
from .expressions import rest_values, set_controls
from .takes import FaceTake, set_numbers


def apply_pose(
    controller: bpy.types.Object, take: FaceTake, region: str, key_frame: float | None = None
) -> list[str]:
    """Put a face into the pose of a take's first moment; what is outside the region stays.

    region  a name of engine.take.REGION_ITEMS
    Returns the names of controls that a driver holds and that were left alone.
    """
    complete(controller)
    groups = REGION_GROUPS[region]
    rest = rest_values(controller)
    values = {control.name: rest[control.name] for control in CONTROLS if control.group in groups}
    for name, value in zip(take.columns, take.values[0], strict=True):
        if CONTROLS_BY_NAME[name].group in groups:
            values[name] = float(value)
    held = set_controls(controller, values, key_frame)
    rows = [3 * point + axis for point in REGION_KEYPOINTS[region] for axis in range(3)]
    set_numbers(controller, EXPRESSION, {i: float(take.expression[0, i]) for i in rows}, key_frame)
    if "Head" in groups:
        moved = {i: float(take.translation[0, i]) for i in range(SIZES[TRANSLATION])}
        set_numbers(controller, TRANSLATION, moved, key_frame)
    controller.update_tag()
    return held
