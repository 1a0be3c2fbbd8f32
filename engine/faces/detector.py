"""Faces in a picture of any size: MediaPipe's short-range detector at several scales.

The network was made for views of 128 pixels, but it is convolutional: on a larger picture it looks
everywhere at once, as on tiles without end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .models import load

_SIDE = 128
_KEYPOINTS = 6
_GREY = 127.5  # the network's zero, with which it also pads
# The network's grids: side of a cell in network pixels, and anchors per cell.
_GRIDS = ((8, 2), (16, 6))
_OUTPUTS = ("classificator_8", "regressor_8", "classificator_16", "regressor_16")
_STRIDE = 16

WHOLE_THRESHOLD = 0.4
# Closer views are many and cut through things: ask for more certainty there.
CLOSE_THRESHOLD = 0.65
_OVERLAP_LIMIT = 0.3
# The finest look is for faces of this side in picture pixels; the network is sure of faces from
# 20 network pixels on, measured on portraits of people, paintings and a statue.
SMALLEST_FACE = 40.0
_FINEST_FACE = 22.0
# Beside a large face nobody looks for those that are so many times smaller.
MUCH_SMALLER = 16.0
_LEVEL_STEP = 0.5
_BLOCK = 1024  # network pixels; bounds memory and the time between two reports
_BLOCK_OVERLAP = 128  # faces cut by a block's border are whole in the next one or a level up

Fraction = Callable[[float], None]  # is told how much is done, 0..1; may raise to stop


@dataclass(frozen=True)
class Detection:
    """A face as detected, in picture pixels.

    box        (4,) float64 x0, y0, x1, y1, from the brows to the chin
    keypoints  (6, 2) float64: eye on the picture's left, on its right, nose tip, mouth, left ear,
               right ear of the picture
    score      0..1
    is_whole_view  seen in a view of the whole picture, and not only from closer
    """

    box: np.ndarray
    keypoints: np.ndarray
    score: float
    is_whole_view: bool = True

    @property
    def size(self) -> float:
        """The longer side of the box, pixels."""
        return float((self.box[2:] - self.box[:2]).max())


def detect(
    rgb: np.ndarray, report: Fraction | None = None, smallest: float = SMALLEST_FACE
) -> list[Detection]:
    """Faces of an (H, W, 3) uint8 sRGB picture, largest first; empty when there are none.

    report    is told the share of the work done, 0..1, and may raise to stop it
    smallest  side of the smallest faces that are looked for, pixels
    Raises ReportedError "no_models".
    """
    height, width = rgb.shape[:2]
    square = _whole_square(rgb)
    step = square[2] / _SIDE
    seen = _run(_cut(rgb, square), WHOLE_THRESHOLD)
    found = [_placed(d, (step, step), (square[0] - 0.5, square[1] - 0.5)) for d in seen]
    levels = _levels(height, width, _FINEST_FACE / smallest)
    blocks = [_blocks(*size) for size in levels]
    todo, done, picture = sum(map(len, blocks)), 0, rgb
    for size, corners in zip(levels, blocks, strict=True):
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        to_picture = (width / size[0], height / size[1])
        for corner in corners:
            seen = _detect_block(picture, corner)
            found += [_placed(d, to_picture, (-0.5, -0.5)) for d in seen]
            done += 1
            if report is not None:
                report(done / todo)
    return merge(found)


def smallest_beside(rgb: np.ndarray) -> float:
    """Side in pixels of the smallest faces that matter in an (H, W, 3) uint8 sRGB picture.

    SMALLEST_FACE, or that doubled as often as a large face allows that is surely seen at a glance.
    """
    square = _whole_square(rgb)
    seen = _run(_cut(rgb, square), WHOLE_THRESHOLD)
    sizes = [detection.size for detection in seen if detection.score >= CLOSE_THRESHOLD]
    largest = max(sizes, default=0.0) * square[2] / _SIDE
    doublings = np.floor(np.log2(max(largest / (MUCH_SMALLER * SMALLEST_FACE), 1.0)))
    return float(SMALLEST_FACE * 2.0**doublings)


def merge(detections: list[Detection]) -> list[Detection]:
    """Weighted non-maximum suppression: overlapping detections become their mean, largest first."""
    rest = sorted(detections, key=lambda d: -d.score)
    boxes = np.array([d.box for d in rest]).reshape(-1, 4)
    is_free = np.ones(len(rest), bool)
    merged: list[Detection] = []
    for index, best in enumerate(rest):
        if is_free[index]:
            is_near = is_free & (_overlaps(best.box, boxes) > _OVERLAP_LIMIT)
            is_free &= ~is_near
            merged.append(_mean_of_alike(best, [rest[i] for i in np.flatnonzero(is_near)]))
    return sorted(merged, key=lambda d: -d.size)


def _mean_of_alike(best: Detection, group: list[Detection]) -> Detection:
    # Boxes of another scale are a part or a surrounding of the face, not a second opinion.
    alike = [d for d in group if 0.7 < d.size / best.size < 1.4]
    weights = np.array([d.score for d in alike])
    box = np.average([d.box for d in alike], axis=0, weights=weights)
    keypoints = np.average([d.keypoints for d in alike], axis=0, weights=weights)
    return Detection(box, keypoints, best.score, any(d.is_whole_view for d in group))


def _overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) intersection over the smaller area: also catches a box inside another."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    intersection = np.prod(np.maximum(high - low, 0.0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return intersection / np.maximum(np.minimum(areas, np.prod(box[2:] - box[:2])), 1e-9)


def _whole_square(picture: np.ndarray) -> tuple[float, float, float]:
    """(x0, y0, side) of the square around the picture's centre that holds all of it."""
    height, width = picture.shape[:2]
    side = max(height, width)
    return (width - side) / 2, (height - side) / 2, side


def _levels(height: int, width: int, scale: float) -> list[tuple[int, int]]:
    """(width, height) of the closer views, finest first, until the whole view takes over."""
    sizes: list[tuple[int, int]] = []
    while scale * max(height, width) > 1.5 * _SIDE:
        sizes.append((max(1, round(width * scale)), max(1, round(height * scale))))
        scale *= _LEVEL_STEP
    return sizes


def _blocks(width: int, height: int) -> list[tuple[int, int]]:
    """(x, y) of the corners of overlapping blocks that cover a view."""
    return [(x, y) for y in _starts(height) for x in _starts(width)]


def _detect_block(picture: np.ndarray, corner: tuple[int, int]) -> list[Detection]:
    """Whole faces in one block of a view, in the view's pixels as unit squares."""
    x, y = corner
    block = picture[y : y + _BLOCK, x : x + _BLOCK]
    limits = np.array([x, y, x + block.shape[1], y + block.shape[0]], np.float64)
    edges = np.array([0.0, 0.0, picture.shape[1], picture.shape[0]])
    found = [_placed(d, (1.0, 1.0), corner) for d in merge(_run(block, CLOSE_THRESHOLD))]
    return [replace(d, is_whole_view=False) for d in found if not _is_cut(d.box, limits, edges)]


def _starts(length: int) -> list[int]:
    """Where blocks begin, so that neighbours overlap and the last one ends with the picture."""
    if length <= _BLOCK:
        return [0]
    count = 1 + int(np.ceil((length - _BLOCK) / (_BLOCK - _BLOCK_OVERLAP)))
    return [round(start) for start in np.linspace(0, length - _BLOCK, count)]


def _is_cut(box: np.ndarray, block: np.ndarray, picture: np.ndarray) -> bool:
    """Whether the border of a block, rather than the picture's, cuts through the face."""
    sign = np.array([1, 1, -1, -1])
    is_inner = sign * (block - picture) > 1.0
    return bool((is_inner & (sign * (box - block) < 0.0)).any())


def _run(view: np.ndarray, threshold: float) -> list[Detection]:
    """What the network sees in an (h, w, 3) uint8 view, in its pixels as unit squares."""
    height, width = view.shape[:2]
    below, right = -height % _STRIDE, -width % _STRIDE
    blob = cv2.dnn.blobFromImage(view, 1 / 127.5, mean=(_GREY,) * 3)
    net = load("face_detection_short_range")
    net.setInput(np.pad(blob, ((0, 0), (0, 0), (0, below), (0, right))))
    outputs = [np.asarray(output)[0] for output in net.forward(list(_OUTPUTS))]
    detections: list[Detection] = []
    for logits, raw, (cell, count) in zip(outputs[::2], outputs[1::2], _GRIDS, strict=True):
        scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -80, 80)))
        for anchor, row, column in np.argwhere(scores >= threshold):
            values = raw.reshape(count, -1, *raw.shape[1:])[anchor, :, row, column]
            points = values.astype(np.float64).reshape(-1, 2)
            place = np.array([column + 0.5, row + 0.5]) * cell
            box = np.concatenate([points[0] - points[1] / 2, points[0] + points[1] / 2])
            keypoints = points[2 : 2 + _KEYPOINTS] + place
            score = float(scores[anchor, row, column])
            detections.append(Detection(box + np.tile(place, 2), keypoints, score))
    return detections


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


def _placed(
    detection: Detection, step: tuple[float, float], origin: tuple[float, float]
) -> Detection:
    """A detection scaled and then shifted."""
    box = detection.box * np.tile(step, 2) + np.tile(origin, 2)
    return replace(detection, box=box, keypoints=detection.keypoints * step + np.array(origin))
