"""What a performer does, by how that performer's own face answers the sliders."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .analytic.encoder import encode
from .analytic.response_fit import Response, solve
from .analytic.slider_fit import FITTED, expression_of
from .faces.features import FEATURE_COUNT
from .motion import KEYPOINT_COUNT
from .performance.smoothing import steadied
from .tracking.curves import Curves, held, shots_of, usual_of
from .tracking.performers import FaceTrack

# What sliders must explain of all that a face does, squares of deviations, to be believed not at
# all, and wholly; moments with the head elsewhere count less.
_EXPLAINED = (0.4, 0.6)
_NOISE_CM, _WINDOW_S = 0.012, 0.08
_PIECE, _MARGIN = 1024, 64  # rows that are fitted at once, and their neighbours that steady them
_REST_SHARE = 0.05  # of the frames: those that show most nearly the performer at rest
_TURN_DEG = 4.0  # as far from rest as a usual change of a measure
# Views that are so far from each other are two: sides across and down, logarithm of the size,
# radians.
_VIEW_REACH = np.array([0.009, 0.009, 0.012, 0.015])
_MOST_RESTS = 1000  # rows that show it
_SHIFT, _GROWTH = 0.04, 0.04  # as far, in half crop widths, and of the logarithm of the size
_LEAST_SPREAD = 0.02  # of a measure


def resting_rows(track: FaceTrack, curves: Curves) -> np.ndarray:
    """Rows that show the performer most nearly at rest, the nearest first."""
    seen = np.flatnonzero(track.is_seen)
    measures = curves.measures[seen]
    far = (measures - usual_of(measures)) / np.maximum(measures.std(axis=0), _LEAST_SPREAD)
    turns = _turns_deg(curves.rotation[seen], curves.rest_rotation)
    distance = (far**2).sum(axis=1) + (turns / _TURN_DEG) ** 2
    nearest = np.argsort(distance, kind="stable")
    return seen[nearest[: max(1, round(_REST_SHARE * len(seen)))]]


class OwnReading(NamedTuple):
    """What a performer does.

    expression  (T, 21, 3) float32
    sliders     control name → (T,) float32 where sliders explain the whole face, else empty
    """

    expression: np.ndarray
    sliders: dict[str, np.ndarray]


def own_reading(
    track: FaceTrack,
    curves: Curves,
    times: np.ndarray,
    cuts: tuple[int, ...],
    smooth: float,
    response: Response,
    tick: Callable[[], None] | None = None,
) -> OwnReading:
    """The sliders that a face answers to so, as far as they explain it; `encode` says the rest.

    Rows in which nobody was seen lie between their neighbours.
    """
    rests = _Rests(track, curves)
    doubt = _doubt(curves)
    asked = left = 0.0
    values = np.full((len(times), len(FITTED)), np.nan)
    for shot in shots_of(len(times), cuts):
        seen = shot.start + np.flatnonzero(track.is_seen[shot])
        for first in range(0, len(seen), _PIECE):
            low = max(first - _MARGIN, 0)
            near = seen[low : first + _PIECE + _MARGIN]
            part = seen[first : first + _PIECE]
            moved = track.features[near].astype(np.float64) - rests.at(near)
            features = _steady(moved, times[near], smooth)
            kept = slice(first - low, first - low + len(part))
            found = solve(features[kept], response, tick, doubt[part])
            values[part] = found.values
            weight = 1.0 / doubt[part]
            asked, left = asked + weight @ found.asked, left + weight @ found.left
    trust = float(np.interp(1.0 - left / max(asked, 1e-9), _EXPLAINED, (0.0, 1.0)))
    values = _filled(values, times)
    said = trust * expression_of(values).reshape(-1, KEYPOINT_COUNT, 3)
    unsaid = curves.rest + (1.0 - trust) * (curves.measures - curves.rest)
    expression = (said + encode(unsaid, curves.lids_open)).astype(np.float32)
    is_whole = trust == 1.0
    columns = values.T.astype(np.float32)
    return OwnReading(expression, dict(zip(FITTED, columns, strict=True)) if is_whole else {})


class _Rests:
    """What the features of a face at rest are in views like those of some rows.

    A still view is a little off the face, each time otherwise, and of the very same face the
    network says something else then.
    """

    def __init__(self, track: FaceTrack, curves: Curves) -> None:
        seen = np.flatnonzero(track.is_seen)
        rows = seen[held(curves.measures[seen])]
        if not len(rows):
            rows = resting_rows(track, curves)
        rows = rows[:: max(1, len(rows) // _MOST_RESTS)]
        side = float(np.median(track.view[seen, 2]))
        self._places = np.column_stack(
            [track.view[:, :2] / side, np.log(track.view[:, 2] / side), track.view[:, 3]]
        ) / _VIEW_REACH  # fmt: skip
        self._known = self._places[rows]
        self._features = track.features[rows].astype(np.float64)

    def at(self, rows: np.ndarray) -> np.ndarray:
        """(N, FEATURE_COUNT) of N rows."""
        apart = self._places[rows][:, None] - self._known[None]
        squares = np.einsum("trc,trc->tr", apart, apart)
        squares -= squares.min(axis=1, keepdims=True)
        weights = np.exp(-0.5 * squares)
        return (weights / weights.sum(axis=1, keepdims=True)) @ self._features


def _doubt(curves: Curves) -> np.ndarray:
    """(T,) from 1 on: the further a head has gone, the less its face is as it was tried."""
    turns = _turns_deg(curves.rotation, curves.rest_rotation)
    shift = np.hypot(*curves.translation[:, :2].T) / _SHIFT
    growth = np.abs(np.log(curves.scale)) / _GROWTH
    return np.asarray(1.0 + (turns / _TURN_DEG) ** 2 + shift**2 + growth**2)


def _turns_deg(rotation: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(T,) degrees by which (T, 3, 3) heads are turned from a rest."""
    traces = np.einsum("tij,ij->t", rotation, rest)
    return np.asarray(np.degrees(np.arccos(np.clip((traces - 1.0) / 2.0, -1.0, 1.0))))


def _steady(features: np.ndarray, times: np.ndarray, smooth: float) -> np.ndarray:
    noise, window = np.full(FEATURE_COUNT, _NOISE_CM), np.full(FEATURE_COUNT, _WINDOW_S)
    return steadied(features, times, noise, window, smooth)


def _filled(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    known = np.flatnonzero(np.isfinite(values[:, 0]))
    return np.column_stack(
        [np.interp(times, times[known], values[known, i]) for i in range(values.shape[1])]
    )
