"""What tells one face from another: its colours and its proportions."""

from __future__ import annotations

import cv2
import numpy as np

from ..faces.canonical import CANONICAL, MIRROR, OVAL, STABLE, Pose

_SIZE = (8, 10)  # cells across and down
# What a signature sees, cm of the face frame: the face with hair and neck.
_LEFT, _TOP, _WIDTH, _HEIGHT = -8.8, -12.0, 17.6, 22.0
_SHAPE_POINTS = sorted({*STABLE, *OVAL})
_COLOUR_UNIT = 12.0  # Lab levels that two views of one face differ by
_SHAPE_UNIT = 0.28  # cm
_OVERSAMPLED = 4


def signature(rgb: np.ndarray, landmarks: np.ndarray, pose: Pose) -> np.ndarray:
    """(N,) float32; the distance of two is about 1 or less for one face in one light.

    rgb        (H, W, 3) uint8 frame
    landmarks  (478, 3) pixels of it
    """
    columns, rows = (_OVERSAMPLED * n for n in _SIZE)
    corners = np.array([[_LEFT, _TOP], [_LEFT + _WIDTH, _TOP], [_LEFT, _TOP + _HEIGHT]])
    origin = pose.to_picture(np.zeros((1, 3)))[0, :2]
    angle = np.radians(pose.euler[2])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    places = (pose.scale * corners @ turn.T + origin).astype(np.float32)
    grid = np.array([[0, 0], [columns, 0], [0, rows]], np.float32)
    matrix = cv2.getAffineTransform(grid, places)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(
        rgb, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    cells = cv2.resize(view, _SIZE, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(cells, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 0] -= lab[..., 0].mean()  # light changes from shot to shot
    colours = lab.ravel() / _COLOUR_UNIT
    shape = pose.to_face_frame(landmarks) - CANONICAL
    # The mean of both sides: what a turned head hides on one side shows on the other.
    mirrored = shape[MIRROR] * [-1.0, 1.0, 1.0]
    shape = 0.5 * (shape + mirrored)[_SHAPE_POINTS, :2].ravel().astype(np.float32) / _SHAPE_UNIT
    return np.concatenate([colours / np.sqrt(colours.size), shape / np.sqrt(shape.size)])


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """How unlike two signatures are."""
    return float(np.linalg.norm(first - second))
