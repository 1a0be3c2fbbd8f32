"""Straight and associated alpha of float pictures, for pictures with and without glows.

A glow is light where nothing covers the background: colour in a pixel of alpha 0. Renderers write
flames and lens flares so. Straight alpha cannot say it, so there the colour is meant as it is.
"""

from __future__ import annotations

import numpy as np

# Below this coverage a colour cannot be divided by its alpha: it counts as a glow.
_THINNEST = 1e-6


def premultiplied(pixels: np.ndarray, has_emission: bool = False) -> np.ndarray:
    """Straight (H, W, 4) float32 → associated; a copy.

    has_emission  colours at alpha 0 are glows and stay, instead of being hidden
    """
    alpha = pixels[..., 3:]
    result = pixels.copy()
    np.multiply(pixels[..., :3], alpha, out=result[..., :3], where=_covered(alpha, has_emission))
    return result


def straight(pixels: np.ndarray, has_emission: bool = False) -> np.ndarray:
    """Associated (H, W, 4) float32 → straight, in place; the reverse of `premultiplied`."""
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    if not has_emission:
        colour /= np.maximum(alpha, _THINNEST)
        return pixels
    is_thin = np.abs(alpha) < _THINNEST
    np.divide(colour, alpha, out=colour, where=~is_thin)
    alpha[is_thin] = 0.0
    return pixels


def glow_of(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 4) float32: the glows of a straight picture alone, alpha 0."""
    result = np.zeros(pixels.shape, np.float32)
    np.copyto(result[..., :3], pixels[..., :3], where=pixels[..., 3:] == 0.0)
    return result


def without_glow(pixels: np.ndarray) -> np.ndarray:
    """A straight float32 picture without its glows, a copy."""
    result = pixels.copy()
    result[pixels[..., 3] == 0.0] = 0.0
    return result


def _covered(alpha: np.ndarray, has_emission: bool) -> np.ndarray | bool:
    return alpha != 0.0 if has_emission else True
