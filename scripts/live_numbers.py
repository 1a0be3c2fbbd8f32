"""Numbers in the frames of a stand-in for a camera, that survive coding, shrinking and a mirror."""

from __future__ import annotations

import numpy as np

BITS = 10
_HEIGHT = 1 / 12  # of the picture


def burn_in(image: np.ndarray, number: int) -> None:
    """Write a number into the top of an (H, W, 3) uint8 picture: white blocks are ones."""
    height, width = image.shape[:2]
    step = width / BITS
    for bit in range(BITS):
        columns = slice(round(bit * step), round((bit + 1) * step))
        image[: round(height * _HEIGHT), columns] = 235 if number >> bit & 1 else 20


def number_in(mirrored: np.ndarray) -> int:
    """The number in a picture of burn_in that was shrunk and mirrored."""
    height, width = mirrored.shape[:2]
    rows = slice(round(0.3 * height * _HEIGHT), max(1, round(0.7 * height * _HEIGHT)))
    step = width / BITS
    strip = mirrored[rows, ::-1, :3].mean(axis=(0, 2))
    bits = [strip[round((b + 0.3) * step) : round((b + 0.7) * step)].mean() for b in range(BITS)]
    return sum(1 << bit for bit, value in enumerate(bits) if value > 128)
