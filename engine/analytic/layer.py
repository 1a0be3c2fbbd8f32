"""Small pictures laid over a face, and the masks that part upper from lower skin."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..faces.crop import Crop, sample
from .tone import to_unit

_UNSEEN = 1e-4  # coverage


@dataclass(frozen=True)
class Patch:
    """A rectangle of the crop with its own pixel grid.

    x, y            crop position of pixel (0, 0)
    scale           patch pixels per crop pixel
    width, height   patch pixels
    """

    x: float
    y: float
    scale: float
    width: int
    height: int

    @classmethod
    def around(cls, low: np.ndarray, high: np.ndarray, scale: float) -> Patch:
        """The patch that covers the box from `low` to `high`, crop pixels."""
        x, y = np.floor(low)
        width, height = np.ceil((high - [x, y]) * scale).astype(int) + 1
        return cls(float(x), float(y), scale, int(width), int(height))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.width, self.height

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1) in crop pixels."""
        return (
            self.x,
            self.y,
            self.x + (self.width - 1) / self.scale,
            self.y + (self.height - 1) / self.scale,
        )

    def place(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) crop pixels → patch pixels."""
        return (np.asarray(points) - [self.x, self.y]) * self.scale

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """x and y of every pixel in patch pixels, (height, width) float32 each."""
        return np.meshgrid(
            np.arange(self.width, dtype=np.float32), np.arange(self.height, dtype=np.float32)
        )

    def read(self, picture: np.ndarray, crop: Crop) -> np.ndarray:
        """(height, width, 3) float32: the picture's own RGB values here, uint8 as 0..1."""
        picture_to_patch = self.scale * crop.picture_to_crop
        picture_to_patch[:, 2] -= self.scale * np.array([self.x, self.y])
        colours = to_unit(sample(picture, picture_to_patch, self.size, cv2.BORDER_REPLICATE))
        # Cubic filters overshoot, and one undefined pixel must not blacken an eye.
        brightest = _brightest(picture, cv2.invertAffineTransform(picture_to_patch), self.size)
        return np.clip(np.nan_to_num(colours[..., :3]), 0.0, brightest)


def _brightest(picture: np.ndarray, patch_to_picture: np.ndarray, size: tuple[int, int]) -> float:
    """The largest finite RGB value of the picture inside a patch, uint8 as 0..1."""
    corners = np.array([[0, 0], [size[0], 0], [0, size[1]], size], np.float64)
    corners = corners @ patch_to_picture[:, :2].T + patch_to_picture[:, 2]
    limit = np.array([picture.shape[1], picture.shape[0]]) - 1
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, limit)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, limit) + 1
    area = to_unit(picture[low[1] : high[1], low[0] : high[0], :3])
    return float(np.max(area, initial=0.0, where=np.isfinite(area)))


@dataclass(frozen=True)
class Layer:
    """Colours laid over a part of the crop.

    patch    where
    colours  (height, width, 4) float32: source values multiplied by coverage, then the coverage
    """

    patch: Patch
    colours: np.ndarray

    @classmethod
    def covering(cls, patch: Patch, rgb: np.ndarray, coverage: np.ndarray) -> Layer:
        """A layer of straight colours (height, width, 3) with coverage (height, width) 0..1."""
        coverage = coverage.astype(np.float32, copy=False)
        channels = [channel * coverage for channel in cv2.split(rgb.astype(np.float32, copy=False))]
        return cls(patch, cv2.merge([*channels, coverage]))

    def seen(self) -> Layer | None:
        """The part that covers anything; None where nothing does."""
        is_seen = (cv2.extractChannel(self.colours, 3) > _UNSEEN).view(np.uint8)
        x, y, width, height = cv2.boundingRect(is_seen)
        if not width or not height:
            return None
        # Sampling reads a pixel further.
        x0, y0 = max(x - 1, 0), max(y - 1, 0)
        colours = self.colours[y0 : y + height + 1, x0 : x + width + 1]
        scale, size = self.patch.scale, colours.shape[1::-1]
        patch = Patch(self.patch.x + x0 / scale, self.patch.y + y0 / scale, scale, *size)
        return Layer(patch, colours)


@dataclass(frozen=True)
class Mask:
    """Where the skin below an opening is.

    coverage  (height, width) float32 0..1; or (height, width, 2): the same, and a second mask
              that is cut off sharply at a half. Displacements halfway between two lips that come
              together from afar would show what lies between them.
    """

    patch: Patch
    coverage: np.ndarray

    @property
    def is_sharp(self) -> bool:
        """Whether the mask has a sharp edge."""
        return self.coverage.ndim == 3
