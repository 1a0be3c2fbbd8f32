"""Moving what the networks do not paint, such as alpha, along with W's deformation field."""

from __future__ import annotations

import cv2
import numpy as np


def flow_of(deformation: np.ndarray, size: int) -> np.ndarray:
    """Where each crop pixel comes from: (size, size, 2) float32 x, y offsets in crop pixels.

    deformation  (16, 64, 64, 3), W's sampling grid. Its identity is the grid with end points, so
                 that an unmoved face gives exactly no offset; the mean over the depth is what a
                 flat layer follows.
    """
    _, height, width, _ = deformation.shape
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    mean = deformation[..., :2].mean(axis=0, dtype=np.float32)
    offsets = np.stack([mean[..., 0] - x, mean[..., 1] - y], axis=-1) * np.float32(size / 2)
    return cv2.resize(offsets, (size, size), interpolation=cv2.INTER_LINEAR)


def carried(layer: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """A crop layer (S, S[, C]) float32 moved by flow_of's offsets; its border is repeated."""
    size = layer.shape[0]
    grid = np.arange(size, dtype=np.float32)
    map_x, map_y = grid[None, :] + flow[..., 0], grid[:, None] + flow[..., 1]
    return cv2.remap(
        layer, map_x, map_y, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
