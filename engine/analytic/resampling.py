"""A picture read at displaced positions: once, by a cubic filter, and only where it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from ..alpha import premultiplied, straight
from ..renderer import Rectangle
from .aside import share
from .tone import to_unit

_FILTER_REACH = 4  # picture pixels that resampling reads around a position
_BANDS = 8  # of rows, each as wide as what is drawn in it
_LEAST_ROWS = 24


def resampled(
    canvas: np.ndarray,
    area: Rectangle,
    shift: tuple[np.ndarray, np.ndarray],
    drawn: np.ndarray,
    has_emission: bool,
) -> np.ndarray:
    """(height, width, 4) of the canvas's dtype: `area` of the canvas under displacements.

    shift         x and y (height, width) float32 picture pixels to where a pixel is taken from
    drawn         (height, width) uint8, what is wanted; elsewhere the result is undefined
    has_emission  the picture has glows, see SourceImage
    """
    height, width = canvas.shape[:2]
    reach_x, reach_y = (int(np.abs(values).max()) + _FILTER_REACH for values in shift)
    x0, y0 = max(area.x - reach_x, 0), max(area.y - reach_y, 0)
    x1 = min(area.x + area.width + reach_x, width)
    y1 = min(area.y + area.height + reach_y, height)
    source, origin = canvas[y0:y1, x0:x1], (area.x - x0, area.y - y0)
    if not _is_opaque(source):
        associated = premultiplied(to_unit(source), has_emission)
        moved = straight(_cubic(associated, shift, drawn, origin), has_emission)
        if canvas.dtype == np.uint8:
            return np.rint(np.clip(moved, 0.0, 1.0) * 255.0).astype(np.uint8)
        return moved
    if canvas.dtype != np.uint8:
        return _cubic(source, shift, drawn, origin)
    # A quarter of the work, for an alpha that is the same everywhere.
    colours = cv2.cvtColor(source, cv2.COLOR_RGBA2RGB)
    return cv2.cvtColor(_cubic(colours, shift, drawn, origin), cv2.COLOR_RGB2RGBA)


def _cubic(
    source: np.ndarray,
    shift: tuple[np.ndarray, np.ndarray],
    drawn: np.ndarray,
    origin: tuple[int, int],
) -> np.ndarray:
    """The source under displacements; origin: x and y in it of the area's first pixel."""
    moved = np.zeros((*drawn.shape, source.shape[2]), source.dtype)
    limits = None
    if source.dtype != np.uint8:
        low, high = float(source.min()), float(source.max())
        if not np.isfinite([low, high]).all():
            finite = source[np.isfinite(source)]
            low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
            # One infinite or undefined pixel would spread over all that the filter reaches.
            source = np.nan_to_num(source, nan=low, posinf=high, neginf=low)
        limits = low, high

    def fill(part: tuple[slice, slice]) -> None:
        rows, columns = part
        x = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(origin[0])
        y = np.arange(rows.start, rows.stop, dtype=np.float32) + np.float32(origin[1])
        target = moved[part]
        at = shift[0][part] + x, shift[1][part] + y[:, None]
        mode = cv2.BORDER_REPLICATE
        cv2.remap(source, *at, cv2.INTER_CUBIC, dst=target, borderMode=mode)
        if limits is not None:
            # Cubic weights overshoot.
            np.clip(target, *limits, out=target)

    works: list[Callable[[], None]] = [partial(fill, part) for part in _parts(drawn)]
    share(works)
    return moved


def _parts(drawn: np.ndarray) -> list[tuple[slice, slice]]:
    """Rows and columns of bands that hold all that is drawn."""
    height = len(drawn)
    step = max(-(-height // _BANDS), _LEAST_ROWS)
    parts = []
    for start in range(0, height, step):
        columns = np.flatnonzero(drawn[start : start + step].any(axis=0))
        if len(columns):
            rows = slice(start, min(start + step, height))
            parts.append((rows, slice(int(columns[0]), int(columns[-1]) + 1)))
    return parts


def _is_opaque(pixels: np.ndarray) -> bool:
    alpha = cv2.extractChannel(pixels, 3)
    return bool(alpha.min() >= (255 if pixels.dtype == np.uint8 else 1.0))
