"""Which pixels belong to a person."""

from __future__ import annotations

import cv2
import numpy as np

from .models import load

_SIDE = 256
_EDGE_SHARE = 1 / 128  # of the side: how far a matte's edge may lie from the mask's
_EVENNESS = 1e-4  # colour variance that counts as an edge
_NOTHING, _ALL = 0.08, 0.92  # values of the fitted mask that are taken for 0 and 1


def person_mask(rgb: np.ndarray) -> np.ndarray:
    """(H, W) float32, 0 background … 1 person, of an (H, W, 3) uint8 sRGB picture.

    Made for pictures of head and shoulders; pass a face crop rather than a wide view.
    Raises ReportedError "no_models".
    """
    height, width = rgb.shape[:2]
    blob = cv2.dnn.blobFromImage(
        cv2.resize(rgb, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), 1 / 255.0
    )
    net = load("selfie_segmentation")
    net.setInput(blob)
    mask = np.asarray(net.forward(), np.float32).reshape(_SIDE, _SIDE)
    return np.clip(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), 0.0, 1.0)


def person_matte(rgb: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """person_mask, or one that is given, whose edge follows the picture's own edges, strands of
    hair among them."""
    mask = person_mask(rgb) if mask is None else mask
    guide = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    guide *= np.float32(1.0 / 255.0)
    matte = _guided(guide, mask, max(2, round(_EDGE_SHARE * len(mask))))
    return np.clip((matte - _NOTHING) / (_ALL - _NOTHING), 0.0, 1.0)


def _guided(guide: np.ndarray, mask: np.ndarray, radius: int) -> np.ndarray:
    """A mask fitted in small windows as a linear function of an (H, W, 3) picture's colours.

    He, Sun, Tang: Guided Image Filtering, 2010.
    """
    # Half of the pixels in each direction are enough: the slopes are smooth.
    half = (guide.shape[1] // 2, guide.shape[0] // 2)
    small, level = (cv2.resize(v, half, interpolation=cv2.INTER_AREA) for v in (guide, mask))
    size = (radius | 1, radius | 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, size)

    centre, average = mean(small), mean(level)
    unsure = (average > 1e-3) & (average < 1.0 - 1e-3)
    shared = mean(small * level[..., None]) - centre * average[..., None]
    pairs = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
    spread = [
        (mean(small[..., i] * small[..., j]) - centre[..., i] * centre[..., j])[unsure]
        for i, j in pairs
    ]
    slope = np.zeros_like(centre)
    slope[unsure] = _solved(spread, shared[unsure])
    offset = average - (slope * centre).sum(axis=2)
    fitted = cv2.resize(np.dstack([mean(slope), mean(offset)]), mask.shape[::-1])
    full = cv2.merge([guide, np.ones_like(mask)])
    return cv2.transform(cv2.multiply(fitted, full), np.ones((1, 4)))


def _solved(spread: list[np.ndarray], shared: np.ndarray) -> np.ndarray:
    """(N, 3) slopes of N fits: variances of three channels and of 01, 02, 12, and (N, 3) what
    they share with the mask. By cofactors: a solver that takes N small matrices is slow."""
    (a, b, c), (d, e, f) = ([v.astype(np.float64) for v in spread[k : k + 3]] for k in (0, 3))
    a, b, c = a + _EVENNESS, b + _EVENNESS, c + _EVENNESS
    rows = (
        (b * c - f * f, e * f - d * c, d * f - e * b),
        (e * f - d * c, a * c - e * e, d * e - a * f),
        (d * f - e * b, d * e - a * f, a * b - d * d),
    )
    determinant = a * rows[0][0] + d * rows[0][1] + e * rows[0][2]
    x, y, z = shared.T
    return np.stack([(p * x + q * y + r * z) / determinant for p, q, r in rows], axis=1)
