"""Finds cats' faces by OpenCV's cat-face cascade, so that they need no box drawn by hand.

OpenCV 5 no longer carries cascades, so this evaluates the same one (a boosted cascade of Haar
features by Joseph Howse, see NOTICE) with numpy: 20 stages of stumps on rectangle sums, on a
pyramid of the picture. Unlike OpenCV's it also looks at the picture turned, since cats tilt
their heads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from ..motion import Face

WINDOW = 24
WORKING_SIDE = 320  # pixels of the longer side of the picture that is searched
PYRAMID_STEP = 1.1
COARSE_SIDE = 90  # larger levels of the pyramid are searched at every second pixel
SMALLEST_SHARE = 0.12  # side of the smallest face over the picture's shorter side
TURNS_DEGREES = ((0.0,), (-20.0, 20.0), (-40.0, 40.0))
# The cascade's window reaches to the ears' feet, a face's box from the eyes to the chin.
BOX_SHARE = 0.72
MINIMUM_NEIGHBOURS = 5
OVERLAP = 0.4
SAME_FACE = 0.2
_EPSILON = 1e-5  # as in OpenCV, thresholds are lowered by this


@dataclass(frozen=True)
class Cascade:
    """boxes (F, 3, 4) x, y, width, height and weights (F, 3) of the features; per stump feature,
    threshold and votes (below, not below); per stage number of stumps and limit."""

    boxes: np.ndarray
    weights: np.ndarray
    features: np.ndarray
    thresholds: np.ndarray
    votes: np.ndarray
    stage_counts: np.ndarray
    stage_limits: np.ndarray


@cache
def load_cascade() -> Cascade:
    """The cascade beside this file."""
    with np.load(Path(__file__).with_name("cat_face.npz"), allow_pickle=False) as archive:
        return Cascade(**archive)


def find_cat_faces(rgb: np.ndarray) -> list[Face]:
    """Cats' faces of an (H, W, 3) uint8 picture, surest first; `roll` tells how they are turned."""
    height, width = rgb.shape[:2]
    shrink = min(1.0, WORKING_SIDE / max(height, width))
    size = (max(round(width * shrink), 1), max(round(height * shrink), 1))
    grey = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    for turns in TURNS_DEGREES:
        found = [pair for degrees in turns for pair in _find_turned(grey, degrees, shrink)]
        if found:
            return _distinct(found)
    return []


def _find_turned(grey: np.ndarray, degrees: float, shrink: float) -> list[tuple[int, Face]]:
    """(number of windows, face) of faces that are turned clockwise by this angle."""
    size = (grey.shape[1], grey.shape[0])
    center = ((size[0] - 1) / 2, (size[1] - 1) / 2)
    to_upright = cv2.getRotationMatrix2D(center, degrees, 1.0)
    upright = cv2.warpAffine(grey, to_upright, size, borderMode=cv2.BORDER_REPLICATE)
    back = cv2.invertAffineTransform(to_upright)
    found: list[tuple[int, Face]] = []
    for (x, y, side), count in group(scan(upright)):
        x_middle, y_middle = (back @ [x + side / 2, y + side / 2, 1.0] / shrink).tolist()
        half = BOX_SHARE * float(side) / 2 / shrink
        box = (x_middle - half, y_middle - half, x_middle + half, y_middle + half)
        found.append((count, Face(box=box, roll=degrees)))
    return found


def scan(grey: np.ndarray) -> np.ndarray:
    """(N, 3) x, y, side in pixels of every window that passes all stages."""
    windows: list[np.ndarray] = []
    smallest = max(SMALLEST_SHARE * min(grey.shape), WINDOW)
    factor = smallest / WINDOW
    while min(grey.shape) / factor >= WINDOW:
        size = (round(grey.shape[1] / factor), round(grey.shape[0] / factor))
        level = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        corners = _passing(level)
        side = np.full((len(corners), 1), WINDOW)
        windows.append(np.hstack([corners, side]) * factor)
        factor *= PYRAMID_STEP
    return np.concatenate(windows) if windows else np.empty((0, 3))


def _passing(level: np.ndarray) -> np.ndarray:
    """(N, 2) x, y of the 24 px windows of a picture that pass all stages."""
    cascade = load_cascade()
    height, width = level.shape
    if height < WINDOW or width < WINDOW:
        return np.empty((0, 2))
    sums, squares = cv2.integral2(level)
    step = 2 if max(height, width) > COARSE_SIDE else 1
    y, x = (a.ravel() for a in np.mgrid[: height - WINDOW + 1 : step, : width - WINDOW + 1 : step])
    places = y * sums.shape[1] + x
    corners = _corner_offsets(sums.shape[1])
    inner = WINDOW - 2  # contrast is measured without the outermost pixels
    area = float(inner * inner)
    frame = _offsets(np.array([1, 1, inner, inner]), sums.shape[1])
    total = _box_sums(sums.ravel(), places, frame).astype(np.float64)
    spread = area * _box_sums(squares.ravel(), places, frame) - total * total
    has_contrast = spread > area * area
    places, scale = places[has_contrast], np.sqrt(spread[has_contrast])
    flat = sums.ravel()
    first = 0
    for count, limit in zip(cascade.stage_counts, cascade.stage_limits, strict=True):
        votes = np.zeros(len(places))
        for stump in range(first, first + int(count)):
            feature = int(cascade.features[stump])
            value = np.zeros(len(places))
            for offsets, weight in zip(corners[feature], cascade.weights[feature], strict=True):
                if weight:
                    value += weight * _box_sums(flat, places, offsets)
            low, high = cascade.votes[stump]
            votes += np.where(value < cascade.thresholds[stump] * scale, low, high)
        keep = votes >= limit - _EPSILON
        places, scale = places[keep], scale[keep]
        first += int(count)
        if not len(places):
            break
    rows, columns = np.divmod(places, sums.shape[1])
    return np.column_stack([columns, rows]).astype(np.float64)


def _offsets(boxes: np.ndarray, stride: int) -> np.ndarray:
    """(..., 4) offsets of a box's four corners in the flat table of sums."""
    x, y, width, height = np.moveaxis(boxes.astype(np.int64), -1, 0)
    top, bottom = y * stride, (y + height) * stride
    return np.stack([bottom + x + width, bottom + x, top + x + width, top + x], axis=-1)


def _corner_offsets(stride: int) -> np.ndarray:
    """(F, 3, 4) offsets of all features' boxes."""
    return _offsets(load_cascade().boxes, stride)


def _box_sums(flat: np.ndarray, places: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    a, b, c, d = (flat.take(places + int(offset)) for offset in offsets)
    return a - b - c + d


def group(windows: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """Neighbouring windows (N, 3) as their mean and number; lone ones are left out."""
    rest = windows
    groups: list[tuple[np.ndarray, int]] = []
    while len(rest):
        overlaps = _overlaps(rest[0], rest)
        # Grow once around the first group's mean, so that the start does not decide.
        mean = rest[overlaps > OVERLAP].mean(axis=0)
        belongs = _overlaps(mean, rest) > OVERLAP
        belongs[0] = True
        if belongs.sum() >= MINIMUM_NEIGHBOURS:
            groups.append((rest[belongs].mean(axis=0), int(belongs.sum())))
        rest = rest[~belongs]
    return groups


def _overlaps(window: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Intersection over union of one square with (N, 3) squares."""
    low = np.maximum(window[:2], windows[:, :2])
    high = np.minimum(window[:2] + window[2], windows[:, :2] + windows[:, 2:])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=1)
    return shared / (window[2] ** 2 + windows[:, 2] ** 2 - shared)


def _distinct(found: list[tuple[int, Face]]) -> list[Face]:
    """Each face once, in the turn that most windows agree on; scores are relative to the best."""
    chosen: list[tuple[int, Face]] = []
    for count, face in sorted(found, key=lambda item: -item[0]):
        taken = np.array([_square(other) for _, other in chosen]).reshape(-1, 3)
        if not len(taken) or _overlaps(_square(face), taken).max() < SAME_FACE:
            chosen.append((count, face))
    return [replace(face, score=count / chosen[0][0]) for count, face in chosen]


def _square(face: Face) -> np.ndarray:
    return np.array([face.box[0], face.box[1], face.box[2] - face.box[0]])
