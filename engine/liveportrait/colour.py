"""Pictures as the networks read them: display-referred sRGB, opaque, and what that leaves out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..srgb import srgb_from_linear


@dataclass(frozen=True)
class CropLayers:
    """A source crop taken apart.

    display    (S, S, 3) float32 sRGB 0..1, opaque: what the networks see
    alpha      (S, S) float32 0..1, or None where everything is opaque
    remainder  (S, S, 3) float32 in the picture's own encoding: what lies below 0 or above 1,
               or None where nothing does
    """

    display: np.ndarray
    alpha: np.ndarray | None
    remainder: np.ndarray | None


def split_layers(crop: np.ndarray, encoding: str) -> CropLayers:
    """Take an (S, S, 4) uint8 or float32 crop apart; not-a-number counts as 0."""
    if crop.dtype == np.uint8:
        colour, alpha = crop[..., :3].astype(np.float32) / 255, crop[..., 3] / np.float32(255)
        remainder = np.zeros_like(colour)
    else:
        finite = np.nan_to_num(crop, nan=0.0, posinf=1.0, neginf=0.0)
        colour, alpha = np.clip(finite[..., :3], 0, 1), np.clip(finite[..., 3], 0, 1)
        remainder = finite[..., :3] - colour
    if encoding == "linear":
        colour = srgb_from_linear(colour)
    is_opaque = bool((alpha >= 1.0).all())
    return CropLayers(
        display=colour if is_opaque else _filled(colour, alpha),
        alpha=None if is_opaque else alpha,
        remainder=remainder if bool(np.abs(remainder).max() > 0) else None,
    )


def _filled(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The colours with clear parts filled from their opaque surroundings.

    What hides below alpha 0 is often black or random, and the generator would pull it into the
    face's edge; blurred surroundings leave no rim of a foreign colour.
    """
    known = colour * alpha[..., None]
    result, weight = known.copy(), alpha.copy()
    size = 3
    while size < 2 * max(alpha.shape):
        spread = cv2.blur(known, (size, size), borderType=cv2.BORDER_REPLICATE)
        share = cv2.blur(alpha, (size, size), borderType=cv2.BORDER_REPLICATE)
        gap = 1.0 - weight
        usable = np.where(share > 1e-3, gap, 0.0).astype(np.float32)
        result += usable[..., None] * spread / np.maximum(share, 1e-3)[..., None]
        weight += usable
        size = 2 * size + 1
    return result + (1.0 - weight)[..., None] * np.float32(0.5)
