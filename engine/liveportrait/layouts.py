"""Which points of a landmark set are the eyes and the mouth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class PointLayout(NamedTuple):
    """Indices whose means are the centres of the first eye, the second eye and the mouth."""

    first_eye: tuple[int, ...]
    second_eye: tuple[int, ...]
    mouth: tuple[int, ...]


# By number of points. 203: LivePortrait's own; 106 and 5: InsightFace; 9: X-Pose's animal face.
LAYOUTS: Mapping[int, PointLayout] = {
    203: PointLayout((0, 6, 12, 18), (24, 30, 36, 42), (48, 66)),
    106: PointLayout((33, 35, 40, 39), (87, 89, 94, 93), (52, 61)),
    101: PointLayout((39, 42, 45, 48), (51, 54, 57, 60), (75, 81)),
    68: PointLayout((36, 39), (42, 45), (48, 54)),
    9: PointLayout((2, 3), (0, 1), (5, 6)),
    5: PointLayout((0,), (1,), (3, 4)),
}


def anchor_points(
    points: np.ndarray, *, use_lip: bool = True, guesses_point_layouts: bool = False
) -> np.ndarray:
    """The two points that set a crop's direction: (2, 2) float32.

    points   (N, 2) landmarks of a known layout
    use_lip  True: centre of the eyes and centre of the mouth. False: the first eye, and that eye
             plus the vector to the second one turned by 90 degrees.
    guesses_point_layouts  read any set of more than 101 points as 101 points (official habit)
    Raises ValueError for an unknown number of points.
    """
    points = np.asarray(points, np.float32)
    layout = LAYOUTS.get(len(points))
    if layout is None and guesses_point_layouts and len(points) > 101:
        layout = LAYOUTS[101]
    if layout is None:
        raise ValueError(f"no landmark layout of {len(points)} points is known")
    first, second, mouth = (points[list(indices)].mean(axis=0) for indices in layout)
    if use_lip:
        return np.stack([(first + second) / 2, mouth])
    across = second - first
    return np.stack([first, first + np.array([-across[1], across[0]], np.float32)])
