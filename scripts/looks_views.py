"""Upright views of an eye or a mouth, and colours in them, for measures of how a result looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from control_sweep import ROOT  # noqa: F401  (puts the engine on the path)

from engine.faces.canonical import MOUTH_CORNERS, EyeIndices
from engine.faces.crop import sample

EYE_WIDTH = 80.0  # pixels between the corners of the eye in its view
_EYE_SIZE, _EYE_AT = (200, 200), (100.0, 120.0)
MOUTH_CM = 36.0  # pixels per cm in the view of a mouth
_MOUTH_SIZE, _MOUTH_AT = (288, 300), (144.0, 110.0)


class View(NamedTuple):
    """A small upright part of a picture: (2, 3) matrix from picture pixels, (width, height)."""

    matrix: np.ndarray
    size: tuple[int, int]

    def extract(self, rgb: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8 of an (H, W, 3) uint8 picture."""
        return sample(rgb, self.matrix, self.size, cv2.BORDER_REPLICATE)

    def place(self, points: np.ndarray) -> np.ndarray:
        """(N, ≥2) picture pixels → (N, 2) pixels of the view."""
        xy = np.asarray(points, np.float64)[:, :2]
        return xy @ self.matrix[:, :2].T + self.matrix[:, 2]

    def polygon(self, points: np.ndarray) -> np.ndarray:
        """(height, width) bool inside the polygon of (N, ≥2) picture pixels."""
        mask = np.zeros(self.size[::-1], np.uint8)
        cv2.fillPoly(mask, [np.rint(self.place(points)).astype(np.int32)], 1)
        return mask > 0


def eye_view(landmarks: np.ndarray, eye: EyeIndices) -> View:
    """The eye with its brow; its corners are EYE_WIDTH apart on a level."""
    ends = np.sort(np.array(eye.corners))
    left, right = sorted((landmarks[i, :2].astype(np.float64) for i in ends), key=lambda p: p[0])
    return _view_along(right - left, (left + right) / 2, EYE_WIDTH, _EYE_SIZE, _EYE_AT)


def mouth_view(landmarks: np.ndarray, pixels_per_cm: float) -> View:
    """The mouth and the chin, MOUTH_CM pixels a cm; the corners of the mouth are on a level.

    pixels_per_cm  of the picture, as a Pose has it
    """
    left, right = (landmarks[i, :2].astype(np.float64) for i in MOUTH_CORNERS)
    axis = right - left
    length = float(np.hypot(*axis)) * MOUTH_CM / pixels_per_cm
    return _view_along(axis, (left + right) / 2, length, _MOUTH_SIZE, _MOUTH_AT)


def _view_along(
    axis: np.ndarray,
    centre: np.ndarray,
    length: float,
    size: tuple[int, int],
    centre_at: tuple[float, float],
) -> View:
    """The view in which `axis` is level and `length` pixels long."""
    x, y = axis * length / float(axis @ axis)
    turn = np.array([[x, y], [-y, x]])
    offset = np.array(centre_at) - turn @ centre
    return View(np.column_stack([turn, offset]), size)


def lab_of(rgb: np.ndarray) -> np.ndarray:
    """(…, 3) float32 CIE L*a*b* of (H, W, 3) uint8 sRGB; L is 0..100."""
    return cv2.cvtColor(rgb.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)


def colour_in(lab: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(3,) median colour of the pixels in a mask; NaN where it is empty."""
    if not mask.any():
        return np.full(3, np.nan)
    return np.median(lab[mask], axis=0)


def difference(lab: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """ΔE (CIE76) of (…, 3) colours from one colour."""
    return np.linalg.norm(lab - colour, axis=-1)


def difference_between(lab: np.ndarray, ends: Sequence[np.ndarray]) -> np.ndarray:
    """ΔE (CIE76) of (…, 3) colours from the nearest mixture of two colours."""
    first, second = (np.asarray(end, np.float64) for end in ends)
    line = second - first
    share = ((lab - first) @ line) / max(float(line @ line), 1e-9)
    nearest = first + np.clip(share, 0.0, 1.0)[..., None] * line
    return np.linalg.norm(lab - nearest, axis=-1)
