"""Small geometry shared by the deformers and the layers: falloffs, curves, filled outlines."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

SUBDIVISIONS = 4  # curve points per span between two landmarks
_WIDE_SIGMA = 12.0  # pixels, from which blurs are done at a lower resolution
_SHIFT = 8  # fractional bits of cv2.fillPoly's coordinates


def smoothstep(t: np.ndarray | float) -> np.ndarray:
    """0 below 0, 1 above 1, and 3t² - 2t³ between."""
    clipped = np.clip(t, 0.0, 1.0)
    return clipped * clipped * (3.0 - 2.0 * clipped)


def falloff(distance_squared: np.ndarray, radius: float) -> np.ndarray:
    """Gaussian of a squared distance; `radius` is its standard deviation."""
    return np.exp(-distance_squared / (2.0 * radius * radius))


@cache
def _catmull_rom(count: int) -> np.ndarray:
    """(M, count) weights that turn control points into a curve through them."""
    spans = count - 1
    t = np.arange(SUBDIVISIONS) / SUBDIVISIONS
    basis = 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], 1
    )
    weights = np.zeros((spans * SUBDIVISIONS + 1, count + 2))
    for span in range(spans):
        weights[span * SUBDIVISIONS : (span + 1) * SUBDIVISIONS, span : span + 4] += basis
    weights[-1, count] = 1.0
    # The two points beyond the ends continue the first and the last span.
    ends = np.zeros((count + 2, count))
    ends[1:-1] = np.eye(count)
    ends[0, :2] = ends[-1, -1:-3:-1] = (2.0, -1.0)
    return weights @ ends


def curve(points: np.ndarray) -> np.ndarray:
    """(N, 2) control points → ((N - 1) * SUBDIVISIONS + 1, 2) smooth curve through them."""
    return _catmull_rom(len(points)) @ np.asarray(points, np.float64)


def filled(outline: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Coverage of a polygon.

    outline  (N, 2) pixels, pixel centres at whole numbers
    size     (width, height)
    Returns (height, width) float32 0..1, antialiased.
    """
    mask = np.zeros((size[1], size[0]), np.uint8)
    fixed = np.round(np.asarray(outline) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SHIFT)
    return mask.astype(np.float32) / 255.0


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; `sigma` in pixels, nothing happens below a tenth."""
    if sigma <= 0.1:
        return image
    if sigma <= _WIDE_SIGMA:
        return cv2.GaussianBlur(image, (0, 0), sigma)
    # Nothing finer than the blur survives it: do it on fewer pixels.
    height, width = image.shape[:2]
    shrink = _WIDE_SIGMA / 2.0 / sigma
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), _WIDE_SIGMA / 2.0), (width, height))


def half_ellipse_below(line: np.ndarray, depth: float) -> np.ndarray:
    """Outline of the area under an opening: its (N, 2) middle line, closed by an arc below.

    depth  of the arc, in widths of the line
    """
    chord = line[-1] - line[0]
    width = float(np.hypot(*chord))
    down = np.array([-chord[1], chord[0]]) / max(width, 1e-6)
    if down[1] < 0:
        down = -down
    t = np.linspace(1.0, 0.0, 16)[:, None]
    bulge = np.sqrt(np.maximum(0.0, 1.0 - (2.0 * t - 1.0) ** 2))
    return np.concatenate([line, line[0] + chord * t + down * (width * depth) * bulge])


def disc(diameter: int) -> np.ndarray:
    """A round structuring element, uint8."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
