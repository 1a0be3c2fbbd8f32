"""Takes in Blender: the engine's answer, and what a face controller holds beside its sliders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from .. import compat
from ..engine.protocol import Message
from ..engine.take import AMOUNTS
from . import keying
from .controllers import SIZES

GROUP = "Performance"
# Numbers nearer to rest than this need no key.
STILL = 1e-6


@dataclass(frozen=True)
class FaceTake:
    """The take of one face.

    times        (T,) seconds from the start of the performance
    columns      names of the controls of `values`
    values       (T, C), and `keys` (T, C) bool: where a reduced curve has keys
    slopes       (T, C) value per second: of the cubics between the keys
    expression   (T, 63), translation (T, 3)
    is_seen      (T,) bool: where the performer's face was found
    cuts         rows that begin a new shot
    """

    times: np.ndarray
    columns: tuple[str, ...]
    values: np.ndarray
    keys: np.ndarray
    slopes: np.ndarray
    expression: np.ndarray
    translation: np.ndarray
    is_seen: np.ndarray
    cuts: tuple[int, ...] = ()

    @classmethod
    def read(cls, captured: Message) -> list[FaceTake]:
        """The takes in the engine's answer, one for each face."""
        arrays = {
            name: np.frombuffer(array.data, array.dtype).reshape(array.shape)
            for name, array in captured.arrays.items()
        }
        names = ("values", "keys", "slopes", "expression", "translation")
        return [
            cls(
                times=arrays["times"],
                columns=tuple(captured.fields["columns"]),
                values=values,
                keys=keys.astype(bool),
                slopes=slopes,
                expression=expression,
                translation=translation,
                is_seen=arrays["is_seen"].astype(bool),
                cuts=tuple(captured.fields["cuts"]),
            )
            for values, keys, slopes, expression, translation in zip(
                *(arrays[name] for name in names), strict=True
            )
        ]


def reset_properties(controller: bpy.types.Object) -> None:
    """Put expression, translation and amounts back to rest; curves stay."""
    for name, size in SIZES.items():
        if name in controller:
            controller[name] = [0.0] * size
    for amount in AMOUNTS:
        if amount.name in controller:
            controller[amount.name] = 1.0


def set_numbers(
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
        if index in keyed or abs(number) > STILL:
            controller.keyframe_insert(path, index=index, frame=key_frame, group=GROUP)


def numbers_of(holder: bpy.types.Object, name: str) -> Sequence[float]:
    """The 63 or 3 numbers of a take property; zeros where it is missing or damaged."""
    size = SIZES[name]
    value = holder.get(name)
    numbers = tuple(value) if hasattr(value, "__len__") and len(value) == size else ()
    if len(numbers) != size or not all(map(math.isfinite, numbers)):
        return (0.0,) * size
    return numbers
