"""What a performer does, by how that performer's own face answers the sliders."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .analytic.encoder import encode
from .analytic.response_fit import Response, solve
from .analytic.slider_fit import FITTED, expression_of
from .faces.features import FEATURE_COUNT
from .motion import KEYPOINT_COUNT
from .performance.smoothing import steadied
from .tracking.curves import Curves, shots_of, usual_of
from .tracking.performers import FaceTrack

# What sliders must explain of all that a face does, squares of deviations, to be believed not at
# all, and wholly. A picture that sliders move is explained; a filmed face does more than they can.
_EXPLAINED = (0.55, 0.7)
_NOISE_CM, _WINDOW_S = 0.012, 0.08
_PIECE, _MARGIN = 1024, 64  # rows that are fitted at once, and their neighbours that steady them
_REST_SHARE = 0.05  # of the frames: those that show most nearly the performer at rest
_TURN_DEG = 4.0  # as far from rest as a usual change of a measure
_LEAST_SPREAD = 0.02  # of a measure


def resting_rows(track: FaceTrack, curves: Curves) -> np.ndarray:
    """Rows that show the performer most nearly at rest, the nearest first."""
    seen = np.flatnonzero(track.is_seen)
    measures = curves.measures[seen]
    far = (measures - usual_of(measures)) / np.maximum(measures.std(axis=0), _LEAST_SPREAD)
    turned = np.einsum("tij,ij->t", curves.rotation[seen], curves.rest_rotation)
    angle = np.degrees(np.arccos(np.clip((turned - 1.0) / 2.0, -1.0, 1.0)))
    distance = (far**2).sum(axis=1) + (angle / _TURN_DEG) ** 2
    nearest = np.argsort(distance, kind="stable")
    return seen[nearest[: max(1, round(_REST_SHARE * len(seen)))]]


def own_expression(
    track: FaceTrack,
    curves: Curves,
    times: np.ndarray,
    cuts: tuple[int, ...],
    smooth: float,
    response: Response,
    tick: Callable[[], None] | None = None,
) -> np.ndarray:
    """(T, 21, 3) float32 expression, of which `encode` says what no slider does.

    Rows in which nobody was seen lie between their neighbours.
    """
    rows = resting_rows(track, curves)
    rest = np.median(track.features[rows].astype(np.float64), axis=0)
    asked = left = 0.0
    values = np.full((len(times), len(FITTED)), np.nan)
    shown = np.full(curves.measures.shape, np.nan)
    for shot in shots_of(len(times), cuts):
        seen = shot.start + np.flatnonzero(track.is_seen[shot])
        for first in range(0, len(seen), _PIECE):
            low = max(first - _MARGIN, 0)
            near = seen[low : first + _PIECE + _MARGIN]
            part = seen[first : first + _PIECE]
            features = _steady(track.features[near], times[near], smooth) - rest
            kept = slice(first - low, first - low + len(part))
            found = solve(features[kept], response, tick)
            values[part], shown[part] = found.values, found.shown
            asked, left = asked + found.asked.sum(), left + found.left.sum()
    trust = float(np.interp(1.0 - left / max(asked, 1e-9), _EXPLAINED, (0.0, 1.0)))
    values, shown = (trust * _filled(columns, times) for columns in (values, shown))
    said = expression_of(values).reshape(-1, KEYPOINT_COUNT, 3)
    return (said + encode(curves.measures - shown, curves.lids_open)).astype(np.float32)


def _steady(features: np.ndarray, times: np.ndarray, smooth: float) -> np.ndarray:
    noise, window = np.full(FEATURE_COUNT, _NOISE_CM), np.full(FEATURE_COUNT, _WINDOW_S)
    return steadied(features.astype(np.float64), times, noise, window, smooth)


def _filled(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    known = np.flatnonzero(np.isfinite(values[:, 0]))
    return np.column_stack([np.interp(times, times[known], column[known]) for column in values.T])
