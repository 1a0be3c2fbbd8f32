"""Sprites of teeth and tongue, painted once per face in centimetres."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from .mouth_colours import MouthColours
from .shapes import smoothstep

SPRITE_SCALE = 40.0  # sprite pixels per cm
SPRITE_ORIGIN = (3.0, 1.5)  # cm from the sprite's top left corner to the middle of the lip line
_SIDE_CM = 6.0
_TOOTH_COUNT = 6  # to each side of the middle
_UPPER_WIDTHS = 0.92 * np.array([0.82, 0.64, 0.66, 0.50, 0.42, 0.35])  # cm, from the middle
_LOWER_WIDTHS = 0.92 * np.array([0.50, 0.55, 0.62, 0.60, 0.50, 0.50])
_LENGTHS = np.array([0.0, -0.10, -0.02, -0.10, -0.14, -0.18])  # cm, relative to the incisors
_UPPER_EDGE, _LOWER_EDGE = 0.34, 0.0  # cm below the lip line
_LOWER_BRIGHTNESS = 0.86
_REFLECTED = 0.6  # of the lips' dark colour, in shadows


class Sprites(NamedTuple):
    """(240, 240, 4) float32 each: display RGB multiplied by coverage, then the coverage."""

    upper: np.ndarray
    lower: np.ndarray
    tongue: np.ndarray


def paint_sprites(colours: MouthColours) -> Sprites:
    """Teeth and tongue in the given colours."""
    upper, lower, tongue = _shapes()
    return Sprites(
        _sprite(colours.teeth, colours.edge, *upper),
        _sprite(colours.teeth * _LOWER_BRIGHTNESS, colours.edge, *lower),
        _sprite(colours.tongue, colours.edge, *tongue),
    )


@cache
def _shapes() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Shade and coverage, float32, of upper teeth, lower teeth and tongue."""
    side = int(_SIDE_CM * SPRITE_SCALE)
    steps = (np.arange(side) + 0.5) / SPRITE_SCALE
    x, y = np.meshgrid(steps - SPRITE_ORIGIN[0], steps - SPRITE_ORIGIN[1])
    lower = _row(x, y, is_upper=False)
    shapes = (_row(x, y, is_upper=True), (lower[0], 0.95 * lower[1]), _tongue(x, y))
    return tuple((shade.astype(np.float32), cover.astype(np.float32)) for shade, cover in shapes)


def _sprite(
    colour: np.ndarray, edge: np.ndarray, shade: np.ndarray, coverage: np.ndarray
) -> np.ndarray:
    """Shadows take the colour of the lips around, as they do in a mouth."""
    reflected = _REFLECTED * edge
    # Each channel is made of the lit part and of all that is covered.
    mixed = np.append(np.stack([colour - reflected, reflected], axis=1), [[0.0, 1.0]], axis=0)
    return cv2.transform(cv2.merge([shade * coverage, coverage]), mixed)


def _row(x: np.ndarray, y: np.ndarray, *, is_upper: bool) -> tuple[np.ndarray, np.ndarray]:
    """Shade and coverage of one row of teeth."""
    widths = _UPPER_WIDTHS if is_upper else _LOWER_WIDTHS
    edges = np.concatenate([[0.0], np.cumsum(widths)])
    away = np.abs(x)
    tooth = np.clip(np.searchsorted(edges, away, side="right") - 1, 0, _TOOTH_COUNT - 1)
    across = np.clip((away - edges[tooth]) / widths[tooth], 0.0, 1.0)
    to_gap = np.minimum(across, 1.0 - across)

    # Rounded biting edges on an arch that rises towards the cheeks.
    rounding = 0.10 * (1.0 - np.clip(to_gap / 0.28, 0.0, 1.0)) ** 2
    length = _LENGTHS[tooth] - rounding - 0.035 * away**2
    edge = _UPPER_EDGE + length if is_upper else _LOWER_EDGE - length
    inside = edge - y if is_upper else y - edge
    coverage = (away < edges[-1]) / (1.0 + np.exp(np.clip(-60.0 * inside, -50.0, 50.0)))

    gap_shadow = 1.0 - 0.30 * np.exp(-((to_gap * widths[tooth] / 0.035) ** 2))
    cheek_shadow = 1.0 - 0.62 * smoothstep((away - 1.1) / 1.7)
    roundness = 0.93 + 0.07 * np.cos(3.0 * (across - 0.5))
    to_root = y - (_UPPER_EDGE - 1.0) if is_upper else (_LOWER_EDGE + 0.8) - y
    root_shadow = 0.84 + 0.16 * smoothstep(to_root / 0.5)
    return gap_shadow * cheek_shadow * roundness * root_shadow, coverage


def _tongue(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shade and coverage of the tongue."""
    beyond = np.maximum(0.0, (x / 1.55) ** 2 + ((y - 1.55) / 1.25) ** 2 - 0.35)
    coverage = 0.85 * np.clip(np.exp(-3.0 * beyond), 0.0, 1.0)
    bulge = np.exp(-((x / 1.1) ** 2 + ((y - 1.0) / 0.9) ** 2))
    groove = 0.12 * np.exp(-((x / 0.08) ** 2)) * (y > 0.6)
    return 0.55 + 0.45 * bulge - groove, coverage
