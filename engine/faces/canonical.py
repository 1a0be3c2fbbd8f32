"""The canonical face, its index sets, and the head pose of landmarks.

Face frame: x to the picture's right, y down, z away from the camera, centimetres with 6.3 cm
between the pupils. x = 0 is the symmetry plane, y = 0 halfway between outer eye corners and mouth
corners, z = 0 at the ears. Landmarks are MediaPipe's 468 face points and 2 x 5 iris points.
"Left" and "right" mean the left and the right of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

LANDMARK_COUNT = 478
MESH_COUNT = 468

_data = np.load(Path(__file__).with_name("canonical.npz"), allow_pickle=False)
# (478, 3) float64, cm: symmetric mean of about 130 measured faces.
CANONICAL: np.ndarray = _data["v"].astype(np.float64)
# (478,) int64: index of each point's mirror image.
MIRROR: np.ndarray = _data["pair"]


@dataclass(frozen=True)
class EyeIndices:
    """Landmark indices of one eye, every ring from the outer to the inner corner.

    upper, lower     the lid edges, both with the two corners
    upper2, upper3   rings further up; upper3 ends below the brow
    lower2, lower3   rings further down
    brow             upper edge then lower edge of the brow
    iris, iris_ring  centre and four rim points of the iris
    """

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    upper2: tuple[int, ...]
    upper3: tuple[int, ...]
    lower2: tuple[int, ...]
    lower3: tuple[int, ...]
    brow: tuple[int, ...]
    iris: int
    iris_ring: tuple[int, ...]

    @property
    def corners(self) -> tuple[int, int]:
        """Outer and inner corner."""
        return self.upper[0], self.upper[-1]


LEFT_EYE = EyeIndices(
    upper=(33, 246, 161, 160, 159, 158, 157, 173, 133),
    lower=(33, 7, 163, 144, 145, 153, 154, 155, 133),
    upper2=(130, 247, 30, 29, 27, 28, 56, 190, 243),
    upper3=(226, 113, 225, 224, 223, 222, 221, 189, 244),
    lower2=(130, 25, 110, 24, 23, 22, 26, 112, 243),
    lower3=(226, 31, 228, 229, 230, 231, 232, 233, 244),
    brow=(70, 63, 105, 66, 107, 46, 53, 52, 65, 55),
    iris=468,
    iris_ring=(469, 470, 471, 472),
)
RIGHT_EYE = EyeIndices(
    upper=(263, 466, 388, 387, 386, 385, 384, 398, 362),
    lower=(263, 249, 390, 373, 374, 380, 381, 382, 362),
    upper2=(359, 467, 260, 259, 257, 258, 286, 414, 463),
    upper3=(446, 342, 445, 444, 443, 442, 441, 413, 464),
    lower2=(359, 255, 339, 254, 253, 252, 256, 341, 463),
    lower3=(446, 261, 448, 449, 450, 451, 452, 453, 464),
    brow=(300, 293, 334, 296, 336, 276, 283, 282, 295, 285),
    iris=473,
    iris_ring=(474, 475, 476, 477),
)
EYES = (LEFT_EYE, RIGHT_EYE)

# Lip rings from the left to the right corner, from the opening outwards.
LIP_UPPER_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LIP_LOWER_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LIP_UPPER_INNER2 = (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292)
LIP_LOWER_INNER2 = (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292)
LIP_UPPER_MIDDLE = (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306)
LIP_LOWER_MIDDLE = (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306)
LIP_UPPER_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIP_LOWER_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LIP_CORNERS = (61, 291, 78, 308, 76, 306, 62, 292)
_UPPER = LIP_UPPER_INNER + LIP_UPPER_INNER2 + LIP_UPPER_MIDDLE + LIP_UPPER_OUTER
_LOWER = LIP_LOWER_INNER + LIP_LOWER_INNER2 + LIP_LOWER_MIDDLE + LIP_LOWER_OUTER
# Every lip point but the corners.
UPPER_LIP = tuple(sorted(set(_UPPER) - set(LIP_CORNERS)))
LOWER_LIP = tuple(sorted(set(_LOWER) - set(LIP_CORNERS)))

# Points that expressions hardly move; they carry the head pose.
STABLE = (
    10, 338, 297, 332, 109, 67, 103, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 129, 358,
    33, 133, 263, 362, 234, 454, 127, 356, 162, 389, 21, 251, 93, 323, 50, 280, 101, 330, 117, 346,
)  # fmt: skip

# The face's contour, clockwise in the picture from the top of the forehead.
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

NOSE_TIP, SUBNASALE, CHIN = 1, 2, 152
MOUTH_CORNERS = (61, 291)
EYE_CORNERS = (33, 133, 263, 362)


class Pose(NamedTuple):
    """A similarity from the face frame to the picture: p = scale * rotation @ c + translation.

    scale        picture pixels per cm
    rotation     (3, 3)
    translation  (3,) picture pixels; z in the same scale
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    @property
    def euler(self) -> np.ndarray:
        """(pitch, yaw, roll) in degrees."""
        return matrix_to_euler(self.rotation)

    @property
    def face_to_picture(self) -> np.ndarray:
        """(2, 3): maps offsets in cm to offsets in pixels."""
        return self.scale * self.rotation[:2]

    def to_face_frame(self, landmarks: np.ndarray) -> np.ndarray:
        """(N, 3) picture pixels → (N, 3) cm in the face frame."""
        return (np.asarray(landmarks, np.float64) - self.translation) @ self.rotation / self.scale

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) cm in the face frame → (N, 3) picture pixels."""
        return self.scale * np.asarray(points, np.float64) @ self.rotation.T + self.translation


def align(source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None) -> Pose:
    """Weighted least-squares similarity from (N, 3) source to (N, 3) target (Umeyama 1991)."""
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    weight = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    weight = weight / weight.sum()
    source_mean, target_mean = weight @ source, weight @ target
    centred, target_centred = source - source_mean, target - target_mean
    left, singular, right = np.linalg.svd((target_centred * weight[:, None]).T @ centred)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * signs) @ right
    scale = float((singular * signs).sum() / (weight @ (centred**2).sum(axis=1)))
    return Pose(scale, rotation, target_mean - scale * rotation @ source_mean)


def fit_pose(landmarks: np.ndarray) -> Pose:
    """Head pose of (478, 3) landmarks in pixels, from the points that expressions hardly move."""
    stable = list(STABLE)
    return align(CANONICAL[stable], np.asarray(landmarks)[stable])


def pose_residual(landmarks: np.ndarray) -> float:
    """How far the stable landmarks are from the posed canonical face, root mean square, cm."""
    stable = list(STABLE)
    offsets = fit_pose(landmarks).to_face_frame(landmarks)[stable] - CANONICAL[stable]
    return float(np.sqrt((offsets**2).sum(axis=1).mean()))


def euler_to_matrix(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """(3, 3) Rz(roll) Ry(yaw) Rx(pitch), degrees; LivePortrait transposes it to apply to rows."""
    (cx, cy, cz), (sx, sy, sz) = (f(np.radians([pitch, yaw, roll])) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def matrix_to_euler(rotation: np.ndarray) -> np.ndarray:
    """(pitch, yaw, roll) in degrees; the inverse of euler_to_matrix for |yaw| < 90."""
    pitch = np.arctan2(rotation[2, 1], rotation[2, 2])
    yaw = np.arcsin(np.clip(-rotation[2, 0], -1.0, 1.0))
    roll = np.arctan2(rotation[1, 0], rotation[0, 0])
    return np.degrees(np.array([pitch, yaw, roll]))
