"""From detections to meshes: which way up a face is, and whether its picture is stretched."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ..motion import Face
from .canonical import LEFT_EYE, NOSE_TIP, RIGHT_EYE, fit_pose, pose_residual
from .checks import is_human, is_surely_human
from .detector import SMALLEST_FACE, Detection, Fraction, detect
from .mesh import Mesh, fit_mesh, second_looks

# Detector and mesh agree within this on a face that both see well, cm.
_AGREEMENT = 0.9
# Faces are read up to a fifth wider or narrower than they are: this brings 1.2 to 1.65 into that.
_STRETCH = 1.4
_SURROUNDINGS = 1.0  # picture around a detection that is looked at, in sides of its box


def fit_detection(rgb: np.ndarray, detection: Detection) -> Mesh:
    """The best mesh for a detection, trying other directions where the first does not agree."""
    mesh = fit_mesh(rgb, rough_face(detection, 0))
    if is_human(mesh) and _disagreement(mesh, detection) < _AGREEMENT:
        return mesh
    others = [fit_mesh(rgb, rough_face(detection, quarters)) for quarters in (1, 2, 3)]
    return min([mesh, *others], key=lambda m: (not is_human(m), pose_residual(m.landmarks)))


def rough_face(detection: Detection, quarters: int) -> Face:
    """The detection as a face, its keypoints turned about the box's centre by quarter turns."""
    centre = (detection.box[:2] + detection.box[2:]) / 2
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    turn = np.array([[cosine, sine], [-sine, cosine]])
    keypoints = (detection.keypoints - centre) @ turn + centre
    return Face(tuple(detection.box.tolist()), detection.score, pairs(keypoints))


def _disagreement(mesh: Mesh, detection: Detection) -> float:
    """Mean distance between eyes, nose and mouth of mesh and detector, cm."""
    offsets = keypoints_of(mesh.landmarks)[:4] - detection.keypoints[:4]
    return float(np.hypot(*offsets.T).mean() / fit_pose(mesh.landmarks).scale)


def detect_turned(
    rgb: np.ndarray, quarters: int, report: Fraction, smallest: float = SMALLEST_FACE
) -> list[Detection]:
    """Detections in the picture turned by quarter turns, in the unturned picture's pixels.

    smallest  side of the smallest faces, pixels; a turned picture is searched for faces of twice
              the smallest size and more
    """
    if not quarters:
        return detect(rgb, report, smallest)
    height, width = rgb.shape[:2]
    turned = np.ascontiguousarray(np.rot90(rgb, quarters))
    result: list[Detection] = []
    for detection in detect(turned, report, 2.0 * smallest):
        corners = _turn_back(detection.box.reshape(2, 2), quarters, height, width)
        box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        keypoints = _turn_back(detection.keypoints, quarters, height, width)
        result.append(replace(detection, box=box, keypoints=keypoints))
    return result


def _turn_back(points: np.ndarray, quarters: int, height: int, width: int) -> np.ndarray:
    """(N, 2) pixels of np.rot90(picture, quarters) → pixels of the (height, width) picture."""
    x, y = points.T
    if quarters == 1:
        return np.column_stack([width - 1 - y, x])
    if quarters == 2:
        return np.column_stack([width - 1 - x, height - 1 - y])
    return np.column_stack([y, height - 1 - x])


def stretched_along(rgb: np.ndarray, detection: Detection) -> str:
    """ "x" or "y" where a face is human once the picture is squeezed along that axis, else ""."""
    low, high = detection.box[:2], detection.box[2:]
    margin = _SURROUNDINGS * detection.size
    limits = np.array([rgb.shape[1], rgb.shape[0]])
    start = np.clip(np.floor(low - margin), 0, limits - 1).astype(int)
    end = np.clip(np.ceil(high + margin), start + 1, limits).astype(int)
    part = rgb[start[1] : end[1], start[0] : end[0]]
    for axis, factors in (("x", (1 / _STRETCH, 1.0)), ("y", (1.0, 1 / _STRETCH))):
        size = tuple(max(1, round(n * f)) for n, f in zip(end - start, factors, strict=True))
        squeezed = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        scale = np.array(size) / (end - start)
        moved = replace(
            detection,
            box=((detection.box.reshape(2, 2) - start) * scale).ravel(),
            keypoints=(detection.keypoints - start) * scale,
        )
        mesh = fit_detection(squeezed, moved)
        if is_human(mesh) and is_surely_human(second_looks(squeezed, mesh)):
            return axis
    return ""


def keypoints_of(landmarks: np.ndarray) -> np.ndarray:
    """(6, 2) pixels: the detector's keypoints, see Detection, taken from (478, 3) landmarks."""
    groups = [LEFT_EYE.corners, RIGHT_EYE.corners, (NOSE_TIP,), (13, 14), (234,), (454,)]
    return np.array([landmarks[list(group), :2].mean(axis=0) for group in groups], np.float64)


def pairs(points: np.ndarray) -> tuple[tuple[float, float], ...]:
    """(N, 2) points as a Face holds them."""
    return tuple((float(point[0]), float(point[1])) for point in points)
