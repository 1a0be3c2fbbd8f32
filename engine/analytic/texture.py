"""How sharp and how grainy a picture is, so that what is painted into it belongs there."""

from __future__ import annotations

import cv2
import numpy as np

from ..faces.canonical import EYES, LIP_LOWER_OUTER, LIP_UPPER_OUTER, Pose
from ..faces.crop import Crop
from .layer import Patch
from .shapes import blurred

_BLUR_BEFORE, _BLUR_AFTER = 0.7, 2.0  # crop pixels
_SHARP, _WIDEST = 0.8, 6.0  # crop pixels
_STEEP = 99.5  # percentile of the gradients that counts as an edge
_SKIN = (199, 205, 425, 50, 280)  # chin and cheeks
_HALF_WIDTH, _HALF_HEIGHT = 0.8, 0.55  # cm of skin that is looked at
_DETAIL = 0.07  # cm: coarser changes of brightness are shape, not grain
_STRENGTH, _LIMIT = 0.9, 0.4


def edge_width(view: np.ndarray, landmarks: np.ndarray) -> float:
    """Standard deviation of the picture's sharpest edges at lids and lips, crop pixels.

    view       (size, size, 3) uint8 crop
    landmarks  (478, 3) crop pixels
    Sharp pictures give 0.

    Edges that are blurred once more lose the more of their steepness the sharper they were.
    """
    grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
    rings = [eye.upper + eye.lower for eye in EYES] + [LIP_UPPER_OUTER + LIP_LOWER_OUTER]
    before, after = [], []
    for ring in rings:
        points = landmarks[list(ring), :2]
        low = np.maximum(np.floor(points.min(axis=0) - 8).astype(int), 0)
        high = np.ceil(points.max(axis=0) + 9).astype(int)
        part = grey[low[1] : high[1], low[0] : high[0]].astype(np.float32)
        if min(part.shape) < 12:
            continue
        first = cv2.GaussianBlur(part, (0, 0), _BLUR_BEFORE)
        before.append(_steepest(first))
        after.append(_steepest(cv2.GaussianBlur(first, (0, 0), _BLUR_AFTER)))
    if not before or max(after) < 0.5:
        return 0.0
    ratio = sum(before) / sum(after)
    variance = _BLUR_AFTER**2 / max(ratio**2 - 1.0, 1e-3) - _BLUR_BEFORE**2
    width = float(np.sqrt(np.clip(variance, 0.0, _WIDEST**2)))
    return width if width > _SHARP else 0.0


def grain_of(
    picture: np.ndarray, crop: Crop, landmarks: np.ndarray, pose: Pose, patch: Patch
) -> np.ndarray:
    """(height, width, 3) float32 factors around 1 for a patch: the grain, weave or strokes of skin.

    picture    (H, W, 4) source pixels
    landmarks  (478, 3) crop pixels, pose in crop pixels
    """
    reach = pose.scale * np.array([_HALF_WIDTH, _HALF_HEIGHT])
    tiles = []
    for index in _SKIN:
        centre = landmarks[index, :2]
        part = Patch.around(centre - reach, centre + reach, patch.scale)
        skin = part.read(picture, crop)
        smooth = blurred(skin, max(1.0, _DETAIL * pose.scale * patch.scale))
        floor = max(1e-6, 0.1 * float(smooth.mean()))
        tile = (skin + floor) / (smooth + floor) - 1.0
        tiles.append((float(tile.std()), tile))
    # Beards and shadows are rougher than skin, highlights smoother.
    tile = sorted(tiles, key=lambda entry: entry[0])[len(tiles) // 2 - 1][1]
    factor = 1.0 + _STRENGTH * np.clip(tile, -_LIMIT, _LIMIT)
    height, width = factor.shape[:2]
    down, right = max(0, patch.height - height), max(0, patch.width - width)
    grown = np.pad(factor, ((0, down), (0, right), (0, 0)), mode="symmetric")
    return np.ascontiguousarray(grown[: patch.height, : patch.width], np.float32)


def _steepest(grey: np.ndarray) -> float:
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return float(np.percentile(cv2.magnitude(across, down), _STEEP))
