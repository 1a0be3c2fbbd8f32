"""Other people around a face: which pixels of its crop are their heads."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from .candidates import fit_detection
from .canonical import MESH_COUNT, Pose, fit_pose
from .checks import is_human, is_surely_human
from .crop import Crop, sample
from .detector import detect

_VIEW = 448  # pixels of the view in which neighbours are looked for
_AROUND = 2.0  # crops that the view is wide
_SMALLEST = 30.0  # pixels of the view
_LARGE = 1.4  # times the face's size
_HEAD_CM = (7.6, 10.5)  # half axes of a head around its middle
_BACK_CM = 3.0  # by which a head is wider from the side
# Of what is between two heads a little more is the face's own: it is the one that is looked at.
_OWN_SHARE = 1.2
_SOFT = 0.05  # half axes over which one head ends
_GROWN = 1.06  # of a face's outline, so that its edge is whole


class Neighbours(NamedTuple):
    """Whose pixels are not the face's.

    face   (size, size) float32, 1 in another face
    other  (size, size) float32, 1 where another head is nearer than this one
    """

    face: np.ndarray
    other: np.ndarray


def find_neighbours(
    rgb: np.ndarray, crop: Crop, landmarks: np.ndarray, pose: Pose
) -> Neighbours | None:
    """The other people around a face, None where there are none.

    rgb              (H, W, 3) uint8 sRGB picture
    landmarks, pose  of the face, crop pixels
    Raises ReportedError "no_models".
    """
    to_view = _VIEW / (_AROUND * crop.size)
    matrix = to_view * crop.picture_to_crop
    matrix[:, 2] += (_VIEW - to_view * crop.size) / 2
    view = sample(rgb, matrix, (_VIEW, _VIEW))
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    origin = (_VIEW - to_view * crop.size) / 2
    own = _distance(crop.size, pose)
    face, nearest = np.zeros((crop.size, crop.size), np.float32), np.full_like(own, np.inf)
    for detection in detect(view, smallest=_SMALLEST):
        centre = ((detection.box[:2] + detection.box[2:]) / 2 - origin) / to_view
        if (centre > low).all() and (centre < high).all():
            continue
        mesh = fit_detection(view, detection)
        # Hair and folds seen from close are sometimes taken for large faces.
        is_large = detection.size / to_view > _LARGE * float((high - low).max())
        if not (is_surely_human(mesh) if is_large else is_human(mesh)):
            continue
        points = mesh.landmarks / to_view
        points[:, :2] -= origin / to_view
        np.maximum(face, _hull(points[:MESH_COUNT, :2], crop.size), out=face)
        np.minimum(nearest, _distance(crop.size, fit_pose(points)), out=nearest)
    if not np.isfinite(nearest).any():
        return None
    other = np.clip((own - _OWN_SHARE * nearest) / _SOFT + 0.5, 0.0, 1.0)
    return Neighbours(face, np.maximum(other, face))


def _hull(points: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32 coverage of the outline around points, soft beyond it."""
    hull = cv2.convexHull(points.astype(np.float32))[:, 0]
    middle = hull.mean(axis=0)
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, np.rint(middle + (hull - middle) * _GROWN).astype(np.int32), 255)
    soft = cv2.GaussianBlur(mask, (0, 0), 3.0)
    return np.maximum(soft, mask).astype(np.float32) / 255.0


def _distance(size: int, pose: Pose) -> np.ndarray:
    """(size, size) float32 distance from a head's middle, 1 at its outline."""
    roll, side = np.radians(pose.euler[2]), abs(np.sin(np.radians(pose.euler[1])))
    axes = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    half = np.array([_HEAD_CM[0] + _BACK_CM * side, _HEAD_CM[1]])
    axes /= pose.scale * half[:, None]
    middle = pose.to_picture(np.array([0.0, -1.0, _BACK_CM / 2]))
    x, y = np.meshgrid(*(np.arange(size, dtype=np.float32),) * 2)
    x, y = x - np.float32(middle[0]), y - np.float32(middle[1])
    across, down = (np.float32(row[0]) * x + np.float32(row[1]) * y for row in axes)
    return np.hypot(across, down)
