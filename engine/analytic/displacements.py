"""From where each pixel of a moved face comes, in bands of rows.

Fields are smooth: they are composed once, for blocks of pixels, and enlarged for each band alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..faces.crop import Crop
from ..renderer import Rectangle
from .field import BackwardField, Window
from .layer import Mask

Box = tuple[float, float, float, float]
Region = tuple[slice, slice]

_STILL = 1.0 / 48.0  # picture pixels: smaller displacements keep the pixel
_FINEST = 0.8  # displacement samples per crop pixel
_COARSE = 8  # step at which the reach of a layer is looked up


class Blocks:
    """Displacements in a rectangle of the picture, for blocks of step x step pixels.

    x, y      (rows, columns) float32 crop position in the expressed, not yet turned face, of the
              middles of blocks
    shift     the same of x and y displacements to the source, picture pixels
    is_moved  uint8, 1 where the displacement is worth drawing
    """

    def __init__(
        self,
        area: Rectangle,
        crop: Crop,
        head: tuple[np.ndarray, Window] | None,
        expression: BackwardField | None,
        below: Sequence[Mask],
    ) -> None:
        """Compose head and expression, on a coarser grid where the picture is much finer.

        The fields are smooth but for the lines where openings part them, so these alone need the
        finer of two grids. Arguments as in compose.Scene.
        """
        self.area = area
        self.step = step = max(1, int(1.0 / (crop.scale * _FINEST)))
        columns, rows = -(-area.width // step), -(-area.height // step)
        x, y, shift = _smooth_shifts(area, crop, head, expression, 2 * step)
        size = (2 * x.shape[1], 2 * x.shape[0])
        x, y, shift = (cv2.resize(values, size)[:rows, :columns] for values in (x, y, shift))
        if expression is not None:
            _part_openings(shift, expression, [m for m in below if not m.is_sharp], x, y)
        self._matrix = crop.crop_to_picture[:, :2].astype(np.float32)
        self.x, self.y = x, y
        self.shift = tuple(cv2.split(cv2.transform(shift, self._matrix)))
        longest = np.maximum(np.abs(self.shift[0]), np.abs(self.shift[1]))
        self.is_moved = (longest > _STILL).view(np.uint8)
        self._coarse = Coarse(x, y)
        self._expression = expression
        self._sharp = [] if expression is None else self.regions([m for m in below if m.is_sharp])

    def regions(self, items: Sequence) -> list[tuple]:
        """(item, blocks) of those layers and masks that lie in the rectangle."""
        found = ((item, self._coarse.region(item.patch.box)) for item in items)
        return [(item, region) for item, region in found if region is not None]

    def bands(self, pixels: int) -> list[slice]:
        """Rows of pixels in parts of about so many pixels."""
        height, width = self.area.height, self.area.width
        count = max(round(height * width / pixels), 1)
        rows = -(-height // (count * self.step)) * self.step
        return [slice(start, min(start + rows, height)) for start in range(0, height, rows)]

    def band(self, rows: slice) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """Shifts in x and y and is_moved at the picture's own pixels, in rows of `bands`."""
        shift_x, shift_y = (self.enlarged(values, rows) for values in self.shift)
        is_moved = self.enlarged(self.is_moved, rows)
        # At the pixels themselves: enlarging would make a sharp edge soft.
        for mask, region in self._sharp:
            found = self.finer(region, rows)
            if found is not None and self._expression is not None:
                part, x, y = found
                parted = np.zeros((*x.shape, 2), np.float32)
                _part_openings(parted, self._expression, [mask], x, y)
                more_x, more_y = cv2.split(cv2.transform(parted, self._matrix))
                shift_x[part] += more_x
                shift_y[part] += more_y
                longest = np.maximum(np.abs(shift_x[part]), np.abs(shift_y[part]))
                np.copyto(is_moved[part], longest > _STILL, casting="unsafe")
        return (shift_x, shift_y), is_moved

    def enlarged(self, values: np.ndarray, rows: slice) -> np.ndarray:
        """Values of blocks as those of pixels, a copy."""
        if self.step == 1:
            return values[rows].copy()
        count = len(values)
        # A block more on each side, for pixels beyond the middles of the outermost.
        low = max(rows.start // self.step - 1, 0)
        high = min(-(-rows.stop // self.step) + 1, count)
        size = (values.shape[1] * self.step, (high - low) * self.step)
        first = low * self.step
        return cv2.resize(values[low:high], size)[
            rows.start - first : rows.stop - first, : self.area.width
        ]

    def finer(self, region: Region, rows: slice) -> tuple[Region, np.ndarray, np.ndarray] | None:
        """A region of blocks as one of a band's pixels, and their x and y in the expressed crop."""
        step, more = self.step, int(self.step > 1)
        band = slice(rows.start // step, -(-rows.stop // step))
        down, across = (
            slice(max(part.start - more, 0), min(part.stop + more, count))
            for part, count in zip(region, self.x.shape, strict=True)
        )
        down = slice(max(down.start, band.start), min(down.stop, band.stop))
        if down.start >= down.stop:
            return None
        part = (
            slice(down.start * step - rows.start, min(down.stop * step, rows.stop) - rows.start),
            slice(across.start * step, min(across.stop * step, self.area.width)),
        )
        if step == 1:
            return part, self.x[down, across], self.y[down, across]
        wide_down, wide_across = (
            slice(max(side.start - 1, 0), min(side.stop + 1, count))
            for side, count in zip((down, across), self.x.shape, strict=True)
        )
        size = (
            step * (wide_across.stop - wide_across.start),
            step * (wide_down.stop - wide_down.start),
        )
        top, left = (
            step * (side.start - wide.start)
            for side, wide in ((down, wide_down), (across, wide_across))
        )
        cut = (
            slice(top, top + part[0].stop - part[0].start),
            slice(left, left + part[1].stop - part[1].start),
        )
        x, y = (
            cv2.resize(values[wide_down, wide_across], size)[cut] for values in (self.x, self.y)
        )
        return part, x, y


class Coarse:
    """Positions in the crop at every eighth pixel, to find where a layer is."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self._shape = x.shape
        self._x, self._y = x[::_COARSE, ::_COARSE], y[::_COARSE, ::_COARSE]
        steps = [
            np.abs(np.diff(values, axis=axis)).max()
            for values in (self._x, self._y)
            for axis in (0, 1)
            if values.shape[axis] > 1
        ]
        self._margin = float(max(steps, default=0.0)) + 1.0

    def region(self, box: Box) -> Region | None:
        """Rows and columns in which positions lie inside a box."""
        where = inside(self._x, self._y, box, self._margin)
        if not where.any():
            return None
        rows, columns = (np.flatnonzero(where.any(axis=axis)) * _COARSE for axis in (1, 0))
        return (
            slice(max(int(rows[0]) - _COARSE, 0), min(int(rows[-1]) + 2 * _COARSE, self._shape[0])),
            slice(
                max(int(columns[0]) - _COARSE, 0),
                min(int(columns[-1]) + 2 * _COARSE, self._shape[1]),
            ),
        )


def inside(x: np.ndarray, y: np.ndarray, box: Box, margin: float) -> np.ndarray:
    """Where positions lie in a box or no further from it than the margin."""
    across = (x > box[0] - margin) & (x < box[2] + margin)
    return across & (y > box[1] - margin) & (y < box[3] + margin)


def sampled(field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A field at positions, 0 outside."""
    return cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _smooth_shifts(
    area: Rectangle,
    crop: Crop,
    head: tuple[np.ndarray, Window] | None,
    expression: BackwardField | None,
    step: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Crop x and y in the expressed face, and (…, 2) crop pixels from there to the source.

    For blocks of step x step picture pixels, everywhere as the skin above openings moves.
    """
    x, y = _crop_positions(area, crop, step, -(-area.height // step), -(-area.width // step))
    expressed = cv2.merge([x, y])
    shift = np.zeros_like(expressed)
    if head is not None:
        field, cell = head[0], head[1].cell
        shift = sampled(field, x / cell, y / cell)
        expressed += shift
    expressed_x, expressed_y = cv2.split(expressed)
    if expression is not None:
        window = expression.window
        node_x, node_y = (
            (expressed_x - window.x) / window.cell,
            (expressed_y - window.y) / window.cell,
        )
        shift += sampled(expression.upper, node_x, node_y)
    return expressed_x, expressed_y, shift


def _crop_positions(
    area: Rectangle, crop: Crop, step: int, rows: int, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Crop x and y of the middles of step x step blocks of picture pixels."""
    first = (step - 1) / 2
    picture_x = area.x + first + step * np.arange(columns)
    picture_y = (area.y + first + step * np.arange(rows))[:, None]
    x, y = (row[0] * picture_x + row[1] * picture_y + row[2] for row in crop.picture_to_crop)
    return x.astype(np.float32), y.astype(np.float32)


def _part_openings(
    shift: np.ndarray, field: BackwardField, below: Sequence[Mask], x: np.ndarray, y: np.ndarray
) -> None:
    """Let the skin below openings move by the lower field; x and y are crop positions."""
    window, difference = field.window, field.lower - field.upper
    taken = np.zeros(x.shape, np.float32)
    coarse = Coarse(x, y)
    for mask in below:
        part = coarse.region(mask.patch.box)
        if part is None:
            continue
        patch, part_x, part_y = mask.patch, x[part], y[part]
        share = sampled(
            mask.coverage, (part_x - patch.x) * patch.scale, (part_y - patch.y) * patch.scale
        )
        if share.ndim == 3:
            share = share[..., 0] * (share[..., 1] > 0.5)
        share *= 1.0 - taken[part]
        taken[part] += share
        node_x, node_y = (part_x - window.x) / window.cell, (part_y - window.y) / window.cell
        shift[part] += sampled(difference, node_x, node_y) * share[..., None]
