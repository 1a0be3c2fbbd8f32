"""LivePortrait's face crop, from the 478 landmarks."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from .canonical import CANONICAL, EYE_CORNERS, MESH_COUNT, MOUTH_CORNERS

CROP_SIZE = 512
CROP_SCALE = 2.3
CROP_SHIFT_Y = -0.125

# LivePortrait's 203 points end at the brows: without the forehead the box is the same as there.
_BELOW_FOREHEAD = np.flatnonzero(CANONICAL[:MESH_COUNT, 1] > -6.6)


class Crop(NamedTuple):
    """A square, upright view of a face.

    picture_to_crop  (2, 3) float64, maps pixel coordinates
    size             side of the crop, pixels
    """

    picture_to_crop: np.ndarray
    size: int

    @property
    def crop_to_picture(self) -> np.ndarray:
        """(2, 3) float64, the inverse of picture_to_crop."""
        return cv2.invertAffineTransform(self.picture_to_crop)

    @property
    def scale(self) -> float:
        """Crop pixels per picture pixel."""
        return float(np.hypot(*self.picture_to_crop[0, :2]))

    def landmarks_to_crop(self, landmarks: np.ndarray) -> np.ndarray:
        """(N, 3) picture pixels → (N, 3) crop pixels; z is scaled."""
        points = np.asarray(landmarks, np.float64)
        matrix = self.picture_to_crop
        moved = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        return np.column_stack([moved, points[:, 2] * self.scale])

    def inside(self, shape: tuple[int, ...]) -> np.ndarray:
        """(size, size) bool: where the crop shows a picture of this shape, and not its outside."""
        height, width = shape[:2]
        matrix = self.crop_to_picture
        steps = np.arange(self.size)
        px, py = (row[0] * steps + (row[1] * steps + row[2])[:, None] for row in matrix)
        return (px >= -0.5) & (px <= width - 0.5) & (py >= -0.5) & (py <= height - 0.5)

    def extract(self, picture: np.ndarray, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
        """(size, size, …) crop of an (H, W, …) picture; area-filtered where it shrinks."""
        return sample(picture, self.picture_to_crop, (self.size, self.size), border)


def resized_matrix(
    picture_to_view: np.ndarray, size: tuple[int, int], old: tuple[int, int]
) -> np.ndarray:
    """(2, 3) that maps a resized picture's pixels to where those of the old size go.

    size, old  (width, height) of the picture; pixels have their centres at whole numbers
    """
    factors = np.array([old[0] / size[0], old[1] / size[1]])
    matrix = np.array(picture_to_view, np.float64)
    matrix[:, 2] += matrix[:, :2] @ (0.5 * factors - 0.5)
    matrix[:, :2] *= factors
    return matrix


def sample(
    picture: np.ndarray,
    picture_to_view: np.ndarray,
    view_size: tuple[int, int],
    border: int = cv2.BORDER_CONSTANT,
) -> np.ndarray:
    """Resample part of an (H, W, …) picture without aliasing.

    picture_to_view  (2, 3), pixel coordinates with pixel centres at whole numbers
    view_size        (width, height) of the result, same dtype as the picture
    border           OpenCV border mode outside the picture
    """
    matrix = np.asarray(picture_to_view, np.float64)
    scale = float(np.hypot(*matrix[:, 0]))
    if scale > 0.7:
        return cv2.warpAffine(picture, matrix, view_size, flags=cv2.INTER_CUBIC, borderMode=border)
    x0, y0, x1, y1 = _visible_box(matrix, view_size, picture.shape)
    if x1 <= x0 or y1 <= y0:
        return np.zeros((view_size[1], view_size[0], *picture.shape[2:]), picture.dtype)
    # warpAffine reads single pixels only: shrink the visible part with an area filter first.
    width = max(1, round((x1 - x0) * scale))
    height = max(1, round((y1 - y0) * scale))
    small = cv2.resize(picture[y0:y1, x0:x1], (width, height), interpolation=cv2.INTER_AREA)
    factors = np.array([(x1 - x0) / width, (y1 - y0) / height])
    origin = np.array([x0, y0]) + 0.5 * factors - 0.5
    small_to_view = np.column_stack(
        [matrix[:, :2] * factors, matrix[:, :2] @ origin + matrix[:, 2]]
    )
    return cv2.warpAffine(
        small, small_to_view, view_size, flags=cv2.INTER_LINEAR, borderMode=border
    )


def _visible_box(
    matrix: np.ndarray, view_size: tuple[int, int], shape: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of the picture that a view shows, with a margin for the filters."""
    inverse = cv2.invertAffineTransform(matrix)
    width, height = view_size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    points = corners @ inverse[:, :2].T + inverse[:, 2]
    margin = 4 * float(np.hypot(*inverse[:, 0]))
    low = np.floor(points.min(axis=0) - margin).astype(int)
    high = np.ceil(points.max(axis=0) + margin).astype(int)
    x0, y0 = max(0, low[0]), max(0, low[1])
    return x0, y0, min(shape[1], high[0]), min(shape[0], high[1])


def face_crop(
    landmarks: np.ndarray,
    size: int = CROP_SIZE,
    scale: float = CROP_SCALE,
    shift_y: float = CROP_SHIFT_Y,
) -> Crop:
    """Crop around (478, 3) landmarks in picture pixels, eyes above mouth.

    size     side of the crop, pixels
    scale    side of the crop over the side of the face's square box
    shift_y  moves the centre along the face, in sides; negative shows more hair
    """
    points = np.asarray(landmarks, np.float64)[:, :2]
    eyes = points[list(EYE_CORNERS)].mean(axis=0)
    mouth = points[list(MOUTH_CORNERS)].mean(axis=0)
    down = mouth - eyes
    length = float(np.linalg.norm(down))
    down = down / length if length > 1e-3 else np.array([0.0, 1.0])
    right = np.array([down[1], -down[0]])
    axes = np.stack([right, down])

    face = points[_BELOW_FOREHEAD]
    mean = face.mean(axis=0)
    turned = (face - mean) @ axes.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    side = float((high - low).max()) * scale
    centre = mean + ((low + high) / 2) @ axes + down * (shift_y * side)

    factor = size / side
    matrix = np.zeros((2, 3))
    matrix[:, :2] = factor * axes
    matrix[:, 2] = size / 2 - factor * axes @ centre
    return Crop(matrix, size)
