"""LivePortrait's implicit keypoints: head pose, x = s (kp R + exp) + t, motion multiplier.

Arrays have one row per frame. Points are row vectors, so rotations act from the right.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import combinations

import cv2
import numpy as np

KEYPOINT_COUNT = 21
BIN_COUNT = 66
DEGREES_PER_BIN = 3.0
FIRST_BIN_DEGREES = -97.5


@dataclass(frozen=True)
class KeypointMotion:
    """What the motion extractor M says about N face crops, refined.

    keypoints    (N, 21, 3) canonical keypoints kp
    expression   (N, 21, 3) exp
    pitch, yaw, roll  (N,) degrees
    translation  (N, 3) t, in half crop widths
    scale        (N,)
    """

    keypoints: np.ndarray
    expression: np.ndarray
    pitch: np.ndarray
    yaw: np.ndarray
    roll: np.ndarray
    translation: np.ndarray
    scale: np.ndarray

    @classmethod
    def from_heads(cls, heads: dict[str, np.ndarray]) -> KeypointMotion:
        """Refine M's raw heads: pitch, yaw, roll (N, 66), kp, exp (N, 63), t (N, 3), scale."""
        points = (-1, KEYPOINT_COUNT, 3)
        return cls(
            keypoints=np.asarray(heads["kp"], np.float32).reshape(points),
            expression=np.asarray(heads["exp"], np.float32).reshape(points),
            pitch=degrees_from_bins(heads["pitch"]),
            yaw=degrees_from_bins(heads["yaw"]),
            roll=degrees_from_bins(heads["roll"]),
            translation=np.asarray(heads["t"], np.float32).reshape(-1, 3),
            scale=np.asarray(heads["scale"], np.float32).reshape(-1),
        )

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, frames: slice | np.ndarray) -> KeypointMotion:
        """Some of the frames, chosen by a slice or an index array."""
        return KeypointMotion(**{f.name: getattr(self, f.name)[frames] for f in fields(self)})

    @property
    def rotation(self) -> np.ndarray:
        """(N, 3, 3) head rotation R."""
        return rotation_matrix(self.pitch, self.yaw, self.roll)

    @property
    def points(self) -> np.ndarray:
        """(N, 21, 3) the keypoints in the crop, x_s of a source; t_z does not move them."""
        return transform_keypoints(
            self.keypoints, self.rotation, self.expression, self.scale, flat(self.translation)
        )


def degrees_from_bins(logits: np.ndarray) -> np.ndarray:
    """Expected angle of a 66-bin head: (N, 66) logits → (N,) float32 degrees."""
    logits = np.asarray(logits, np.float64)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    degrees = DEGREES_PER_BIN * (weights @ np.arange(BIN_COUNT)) + FIRST_BIN_DEGREES
    return degrees.astype(np.float32)


def rotation_matrix(pitch: np.ndarray, yaw: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """R = (Rz(roll) Ry(yaw) Rx(pitch))^T for angles in degrees: (N, 3, 3) float32."""
    x, y, z = (np.radians(np.ravel(a).astype(np.float64)) for a in (pitch, yaw, roll))
    rotation = _axis_rotation(2, z) @ _axis_rotation(1, y) @ _axis_rotation(0, x)
    return rotation.transpose(0, 2, 1).astype(np.float32)


def euler_degrees(rotation: np.ndarray) -> np.ndarray:
    """(N, 3) pitch, yaw, roll in degrees of (N, 3, 3) rotations R; rotation_matrix's reverse."""
    turned = np.asarray(rotation, np.float64).transpose(0, 2, 1)
    yaw = np.arcsin(np.clip(-turned[:, 2, 0], -1.0, 1.0))
    pitch = np.arctan2(turned[:, 2, 1], turned[:, 2, 2])
    roll = np.arctan2(turned[:, 1, 0], turned[:, 0, 0])
    return np.degrees(np.stack([pitch, yaw, roll], axis=1))


def _axis_rotation(axis: int, radians: np.ndarray) -> np.ndarray:
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((len(radians), 3, 3))
    matrix[:, axis, axis] = 1.0
    matrix[:, first, first] = matrix[:, second, second] = np.cos(radians)
    matrix[:, second, first] = np.sin(radians)
    matrix[:, first, second] = -np.sin(radians)
    return matrix


def transform_keypoints(
    keypoints: np.ndarray,
    rotation: np.ndarray,
    expression: np.ndarray,
    scale: np.ndarray,
    translation: np.ndarray,
) -> np.ndarray:
    """scale * (keypoints R + expression) + translation: (N, 21, 3) float32."""
    moved = keypoints @ rotation + expression
    moved = np.reshape(scale, (-1, 1, 1)) * moved + np.reshape(translation, (-1, 1, 3))
    return moved.astype(np.float32)


def flat(translation: np.ndarray) -> np.ndarray:
    """The translation (N, 3) with t_z = 0: depth is no part of the official motion."""
    return translation * np.array([1, 1, 0], translation.dtype)


def orthonormal(matrices: np.ndarray) -> np.ndarray:
    """The rotations nearest to (N, 3, 3) matrices, for instance after smoothing."""
    left, _, right = np.linalg.svd(matrices)
    signs = np.ones((len(matrices), 3))
    signs[:, 2] = np.sign(np.linalg.det(left @ right))
    return ((left * signs[:, None, :]) @ right).astype(np.float32)


def convex_hull_volume(points: np.ndarray) -> float:
    """Volume of the convex hull of a few (N, 3) points; 0.0 for flat ones.

    Every plane through three points that has all points on one side carries a face of the hull;
    with 21 points those are 1330 planes, which numpy tests at once, so scipy is not needed.
    """
    points = np.asarray(points, np.float64).reshape(-1, 3)
    points = points - points.mean(axis=0)
    tolerance = 1e-9 * max(float(np.abs(points).max()), 1e-30)
    corners = points[np.array(list(combinations(range(len(points)), 3)))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    is_plane = lengths > tolerance**2
    normals = normals[is_plane] / lengths[is_plane, None]
    heights = normals @ points.T - np.sum(normals * corners[is_plane, 0], axis=1)[:, None]
    flip = np.where(heights.max(axis=1) > tolerance, -1.0, 1.0)
    normals, heights = normals * flip[:, None], heights * flip[:, None]
    is_face = heights.max(axis=1) <= tolerance
    faces: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    for normal, height in zip(normals[is_face], heights[is_face], strict=True):
        members = height > -tolerance
        if not members.all():
            faces[members.tobytes()] = normal, points[members]
    # The centroid, now the origin, lies inside: each face is the base of a pyramid.
    return sum(_polygon_area(p, n) * abs(float(p[0] @ n)) for n, p in faces.values()) / 3.0


def _polygon_area(points: np.ndarray, normal: np.ndarray) -> float:
    helper = np.eye(3)[np.argmin(np.abs(normal))]
    side = np.cross(normal, helper)
    side /= np.linalg.norm(side)
    plane = np.stack([points @ side, points @ np.cross(normal, side)], axis=1)
    middle = plane.mean(axis=0)
    order = cv2.convexHull((plane - middle).astype(np.float32), returnPoints=False)
    x, y = (plane[np.ravel(order)] - middle).T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
