"""Put a moved face crop back over the picture: a feathered seam, float32, alpha kept."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from ..renderer import NOTHING, Rectangle
from .crop import CROP_SIZE

FEATHER_PX = 16


@lru_cache(maxsize=4)
def feather_mask(size: int = CROP_SIZE, feather: int = FEATHER_PX) -> np.ndarray:
    """(size, size) float32: 1 inside, falling to 0 at the edges, with rounded corners."""
    ramp = np.minimum(np.arange(size), size - np.arange(size))
    missing = np.maximum(feather - ramp, 0)
    mask = np.clip(feather - np.hypot(missing[:, None], missing[None, :]), 0, feather) / feather
    mask = mask.astype(np.float32)
    mask.setflags(write=False)
    return mask


def official_mask(crop_to_image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The seam mask (H, W, 1) float32 with the official 8-bit steps, for parity."""
    template = np.floor(255 * feather_mask().astype(np.float64)).astype(np.uint8)
    height, width = shape
    mask = cv2.warpAffine(template, crop_to_image[:2], (width, height), flags=cv2.INTER_LINEAR)
    return mask[..., None].astype(np.float32) / 255


def official_paste_back(
    face: np.ndarray, crop_to_image: np.ndarray, image: np.ndarray
) -> np.ndarray:
    """Paste an 8-bit RGB face crop over an 8-bit RGB picture as the official code does."""
    height, width = image.shape[:2]
    mask = official_mask(crop_to_image, (height, width))
    warped = cv2.warpAffine(face, crop_to_image[:2], (width, height), flags=cv2.INTER_LINEAR)
    return np.clip(mask * warped + (1 - mask) * image, 0, 255).astype(np.uint8)


def covered_rectangle(crop_to_image: np.ndarray, size: int, shape: tuple[int, int]) -> Rectangle:
    """The part of an (H, W) picture that a crop may change."""
    height, width = shape
    corners = np.array([[0, 0], [size, 0], [size, size], [0, size]]) @ crop_to_image[:2, :2].T
    corners = corners + crop_to_image[:2, 2]
    left, top = np.floor(corners.min(axis=0)).astype(int) - 1
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 2
    left, top = max(int(left), 0), max(int(top), 0)
    right, bottom = min(int(right), width), min(int(bottom), height)
    return (
        Rectangle(left, top, right - left, bottom - top)
        if right > left and bottom > top
        else NOTHING
    )


def warp_to_rectangle(
    crop: np.ndarray, crop_to_image: np.ndarray, rectangle: Rectangle
) -> np.ndarray:
    """An (S, S[, C]) float32 crop as it lies in a rectangle of the picture, zero around it.

    A crop that shrinks to less than half is box filtered first, so that it does not alias.
    """
    matrix = crop_to_image.astype(np.float64)
    matrix = np.array([[1, 0, -rectangle.x], [0, 1, -rectangle.y], [0, 0, 1.0]]) @ matrix
    shrink = int(1.0 / max(float(np.sqrt(abs(np.linalg.det(matrix[:2, :2])))), 1e-3))
    if shrink > 1:
        size = max(crop.shape[0] // shrink, 1)
        step = crop.shape[0] / size
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
        shift = (step - 1) / 2
        matrix = matrix @ np.array([[step, 0, shift], [0, step, shift], [0, 0, 1.0]])
    return cv2.warpAffine(
        crop, matrix[:2], (rectangle.width, rectangle.height), flags=cv2.INTER_LINEAR
    )


def comparison_strip(tiles: list[np.ndarray], size: int = CROP_SIZE) -> np.ndarray:
    """Pictures side by side, each scaled to size x size: (size, N * size, C)."""
    return np.concatenate([cv2.resize(tile, (size, size)) for tile in tiles], axis=1)
