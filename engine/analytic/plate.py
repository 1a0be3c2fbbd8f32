"""A picture without what stands in front: its background goes on behind it."""

from __future__ import annotations

import cv2
import numpy as np

from .shapes import blurred, disc, smoothstep
from .straight import drawn_on

_CLEAR = 5  # crop pixels around what is hidden from which no background is taken
_THIN = 5  # half crop pixels, odd: lines up to half as thick are thin
_THIN_BOX = np.ones((_THIN, _THIN), np.uint8)
_SEAM = 1.5  # half crop pixels
_LEVELS = 7  # of the pyramid on which a hole is filled
_RELAXED = 6  # rounds of smoothing on each of its levels
_SAMPLED = 7  # of so many pixels one says how strong the grain is
_AROUND_ASKED = 9  # crop pixels, diameter
_RIM = 25  # half crop pixels, diameter: how far a matte may reach beyond the head
_BESIDE_LINE = 0.3  # of the change next to a pixel of a guess by which it may be off
_ALIKE, _APART = 0.08, 0.25  # of the background's brightness; of its difference from the head
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
    # Thin lines that end there would smear the surface.
    even, apart = cv2.medianBlur(small, _THIN), cv2.erode(known.view(np.uint8), _THIN_BOX) > 0
    smooth = _spread(even, apart) if apart.any() else _spread(small, known)
    smooth = drawn_on(small, known, _joined(small, known, smooth))
    return cv2.resize(smooth, hidden.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _joined(small: np.ndarray, known: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """What is known, and a surface that leads up to it without a seam."""
    is_known = known.view(np.uint8)
    near = cv2.GaussianBlur(cv2.copyTo(small - smooth, is_known), (0, 0), _SEAM)
    return cv2.copyTo(small, is_known, smooth + 2.0 * near)


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


def goes_on(pixels: np.ndarray, plate: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """(H, W) float32 0..1: what a matte takes along although the background reaches in there.

    Between its edge and _RIM inside of it, as far as pixels look like `plate` without a break.

    plate  (H, W, 4) float32, the background as it would go on
    """
    size, half = matte.shape[::-1], (matte.shape[1] // 2, matte.shape[0] // 2)
    matte, pixels, plate = (
        cv2.resize(v, half, interpolation=cv2.INTER_AREA) for v in (matte, pixels, plate)
    )
    outside, core = matte < 0.02, cv2.erode((matte > 0.5).view(np.uint8), disc(_RIM)) > 0
    inner = core.astype(np.float32)
    head = blurred(cv2.copyTo(pixels, core.view(np.uint8)), _RIM / 2)
    head /= np.maximum(blurred(inner, _RIM / 2), 1e-4)[..., None]
    # A line may be drawn on a little beside its place.
    around = np.ones((3, 3), np.uint8)
    beside = cv2.dilate(plate, around) - cv2.erode(plate, around)
    places = np.flatnonzero(~outside & ~core)

    def seen(values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, 4).take(places, axis=0)

    behind = seen(plate)
    off = (np.abs(seen(pixels) - behind) - _BESIDE_LINE * seen(beside)).max(axis=1)
    sampled = np.flatnonzero(outside)[::_SAMPLED]
    fine = (pixels - cv2.blur(pixels, (3, 3))).reshape(-1, 4).take(sampled, axis=0)
    grain = float(np.median(np.abs(fine[:, :3].mean(axis=1)))) if len(sampled) else 0.0
    limit = _ALIKE * behind[:, :3].mean(axis=1) + 2.0 * grain
    limit = np.minimum(limit, _APART * np.abs(seen(head) - behind).max(axis=1))
    alike = outside.view(np.uint8).copy()
    alike.put(places, off < limit)
    alike = cv2.morphologyEx(alike, cv2.MORPH_OPEN, around)
    count, found = cv2.connectedComponents(alike, connectivity=4)
    labels = np.asarray(found, np.intp)
    is_reached = np.zeros(count, bool)
    is_reached[labels[outside]] = True
    is_reached[0] = False
    reached = is_reached.take(labels)
    taken = cv2.resize((reached & ~outside).astype(np.float32), size)
    return cv2.GaussianBlur(taken, (0, 0), 1.0)


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
