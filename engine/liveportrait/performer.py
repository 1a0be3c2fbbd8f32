"""A performer as M reads it: in one fixed upright crop, as LivePortrait reads a driving video."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ..performance.geometry import KeypointMotion
from .crop import crop_box, driving_input, mean_box, upright_box
from .mesh_landmarks import landmarks_203
from .model_set import ModelSet

Box = tuple[float, float, float, float]


def driving_box(meshes: Iterable[np.ndarray]) -> Box:
    """(left, top, right, bottom) of the crop for frames whose (478, 3) meshes these are, pixels.

    Raises ReportedError "bad_face" for a mesh without size.
    """
    return mean_box(np.array([upright_box(landmarks_203(mesh)) for mesh in meshes]))


def read_motion(
    views: Iterable[tuple[np.ndarray, Box]], models: ModelSet, tick: Callable[[], None]
) -> KeypointMotion:
    """M's reading of each (frame, crop), frames (H, W, 3) uint8 sRGB; in the networks' batches.

    tick  is called after each batch and may raise to stop
    Raises ReportedError (out_of_memory), ValueError where there is no view.
    """
    parts: list[dict[str, np.ndarray]] = []
    waiting: list[np.ndarray] = []

    def read() -> None:
        parts.append(models.extract_motion(np.stack(waiting)))
        waiting.clear()
        tick()

    for image, box in views:
        picture = driving_input(crop_box(image, box).image)
        waiting.append(picture.astype(np.float32) / np.float32(255.0))
        if len(waiting) >= max(models.batch_size, 1):
            read()
    if waiting:
        read()
    if not parts:
        raise ValueError("no frame to read")
    heads = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return KeypointMotion.from_heads(heads)
