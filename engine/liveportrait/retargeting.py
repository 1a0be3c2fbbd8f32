"""Stitching and retargeting: offsets from the small networks S and R, applied to keypoints."""

from __future__ import annotations

import numpy as np

from ..performance.geometry import KEYPOINT_COUNT
from ..performance.ratios import OpeningRatios, eye_condition, lip_condition
from .model_set import Retargeting

OFFSETS = 3 * KEYPOINT_COUNT


def stitched(networks: Retargeting, x_source: np.ndarray, x_driving: np.ndarray) -> np.ndarray:
    """Driving keypoints (N, 21, 3) adjusted so that shoulders and hair stay joined."""
    x_source = np.array(np.broadcast_to(x_source, x_driving.shape))
    offsets = networks.stitching(x_source, x_driving)
    moved = x_driving + offsets[:, :OFFSETS].reshape(-1, KEYPOINT_COUNT, 3)
    moved[..., :2] += offsets[:, None, OFFSETS:]
    return moved


def eye_delta(
    networks: Retargeting, x_source: np.ndarray, source: OpeningRatios, target: np.ndarray | float
) -> np.ndarray:
    """(N, 21, 3) offsets that open or close the eyes to `target` (height over width)."""
    ratios = eye_condition(source, target)
    offsets = networks.eye_retargeting(*_same_count(x_source, ratios))
    return offsets.reshape(-1, KEYPOINT_COUNT, 3)


def lip_delta(
    networks: Retargeting, x_source: np.ndarray, source: OpeningRatios, target: np.ndarray | float
) -> np.ndarray:
    """(N, 21, 3) offsets that open or close the lips to `target` (height over width)."""
    ratios = lip_condition(source, target)
    offsets = networks.lip_retargeting(*_same_count(x_source, ratios))
    return offsets.reshape(-1, KEYPOINT_COUNT, 3)


def _same_count(x_source: np.ndarray, ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = max(len(x_source), len(ratios))
    rows = (np.array(np.broadcast_to(a, (count, *a.shape[1:]))) for a in (x_source, ratios))
    return tuple(rows)  # type: ignore[return-value]
