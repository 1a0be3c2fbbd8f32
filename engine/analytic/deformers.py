"""The muscles of the analytic renderer: how far each one moves every vertex of the face.

A deformer is a (468, 3) array of offsets in centimetres of the canonical face frame (x to the
picture's right, y down, z away from the camera) for an amount of 1. "Left" and "right" are those
of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np

from ..faces.canonical import (
    CANONICAL,
    EYES,
    LIP_CORNERS,
    LIP_LOWER_MIDDLE,
    LIP_LOWER_OUTER,
    LIP_UPPER_MIDDLE,
    LIP_UPPER_OUTER,
    LOWER_LIP,
    MESH_COUNT,
    UPPER_LIP,
    EyeIndices,
)
from .shapes import falloff, smoothstep

MOUTH_DEFORMERS = ("jaw", "smile_left", "smile_right", "part", "pucker", "shift", "press")
# Those that only sliders of their own ask for.
CHEEK_DEFORMERS = ("cheek_left", "cheek_right", "cheek_puff")
LIP_DEFORMERS = ("jaw_x", "lip_raise", "seam_lower")
BROW_DEFORMERS = (
    "brow_inner_left", "brow_inner_right", "brow_outer_left", "brow_outer_right",
    "frown_left", "frown_right",
)  # fmt: skip
DEFORMERS = (*MOUTH_DEFORMERS, *LIP_DEFORMERS, *CHEEK_DEFORMERS, *BROW_DEFORMERS)

# Mouth corners and jaw hinge of the canonical face, cm.
_CORNER_X, _CORNER_Y = 2.36, 3.36
_HINGE_Y, _HINGE_Z = -0.5, -0.8
_JAW_ANGLE = 0.25  # radians at amount 1

_X, _Y, _Z = CANONICAL[:MESH_COUNT].T
_UPPER, _LOWER, _CORNERS = list(UPPER_LIP), list(LOWER_LIP), list(LIP_CORNERS)
_LIPS = _UPPER + _LOWER + _CORNERS
# 0 in the middle of the mouth, 1 at and beyond its corners.
_SIDEWAYS = np.clip(np.abs(_X) / _CORNER_X, 0.0, 1.0)


@cache
def deformers() -> Mapping[str, np.ndarray]:
    """Every deformer by name, mouth first."""
    return MappingProxyType(
        {
            "jaw": _jaw(),
            "smile_left": _smile(-1),
            "smile_right": _smile(1),
            "part": _part(),
            "pucker": _pucker(),
            "shift": _shift(),
            "press": _press(),
            "jaw_x": _jaw_x(),
            "lip_raise": _lip_raise(),
            "seam_lower": _seam_lower(),
            "cheek_left": _cheek(-1, EYES[0]),
            "cheek_right": _cheek(1, EYES[1]),
            "cheek_puff": _cheek_puff(),
            "brow_inner_left": _brow(-1, EYES[0]) * _inner()[:, None],
            "brow_inner_right": _brow(1, EYES[1]) * _inner()[:, None],
            "brow_outer_left": _brow(-1, EYES[0]) * (1.0 - _inner())[:, None],
            "brow_outer_right": _brow(1, EYES[1]) * (1.0 - _inner())[:, None],
            "frown_left": _frown() * _side(-1)[:, None],
            "frown_right": _frown() * _side(1)[:, None],
        }
    )


def _zeros() -> np.ndarray:
    return np.zeros((MESH_COUNT, 3))


def _around(x: float, y: float, radius: float, squeeze: float = 1.0) -> np.ndarray:
    """Gaussian weight of every vertex around a point; `squeeze` shrinks distances in x."""
    return falloff(squeeze * (_X - x) ** 2 + (_Y - y) ** 2, radius)


def _around_corners(radius: float) -> np.ndarray:
    return falloff((np.abs(_X) - _CORNER_X) ** 2 + (_Y - _CORNER_Y) ** 2, radius)


def _middle_of_lips() -> np.ndarray:
    """1 in the middle of the mouth, 0 at its corners."""
    return np.clip(1.0 - _SIDEWAYS**2.5, 0.0, 1.0)


def _jaw() -> np.ndarray:
    """The lower jaw turns about the line through its joints; 1 opens the lips by 1.6 cm."""
    weight = smoothstep((_Y - (_CORNER_Y - 1.7)) / 3.7)
    weight = weight * (1.0 - 0.25 * smoothstep((np.abs(_X) - 4.5) / 2.5))
    weight[(np.abs(_X) < 2.2) & (_Y < _CORNER_Y + 0.2)] = 0.0
    weight[_UPPER] = 0.36 * _SIDEWAYS[_UPPER] ** 4
    weight[_LOWER] = 1.0 - 0.64 * _SIDEWAYS[_LOWER] ** 2.2
    weight[_CORNERS] = 0.36
    weight[(_Y < 2.3) & (np.abs(_X) < 2.6)] = 0.0
    below, behind = _Y - _HINGE_Y, _Z - _HINGE_Z
    cosine, sine = np.cos(_JAW_ANGLE), np.sin(_JAW_ANGLE)
    offsets = _zeros()
    offsets[:, 1] = ((cosine - 1.0) * below - sine * behind) * weight
    offsets[:, 2] = (sine * below + (cosine - 1.0) * behind) * weight
    # Stretched lips draw their corners inwards.
    inwards = -np.sign(_X) * np.minimum(np.abs(_X), 1.0)
    offsets[:, 0] += 0.16 * inwards * _around_corners(1.0)
    offsets[_UPPER, 1] -= 0.05
    return offsets


def _smile(side: int) -> np.ndarray:
    """One mouth corner goes up and out and lifts its cheek."""
    corner = _around(side * _CORNER_X, _CORNER_Y, 1.55)
    cheek = _around(side * 4.0, 0.6, 1.7)
    offsets = _zeros()
    offsets[:, 0] = side * (0.46 * corner + 0.10 * cheek)
    offsets[:, 1] = -(0.62 * corner + 0.34 * cheek)
    offsets[:, 2] = 0.42 * corner - 0.12 * cheek
    along = np.maximum(side * _X[_LIPS] / _CORNER_X, 0.0)
    # The middle of the lips, the upper one above all, comes up a little with the corners.
    middle = np.zeros(MESH_COUNT)
    middle[_UPPER], middle[_LOWER] = 0.14, 0.06
    rise = middle[_LIPS] + (1.0 - middle[_LIPS]) * along**1.6
    offsets[_LIPS] = np.stack([side * 0.46 * along**1.1, -0.62 * rise, 0.42 * rise], axis=1)
    eye = EYES[0 if side < 0 else 1]
    lower_lid = list(eye.lower[1:-1] + eye.lower2[1:-1])
    offsets[lower_lid, 0], offsets[lower_lid, 1] = 0.0, -0.07
    return offsets


def _part() -> np.ndarray:
    """The lips part without the jaw, as in a grin."""
    offsets, middle = _zeros(), _middle_of_lips()
    offsets[_UPPER, 1] = -0.30 * middle[_UPPER]
    offsets[_LOWER, 1] = 0.22 * middle[_LOWER]
    offsets[:, 1] -= 0.15 * _around(0.0, 2.0, 1.0) * ((_Y < 2.5) & (_Y > 0.4))
    offsets[:, 1] += 0.12 * _around(0.0, 5.2, 1.0) * (_Y > 4.6)
    offsets[_UPPER + _LOWER, 2] = 0.05
    return offsets


def _pucker() -> np.ndarray:
    """The mouth narrows and the lips swell forwards."""
    offsets, middle = _zeros(), _middle_of_lips()
    offsets[:, 0] = -0.30 * _X * _around(0.0, _CORNER_Y, 2.1, squeeze=0.6)
    offsets[:, 2] = -0.55 * _around(0.0, _CORNER_Y, 1.7)
    for ring, swell in (
        (LIP_UPPER_OUTER, -0.12),
        (LIP_UPPER_MIDDLE, -0.08),
        (LIP_LOWER_OUTER, 0.12),
        (LIP_LOWER_MIDDLE, 0.08),
    ):
        offsets[list(ring), 1] = swell * middle[list(ring)]
    return offsets


def _shift() -> np.ndarray:
    """The whole mouth goes to the picture's right."""
    offsets = _zeros()
    offsets[:, 0] = 0.8 * _around(0.0, _CORNER_Y + 0.4, 2.0, squeeze=0.55)
    return offsets


def _press() -> np.ndarray:
    """The lips roll inwards and get thin."""
    offsets, middle = _zeros(), _middle_of_lips()
    for ring, depth in (
        (LIP_UPPER_OUTER, 0.22),
        (LIP_UPPER_MIDDLE, 0.12),
        (LIP_LOWER_OUTER, -0.24),
        (LIP_LOWER_MIDDLE, -0.13),
    ):
        offsets[list(ring), 1] = depth * middle[list(ring)]
    above = _around(0.0, 2.1, 0.7, squeeze=0.4) * (_Y < 2.6)
    below = _around(0.0, 5.0, 0.8, squeeze=0.4) * (_Y > 4.5)
    above[_UPPER], below[_LOWER] = 0.0, 0.0
    offsets[:, 1] += 0.12 * above - 0.14 * below
    offsets[:, 0] += np.sign(_X) * 0.12 * _around_corners(1.2)
    return offsets


def _jaw_x() -> np.ndarray:
    """The jaw goes to the picture's right; the lower lip goes with it, the upper one a little."""
    offsets = _zeros()
    chin = smoothstep((_Y - 2.2) / 4.0) * (1.0 - 0.45 * smoothstep((np.abs(_X) - 3.0) / 3.5))
    chin[_LOWER] = 0.70 * (1.0 - 0.3 * _SIDEWAYS[_LOWER] ** 2)
    chin[_UPPER] = 0.34
    chin[_CORNERS] = 0.44
    chin[(_Y < 2.9) & (np.abs(_X) < 2.2)] = 0.0
    offsets[:, 0] = 0.95 * chin
    # A turned jaw is lower on the side that it leaves.
    offsets[:, 1] = -0.06 * chin * _X
    return offsets


def _lip_raise() -> np.ndarray:
    """The upper lip rises off the teeth, most beside its middle, and the nostrils with it."""
    offsets = _zeros()
    along = _SIDEWAYS[_UPPER]
    offsets[_UPPER, 1] = -0.46 * (1.0 - along**2.2) * (0.8 + 0.45 * np.sin(np.pi * along))
    beside_nose = _around(-1.9, 1.2, 0.9) + _around(1.9, 1.2, 0.9)
    above = _around(0.0, 2.6, 0.8, squeeze=0.35) * smoothstep((_Y - 1.3) / 0.8) * (_Y < 2.9)
    above[_UPPER] = 0.0
    offsets[:, 1] -= 0.20 * beside_nose + 0.24 * above
    offsets[_LOWER, 1] += 0.03 * (1.0 - _SIDEWAYS[_LOWER] ** 2)
    return offsets


def _seam_lower() -> np.ndarray:
    """The upper lip comes down on shut lips: it gets long, and the lower one gives way."""
    offsets = _zeros()
    for ring, depth in (
        (UPPER_LIP, 0.24),
        (LOWER_LIP, 0.24),
        (LIP_LOWER_MIDDLE, 0.2),
        (LIP_LOWER_OUTER, 0.13),
    ):
        offsets[list(ring), 1] = depth * (1.0 - 0.35 * _SIDEWAYS[list(ring)] ** 2)
    above = _around(0.0, 2.6, 0.8, squeeze=0.35) * smoothstep((_Y - 1.3) / 0.8) * (_Y < 2.9)
    below = _around(0.0, 4.6, 0.7, squeeze=0.4) * (_Y > 4.2)
    beside = _around_corners(0.9)
    above[_LIPS], below[_LIPS], beside[_UPPER + _LOWER] = 0.0, 0.0, 0.0
    offsets[:, 1] += 0.16 * above + 0.08 * below + 0.15 * beside
    return offsets


def _cheek(side: int, eye: EyeIndices) -> np.ndarray:
    """One cheek rises and pushes the lower lid up."""
    cheek = _around(side * 3.5, -0.5, 1.5)
    offsets = _zeros()
    offsets[:, 0] = side * 0.08 * cheek
    offsets[:, 1] = -0.60 * cheek
    offsets[:, 2] = -0.25 * cheek
    offsets[_LIPS] *= 0.2
    _still_lids(offsets, eye)
    for ring, rise in ((eye.lower, 0.40), (eye.lower2, 0.44), (eye.lower3, 0.48)):
        # The lid is pushed most in its middle.
        bulge = np.sin(np.linspace(0.0, np.pi, len(ring)))
        offsets[list(ring), 1] = -rise * bulge
    return offsets


def _cheek_puff() -> np.ndarray:
    """Both cheeks are blown out; the lips are pushed forwards a little."""
    offsets = _zeros()
    for side in (-1, 1):
        cheek = falloff(((side * _X - 4.4) / 1.5) ** 2 + ((_Y - 3.0) / 2.0) ** 2, 1.0)
        offsets[:, 0] += side * 0.62 * cheek
        offsets[:, 2] -= 0.75 * cheek
    lips = _around(0.0, _CORNER_Y, 1.3, squeeze=0.5)
    offsets[:, 2] -= 0.25 * lips
    offsets[:, 0] -= 0.10 * np.clip(_X / _CORNER_X, -1.0, 1.0) * _around_corners(0.9)
    return offsets


def _side(side: int) -> np.ndarray:
    """1 on one side of the face, 0 on the other."""
    return smoothstep((side * _X + 0.6) / 1.2)


def _inner() -> np.ndarray:
    """1 at the inner ends of the brows, 0 at the outer ones."""
    return 1.0 - smoothstep((np.abs(_X) - 1.8) / 2.4)


def _still_lids(offsets: np.ndarray, eye: EyeIndices) -> None:
    offsets[list(eye.upper + eye.lower + eye.lower2 + eye.lower3)] = 0.0


def _brow(side: int, eye: EyeIndices) -> np.ndarray:
    """One brow goes up and draws the skin above the lid crease along."""
    weight = falloff(((side * _X - 3.0) / 2.6) ** 2 + ((_Y + 5.5) / 1.35) ** 2, 1.0)
    weight *= _side(side)
    weight *= 1.0 - 0.75 * smoothstep((_Y + 4.6) / 1.0)
    offsets = _zeros()
    offsets[:, 1] = -0.75 * weight
    _still_lids(offsets, eye)
    offsets[list(eye.upper[1:-1]), 1] = -0.05
    offsets[list(eye.upper2), 1] *= 0.6
    return offsets


def _frown() -> np.ndarray:
    """The inner ends of the brows go down and together, the outer parts a little down."""
    inner = falloff(((np.abs(_X) - 1.6) / 1.3) ** 2 + ((_Y + 5.2) / 1.1) ** 2, 1.0)
    outer = falloff(((np.abs(_X) - 3.4) / 1.6) ** 2 + ((_Y + 5.5) / 1.1) ** 2, 1.0)
    offsets = _zeros()
    offsets[:, 0] = -np.sign(_X) * 0.38 * inner * np.minimum(np.abs(_X) / 0.8, 1.0)
    offsets[:, 1] = 0.42 * inner + 0.28 * outer * (1.0 - smoothstep((inner - 0.45) / 0.3))
    for eye in EYES:
        _still_lids(offsets, eye)
        offsets[list(eye.upper2)] *= 0.5
    return offsets
