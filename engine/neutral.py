"""Which frame of a performance shows the performer most at rest.

What a face does is read by the decoder, on an average face. How lids, brows and the head usually
are differs from performer to performer and is taken from the performance itself; lips that are
shut are shut for everybody, and a smile is only believed to be somebody's rest within limits.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from .analytic.decoder import decode_rows
from .faces.canonical import CANONICAL
from .faces.measures import Measures, measure
from .performance.geometry import euler_degrees
from .performance.performance import Performance
from .performance.transfer import neutral_expression

# How much of something is as far from rest as a full unit of anything else.
_LIDS, _MOUTH, _SMILE, _BROWS, _GAZE, _TURN_DEG = 0.5, 0.3, 0.5, 0.7, 0.4, 15.0
# Percentile of the performance at which lids are open, and mouth corners at rest.
_OPEN_LIDS, _CALM_SMILE = 20.0, 30.0
_SMILES_AT_REST = (-0.4, 0.1)
# A face that passes through rest is not at rest: weight of the changes per frame.
_HURRY = 3.0
# The reference is the middle one of the frames that are nearly as calm as the calmest.
_NEARLY = 1.15


def neutral_frame(performance: Performance) -> int:
    """The row in which eyes are open, lips shut, nothing is pulled and the head is as usual.

    One in which the face was found.
    """
    found = np.flatnonzero(performance.is_seen)
    if not len(found):
        return 0
    offsets = (performance.expression[found] - neutral_expression(performance)).astype(np.float64)
    shown = decode_rows(offsets.reshape(len(found), -1), _shut_face())
    distance = _distance(shown, performance.rotation[found])
    best = np.flatnonzero(distance <= _NEARLY * distance.min())
    middle = np.median(offsets[best], axis=0)
    spread = np.abs(offsets[best] - middle).sum(axis=(1, 2))
    return int(found[best[spread.argmin()]])


@cache
def _shut_face() -> Measures:
    return replace(measure(CANONICAL), lip_gap=0.0)


def _distance(shown: dict[str, np.ndarray], rotation: np.ndarray) -> np.ndarray:
    """(T,) how far each frame is from rest."""
    smiles = np.stack([shown["smile_left"], shown["smile_right"]])
    calm = np.clip(np.percentile(smiles.mean(axis=0), _CALM_SMILE), *_SMILES_AT_REST)
    parts = [
        *(_closing(shown[name]) / _LIDS for name in ("blink_left", "blink_right")),
        *(np.abs(shown[name]) / _MOUTH for name in ("jaw", "part", "pucker", "press")),
        2.0 * np.abs(smiles.mean(axis=0) - calm) / _SMILE,
        _unusual(smiles[0] - smiles[1]) / _SMILE,
        *(_unusual(shown[name]) / _GAZE for name in ("gaze_x", "gaze_y")),
        *(_unusual(values) / _BROWS for name, values in shown.items() if _is_brow(name)),
        *(_unusual(angles) / _TURN_DEG for angles in euler_degrees(rotation).T),
    ]
    rows = np.stack(parts)
    if rows.shape[1] < 2:
        return rows.sum(axis=0)
    return rows.sum(axis=0) + _HURRY * np.abs(np.gradient(rows, axis=1)).sum(axis=0)


def _is_brow(name: str) -> bool:
    return name.startswith(("brow", "frown"))


def _closing(lids: np.ndarray) -> np.ndarray:
    return np.abs(lids - np.percentile(lids, _OPEN_LIDS))


def _unusual(values: np.ndarray) -> np.ndarray:
    return np.abs(values - np.median(values))
