"""LivePortrait's 203 landmarks read off our own 478-point face mesh.

With them nobody needs InsightFace's non-commercial models: crop and opening ratios follow by the
official recipe. docs/quirks.md says how far the result is from the recipe's own models.
"""

from __future__ import annotations

import numpy as np

from ..faces.measures import LID_RATIO_PER_EYES_OPEN, measure
from ..performance.ratios import OpeningRatios

# Polylines of mesh vertices, in the direction of LivePortrait's numbering, and how many points
# lie on each; `is_ring` polylines leave out their last point, which starts the next one.
_LEFT_EYE_UPPER = (33, 246, 161, 160, 159, 158, 157, 173, 133)
_LEFT_EYE_LOWER = (133, 155, 154, 153, 145, 144, 163, 7, 33)
_RIGHT_EYE_UPPER = (362, 398, 384, 385, 386, 387, 388, 466, 263)
_RIGHT_EYE_LOWER = (263, 249, 390, 373, 374, 380, 381, 382, 362)
_OUTER_LIP_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
_OUTER_LIP_LOWER = (291, 375, 321, 405, 314, 17, 84, 181, 91, 146, 61)
_INNER_LIP_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_INNER_LIP_LOWER = (308, 324, 318, 402, 317, 14, 87, 178, 88, 95, 78)
_JAW = (
    454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234,
)  # fmt: skip
_LEFT_BROW = (70, 63, 105, 66, 107)
_RIGHT_BROW = (336, 296, 334, 293, 300)
_NOSE = (168, 6, 197, 195, 5, 4, 1, 19, 94, 2)
_POLYLINES: tuple[tuple[tuple[int, ...], int, bool], ...] = (
    (_LEFT_EYE_UPPER, 12, True),  # 0
    (_LEFT_EYE_LOWER, 12, True),
    (_RIGHT_EYE_UPPER, 12, True),  # 24
    (_RIGHT_EYE_LOWER, 12, True),
    (_OUTER_LIP_UPPER, 18, True),  # 48
    (_OUTER_LIP_LOWER, 18, True),
    (_INNER_LIP_UPPER, 12, True),  # 84
    (_INNER_LIP_LOWER, 12, True),
    (_JAW, 45, False),  # 108
    (_LEFT_BROW, 20, False),  # 153
    (_RIGHT_BROW, 20, False),  # 173
    (_NOSE, 10, False),  # 193
)


def landmarks_203(mesh: np.ndarray) -> np.ndarray:
    """(203, 2) float32 picture points of a (478, 3) mesh in picture pixels."""
    points = np.asarray(mesh, np.float64)[:, :2]
    lines = (_resample(points[list(line)], count, is_ring) for line, count, is_ring in _POLYLINES)
    return np.concatenate(list(lines)).astype(np.float32)


def mesh_ratios(mesh: np.ndarray) -> OpeningRatios:
    """Opening ratios of a (478, 3) mesh, head pose removed, on LivePortrait's scale."""
    measured = measure(mesh)
    eyes = np.array([[measured.lid_left, measured.lid_right]]) / LID_RATIO_PER_EYES_OPEN
    lips = np.array([[measured.lips_open]])
    return OpeningRatios(eyes=eyes.astype(np.float32), lips=lips.astype(np.float32))


def _resample(line: np.ndarray, count: int, is_ring: bool) -> np.ndarray:
    """`count` points at equal distances along a polyline."""
    lengths = np.linalg.norm(np.diff(line, axis=0), axis=1)
    positions = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = np.linspace(0.0, positions[-1], count, endpoint=not is_ring)
    return np.column_stack([np.interp(wanted, positions, line[:, axis]) for axis in (0, 1)])
