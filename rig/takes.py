"""Takes in Blender: the engine's answer, and what a face controller holds beside its sliders."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from ..engine.protocol import Message
from ..engine.take import AMOUNTS, EXPRESSION, TRANSLATION, detail_rows
from . import keying
from .controllers import SIZES


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


def reset_take(
    controller: bpy.types.Object, groups: Collection[str], key_frame: float | None
) -> None:
    """Put what groups of a face do beyond the sliders back to rest."""
    set_numbers(controller, EXPRESSION, dict.fromkeys(detail_rows(groups), 0.0), key_frame)
    if "Head" in groups:
        set_numbers(controller, TRANSLATION, dict.fromkeys(range(3), 0.0), key_frame)


def reset_amounts(controller: bpy.types.Object, key_frame: float | None) -> None:
    """Show all that the curves say again."""
    driven = keying.driven_paths(controller)
    for amount in AMOUNTS:
        path = keying.control_path(amount.name)
        if amount.name in controller and path not in driven:
            controller[amount.name] = 1.0
            if key_frame is not None:
                keying.key_take(controller, path, key_frame)


def set_numbers(
    controller: bpy.types.Object, name: str, numbers: dict[int, float], key_frame: float | None
) -> None:
    """Set some of the numbers of a take property; key those that are not at rest, or have keys."""
    path = keying.control_path(name)
    if name not in controller or path in keying.driven_paths(controller):
        return
    now = list(numbers_of(controller, name))
    for index, number in numbers.items():
        now[index] = number
    controller[name] = now
    if key_frame is not None:
        keying.key_take(controller, path, key_frame, numbers)


def numbers_of(holder: bpy.types.Object, name: str) -> Sequence[float]:
    """The 63 or 3 numbers of a take property; zeros where it is missing or damaged."""
    size = SIZES[name]
    value = holder.get(name)
    numbers = tuple(value) if hasattr(value, "__len__") and len(value) == size else ()
    if len(numbers) != size or not all(map(math.isfinite, numbers)):
        return (0.0,) * size
    return numbers
