"""Faces in a picture: MediaPipe's short-range detector, over the whole picture and over tiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

from .models import load

_SIDE = 128
_KEYPOINTS = 6
# Side of the cells of an anchor grid in network pixels, and anchors per cell.
_GRIDS = ((8, 2), (16, 6))

WHOLE_THRESHOLD = 0.4
# Tiles are many and cut through things: ask for more certainty there.
TILE_THRESHOLD = 0.65
_OVERLAP_LIMIT = 0.3
_WORKING_SIDE = 2048  # pictures are analysed at most this large, pixels of the long side
_SMALLEST_TILE = 160  # pixels of the working picture
_TILE_LIMIT = 140


@dataclass(frozen=True)
class Detection:
    """A face as detected, in picture pixels.

    box        (4,) float64 x0, y0, x1, y1, from the brows to the chin
    keypoints  (6, 2) float64: eye on the picture's left, on its right, nose tip, mouth, left ear,
               right ear of the picture
    score      0..1
    is_whole_view  seen in a view of the whole picture, and not only in a tile
    """

    box: np.ndarray
    keypoints: np.ndarray
    score: float
    is_whole_view: bool = True

    @property
    def size(self) -> float:
        """The longer side of the box, pixels."""
        return float((self.box[2:] - self.box[:2]).max())


def detect(rgb: np.ndarray) -> list[Detection]:
    """Faces of an (H, W, 3) uint8 sRGB picture, largest first; empty when there are none.

    Raises ReportedError "no_models".
    """
    height, width = rgb.shape[:2]
    shrink = min(1.0, _WORKING_SIDE / max(height, width))
    picture = rgb
    if shrink < 1.0:
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        picture = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    found = _detect_square(picture, _whole_square(picture), WHOLE_THRESHOLD)
    for square in _tiles(*picture.shape[:2]):
        found += _detect_square(picture, square, TILE_THRESHOLD)
    merged = merge(found)
    return [_scaled(d, width / picture.shape[1], height / picture.shape[0]) for d in merged]


def merge(detections: list[Detection]) -> list[Detection]:
    """Weighted non-maximum suppression: overlapping detections become their mean, largest first."""
    rest = sorted(detections, key=lambda d: -d.score)
    merged: list[Detection] = []
    while rest:
        best = rest[0]
        overlaps = [_overlap(best.box, d.box) for d in rest]
        group = [d for d, overlap in zip(rest, overlaps, strict=True) if overlap > _OVERLAP_LIMIT]
        rest = [d for d, overlap in zip(rest, overlaps, strict=True) if overlap <= _OVERLAP_LIMIT]
        merged.append(_mean_of_alike(best, group))
    return sorted(merged, key=lambda d: -d.size)


def _mean_of_alike(best: Detection, group: list[Detection]) -> Detection:
    # Boxes of another scale are a part or a surrounding of the face, not a second opinion.
    alike = [d for d in group if 0.7 < d.size / best.size < 1.4]
    weights = np.array([d.score for d in alike])
    box = np.average([d.box for d in alike], axis=0, weights=weights)
    keypoints = np.average([d.keypoints for d in alike], axis=0, weights=weights)
    return Detection(box, keypoints, best.score, any(d.is_whole_view for d in group))


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over the smaller area: also catches a box inside another."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    intersection = float(np.prod(np.maximum(high - low, 0.0)))
    smaller = min(float(np.prod(b[2:] - b[:2])) for b in (first, second))
    return intersection / max(smaller, 1e-9)


@cache
def _anchors() -> np.ndarray:
    """(896, 2) float32 anchor centres, 0..1 of the network's view."""
    centres: list[tuple[float, float]] = []
    for cell, count in _GRIDS:
        cells = _SIDE // cell
        for y in range(cells):
            for x in range(cells):
                centres += [((x + 0.5) / cells, (y + 0.5) / cells)] * count
    return np.array(centres, np.float32)


def _whole_square(picture: np.ndarray) -> tuple[float, float, float]:
    """(x0, y0, side) of the square around the picture's centre that holds all of it."""
    height, width = picture.shape[:2]
    side = max(height, width)
    return (width - side) / 2, (height - side) / 2, side


def _tiles(height: int, width: int) -> list[tuple[float, float, float]]:
    """Half-overlapping squares (x0, y0, side), of ever smaller sides while there are few enough."""
    squares: list[tuple[float, float, float]] = []
    side = min(height, width) if max(height, width) > 1.5 * min(height, width) else 0
    side = side or min(height, width) * 0.55
    while side >= _SMALLEST_TILE:
        layer = [(x, y, side) for y in _starts(height, side) for x in _starts(width, side)]
        if len(squares) + len(layer) > _TILE_LIMIT:
            break
        squares += layer
        side *= 0.55
    return squares


def _starts(length: int, side: float) -> np.ndarray:
    count = 1 + int(np.ceil((length - side) / (0.5 * side))) if length > side else 1
    return np.linspace(0.0, length - side, count)


def _detect_square(
    picture: np.ndarray, square: tuple[float, float, float], threshold: float
) -> list[Detection]:
    """Run the network on one square; outside the picture it sees black."""
    x0, y0, side = square
    is_whole_view = side >= max(picture.shape[:2])
    net = load("face_detection_short_range")
    net.setInput(cv2.dnn.blobFromImage(_cut(picture, square), 1 / 127.5, mean=(127.5,) * 3))
    raw, logits = (np.asarray(o) for o in net.forward(["regressors", "classificators"]))
    scores = 1 / (1 + np.exp(-np.clip(logits.reshape(-1).astype(np.float64), -80, 80)))
    keep = np.flatnonzero(scores >= threshold)
    if not keep.size:
        return []
    values = raw.reshape(len(scores), -1)[keep].astype(np.float64) / _SIDE
    anchors = _anchors()[keep]
    origin = np.array([x0, y0]) - 0.5  # from unit squares to pixel centres
    centres = (values[:, :2] + anchors) * side + origin
    half = values[:, 2:4] * side / 2
    points = values[:, 4 : 4 + 2 * _KEYPOINTS].reshape(-1, _KEYPOINTS, 2) + anchors[:, None]
    boxes = np.concatenate([centres - half, centres + half], axis=1)
    detections = [
        Detection(box, keypoints * side + origin, float(score), is_whole_view)
        for box, keypoints, score in zip(boxes, points, scores[keep], strict=True)
    ]
    return [d for d in merge(detections) if not _is_cut(d.box, square, picture.shape)]


def _is_cut(box: np.ndarray, square: tuple[float, float, float], shape: tuple[int, ...]) -> bool:
    """Whether the border of a tile, rather than the picture's, cuts through the face."""
    x0, y0, side = square
    tile = np.array([x0, y0, x0 + side, y0 + side])
    picture = np.array([0.0, 0.0, shape[1], shape[0]])
    sign = np.array([1, 1, -1, -1])
    is_inner = sign * (tile - picture) > 1.0
    return bool((is_inner & (sign * (box - tile) < 0.0)).any())


def _cut(picture: np.ndarray, square: tuple[float, float, float]) -> np.ndarray:
    """The square as (128, 128, 3) uint8, area-filtered, black outside the picture."""
    height, width = picture.shape[:2]
    x0, y0, side = square
    left, top = max(0, round(x0)), max(0, round(y0))
    right, bottom = min(width, round(x0 + side)), min(height, round(y0 + side))
    part = picture[top:bottom, left:right]
    factor = _SIDE / side
    size = (
        min(_SIDE, max(1, round(part.shape[1] * factor))),
        min(_SIDE, max(1, round(part.shape[0] * factor))),
    )
    flag = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    view = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    x = min(max(0, round((left - x0) * factor)), _SIDE - size[0])
    y = min(max(0, round((top - y0) * factor)), _SIDE - size[1])
    view[y : y + size[1], x : x + size[0]] = cv2.resize(part, size, interpolation=flag)
    return view


def _scaled(detection: Detection, x: float, y: float) -> Detection:
    factors = np.array([x, y])
    offset = 0.5 * factors - 0.5
    return replace(
        detection,
        box=detection.box * np.tile(factors, 2) + np.tile(offset, 2),
        keypoints=detection.keypoints * factors + offset,
    )
