"""Takes on the timeline: what a face controller holds beside its sliders, and takes as F-curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from .. import compat
from ..engine.controls import CONTROLS_BY_NAME
from ..engine.motion import KEYPOINT_COUNT
from ..engine.protocol import Message
from ..engine.take import AMOUNTS, EXPRESSION, REGION_GROUPS, TRANSLATION, TakeOptions
from .controllers import complete, link_evaluation

SIZES = {EXPRESSION: 3 * KEYPOINT_COUNT, TRANSLATION: 3}
DESCRIPTIONS = {
    EXPRESSION: "What a captured performance does beyond the sliders, in LivePortrait's exp",
    TRANSLATION: "How a captured performance moves the head, in half crop widths",
}
GROUP = "Performance"
# Channels that stay below this are at rest.
_STILL = 1e-6


@dataclass(frozen=True)
class FaceTake:
    """The take of one face.

    times        (T,) seconds from the start of the performance
    columns      names of the controls of `values`
    values       (T, C), and `keys` (T, C) bool: where a reduced curve has keys
    expression   (T, 63), translation (T, 3)
    """

    times: np.ndarray
    columns: tuple[str, ...]
    values: np.ndarray
    keys: np.ndarray
    expression: np.ndarray
    translation: np.ndarray

    @classmethod
    def read(cls, captured: Message) -> list[FaceTake]:
        """The takes in the engine's answer, one for each face."""
        arrays = {
            name: np.frombuffer(array.data, array.dtype).reshape(array.shape)
            for name, array in captured.arrays.items()
        }
        names = ("values", "keys", "expression", "translation")
        columns = tuple(captured.fields["columns"])
        return [
            cls(arrays["times"], columns, values, keys.astype(bool), expression, translation)
            for values, keys, expression, translation in zip(
                *(arrays[name] for name in names), strict=True
            )
        ]


def ensure_properties(controller: bpy.types.Object) -> None:
    """Give a controller the properties that takes and amounts live in; those there stay."""
    complete(controller)
    is_new = False
    for name, size in SIZES.items():
        if name not in controller:
            controller[name] = [0.0] * size
            is_new = True
        ui = controller.id_properties_ui(name)
        ui.update(description=DESCRIPTIONS[name], default=[0.0] * size)
        controller.property_overridable_library_set(f'["{name}"]', True)
    for amount in AMOUNTS:
        if amount.name not in controller:
            controller[amount.name] = 1.0
            is_new = True
        controller.id_properties_ui(amount.name).update(
            min=0.0, max=1.0, default=1.0, description=amount.description
        )
        controller.property_overridable_library_set(f'["{amount.name}"]', True)
    plane = controller.keyportrait.face.portrait
    if is_new and plane is not None and plane.is_editable:
        link_evaluation(plane)


def write_take(
    controller: bpy.types.Object,
    take: FaceTake,
    options: TakeOptions,
    *,
    name: str,
    start_frame: float,
    fps: float,
    use_detail: bool,
    use_track: bool,
) -> bpy.types.Action:
    """Write a take as an action of its own; all of a frame rate's time is kept.

    start_frame  scene frame of the take's first moment
    fps          of the scene, frames per second
    use_track    put it on a new NLA track instead of making it the active action
    """
    ensure_properties(controller)
    action = bpy.data.actions.new(f"{controller.name} {name}")
    curves = compat.ActionCurves(action, controller)
    frames = start_frame + take.times * fps
    groups = REGION_GROUPS[options.region]
    for index, column in enumerate(take.columns):
        group = CONTROLS_BY_NAME[column].group
        if group in groups:
            chosen = take.keys[:, index]
            curve = curves.new(f'["{column}"]', 0, group)
            _fill(curve, frames[chosen], take.values[chosen, index])
    if "Head" in groups:
        _write_array(controller, curves, TRANSLATION, frames, take.translation)
    detail = take.expression if use_detail else np.zeros_like(take.expression)
    _write_array(controller, curves, EXPRESSION, frames, detail)
    _place(controller, action, curves, start_frame, use_track)
    controller.update_tag()
    return action


def _write_array(
    controller: bpy.types.Object,
    curves: compat.ActionCurves,
    name: str,
    frames: np.ndarray,
    values: np.ndarray,
) -> None:
    is_moving = np.abs(values).max(axis=0, initial=0.0) > _STILL
    still = list(controller[name])
    for index in range(values.shape[1]):
        if is_moving[index]:
            _fill(curves.new(f'["{name}"]', index, GROUP), frames, values[:, index])
        else:
            still[index] = 0.0
    controller[name] = still


def _fill(curve: bpy.types.FCurve, frames: np.ndarray, values: np.ndarray) -> None:
    count = len(frames)
    points = curve.keyframe_points
    points.add(count)
    places = np.column_stack([frames, values]).astype(np.float32)
    points.foreach_set("co", places.ravel())
    points.foreach_set("interpolation", np.full(count, compat.LINEAR_INTERPOLATION, np.int32))
    curve.update()


def _place(
    controller: bpy.types.Object,
    action: bpy.types.Action,
    curves: compat.ActionCurves,
    start_frame: float,
    use_track: bool,
) -> None:
    animation = controller.animation_data or controller.animation_data_create()
    if use_track:
        track = animation.nla_tracks.new()
        track.name = action.name
        strip = track.strips.new(action.name, math.floor(start_frame), action)
        curves.choose_slot(strip)
        return
    former = animation.action
    if former is not None and former.users == 1:
        former.use_fake_user = True  # the artist's own keys are not lost
    animation.action = action
    curves.choose_slot(animation)


def reset_properties(controller: bpy.types.Object) -> None:
    """Put expression, translation and amounts back to rest; curves stay."""
    for name, size in SIZES.items():
        if name in controller:
            controller[name] = [0.0] * size
    for amount in AMOUNTS:
        if amount.name in controller:
            controller[amount.name] = 1.0


def numbers_of(holder: bpy.types.Object, name: str) -> Sequence[float]:
    """The 63 or 3 numbers of a take property; zeros where it is missing or damaged."""
    size = SIZES[name]
    value = holder.get(name)
    numbers = tuple(value) if hasattr(value, "__len__") and len(value) == size else ()
    if len(numbers) != size or not all(map(math.isfinite, numbers)):
        return (0.0,) * size
    return numbers
