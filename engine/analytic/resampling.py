"""A picture read at displaced positions: once, by a cubic filter, and only where it is drawn."""

from __future__ import annotations

import cv2
import numpy as np

from ..alpha import premultiplied, straight
from ..renderer import Rectangle
from .tone import to_unit

_FILTER_REACH = 4  # picture pixels that resampling reads around a position
_BANDS = 8  # of rows, each as wide as what is drawn in it
_LEAST_ROWS = 24
_LOOKED_AT = 1 << 20  # pixels at a time

Shift = tuple[np.ndarray, ...]  # x and y (rows, columns) float32 picture pixels


class Reader:
    """What a frame of one face is taken from.

    pixels  (H, W, 4) the picture
    """

    def __init__(
        self, pixels: np.ndarray, shift: Shift, area: Rectangle, has_emission: bool
    ) -> None:
        """Prepare to read the pixels of `area`.

        shift         the longest displacements there are among these
        has_emission  the picture has glows, see SourceImage
        """
        self.pixels = pixels
        self._has_emission = has_emission
        self._region = self._reached(area, shift)
        region = pixels[self._region]
        self._is_opaque = _is_opaque(region)
        self._limits = None
        if pixels.dtype != np.uint8 and self._is_opaque:
            self._limits = _finite_limits(region)

    def detach(self, same: np.ndarray | None) -> None:
        """Read from elsewhere, for the picture changes meanwhile.

        same  a picture; it is read where it is the same in the region, else a copy of that is
        """
        rows, columns = self._region
        region = self.pixels[self._region]
        if same is not None and same.shape == self.pixels.shape and same.dtype == region.dtype:
            step = max(_LOOKED_AT // region.shape[1], 1)
            starts = range(rows.start, rows.stop, step)
            parts = [slice(start, min(start + step, rows.stop)) for start in starts]
            if all(
                cv2.norm(same[part, columns], self.pixels[part, columns], cv2.NORM_INF) == 0.0
                for part in parts
            ):
                self.pixels = same
                return
        own = np.empty_like(self.pixels)
        own[self._region] = region
        self.pixels = own

    def _reached(self, area: Rectangle, shift: Shift) -> tuple[slice, slice]:
        height, width = self.pixels.shape[:2]
        reach_x, reach_y = (int(_longest(values)) + _FILTER_REACH for values in shift)
        return (
            slice(max(area.y - reach_y, 0), min(area.y + area.height + reach_y, height)),
            slice(max(area.x - reach_x, 0), min(area.x + area.width + reach_x, width)),
        )

    def read(self, area: Rectangle, shift: Shift, drawn: np.ndarray) -> np.ndarray:
        """(height, width, 4) of the picture's dtype: `area` under displacements.

        shift  x and y (height, width) float32 picture pixels to where a pixel is taken from
        drawn  (height, width) uint8, what is wanted; elsewhere the result is undefined
        """
        region = self._reached(area, shift)
        source, is_byte = self.pixels[region], self.pixels.dtype == np.uint8
        origin = (area.x - region[1].start, area.y - region[0].start)
        if not self._is_opaque:
            associated = premultiplied(to_unit(source), self._has_emission)
            limits = _finite_limits(associated)
            moved = _cubic(associated, shift, drawn, origin, limits)
            moved = straight(moved, self._has_emission)
            if is_byte:
                return np.rint(np.clip(moved, 0.0, 1.0) * 255.0).astype(np.uint8)
            return moved
        if not is_byte:
            return _cubic(source, shift, drawn, origin, self._limits)
        # A quarter of the work, for an alpha that is the same everywhere.
        colours = cv2.cvtColor(source, cv2.COLOR_RGBA2RGB)
        return cv2.cvtColor(_cubic(colours, shift, drawn, origin), cv2.COLOR_RGB2RGBA)


def _finite_limits(pixels: np.ndarray) -> tuple[float, float]:
    """The least and the largest value that is a number."""
    low, high = float(pixels.min()), float(pixels.max())
    if np.isfinite([low, high]).all():
        return low, high
    finite = pixels[np.isfinite(pixels)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _cubic(
    source: np.ndarray,
    shift: Shift,
    drawn: np.ndarray,
    origin: tuple[int, int],
    limits: tuple[float, float] | None = None,
) -> np.ndarray:
    """The source under displacements.

    origin  x and y in it of the area's first pixel
    limits  of floats: what no result exceeds, and undefined pixels become
    """
    moved = np.zeros((*drawn.shape, source.shape[2]), source.dtype)
    if limits is not None and not np.isfinite(source).all():
        # One infinite or undefined pixel would spread over all that the filter reaches.
        source = np.nan_to_num(source, nan=limits[0], posinf=limits[1], neginf=limits[0])
    for rows, columns in _parts(drawn):
        x = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(origin[0])
        y = np.arange(rows.start, rows.stop, dtype=np.float32) + np.float32(origin[1])
        target = moved[rows, columns]
        at = shift[0][rows, columns] + x, shift[1][rows, columns] + y[:, None]
        mode = cv2.BORDER_REPLICATE
        cv2.remap(source, *at, cv2.INTER_CUBIC, dst=target, borderMode=mode)
        if limits is not None:
            # Cubic weights overshoot.
            np.clip(target, *limits, out=target)
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


def _longest(values: np.ndarray) -> float:
    low, high, _, _ = cv2.minMaxLoc(values)
    return max(-low, high)


def _is_opaque(pixels: np.ndarray) -> bool:
    full = 255 if pixels.dtype == np.uint8 else 1.0
    rows = max(_LOOKED_AT // max(pixels.shape[1], 1), 1)
    return all(
        cv2.extractChannel(pixels[start : start + rows], 3).min() >= full
        for start in range(0, len(pixels), rows)
    )
