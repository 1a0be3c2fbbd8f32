"""How closing lids move the vertices around an eye."""

from __future__ import annotations

import numpy as np

from ..faces.canonical import MESH_COUNT, EyeIndices
from .lids import LOWER_OVERLAP, UPPER_OVERLAP, across_lids
from .shapes import smoothstep

_CLOSED_LINE = -0.04  # where shut lids meet, from the lower lid towards the upper one
_PAST_FROM = 0.8  # blink from which lids go on past that line; else narrow eyes shut half-way
_LID_OFFSET_REACH = 0.35  # of the opening, for lid_offset 1


def closing_moves(points: np.ndarray, eye: EyeIndices) -> dict[str, np.ndarray]:
    """(468, 2) crop pixels each by which an eye's lids move the face's vertices.

    points  (468, 2) crop pixels
    "blink" brings both lids to the line where they meet, "lids_past" a little past each other,
    "lid_offset" lowers that line with the skin around it.
    """
    upper, lower = points[list(eye.upper)], points[list(eye.lower)]
    closed = lower + _CLOSED_LINE * (upper - lower)
    width = float(np.hypot(*(upper[-1] - upper[0])))
    along = np.sin(np.linspace(0.0, np.pi, len(upper)))[:, None]
    past = along * width * across_lids(upper)
    return {
        "blink": _moved(eye, closed - upper, closed - lower),
        "lids_past": _moved(eye, UPPER_OVERLAP * past, -LOWER_OVERLAP * past),
        "lid_offset": _lowered(eye, _LID_OFFSET_REACH * (lower - upper)),
    }


def past_share(blink: float) -> float:
    """How far lids have gone past each other."""
    return float(smoothstep((blink - _PAST_FROM) / (1.0 - _PAST_FROM)))


def _moved(eye: EyeIndices, down: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Moves of all vertices, given the (9, 2) moves of the lids' edges."""
    move = np.zeros((MESH_COUNT, 2))
    # The lid unfolds below its crease (lid_skin.py); the brow stays.
    for ring, share in ((eye.upper, 1.0), (eye.upper2, 0.46), (eye.upper3, 0.03)):
        move[list(ring[1:-1])] = share * down[1:-1]
    for ring, share in ((eye.lower, 1.0), (eye.lower2, 0.45)):
        move[list(ring[1:-1])] = share * up[1:-1]
    return move


def _lowered(eye: EyeIndices, down: np.ndarray) -> np.ndarray:
    """Moves of all vertices that lower both lids by the same (9, 2) moves."""
    move = np.zeros((MESH_COUNT, 2))
    for ring, share in (
        (eye.upper, 1.0), (eye.lower, 1.0), (eye.upper2, 0.6), (eye.lower2, 0.6),
        (eye.upper3, 0.15), (eye.lower3, 0.2),
    ):  # fmt: skip
        move[list(ring[1:-1])] = share * down[1:-1]
    return move
