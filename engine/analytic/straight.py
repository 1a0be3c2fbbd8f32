"""Straight lines and edges that go on behind what hides them.

A door frame, a horizon or a shelf is cut by a head's outline. What is straight right up to there is
drawn on along its own direction; all else is left to the smooth surface that it is drawn on.
"""

from __future__ import annotations

import cv2
import numpy as np

from .shapes import smoothstep

_BAND = 5  # pixels across, at the edge of what is hidden, where lines are looked for
_TENSOR = 2.5  # pixels, around which a direction is measured
_COHERENT = 0.7  # of 1: how much of the change lies in one direction
_FAINT = 0.04  # of the picture's brightness: fainter edges are grain
_TRACED, _LEAST_TRACED = 16, 6  # pixels of straight line that are followed, and must be seen
_STEPS = 5  # pixels along a line that are looked at together
_UNEVEN = 0.2  # of its contrast by which a line may change along them
_TOUCHING = 0.4  # cosine between a line and the way into what is hidden
_MOST = 900  # pixels that are looked at: those of the clearest lines
_TURN = 6  # degrees to each side in which a better direction is looked for
_BESIDE = 4.0  # pixels, around which lines have one direction
_LEAST_REACH, _REACH = 14.0, 56.0  # pixels that lines go on; they fade in the last quarter
# A line goes on for so many times what is seen of it beyond a shortest one, pixels.
_FURTHER, _SHORT = 1.6, 4.0


def drawn_on(pixels: np.ndarray, known: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """(H, W, 4) float32: `smooth` with the straight lines of what is known drawn on.

    pixels  (H, W, 4) float32
    known   (H, W) bool, where they are seen
    smooth  (H, W, 4) float32 for where they are not
    """
    grey = pixels[..., :3].mean(axis=2)
    seeds, along, contrast = _ends_of_lines(grey, known)
    if not len(seeds):
        return smooth
    seeds, along, reach = _straight(grey, known, seeds, along, contrast)
    if not len(seeds):
        return smooth
    return _cast(pixels, known, smooth, seeds, along, reach)


def _ends_of_lines(
    grey: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, 2) x and y where lines meet what is hidden, (N, 2) directions into it, (N,) contrast."""
    seen = cv2.erode(known.view(np.uint8), np.ones((3, 3), np.uint8))
    down, right = (cv2.Scharr(grey, cv2.CV_32F, *d) for d in ((0, 1), (1, 0)))
    down, right = (np.multiply(v, seen * np.float32(1.0 / 32.0)) for v in (down, right))
    squares = (cv2.multiply(*pair) for pair in ((right, right), (down, down), (right, down)))
    xx, yy, xy = (cv2.GaussianBlur(v, (0, 0), _TENSOR) for v in squares)
    apart = cv2.magnitude(xx - yy, 2.0 * xy)
    brightness = max(float(grey[known][::16].mean()), 1e-9)
    edge = cv2.dilate((~known).view(np.uint8), np.ones((_BAND, _BAND), np.uint8)) > 0
    is_line = (apart > _COHERENT * (xx + yy)) & (xx + yy > (0.3 * _FAINT * brightness) ** 2)
    rows, columns = np.nonzero(is_line & edge & (seen > 0))
    angle = 0.5 * np.arctan2(2.0 * xy[rows, columns], (xx - yy)[rows, columns]) + np.pi / 2
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    hidden = cv2.GaussianBlur((~known).astype(np.float32), (0, 0), 3.0)
    inwards = np.stack(
        [cv2.Sobel(hidden, cv2.CV_32F, *d)[rows, columns] for d in ((1, 0), (0, 1))], axis=1
    )
    inwards /= np.maximum(np.linalg.norm(inwards, axis=1, keepdims=True), 1e-6)
    entering = (along * inwards).sum(axis=1)
    along *= np.where(entering < 0.0, -1.0, 1.0)[:, None]
    box = np.ones((9, 9), np.uint8)
    dark = cv2.erode(np.where(known, grey, np.float32(np.inf)), box)[rows, columns]
    bright = cv2.dilate(np.where(known, grey, np.float32(-np.inf)), box)[rows, columns]
    contrast = bright - dark
    kept = np.flatnonzero(contrast > _FAINT * brightness)
    if kept.size > _MOST:
        kept = np.sort(kept[np.argpartition(-contrast[kept], _MOST)[:_MOST]])
    # Beside a line that only just touches what is hidden, both ways may lead into it.
    beside = kept[np.abs(entering[kept]) < _TOUCHING]
    seeds = np.stack([columns, rows], axis=1).astype(np.float32)
    both = np.concatenate([kept, beside])
    return seeds[both], np.concatenate([along[kept], -along[beside]]), contrast[both]


def _straight(
    grey: np.ndarray,
    known: np.ndarray,
    seeds: np.ndarray,
    along: np.ndarray,
    contrast: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Those of the seeds behind which lines are straight, their best direction, and (N,) pixels
    that they go on."""
    middle = np.rint(np.degrees(np.arctan2(along[:, 1], along[:, 0]))).astype(np.intp)
    degrees = middle[:, None] + np.arange(-_TURN, _TURN + 1)
    angles = np.radians(degrees)
    towards = np.stack([np.cos(angles), np.sin(angles)], axis=2).astype(np.float32)
    steps = np.arange(0.0, _TRACED, dtype=np.float32)
    at = seeds[:, None, None] - towards[:, :, None] * steps[:, None]  # (N, angles, steps, 2)
    flat = at.reshape(len(seeds), -1, 2)
    x, y = flat[..., 0], flat[..., 1]
    values = cv2.remap(grey, x, y, cv2.INTER_LINEAR).reshape(-1, steps.size)
    # Steps of a slanting line's pixels are no bends.
    values = cv2.blur(values, (_STEPS, 1)).reshape(at.shape[:3])
    seen = cv2.remap(
        known.astype(np.float32),
        x,
        y,
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(-1.0,),
    )
    seen = seen.reshape(at.shape[:3])
    is_in, is_hidden = seen > 0.5, (seen > -0.5) & (seen < 0.5)
    count = np.maximum(is_in.sum(axis=2), 1)
    mean = (values * is_in).sum(axis=2) / count
    off = ((values - mean[..., None]) ** 2 * is_in).sum(axis=2) / count
    off = np.sqrt(off) / contrast[:, None]
    off[(count < _LEAST_TRACED) | (is_hidden.sum(axis=2) > 1)] = 1.0
    own = off.min(axis=1)
    # A line's own pixels and those beside it go the same way.
    table = np.ones((len(seeds), 360), np.float32)
    np.put_along_axis(table, degrees % 360, np.minimum(off, 1.0).astype(np.float32), axis=1)
    apart = seeds[:, None] - seeds[None]
    near = np.exp((apart**2).sum(axis=2) * np.float32(-0.5 / _BESIDE**2))
    near /= near.sum(axis=1, keepdims=True)
    shared = np.take_along_axis(near @ table, degrees % 360, axis=1)
    best = np.clip(shared.argmin(axis=1), 1, 2 * _TURN - 1)
    rows = np.arange(len(seeds))
    before, here, after = (shared[rows, best + k] for k in (-1, 0, 1))
    more = np.clip(0.5 * (before - after) / np.maximum(before + after - 2.0 * here, 1e-6), -1, 1)
    angle = np.radians(degrees[rows, best] + more)
    seen_share = np.minimum(count[rows, best] / steps.size, 1.0)
    kept = (own < _UNEVEN * seen_share) & (here < 2.0 * _UNEVEN)
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    seeds, along = seeds[kept], along[kept]
    if not len(seeds):
        return seeds, along, own[kept]
    run = _runs(grey, known, seeds, along, contrast[kept])
    return seeds, along, np.clip(_FURTHER * (run - _SHORT), _LEAST_REACH, _REACH)


def _runs(
    grey: np.ndarray, known: np.ndarray, seeds: np.ndarray, along: np.ndarray, contrast: np.ndarray
) -> np.ndarray:
    """(N,) pixels for which lines have been straight before they reach their seeds."""
    steps = np.arange(0.0, _SHORT + _REACH / _FURTHER, dtype=np.float32)[:, None]
    x, y = (seeds[:, k, None] - along[:, k, None] * steps[:, 0] for k in (0, 1))
    values = cv2.blur(cv2.remap(grey, x, y, cv2.INTER_LINEAR), (_STEPS, 1))
    seen = cv2.remap(known.astype(np.float32), x, y, cv2.INTER_NEAREST, borderValue=(0.0,))
    near = np.median(values[:, :_LEAST_TRACED], axis=1)
    is_on = (np.abs(values - near[:, None]) < 2.0 * _UNEVEN * contrast[:, None]) & (seen > 0.5)
    return np.cumprod(is_on[:, 2:], axis=1).sum(axis=1) + 2.0


def _cast(
    pixels: np.ndarray,
    known: np.ndarray,
    smooth: np.ndarray,
    seeds: np.ndarray,
    along: np.ndarray,
    reach: np.ndarray,
) -> np.ndarray:
    back = seeds[:, None] - along[:, None] * np.arange(_TRACED, dtype=np.float32)[:, None]
    colours = cv2.remap(pixels, back[..., 0], back[..., 1], cv2.INTER_LINEAR)
    colours = np.median(colours, axis=1)
    steps = np.arange(0.0, _REACH, 0.7, dtype=np.float32)
    at = np.rint(seeds[:, None] + along[:, None] * steps[:, None]).astype(np.intp)
    height, width = known.shape
    is_in = (at >= 0).all(axis=2) & (at[..., 0] < width) & (at[..., 1] < height)
    flat = np.clip(at[..., 1], 0, height - 1) * width + np.clip(at[..., 0], 0, width - 1)
    hidden = ~known.ravel()[flat] & is_in
    # A line ends where it comes out again.
    out = np.cumsum(~hidden & (steps > _BAND), axis=1) > 0
    opaque = 1.0 - smoothstep(4.0 * steps / reach[:, None] - 3.0)
    share = opaque / (1.0 + 0.1 * steps)
    share = np.where(hidden & ~out, share, 0.0)
    taken, who = share > 0, np.broadcast_to(np.arange(len(seeds))[:, None], share.shape)
    flat, who, share = flat[taken], who[taken], share[taken]
    opaque = opaque[taken]
    total = np.bincount(flat, share, height * width)
    opacity = np.zeros(height * width, np.float32)
    np.maximum.at(opacity, flat, opaque.astype(np.float32))
    planes = [np.bincount(flat, share * colours[who, c], height * width) for c in range(4)]
    drawn = np.stack(planes, axis=1).astype(np.float32).reshape(height, width, 4)
    # Positions were rounded: half a pixel of blur closes the gaps between neighbouring rays.
    weight = total.astype(np.float32).reshape(height, width)
    drawn, weight = (cv2.GaussianBlur(v, (3, 3), 0.5) for v in (drawn, weight))
    drawn /= np.maximum(weight, 1e-6)[..., None]
    opacity = cv2.GaussianBlur(opacity.reshape(height, width), (3, 3), 0.6)[..., None]
    opacity = opacity * (~known)[..., None]
    return smooth + (drawn - smooth) * np.minimum(opacity, 1.0)
