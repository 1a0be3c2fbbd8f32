"""Drawing a moved face into the picture at the picture's own resolution.

The fields live on coarse grids over the 512 crop. Only their displacements are enlarged to picture
pixels; the picture itself is resampled once, from the canvas, inside the rectangle that moves.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ..faces.crop import Crop
from ..renderer import NOTHING, Rectangle
from .backdrop import Backdrop, LateBackdrop
from .field import MOVED, BackwardField, Window
from .layer import Layer, Mask
from .resampling import resampled

Box = tuple[float, float, float, float]

_STILL = 1.0 / 48.0  # picture pixels: smaller displacements keep the pixel
_UNSEEN = 1.0 / 512.0  # coverage
_FINEST = 0.8  # displacement samples per crop pixel
_COARSE = 8  # step at which the reach of a layer is looked up


class Scene(NamedTuple):
    """Everything that one frame does to one face; positions in crop pixels.

    head         backward displacement on head_window's nodes, or None
    expression   backward displacement of the expression, or None
    below        where the expression's `lower` field holds
    openings     layers over the expressed face: eyeballs, inner mouth
    backdrop     what stays where it is when the head moves
    """

    head: np.ndarray | None
    head_window: Window
    expression: BackwardField | None
    below: list[Mask]
    openings: list[Layer]
    backdrop: Backdrop | LateBackdrop


class _Maps(NamedTuple):
    """Displacements in a rectangle of the picture.

    shift_x, shift_y  (height, width) float32 displacement to the source, picture pixels
    is_moved          (height, width) uint8, 1 where that displacement is worth drawing
    expressed_x, expressed_y  float32 crop position in the expressed, not yet turned face, of the
                      middles of blocks of step x step pixels
    """

    shift_x: np.ndarray
    shift_y: np.ndarray
    is_moved: np.ndarray
    expressed_x: np.ndarray
    expressed_y: np.ndarray
    step: int


def draw(canvas: np.ndarray, crop: Crop, scene: Scene, *, has_emission: bool = False) -> Rectangle:
    """Warp the scene's face out of `canvas` into it; returns what may have changed.

    has_emission  the picture has glows, see SourceImage
    """
    height, width = canvas.shape[:2]
    scene = scene._replace(openings=[tight for layer in scene.openings if (tight := layer.seen())])
    reach = _reach(scene, crop, (width, height))
    if not reach.width or not reach.height:
        return NOTHING
    maps = _build_maps(reach, crop, scene)
    changed, shift = maps.is_moved, (maps.shift_x, maps.shift_y)
    loose = scene.backdrop.spare(changed, reach, crop, shift)
    coarse = _Coarse(maps.expressed_x, maps.expressed_y)
    regions = [(layer, coarse.region(layer.patch.box)) for layer in scene.openings]
    laid = [(layer, *_finer(maps, region)) for layer, region in regions if region is not None]
    drawn = changed.copy()
    for _, part, _, _ in laid:
        drawn[part] = 1
    moved = resampled(canvas, reach, shift, drawn, has_emission)
    scene.backdrop.part(moved, changed, canvas, reach, crop, shift, loose)
    for layer, part, x, y in laid:
        _lay(moved[part], changed[part], layer, x, y)
    scene.backdrop.keep(moved, changed, canvas, reach, crop)
    rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return NOTHING
    tight = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    result = Rectangle(
        reach.x + int(columns[0]),
        reach.y + int(rows[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )
    cv2.copyTo(moved[tight], changed[tight], canvas[result.slices])
    return result


def _reach(scene: Scene, crop: Crop, picture_size: tuple[int, int]) -> Rectangle:
    """Rectangle of the picture outside which the scene changes nothing."""
    boxes = [layer.patch.box for layer in scene.openings]
    if scene.expression is not None:
        boxes.append(scene.expression.window.box)
    if scene.head is not None:
        boxes = _turned_boxes(boxes, scene.head, scene.head_window)
    if not boxes:
        return NOTHING
    x0, y0, x1, y1 = _around(boxes)
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]])
    matrix = crop.crop_to_picture
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, picture_size)
    size = np.maximum(high - low, 0)
    return Rectangle(int(low[0]), int(low[1]), int(size[0]), int(size[1]))


def _turned_boxes(boxes: list[Box], head: np.ndarray, window: Window) -> list[Box]:
    """Where boxes of the expressed face end up under a head motion, and what the head moves."""
    x = window.x + window.cell * np.arange(window.columns)
    y = window.y + window.cell * np.arange(window.rows)
    offset_x, offset_y = cv2.split(head)
    reached = [np.maximum(np.abs(offset_x), np.abs(offset_y)) > MOVED]
    if boxes:
        margin = 2.0 * window.cell
        reached.append(_inside(x + offset_x, y[:, None] + offset_y, _around(boxes), margin))
    turned: list[Box] = []
    for where in reached:
        rows, columns = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
        if len(rows):
            low_x, high_x = x[columns[0]] - window.cell, x[columns[-1]] + window.cell
            low_y, high_y = y[rows[0]] - window.cell, y[rows[-1]] + window.cell
            turned.append((float(low_x), float(low_y), float(high_x), float(high_y)))
    return turned


def _around(boxes: list[Box]) -> Box:
    """The smallest box around all of them."""
    edges = np.array(boxes)
    x0, y0 = edges[:, :2].min(axis=0)
    x1, y1 = edges[:, 2:].max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def _inside(x: np.ndarray, y: np.ndarray, box: Box, margin: float) -> np.ndarray:
    across = (x > box[0] - margin) & (x < box[2] + margin)
    return across & (y > box[1] - margin) & (y < box[3] + margin)


class _Coarse:
    """Positions in the crop at every eighth pixel, to find where a layer is."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self._x, self._y = x[::_COARSE, ::_COARSE], y[::_COARSE, ::_COARSE]
        steps = [
            np.abs(np.diff(values, axis=axis)).max()
            for values in (self._x, self._y)
            for axis in (0, 1)
            if values.shape[axis] > 1
        ]
        self._margin = float(max(steps, default=0.0)) + 1.0

    def region(self, box: Box) -> tuple[slice, slice] | None:
        """Rows and columns in which positions lie inside a box."""
        where = _inside(self._x, self._y, box, self._margin)
        if not where.any():
            return None
        rows, columns = (np.flatnonzero(where.any(axis=axis)) * _COARSE for axis in (1, 0))
        return (
            slice(max(rows[0] - _COARSE, 0), rows[-1] + 2 * _COARSE),
            slice(max(columns[0] - _COARSE, 0), columns[-1] + 2 * _COARSE),
        )


def _sample(field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _build_maps(area: Rectangle, crop: Crop, scene: Scene) -> _Maps:
    """Compose head and expression, on a coarser grid where the picture is much finer.

    The fields are smooth but for the lines where openings part them, so these alone need the finer
    of two grids.
    """
    step = max(1, int(1.0 / (crop.scale * _FINEST)))
    columns, rows = -(-area.width // step), -(-area.height // step)
    x, y, shift = _smooth_shifts(area, crop, scene, 2 * step)
    size = (2 * x.shape[1], 2 * x.shape[0])
    x, y, shift = (cv2.resize(values, size)[:rows, :columns] for values in (x, y, shift))
    soft, sharp = ([m for m in scene.below if m.is_sharp == wanted] for wanted in (False, True))
    if scene.expression is not None:
        _part_openings(shift, scene.expression, soft, x, y)
    matrix = crop.crop_to_picture[:, :2].astype(np.float32)
    shift = cv2.transform(shift, matrix)
    parts = cv2.split(shift)
    is_moved = (np.maximum(np.abs(parts[0]), np.abs(parts[1])) > _STILL).view(np.uint8)
    if step > 1:
        size, cut = (columns * step, rows * step), (slice(area.height), slice(area.width))
        parts = [cv2.resize(values, size)[cut] for values in parts]
        is_moved = cv2.resize(is_moved, size)[cut]
    maps = _Maps(parts[0], parts[1], is_moved, x, y, step)
    if scene.expression is not None:
        _part_sharply(maps, scene.expression, sharp, matrix)
    return maps


def _part_sharply(maps: _Maps, field: BackwardField, masks: list[Mask], matrix: np.ndarray) -> None:
    """As _part_openings, at the picture's own pixels: enlarging would make a sharp edge soft."""
    coarse = _Coarse(maps.expressed_x, maps.expressed_y)
    for mask in masks:
        region = coarse.region(mask.patch.box)
        if region is None:
            continue
        part, x, y = _finer(maps, region)
        shift = np.zeros((*x.shape, 2), np.float32)
        _part_openings(shift, field, [mask], x, y)
        moved = cv2.split(cv2.transform(shift, matrix))
        for values, more in zip((maps.shift_x, maps.shift_y), moved, strict=True):
            values[part] += more
        longest = np.maximum(np.abs(maps.shift_x[part]), np.abs(maps.shift_y[part]))
        np.copyto(maps.is_moved[part], longest > _STILL, casting="unsafe")


def _finer(
    maps: _Maps, region: tuple[slice, slice]
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """A region of blocks as one of pixels, and the pixels' x and y in the expressed crop."""
    x, y = maps.expressed_x, maps.expressed_y
    if maps.step == 1:
        return region, x[region], y[region]
    # A block more on each side, for the outermost pixels lie beyond the middles of theirs.
    blocks = tuple(
        slice(max(part.start - 1, 0), min(part.stop + 1, count))
        for part, count in zip(region, x.shape, strict=True)
    )
    part = tuple(
        slice(block.start * maps.step, min(block.stop * maps.step, count))
        for block, count in zip(blocks, maps.shift_x.shape, strict=True)
    )
    size = tuple(maps.step * (block.stop - block.start) for block in blocks[::-1])
    cut = tuple(slice(side.stop - side.start) for side in part)
    x, y = (cv2.resize(values[blocks], size)[cut] for values in (x, y))
    return (part[0], part[1]), x, y


def _smooth_shifts(
    area: Rectangle, crop: Crop, scene: Scene, step: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Crop x and y in the expressed face, and (…, 2) crop pixels from there to the source.

    For blocks of step x step picture pixels, everywhere as the skin above openings moves.
    """
    x, y = _crop_positions(area, crop, step, -(-area.height // step), -(-area.width // step))
    expressed = cv2.merge([x, y])
    shift = np.zeros_like(expressed)
    if scene.head is not None:
        cell = scene.head_window.cell
        shift = _sample(scene.head, x / cell, y / cell)
        expressed += shift
    expressed_x, expressed_y = cv2.split(expressed)
    if scene.expression is not None:
        window = scene.expression.window
        node_x, node_y = (
            (expressed_x - window.x) / window.cell,
            (expressed_y - window.y) / window.cell,
        )
        shift += _sample(scene.expression.upper, node_x, node_y)
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
    shift: np.ndarray, field: BackwardField, below: list[Mask], x: np.ndarray, y: np.ndarray
) -> None:
    """Let the skin below openings move by the lower field; x and y are crop positions."""
    window, difference = field.window, field.lower - field.upper
    taken = np.zeros(x.shape, np.float32)
    coarse = _Coarse(x, y)
    for mask in below:
        part = coarse.region(mask.patch.box)
        if part is None:
            continue
        patch, part_x, part_y = mask.patch, x[part], y[part]
        share = _sample(
            mask.coverage, (part_x - patch.x) * patch.scale, (part_y - patch.y) * patch.scale
        )
        if share.ndim == 3:
            share = share[..., 0] * (share[..., 1] > 0.5)
        share *= 1.0 - taken[part]
        taken[part] += share
        node_x, node_y = (part_x - window.x) / window.cell, (part_y - window.y) / window.cell
        shift[part] += _sample(difference, node_x, node_y) * share[..., None]


def _lay(
    under: np.ndarray, changed: np.ndarray, layer: Layer, x: np.ndarray, y: np.ndarray
) -> None:
    """Put a layer over `under`, alpha untouched; x and y are its positions in the crop."""
    patch = layer.patch
    colours = _sample(layer.colours, (x - patch.x) * patch.scale, (y - patch.y) * patch.scale)
    coverage = cv2.extractChannel(colours, 3)
    seen = (coverage > _UNSEEN).view(np.uint8)
    free = cv2.merge([1.0 - coverage] * 4)
    colours[..., 3] = 0.0
    alpha = cv2.extractChannel(under, 3)
    if under.dtype == np.uint8:
        mixed = cv2.convertScaleAbs(cv2.multiply(under, free, dtype=cv2.CV_32F) + colours * 255.0)
    else:
        mixed = under * free + colours
    cv2.insertChannel(alpha, mixed, 3)
    cv2.copyTo(mixed, seen, under)
    changed |= seen
