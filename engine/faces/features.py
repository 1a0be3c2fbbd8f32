"""Where the movable parts of a face are in the face frame: more than measures say, less than all.

Measures tell what somebody wants to know of a face; these tell apart what measures take for one.
"""

from __future__ import annotations

import numpy as np

from .canonical import (
    CANONICAL,
    EYES,
    LIP_LOWER_INNER,
    LIP_LOWER_OUTER,
    LIP_UPPER_INNER,
    LIP_UPPER_OUTER,
    Pose,
)

_LIPS = {*LIP_UPPER_INNER, *LIP_LOWER_INNER, *LIP_UPPER_OUTER, *LIP_LOWER_OUTER}
_EYES = {i for eye in EYES for i in (*eye.upper, *eye.lower, *eye.lower2, *eye.brow, eye.iris)}
# Cheeks, sides of the mouth and nose, chin, and the contour below the eyes.
_CHEEKS = {50, 280, 205, 425, 187, 411, 36, 266, 123, 352, 192, 416, 203, 423, 164, 18, 200, 199}
_CONTOUR = {
    361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132,
}  # fmt: skip
POINTS = tuple(sorted(_LIPS | _EYES | _CHEEKS | _CONTOUR))
FEATURE_COUNT = 2 * len(POINTS)

_ROWS = list(POINTS)


def features_of(landmarks: np.ndarray, pose: Pose) -> np.ndarray:
    """(FEATURE_COUNT,) float64: x, y of POINTS beside those of the average face, cm.

    landmarks  (478, 3) pixels
    """
    return (pose.to_face_frame(landmarks[_ROWS]) - CANONICAL[_ROWS])[:, :2].ravel()
