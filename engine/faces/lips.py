"""Fitting the edges of the mouth to the picture.

The mesh network places lips from the look of the whole face and is often a few millimetres off
under beards, on painted and on pouting mouths. Rendering would then open the mouth beside the line
between the lips. Here that line, or both edges of an open mouth, are looked for in the picture.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .canonical import (
    CHIN,
    LIP_LOWER_INNER,
    LIP_LOWER_INNER2,
    LIP_LOWER_MIDDLE,
    LIP_LOWER_OUTER,
    LIP_UPPER_INNER,
    LIP_UPPER_INNER2,
    LIP_UPPER_MIDDLE,
    LIP_UPPER_OUTER,
    SUBNASALE,
    fit_pose,
)

_UPPER = (LIP_UPPER_INNER, LIP_UPPER_INNER2, LIP_UPPER_MIDDLE, LIP_UPPER_OUTER)
_LOWER = (LIP_LOWER_INNER, LIP_LOWER_INNER2, LIP_LOWER_MIDDLE, LIP_LOWER_OUTER)
# How far the rings follow the edge of the opening. A closed mouth moves as a whole.
_FOLLOW_CLOSED = (1.0, 0.97, 0.9, 0.8)
_FOLLOW_OPEN = (1.0, 0.9, 0.7, 0.4)
_OPEN_GAP = 0.38  # cm between the lips from which both edges are looked for

_DARK = 90.0  # grey level; faces below it are looked at in more light
_COLUMNS = 41
_REACH, _STEP = 0.55, 0.025  # cm searched up and down, cm per sample
_LIP_LINE = 0.12  # cm; half the width of the dark line between closed lips
_PRIOR = 0.30  # cm; how far off the network is expected to be
_PRIOR_OF_GAP = 0.3
_LIP_DEPTHS = (0.55, 0.75, 0.95, 1.4)  # of its thickness: three in the lip and one beyond
_BEND = 0.35  # cost of one sample's change of height from column to column
_WEAK, _CLEAR = 4.0, 12.0  # grey levels: below no edge is believed, above it is fully


def fit_lips(view: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Landmarks with the lips moved up or down to where the picture shows them.

    view       (size, size, 3) uint8 sRGB crop
    landmarks  (478, 3) crop pixels
    Returns a (478, 3) float64 copy.
    """
    fitted = np.array(landmarks, np.float64)
    per_cm = fit_pose(landmarks).scale
    colours = cv2.cvtColor(_lifted(view, fitted), cv2.COLOR_RGB2LAB).astype(np.float32)
    colours = cv2.GaussianBlur(colours, (0, 0), max(0.6, 0.03 * per_cm))
    upper, lower = (fitted[list(ring), :2] for ring in (LIP_UPPER_INNER, LIP_LOWER_INNER))
    down = _down(fitted) * per_cm
    gap = float(((lower - upper) @ down)[5]) / per_cm**2
    if gap < _OPEN_GAP:
        shift = _search((upper + lower) / 2, colours, down, _valley)[:, None] * down
        shifts, follow = (shift, shift), _FOLLOW_CLOSED
    else:
        shifts = _open_edges(fitted, colours, down)
        follow = _FOLLOW_OPEN
    moves = np.zeros((len(fitted), 2))
    counts = np.zeros(len(fitted))
    for rings, shift in zip((_UPPER, _LOWER), shifts, strict=True):
        for ring, share in zip(rings, follow, strict=True):
            moves[list(ring)] += share * shift
            counts[list(ring)] += 1
    fitted[:, :2] += moves / np.maximum(counts, 1)[:, None]  # corners belong to both lips
    return fitted


def _lifted(view: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The view, lighter where the face is dark: edges are told by differences of grey levels."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    x0, y0 = np.clip(low.astype(int), 0, None)
    part = view[y0 : int(high[1]), x0 : int(high[0])]
    middle = float(np.median(part)) if part.size else 255.0
    if middle >= _DARK:
        return view
    levels = np.arange(256) * (_DARK / max(middle, 1.0))
    return cv2.LUT(view, np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def _down(landmarks: np.ndarray) -> np.ndarray:
    """(2,) unit vector across the mouth, towards the chin."""
    x, y = landmarks[LIP_UPPER_INNER[-1], :2] - landmarks[LIP_UPPER_INNER[0], :2]
    down = np.array([-y, x]) / max(float(np.hypot(x, y)), 1e-6)
    towards_chin = landmarks[CHIN, :2] - landmarks[SUBNASALE, :2]
    return down if down @ towards_chin > 0 else -down


def _search(
    edge: np.ndarray,
    colours: np.ndarray,
    down: np.ndarray,
    strength_of: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """(11,) cm by which the vertices of an edge should move down.

    edge  (11, 2) from corner to corner; down  (2,) pixels per cm
    """
    places = np.linspace(0, len(edge) - 1, _COLUMNS)
    base = np.column_stack([np.interp(places, np.arange(len(edge)), edge[:, k]) for k in (0, 1)])
    heights = np.arange(-_REACH - 0.2, _REACH + 0.2 + 1e-6, _STEP)
    points = (base[None] + heights[:, None, None] * down).astype(np.float32)
    strip = cv2.remap(
        colours, points[..., 0], points[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    strength = strength_of(strip)
    inside = np.abs(heights) <= _REACH + 1e-6
    heights, strength = heights[inside], strength[inside]
    scale = max(float(np.percentile(strength, 97)), _WEAK)
    path = _best_path(heights, np.minimum(strength / scale, 1.2))
    found = strength[path, np.arange(_COLUMNS)]
    middle = slice(_COLUMNS // 6, -(_COLUMNS // 6))
    belief = np.clip((float(np.median(found[middle])) - _WEAK) / (_CLEAR - _WEAK), 0.0, 1.0)
    smooth = cv2.GaussianBlur(heights[path][None].astype(np.float32), (0, 0), 2.0)[0]
    # Lips fade out at the corners, and the skin's folds begin there.
    fade = np.minimum(1.0, 0.5 + 3.0 * np.minimum(places, places[::-1]) / len(edge))
    return np.interp(np.arange(len(edge)), places, belief * fade * smooth)


def _valley(strip: np.ndarray) -> np.ndarray:
    """(H, W) how much darker than above and below, grey levels: the line between closed lips."""
    light = strip[..., 0]
    offset = round(_LIP_LINE / _STEP)
    padded = np.pad(light, ((offset, offset), (0, 0)), mode="edge")
    above, below = padded[: -2 * offset], padded[2 * offset :]
    return np.maximum(np.minimum(above, below) - light, 0.0)


def _open_edges(
    landmarks: np.ndarray, colours: np.ndarray, down: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(11, 2) pixels each by which the upper and the lower edge of an open mouth should move.

    Teeth and cavity look unlike the lips beside them: an edge lies where what is towards the lip
    looks like lip and what is towards the middle like the inside.
    """
    per_cm = float(np.hypot(*down))
    places = np.linspace(0, 10, _COLUMNS)
    lines = [
        np.column_stack(
            [np.interp(places, np.arange(11), landmarks[list(ring), k]) for k in (0, 1)]
        )
        for ring in (LIP_UPPER_OUTER, LIP_UPPER_INNER, LIP_LOWER_INNER, LIP_LOWER_OUTER)
    ]
    inside = _inside_colours(lines[1], lines[2], colours)
    gap = float(np.max((lines[2] - lines[1]) @ down)) / per_cm**2
    prior = float(np.clip(_PRIOR_OF_GAP * gap, _PRIOR / 3, _PRIOR))
    shifts = []
    for outer, edge, other, sign in ((*lines[:3], -1.0), (*lines[:0:-1], 1.0)):
        # Heights grow from the middle of the mouth towards the lip.
        heights = np.arange(-_REACH, _REACH + 1e-6, _STEP)
        out = _outwards(edge, sign * down)
        strip = _look(colours, edge[None] + heights[:, None, None] * out)
        thick = np.maximum(2.0 * _LIP_LINE, np.hypot(*(outer - edge).T) / per_cm)
        depths = np.array(_LIP_DEPTHS)[:, None] * thick
        beside = _look(colours, edge[None] + depths[..., None] * out)
        lip, skin = np.median(beside[:-1], axis=0), beside[-1]
        to_lip = np.minimum(*(np.linalg.norm(strip - _calm(c), axis=-1) for c in (lip, skin)))
        unlike = np.linalg.norm(inside - np.median(lip, axis=0), axis=1)
        own = inside[unlike > min(_CLEAR, 0.5 * float(unlike.max()))]
        to_inside = np.linalg.norm(strip[:, :, None] - own, axis=-1).min(axis=-1)
        likeness = np.clip((to_lip - to_inside) / _CLEAR, -1.0, 1.0)
        half = 0.8 * np.abs((other - edge) @ down) / per_cm**2
        likeness[heights[:, None] < -half] = 0.0
        gain = np.cumsum(likeness, axis=0) * _STEP / _LIP_LINE
        strength = gain - np.where(heights[:, None] < -half, 1.0, 0.0)
        path = _best_path(heights, strength, prior)
        smooth = cv2.GaussianBlur(heights[path][None].astype(np.float32), (0, 0), 1.2)[0]
        clear = np.abs(likeness).max(axis=0)
        fade = np.minimum(1.0, 4.0 * np.minimum(places, places[::-1]) / 10) * (clear > 0.3)
        moves = (fade * smooth)[:, None] * out
        shifts.append(
            np.column_stack([np.interp(np.arange(11), places, moves[:, k]) for k in (0, 1)])
        )
    return shifts[0], shifts[1]


def _outwards(edge: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """(41, 2) directions across an edge, as long as `towards`, which they lean to."""
    along = cv2.GaussianBlur(
        np.gradient(edge, axis=0).astype(np.float32), (0, 0), sigmaX=0.1, sigmaY=2.0
    )
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    across *= np.sign(across @ towards + 1e-9)[:, None]
    across /= np.maximum(np.hypot(*across.T), 1e-6)[:, None]
    mixed = across + 0.5 * towards / np.hypot(*towards)
    return mixed * (np.hypot(*towards) / np.hypot(*mixed.T))[:, None]


def _calm(colours: np.ndarray) -> np.ndarray:
    """(41, 3) colours along a lip, halfway between what is around and what is typical."""
    local = cv2.GaussianBlur(colours[None], (0, 0), 3.0)[0]
    return 0.5 * (local + np.median(colours, axis=0))


def _look(colours: np.ndarray, points: np.ndarray) -> np.ndarray:
    x, y = (np.ascontiguousarray(points[..., i], np.float32) for i in (0, 1))
    return cv2.remap(colours, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _inside_colours(upper: np.ndarray, lower: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """(K, 3) typical colours between the edges (41, 2) of an open mouth: teeth, cavity, tongue."""
    within = slice(_COLUMNS // 7, -(_COLUMNS // 7))
    shares = np.linspace(0.05, 0.95, 19)[:, None, None]
    seen = _look(colours, upper[within] + shares * (lower - upper)[within])
    middle = seen[5:-5].reshape(-1, 3)
    order = np.argsort(middle[:, 0], kind="stable")
    found = [np.median(part, axis=0) for part in np.array_split(middle[order], 4)]
    # Teeth may show at the edges alone; what is redder than the middle there is lip.
    bright = np.median(seen[seen[..., 0] >= np.percentile(seen[..., 0], 95)], axis=0)
    if _chroma(bright) < max(map(_chroma, found)) + 0.5 * _CLEAR:
        found.append(bright)
    return np.stack(found)


def _chroma(colour: np.ndarray) -> float:
    return float(np.hypot(colour[1] - 128.0, colour[2] - 128.0))


def _best_path(heights: np.ndarray, strength: np.ndarray, prior: float = _PRIOR) -> np.ndarray:
    """(W,) row of each column: a smooth line along strong rows, near the middle (Viterbi)."""
    cost = np.ascontiguousarray(((0.5 * (heights / prior) ** 2)[:, None] - strength).T)
    steps = np.arange(-2, 3)
    bends = (_BEND * steps * steps)[:, None]
    columns, rows = cost.shape
    back = np.zeros((rows, columns), int)
    here = np.arange(rows)
    padded = np.full(rows + 4, np.inf)
    total = padded[2:-2]
    total[:] = cost[0]
    # Row k of it is `total` moved by steps[k].
    moved = np.lib.stride_tricks.as_strided(padded, (5, rows), 2 * padded.strides)
    for column in range(1, columns):
        ways = moved + bends
        choice = ways.argmin(axis=0)
        back[:, column] = here + steps[choice]
        np.add(ways[choice, here], cost[column], out=total)
    path = np.empty(columns, int)
    path[-1] = int(total.argmin())
    for column in range(columns - 1, 0, -1):
        path[column - 1] = back[path[column], column]
    return path
