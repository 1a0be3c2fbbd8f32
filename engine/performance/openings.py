"""Lids and lips that follow opening ratios instead of an expression.

Which part of an expression opens lids and lips is read by the linear weights that the Preview
renderer's decoder uses; they were fitted on driving videos whose LivePortrait motion is known.
"""

from __future__ import annotations

import numpy as np

from .ratios import OpeningRatios

# Rows are y of an eye's upper and lower keypoint; columns: lid gap, and gaze (down positive).
_EYES = {
    (11, 13): np.array([[-15.92, 2.77], [12.19, 1.49]]),
    (15, 16): np.array([[-16.29, 3.53], [12.09, 0.09]]),
}
# Lip gap per y of the lower lip's keypoint 19, of 20 and of 14.
_LIP_GAP = {19: 29.4, 20: -33.03, 14: -4.98}
# A reference in which the performer blinks does not tell how open the eyes are.
BLINK_RATIO = 0.18
HIGHEST_RATIO = 0.8


def without_blinks(expression: np.ndarray) -> np.ndarray:
    """(T, 21, 3) offsets of exp less what closes both eyes; winks and gaze stay."""
    changed = expression.copy()
    read = {points: changed[:, points, 1] @ weights for points, weights in _EYES.items()}
    both = sum(reading[:, 0] for reading in read.values()) / len(read)
    for points, weights in _EYES.items():
        kept = read[points] - np.stack([both, np.zeros_like(both)], axis=1)
        changed[:, points, 1] = kept @ np.linalg.inv(weights)
    return changed


def without_lip_gap(expression: np.ndarray) -> np.ndarray:
    """(T, 21, 3) offsets of exp less what opens the lips; their width and corners stay."""
    changed = expression.copy()
    others = sum(weight * changed[:, k, 1] for k, weight in _LIP_GAP.items() if k != 19)
    changed[:, 19, 1] = -others / _LIP_GAP[19]
    return changed


def eye_targets(
    ratios: OpeningRatios, own: float, reference: int, *, is_relative: bool
) -> np.ndarray:
    """(T,) opening of both eyes for a face whose own is `own`.

    Relative: open at the reference is open as in the picture, shut is shut. Absolute: the
    performer's own ratios, the mean of both eyes.
    """
    performed = ratios.eyes.mean(axis=1).astype(np.float64)
    if not is_relative:
        return performed
    is_open = performed >= BLINK_RATIO
    usual = float(np.median(performed[is_open])) if is_open.any() else BLINK_RATIO
    rest = float(performed[reference]) if is_open[reference] else usual
    return own * performed / rest


def lip_targets(ratios: OpeningRatios) -> np.ndarray:
    """(T,) opening of the lips: lips that shut are shut, whatever the picture's own are."""
    return ratios.lips[:, 0].astype(np.float64)
