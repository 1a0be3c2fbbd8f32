"""Drawn readings of M and opening ratios, for tests of what becomes of them."""

from __future__ import annotations

import numpy as np

from engine.performance.geometry import KeypointMotion
from engine.performance.ratios import OpeningRatios


def drawn_motion(count: int, seed: int = 5) -> KeypointMotion:
    """N rows of one face that moves at random."""
    random = np.random.default_rng(seed)
    angles = random.normal(size=(3, count)).astype(np.float32) * 8
    return KeypointMotion(
        keypoints=np.tile(random.normal(size=(1, 21, 3)), (count, 1, 1)).astype(np.float32),
        expression=random.normal(size=(count, 21, 3)).astype(np.float32) * 0.02,
        pitch=angles[0],
        yaw=angles[1],
        roll=angles[2],
        translation=random.normal(size=(count, 3)).astype(np.float32) * 0.05,
        scale=random.uniform(1.2, 1.6, count).astype(np.float32),
    )


def drawn_ratios(count: int, lips: float = 0.2) -> OpeningRatios:
    """N rows of the same openings."""
    eyes = np.tile(np.array([[0.3, 0.4]], np.float32), (count, 1))
    return OpeningRatios(eyes, np.full((count, 1), lips, np.float32))
