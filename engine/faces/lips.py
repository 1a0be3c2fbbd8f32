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
_OPEN_GAP = 0.3  # cm between the lips from which both edges are looked for

_COLUMNS = 41
_REACH, _STEP = 0.55, 0.025  # cm searched up and down, cm per sample
_LIP_LINE = 0.12  # cm; half the width of the dark line between closed lips
_PRIOR = 0.30  # cm; how far off the network is expected to be
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
    colours = cv2.cvtColor(view, cv2.COLOR_RGB2LAB).astype(np.float32)
    colours = cv2.GaussianBlur(colours, (0, 0), max(0.6, 0.03 * per_cm))
    upper, lower = (fitted[list(ring), :2] for ring in (LIP_UPPER_INNER, LIP_LOWER_INNER))
    down = _down(fitted) * per_cm
    gap = float(((lower - upper) @ down)[5]) / per_cm**2
    if gap < _OPEN_GAP:
        shift = _search((upper + lower) / 2, colours, down, _valley)
        shifts, follow = (shift, shift), _FOLLOW_CLOSED
    else:
        shifts = tuple(_search(edge, colours, down, _contrast) for edge in (upper, lower))
        follow = _FOLLOW_OPEN
    moves = np.zeros((len(fitted), 2))
    counts = np.zeros(len(fitted))
    for rings, shift in zip((_UPPER, _LOWER), shifts, strict=True):
        for ring, share in zip(rings, follow, strict=True):
            moves[list(ring)] += share * shift[:, None] * down
            counts[list(ring)] += 1
    fitted[:, :2] += moves / np.maximum(counts, 1)[:, None]  # corners belong to both lips
    return fitted


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
    path = _best_path(heights, strength)
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


def _contrast(strip: np.ndarray) -> np.ndarray:
    """(H, W) change of colour from above to below, grey levels: the edge of an open mouth."""
    offset = round(0.5 * _LIP_LINE / _STEP)
    padded = np.pad(strip, ((offset, offset), (0, 0), (0, 0)), mode="edge")
    change = padded[2 * offset :] - padded[: -2 * offset]
    return np.linalg.norm(change, axis=-1)


def _best_path(heights: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """(W,) row of each column: a smooth line along strong rows, near the middle (Viterbi)."""
    scale = max(float(np.percentile(strength, 97)), _WEAK)
    cost = (0.5 * (heights / _PRIOR) ** 2)[:, None] - np.minimum(strength / scale, 1.2)
    steps = np.arange(-2, 3)
    total = cost[:, 0].copy()
    rows, columns = cost.shape
    back = np.zeros((rows, columns), int)
    for column in range(1, columns):
        padded = np.pad(total, 2, constant_values=np.inf)
        ways = np.stack([padded[2 + s : 2 + s + rows] + _BEND * s * s for s in steps])
        choice = ways.argmin(axis=0)
        back[:, column] = np.arange(rows) + steps[choice]
        total = ways.min(axis=0) + cost[:, column]
    path = np.empty(columns, int)
    path[-1] = int(total.argmin())
    for column in range(columns - 1, 0, -1):
        path[column - 1] = back[path[column], column]
    return path
