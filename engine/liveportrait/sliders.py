"""LivePortrait's image retargeting: keypoints of one picture under sliders and opening ratios."""

from __future__ import annotations

import numpy as np

from ..motion import Motion
from ..performance.geometry import (
    KEYPOINT_COUNT,
    KeypointMotion,
    flat,
    rotation_matrix,
    transform_keypoints,
)
from ..performance.ratios import OpeningRatios
from .model_set import Retargeting
from .quirks import SENSIBLE, Quirks
from .retargeting import eye_delta, lip_delta, stitched


def moved_points(
    source: KeypointMotion, motions: list[Motion], quirks: Quirks = SENSIBLE
) -> np.ndarray:
    """Keypoints of one picture under pose, scale, translation and expression: (T, 21, 3).

    Opening ratios and stitching are not in yet, see retargeted_points.
    """
    rows = np.array([(m.pitch, m.yaw, m.roll, m.scale) for m in motions], np.float32)
    rotation = rotation_matrix(
        source.pitch + rows[:, 0], source.yaw + rows[:, 1], source.roll + rows[:, 2]
    )
    offsets = np.array([m.expression for m in motions], np.float32)
    translation = source.translation + np.array([m.translation for m in motions], np.float32)
    return transform_keypoints(
        source.keypoints,
        rotation,
        source.expression + offsets.reshape(-1, KEYPOINT_COUNT, 3),
        source.scale * rows[:, 3],
        translation if quirks.keeps_translation_z else flat(translation),
    )


def retargeted_points(
    source: KeypointMotion,
    ratios: OpeningRatios | None,
    motions: list[Motion],
    networks: Retargeting,
    *,
    use_stitching: bool = True,
    quirks: Quirks = SENSIBLE,
) -> np.ndarray:
    """Keypoints x_d for the warping network: (T, 21, 3) float32.

    ratios  the picture's own opening ratios (1 row); None leaves eyes_open and lips_open alone
    """
    x_source = source.points
    x_driving = moved_points(source, motions, quirks)
    if ratios is not None:
        own_eyes, own_lips = float(ratios.eyes.mean()), float(ratios.lips[0, 0])
        if quirks.rounds_slider_ratios:
            own_eyes, own_lips = round(own_eyes, 2), round(own_lips, 2)
        wants_eyes = [(i, m.eyes_open) for i, m in enumerate(motions) if m.eyes_open is not None]
        wants_lips = [(i, m.lips_open) for i, m in enumerate(motions) if m.lips_open is not None]
        for wanted, own, delta in (
            (wants_eyes, own_eyes, eye_delta),
            (wants_lips, own_lips, lip_delta),
        ):
            changed = [(i, ratio) for i, ratio in wanted if ratio != own]
            if changed:
                frames, targets = (np.array(column) for column in zip(*changed, strict=True))
                x_driving[frames] += delta(networks, x_source, ratios, targets)
    return stitched(networks, x_source, x_driving) if use_stitching else x_driving
