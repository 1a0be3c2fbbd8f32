"""A picture without what stands in front: its background goes on behind it."""

from __future__ import annotations

import cv2
import numpy as np

from .shapes import blurred, disc, smoothstep

_CLEAR = 5  # crop pixels around what is hidden from which no background is taken
_LEVELS = 7  # of the pyramid on which a hole is filled
_RELAXED = 6  # rounds of smoothing on each of its levels
_SAMPLED = 7  # of so many pixels one says how strong the grain is
_AROUND_ASKED = 9  # crop pixels, diameter
_BESIDE = 13.0  # crop pixels of the head beside a place that say what the head looks like


def filled_behind(pixels: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """(H, W, 4) float32: a picture whose covered parts are filled from what is around them.

    pixels  (H, W, 4) float32
    hidden  (H, W) bool, where the background is not seen
    """
    known = cv2.dilate(hidden.astype(np.uint8), disc(_CLEAR)) == 0
    if not known.any():
        return pixels
    smooth = _membrane(pixels, hidden)
    if smooth is None:
        return pixels
    filled = cv2.add(smooth, _grain(pixels, known))
    return cv2.copyTo(pixels, known.view(np.uint8), filled)


def guessed_behind(pixels: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """A smooth filled_behind without grain, quick."""
    smooth = _membrane(pixels, hidden, clear=1)
    return pixels if smooth is None else smooth


def _membrane(pixels: np.ndarray, hidden: np.ndarray, clear: int = _CLEAR) -> np.ndarray | None:
    """(H, W, 4) what is seen, and a smooth surface where it is hidden; None where nothing is seen.

    clear  crop pixels around what is hidden from which nothing is taken
    """
    # Half of the pixels in each direction are enough for what is smooth.
    half = (hidden.shape[1] // 2, hidden.shape[0] // 2)
    hidden = cv2.dilate(hidden.astype(np.uint8), disc(clear))
    known = cv2.resize(hidden.astype(np.float32), half, interpolation=cv2.INTER_AREA) == 0.0
    if not known.any():
        return None
    small = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
    return cv2.resize(_spread(small, known), hidden.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _grain(pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Paper, film and strokes, mirrored at the edge of what is seen; no outlines of things."""
    fine = pixels - cv2.GaussianBlur(pixels, (0, 0), 2.0)
    sampled = fine.reshape(-1, fine.shape[2])[np.flatnonzero(known)[::_SAMPLED]]
    limit = 2.5 * np.median(np.abs(sampled), axis=0).astype(np.float64)
    fine = cv2.max(cv2.min(fine, limit), -limit)
    fine = cv2.bitwise_and(fine, fine, mask=known.view(np.uint8))
    height, width = known.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    nearest_x, nearest_y = _nearest(known)
    return cv2.remap(fine, 2.0 * nearest_x - x, 2.0 * nearest_y - y, cv2.INTER_LINEAR)


def _nearest(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the known pixel next to each pixel, smoothed."""
    size, half = known.shape[::-1], (known.shape[1] // 2, known.shape[0] // 2)
    known = cv2.resize(known.astype(np.uint8), half, interpolation=cv2.INTER_NEAREST) > 0
    if not known.any():
        height, width = size[::-1]
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        return x, y
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(known)
    labels = labels.astype(np.intp)
    places = np.zeros((int(labels.max()) + 1, 2), np.float32)
    places[labels[rows, columns]] = np.stack([columns, rows], axis=1)
    smooth = cv2.GaussianBlur(places[labels], (0, 0), 2.0)
    x, y = cv2.split(cv2.resize(2.0 * smooth + 0.5, size, interpolation=cv2.INTER_LINEAR))
    return x, y


def likeness(
    pixels: np.ndarray, plate: np.ndarray, inner: np.ndarray, asked: np.ndarray
) -> np.ndarray:
    """(H, W) float32 0..1: where pixels are mixed of what is behind and of the head beside them.

    inner  (H, W) bool, surely the head
    asked  (H, W) bool, where it matters; elsewhere inner is taken for all there is
    """
    result = inner.astype(np.float32)
    # One pixel further than what is smoothed at last reads.
    places = cv2.dilate((asked & ~inner).view(np.uint8), disc(_AROUND_ASKED))
    places = np.flatnonzero(places)

    def seen(values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, values[0, 0].size).take(places, axis=0)

    head = seen(blurred(cv2.copyTo(pixels, inner.view(np.uint8)), _BESIDE))
    head /= np.maximum(seen(blurred(result, _BESIDE)), 1e-4)
    behind = seen(plate)
    apart, towards = seen(pixels) - behind, head - behind
    length = _dot(towards, towards) + 2e-3 * float((plate[::4, ::4, :3] ** 2).mean()) + 1e-12
    share = np.clip(_dot(apart, towards) / length, 0.0, 1.0)
    off = apart - towards * share[:, None]
    strange = np.sqrt(_dot(off, off) / length)
    result.put(places, smoothstep(share / 0.8) * (1.0 - smoothstep((strange - 0.35) / 0.4)))
    return cv2.GaussianBlur(result, (0, 0), 1.0)


def _dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.einsum("nc,nc->n", first, second)


def _spread(pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Known pixels as they are, and between them a membrane that hangs on their edge."""
    weight = known.astype(np.float32)
    levels = [(pixels * weight[..., None], weight)]
    for _ in range(_LEVELS):
        colours, weight = levels[-1]
        size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
        colours = cv2.resize(colours, size, interpolation=cv2.INTER_AREA)
        weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
        colours /= np.maximum(weight, 1e-6)[..., None]
        levels.append((colours, (weight > 1e-3).astype(np.float32)))
    colours, weight = levels.pop()
    result = np.where(weight[..., None] > 0, colours, colours.mean(axis=(0, 1)))
    for colours, weight in reversed(levels):
        result = cv2.resize(result, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        fixed = (weight > 0).view(np.uint8)
        for _ in range(_RELAXED):
            cv2.copyTo(colours, fixed, result)
            result = cv2.blur(result, (3, 3))
        cv2.copyTo(colours, fixed, result)
    return result
