"""Drawing a moved face into the picture at the picture's own resolution.

The fields live on coarse grids over the 512 crop. Only their displacements are enlarged to picture
pixels; the picture itself is resampled once, from the canvas, inside the rectangle that moves.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from ..faces.crop import Crop
from ..renderer import NOTHING, Rectangle
from .aside import share
from .backdrop import Backdrop, LateBackdrop
from .displacements import Blocks, Box, Region, inside, sampled
from .field import MOVED, BackwardField, Window
from .layer import Layer, Mask
from .relight import relit
from .resampling import Reader

_UNSEEN = 1.0 / 512.0  # coverage
_BAND_PIXELS = 1 << 18  # that are drawn at a time: their numbers fit a processor's cache


class Scene(NamedTuple):
    """Everything that one frame does to one face; positions in crop pixels.

    head         backward displacement on head_window's nodes, or None
    expression   backward displacement of the expression, or None
    below        where the expression's `lower` field holds
    openings     layers over the expressed face: eyeballs, inner mouth
    backdrop     what stays where it is when the head moves
    relit        factors on source values on head_window's nodes at rest, or None
    """

    head: np.ndarray | None
    head_window: Window
    expression: BackwardField | None
    below: list[Mask]
    openings: list[Layer]
    backdrop: Backdrop | LateBackdrop
    relit: np.ndarray | None = None


def draw(
    canvas: np.ndarray,
    crop: Crop,
    scene: Scene,
    *,
    has_emission: bool = False,
    source: np.ndarray | None = None,
) -> Rectangle:
    """Warp the scene's face out of `canvas` into it; returns what may have changed.

    has_emission  the picture has glows, see SourceImage
    source        a picture that may equal the canvas: then no part of that needs a copy
    """
    height, width = canvas.shape[:2]
    scene = scene._replace(openings=[tight for layer in scene.openings if (tight := layer.seen())])
    reach = _reach(scene, crop, (width, height))
    if not reach.width or not reach.height:
        return NOTHING
    head = None if scene.head is None else (scene.head, scene.head_window)
    blocks = Blocks(reach, crop, head, scene.expression, scene.below)
    scene.backdrop.begin(blocks, crop)
    bands = blocks.bands(_BAND_PIXELS)
    reader = Reader(canvas, blocks.shift, reach, has_emission)
    if len(bands) > 1:
        # What is drawn in one band is read by others.
        reader.detach(source)
    layers = blocks.regions(scene.openings)
    if scene.relit is not None:
        cell = np.float32(scene.head_window.cell)
        x, y = (np.divide(values, cell) for values in (blocks.x, blocks.y))
        on_blocks = cv2.remap(scene.relit, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        scene = scene._replace(relit=on_blocks)
    found: list[Rectangle] = []
    share(
        [
            partial(_draw_band, rows, blocks, layers, scene, reader, crop, canvas, found)
            for rows in bands
        ]
    )
    changed = NOTHING
    for part in found:
        changed = changed.union(part)
    return changed


def _draw_band(
    rows: slice,
    blocks: Blocks,
    layers: list[tuple[Layer, Region]],
    scene: Scene,
    reader: Reader,
    crop: Crop,
    canvas: np.ndarray,
    found: list[Rectangle],
) -> None:
    """Draw some rows of the blocks' area; `found` gets the rectangle that may have changed.

    scene  whose `relit` lies on the blocks
    """
    reach, backdrop = blocks.area, scene.backdrop
    area = Rectangle(reach.x, reach.y + rows.start, reach.width, rows.stop - rows.start)
    shift, changed = blocks.band(rows)
    loose = backdrop.spare(changed, area, crop, shift)
    laid = [(layer, *at) for layer, region in layers if (at := blocks.finer(region, rows))]
    drawn = changed.copy()
    for _, part, _, _ in laid:
        drawn[part] = 1
    if not drawn.any():
        return
    moved = reader.read(area, shift, drawn)
    backdrop.part(moved, changed, reader.pixels, area, crop, shift, loose)
    for layer, part, x, y in laid:
        _lay(moved[part], changed[part], layer, x, y)
    if scene.relit is not None:
        relit(moved, blocks.enlarged(scene.relit, rows))
    backdrop.keep(moved, changed, reader.pixels, area, crop)
    down, across = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
    if not len(down):
        return
    tight = (slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1))
    result = Rectangle(
        area.x + int(across[0]),
        area.y + int(down[0]),
        int(across[-1] - across[0]) + 1,
        int(down[-1] - down[0]) + 1,
    )
    cv2.copyTo(moved[tight], changed[tight], canvas[result.slices])
    found.append(result)


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
        reached.append(inside(x + offset_x, y[:, None] + offset_y, _around(boxes), margin))
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


def _lay(
    under: np.ndarray, changed: np.ndarray, layer: Layer, x: np.ndarray, y: np.ndarray
) -> None:
    """Put a layer over `under`, alpha untouched; x and y are its positions in the crop."""
    patch = layer.patch
    colours = sampled(layer.colours, (x - patch.x) * patch.scale, (y - patch.y) * patch.scale)
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
