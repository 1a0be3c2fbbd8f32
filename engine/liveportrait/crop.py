"""Upright square crops around a face: the frame in which LivePortrait's networks see it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ..renderer import ReportedError
from .layouts import anchor_points
from .quirks import SENSIBLE, Quirks

CROP_SIZE = 512
NETWORK_SIZE = 256


@dataclass(frozen=True)
class CropOptions:
    """How a crop square follows from landmarks.

    size       edge of the crop, pixels
    scale      crop edge / edge of the landmarks' square; larger shows more around the face
    vx_ratio, vy_ratio  shift of the centre along the face's own axes, in crop edges
    use_rotation  turn the crop so that the face stands upright
    """

    size: int = CROP_SIZE
    scale: float = 2.3
    vx_ratio: float = 0.0
    vy_ratio: float = -0.125
    use_rotation: bool = True


SOURCE_CROP = CropOptions()
LANDMARK_CROP = CropOptions(size=224, scale=1.5, vy_ratio=-0.1)
DRIVING_CROP = CropOptions(scale=2.2, vy_ratio=-0.1, use_rotation=False)


@dataclass(frozen=True)
class FaceSquare:
    """A square in picture pixels: centre (x, y), edge, clockwise angle in radians.

    Centre and edge are float32: along a video each crop depends on the one before, and only the
    official precision makes the same pixels.
    """

    center: np.ndarray
    edge: np.float32
    angle: float = 0.0

    def to_crop_matrix(self, size: int, *, use_rotation: bool = True) -> np.ndarray:
        """image_to_crop (3, 3) float32: maps the square onto a crop of size x size pixels."""
        angle = self.angle if use_rotation else 0.0
        factor = size / self.edge
        cosine, sine = math.cos(angle), math.sin(angle)
        (x, y), middle = self.center, np.float32(size / 2)
        matrix = [
            [factor * cosine, factor * sine, middle - factor * (cosine * x + sine * y)],
            [-factor * sine, factor * cosine, middle - factor * (-sine * x + cosine * y)],
            [0.0, 0.0, 1.0],
        ]
        return np.array(matrix, np.float32)

    def corners(self, *, use_rotation: bool = True) -> np.ndarray:
        """(4, 2) float32 corners from the top left, clockwise in the face's own frame."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        turn = np.array([[cosine, sine], [-sine, cosine]]) if use_rotation else np.eye(2)
        square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (self.edge / 2)
        return (self.center + square @ turn).astype(np.float32)


@dataclass(frozen=True)
class FaceCrop:
    """A crop and its place in the picture.

    image          (S, S, C), the picture's dtype
    image_to_crop, crop_to_image  (3, 3) float32 pixel coordinate transforms
    """

    image: np.ndarray
    image_to_crop: np.ndarray
    crop_to_image: np.ndarray


def face_square(
    landmarks: np.ndarray,
    options: CropOptions = SOURCE_CROP,
    *,
    use_lip: bool = True,
    quirks: Quirks = SENSIBLE,
) -> FaceSquare:
    """The square around (N, 2) landmarks, standing on the line from the eyes to the mouth.

    Raises ReportedError "bad_face" for landmarks that coincide or are not finite.
    """
    points = np.asarray(landmarks, np.float32)
    anchors = anchor_points(
        points, use_lip=use_lip, guesses_point_layouts=quirks.guesses_point_layouts
    )
    down = anchors[1] - anchors[0]
    length = np.linalg.norm(down)
    down = np.array([0, 1], np.float32) if length <= 1e-3 else down / length
    right = np.array([down[1], -down[0]], np.float32)
    angle = math.acos(min(max(float(right[0]), -1.0), 1.0))
    axes = np.stack([right, down])
    mean = points.mean(axis=0)
    upright = (points - mean) @ axes.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    edge = (high - low).max() * np.float32(options.scale)
    if not 0 < edge < np.inf:
        raise ReportedError("bad_face", "The face has no size.", "Draw a box around it.")
    middle = (low + high) / 2
    center = mean + right * middle[0] + down * middle[1]
    vx_ratio = 0.0 if quirks.ignores_crop_x_offset else options.vx_ratio
    center = (
        center + right * np.float32(vx_ratio * edge) + down * np.float32(options.vy_ratio * edge)
    )
    return FaceSquare(center, edge, -angle if right[1] < 0 else angle)


def crop_square(
    image: np.ndarray, square: FaceSquare, size: int = CROP_SIZE, *, use_rotation: bool = True
) -> FaceCrop:
    """Cut a square out of an (H, W, C) picture: bilinear, black (and clear) outside of it."""
    matrix = square.to_crop_matrix(size, use_rotation=use_rotation)
    crop = cv2.warpAffine(image, matrix[:2], (size, size), flags=cv2.INTER_LINEAR)
    return FaceCrop(crop, matrix, np.linalg.inv(matrix).astype(np.float32))


def crop_face(
    image: np.ndarray,
    landmarks: np.ndarray,
    options: CropOptions = SOURCE_CROP,
    *,
    quirks: Quirks = SENSIBLE,
) -> FaceCrop:
    """Cut the upright square around (N, 2) landmarks out of an (H, W, C) picture."""
    square = face_square(landmarks, options, quirks=quirks)
    return crop_square(image, square, options.size, use_rotation=options.use_rotation)


def crop_layers(
    pixels: np.ndarray, square: FaceSquare, size: int = CROP_SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a square out of an (H, W, 4) picture for our own renderer: crop and crop_to_image.

    Unlike crop_square it does not alias where a large face shrinks, and it continues colour and
    alpha beyond the picture's border, so that a head at the border does not drag black in.
    """
    matrix = square.to_crop_matrix(size).astype(np.float64)
    inverse = np.linalg.inv(matrix)
    corners = transform_points(np.array([[0, 0], [size, 0], [size, size], [0, size]]), inverse)
    shrink = max(int(float(square.edge) / size), 1)
    height, width = pixels.shape[:2]
    limits = np.array([width, height])
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2 * shrink, 0, limits - 1)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2 * shrink, low + 1, limits)
    part = pixels[low[1] : high[1], low[0] : high[0]]
    part_size = np.maximum((high - low) // shrink, 1)
    step = (high - low) / part_size
    if shrink > 1:
        part = cv2.resize(part, tuple(int(n) for n in part_size), interpolation=cv2.INTER_AREA)
    else:
        step = np.ones(2)
    part_to_image = np.diag([step[0], step[1], 1.0])
    part_to_image[:2, 2] = low + (step - 1) / 2
    crop = cv2.warpAffine(
        part,
        (matrix @ part_to_image)[:2],
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return crop, inverse.astype(np.float32)


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply a (3, 3) or (2, 3) affine matrix to (N, 2) points; float32."""
    points = np.asarray(points, np.float32)
    return points @ matrix[:2, :2].T.astype(np.float32) + matrix[:2, 2].astype(np.float32)


def upright_box(
    landmarks: np.ndarray, options: CropOptions = DRIVING_CROP, *, quirks: Quirks = SENSIBLE
) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of a driving frame's square, its rotation left out."""
    corners = face_square(landmarks, options, quirks=quirks).corners(use_rotation=False)
    return tuple(float(v) for v in (*corners[0], *corners[2]))  # type: ignore[return-value]


def mean_box(boxes: np.ndarray) -> tuple[float, float, float, float]:
    """The mean of (T, 4) boxes: one fixed crop for a whole driving video."""
    return tuple(float(v) for v in np.mean(boxes, axis=0))  # type: ignore[return-value]


def crop_box(
    image: np.ndarray, box: tuple[float, float, float, float], size: int = CROP_SIZE
) -> FaceCrop:
    """Cut an upright box out; its width is scaled to `size`, its centre to the crop's."""
    left, top, right, bottom = box
    center = np.array([(left + right) / 2, (top + bottom) / 2], np.float32)
    square = FaceSquare(center, np.float32(right - left))
    return crop_square(image, square, size)


def network_input(crop: np.ndarray) -> np.ndarray:
    """A source crop as the networks read it: 256 x 256, box filtered when it is reduced."""
    return cv2.resize(crop, (NETWORK_SIZE, NETWORK_SIZE), interpolation=cv2.INTER_AREA)


def driving_input(frame: np.ndarray) -> np.ndarray:
    """A whole frame or a driving crop as the networks read it: 256 x 256, bilinear."""
    return cv2.resize(frame, (NETWORK_SIZE, NETWORK_SIZE), interpolation=cv2.INTER_LINEAR)
