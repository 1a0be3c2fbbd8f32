"""Put a moved face crop back over the picture: a feathered seam, float32, alpha kept."""

from __future__ import annotations

from functools import cached_property, lru_cache

import cv2
import numpy as np

from ..alpha import premultiplied, straight
from ..renderer import NOTHING, Rectangle
from .crop import CROP_SIZE, SOURCE_CROP

FEATHER_PX = 16


@lru_cache(maxsize=4)
def feather_mask(size: int = CROP_SIZE, feather: int = FEATHER_PX) -> np.ndarray:
    """(size, size) float32: 1 inside, falling to 0 at the edges, with rounded corners."""
    ramp = np.minimum(np.arange(size), size - np.arange(size))
    missing = np.maximum(feather - ramp, 0)
    mask = np.clip(feather - np.hypot(missing[:, None], missing[None, :]), 0, feather) / feather
    mask = mask.astype(np.float32)
    mask.setflags(write=False)
    return mask


class PasteArea:
    """Where the crop of one face lies in a picture, with its masks.

    rectangle  the part of the picture that the crop may change
    mask       (height, width) float32, the feathered seam
    own        (height, width) float32, 1 on the face itself, falling to 0 around it
    """

    def __init__(self, crop_to_image: np.ndarray, shape: tuple[int, int]) -> None:
        """crop_to_image (3, 3); shape (H, W) of the picture."""
        self.crop_to_image = crop_to_image
        self.rectangle = covered_rectangle(crop_to_image, CROP_SIZE, shape)
        self.mask = self.warped(feather_mask()) if self.rectangle != NOTHING else np.zeros((0, 0))

    @cached_property
    def own(self) -> np.ndarray:
        """(height, width) float32, 1 on the face itself."""
        return self.warped(_face_mask())

    @cached_property
    def feather_px(self) -> int:
        """Width of the seam in picture pixels."""
        scale = float(np.sqrt(abs(np.linalg.det(self.crop_to_image[:2, :2]))))
        return max(round(FEATHER_PX * scale), 1)

    def warped(self, layer: np.ndarray, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
        """A crop layer as it lies in the rectangle."""
        return warp_to_rectangle(layer, self.crop_to_image, self.rectangle, border)


def paste(
    colour: np.ndarray,
    alpha: np.ndarray | None,
    area: PasteArea,
    canvas: np.ndarray,
    source: np.ndarray,
    strength: float = 1.0,
    glow: np.ndarray | None = None,
) -> None:
    """Blend a moved face crop into its area of the canvas, feathered, in float32.

    colour    (S, S, 3) float32 in the picture's encoding, 0..1 where that is display-referred
    alpha     (S, S) float32, None where the whole crop is opaque
    canvas, source  (H, W, 4) RGBA uint8 or float32, straight alpha. Where the canvas differs
                    from the source another face has been drawn: there the patch only shows on
                    its own face, so that it does not put the neighbour back to rest.
    strength  0..1, how much of the patch shows
    glow      (S, S, 3) float32, light in clear pixels of a float picture, see alpha.py
    """
    part = canvas[area.rectangle.slices]
    mask = area.mask * np.float32(strength)
    is_taken = _differs(part, source[area.rectangle.slices])
    if is_taken.any():
        mask *= area.own + (1.0 - area.own) * (1.0 - _softened(is_taken, area.feather_px))
    ours = area.warped(colour, cv2.BORDER_REPLICATE)
    theirs = part.astype(np.float32)
    if part.dtype == np.uint8:
        ours *= np.float32(255)
    if alpha is None:
        blended = _mixed(ours, theirs, mask)
    else:
        unit = np.float32(255 if part.dtype == np.uint8 else 1)
        ours_alpha = unit * area.warped(alpha, cv2.BORDER_REPLICATE)
        if glow is None:
            blended = _over(ours, ours_alpha, theirs, mask)
        else:
            light = area.warped(glow, cv2.BORDER_REPLICATE)
            blended = _over_with_glow(ours, ours_alpha, light, theirs, mask)
    if part.dtype == np.uint8:
        # Negative values to 0; convertScaleAbs then rounds and saturates.
        blended = cv2.convertScaleAbs(cv2.threshold(blended, 0, 0, cv2.THRESH_TOZERO)[1])
    shows = (mask > 0).astype(np.uint8)
    cv2.copyTo(blended, shows, part)


def _mixed(ours: np.ndarray, theirs: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """theirs (H, W, 4) with its colours moved towards ours (H, W, 3) by a mask."""
    colour = cv2.cvtColor(theirs, cv2.COLOR_RGBA2RGB)
    colour = cv2.add(colour, cv2.multiply(cv2.subtract(ours, colour), cv2.merge([mask] * 3)))
    return np.dstack([colour, theirs[..., 3]])


def _over(ours: np.ndarray, alpha: np.ndarray, theirs: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mix colour and alpha into an RGBA canvas by a mask; straight alpha weighs the colours."""
    weight = mask * alpha
    total = weight + (1.0 - mask) * theirs[..., 3]
    share = np.divide(weight, total, out=mask.copy(), where=total > 0)
    mixed = _mixed(ours, theirs, share)
    mixed[..., 3] = total
    return mixed


def _over_with_glow(
    ours: np.ndarray, alpha: np.ndarray, glow: np.ndarray, theirs: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """_over for a picture with glows: light adds up in associated alpha."""
    ours = np.dstack([ours * alpha[..., None] + glow, alpha])
    under = premultiplied(theirs, has_emission=True)
    return straight(under + (ours - under) * mask[..., None], has_emission=True)


def _differs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H, W) whether any bit of two (H, W, 4) pictures differs."""
    word = np.uint32 if first.dtype == np.uint8 else np.uint64
    words = (np.ascontiguousarray(array).view(word) for array in (first, second))
    difference = np.not_equal(*words)
    return np.logical_or.reduce([difference[..., i] for i in range(difference.shape[-1])])


@lru_cache(maxsize=1)
def _face_mask(size: int = CROP_SIZE) -> np.ndarray:
    """(size, size) float32: 1 on the face in an official crop, falling to 0 around it."""
    half = size / (2 * SOURCE_CROP.scale)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    middle = size * (0.5 - SOURCE_CROP.vy_ratio)
    radius = np.hypot((x - size / 2) / half, (y - middle) / (1.25 * half))
    fraction = np.clip((1.7 - radius) / 0.6, 0.0, 1.0)
    mask = (fraction * fraction * (3 - 2 * fraction)).astype(np.float32)
    mask.setflags(write=False)
    return mask


def _softened(is_taken: np.ndarray, radius: int) -> np.ndarray:
    """A yes-no mask without small holes and with a soft border, float32."""
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    closed = cv2.morphologyEx(is_taken.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    return cv2.blur(closed.astype(np.float32), kernel.shape)


def covered_rectangle(crop_to_image: np.ndarray, size: int, shape: tuple[int, int]) -> Rectangle:
    """The part of an (H, W) picture that a crop may change."""
    height, width = shape
    corners = np.array([[0, 0], [size, 0], [size, size], [0, size]]) @ crop_to_image[:2, :2].T
    corners = corners + crop_to_image[:2, 2]
    left, top = np.floor(corners.min(axis=0)).astype(int) - 1
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 2
    left, top = max(int(left), 0), max(int(top), 0)
    right, bottom = min(int(right), width), min(int(bottom), height)
    return (
        Rectangle(left, top, right - left, bottom - top)
        if right > left and bottom > top
        else NOTHING
    )


def warp_to_rectangle(
    crop: np.ndarray,
    crop_to_image: np.ndarray,
    rectangle: Rectangle,
    border: int = cv2.BORDER_CONSTANT,
) -> np.ndarray:
    """An (S, S[, C]) float32 crop as it lies in a rectangle of the picture.

    border  OpenCV's border mode around the crop: zero, or BORDER_REPLICATE for colours
    A crop that shrinks to less than half is box filtered first, so that it does not alias.
    """
    matrix = crop_to_image.astype(np.float64)
    matrix = np.array([[1, 0, -rectangle.x], [0, 1, -rectangle.y], [0, 0, 1.0]]) @ matrix
    shrink = int(1.0 / max(float(np.sqrt(abs(np.linalg.det(matrix[:2, :2])))), 1e-3))
    if shrink > 1:
        size = max(crop.shape[0] // shrink, 1)
        step = crop.shape[0] / size
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
        shift = (step - 1) / 2
        matrix = matrix @ np.array([[step, 0, shift], [0, step, shift], [0, 0, 1.0]])
    size = (rectangle.width, rectangle.height)
    return cv2.warpAffine(crop, matrix[:2], size, flags=cv2.INTER_LINEAR, borderMode=border)
