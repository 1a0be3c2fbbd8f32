"""A performer's track as smooth curves without gaps: head pose, place, size and measures."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..faces.canonical import CANONICAL
from ..faces.crop import face_crop
from ..faces.measures import LID_RATIO_PER_EYES_OPEN, MEASURE_NAMES
from ..performance.geometry import euler_degrees, rotation_matrix
from ..performance.ratios import OpeningRatios
from ..performance.smoothing import steadied
from .performers import FaceTrack

# Centimetres of the face frame in half a crop's width, LivePortrait's unit of translation.
_HALF_CROP_CM = 0.5 * 512 / face_crop(CANONICAL, size=512).scale
# Usual noise, and time constant in seconds: pitch, yaw, roll (degrees), log size, place x, y (cm).
_HEAD_NOISE = np.array([0.25, 0.2, 0.12, 0.0025, 0.03, 0.03])
_HEAD_WINDOW_S = np.array([0.16, 0.16, 0.16, 0.5, 0.16, 0.16])
_MEASURE_NOISE = {
    "lid_left": (0.006, 0.03), "lid_right": (0.006, 0.03),
    "lip_gap": (0.03, 0.05), "mouth_width": (0.04, 0.06),
    "lift_left": (0.02, 0.06), "lift_right": (0.02, 0.06),
    "mouth_x": (0.015, 0.08), "brow_left": (0.03, 0.12), "brow_right": (0.03, 0.12),
    "brow_distance": (0.03, 0.12), "gaze_x": (0.008, 0.06), "gaze_y": (0.008, 0.06),
    "protrusion": (0.03, 0.08), "upper_lip": (0.02, 0.05), "jaw_drop": (0.04, 0.06),
    "brow_inner_left": (0.03, 0.12), "brow_inner_right": (0.03, 0.12),
    "brow_outer_left": (0.03, 0.12), "brow_outer_right": (0.03, 0.12),
    "chin_x": (0.02, 0.08), "cheek_left": (0.012, 0.1), "cheek_right": (0.012, 0.1),
    "cheek_width": (0.05, 0.12),
}  # fmt: skip
# Half crop widths that a head is carried at most: those who walk through the picture, or are
# filmed by a moving camera, would tear a portrait's neck.
_REACH = 0.25
# A size that changes by less hardly does: heads must not seem to breathe.
_SIZE_REST = 0.01  # of the logarithm
_OPEN_PERCENTILE = 85.0  # of a performer's lid ratios: how far open the eyes usually are


@dataclass(frozen=True)
class Curves:
    """What one performer does at T moments.

    rotation     (T, 3, 3) float32 R, as in Performance
    translation  (T, 3) float32 half crop widths, from the shot's middle
    scale        (T,) float32, 1 at the shot's median
    measures     (T, M) float64, columns as in MEASURE_NAMES
    lids_open    (2,) lid ratios of the open eyes
    is_seen      (T,) bool
    """

    rotation: np.ndarray
    translation: np.ndarray
    scale: np.ndarray
    measures: np.ndarray
    lids_open: np.ndarray
    is_seen: np.ndarray

    @property
    def ratios(self) -> OpeningRatios:
        """Opening ratios of eyes and lips on LivePortrait's scale."""
        column = MEASURE_NAMES.index
        lids = self.measures[:, [column("lid_left"), column("lid_right")]]
        gap = np.maximum(self.measures[:, column("lip_gap")], 0.0)
        lips = gap / np.maximum(self.measures[:, column("mouth_width")], 1e-3)
        eyes = lids / LID_RATIO_PER_EYES_OPEN
        return OpeningRatios(eyes.astype(np.float32), lips[:, None].astype(np.float32))


def curves_of(track: FaceTrack, times: np.ndarray, cuts: tuple[int, ...], smooth: float) -> Curves:
    """A performer's curves; rows in which nobody was seen lie between their neighbours.

    times   (T,) seconds
    cuts    rows that begin a new shot; nothing is smoothed or interpolated across them
    smooth  0 as it was read, 1 very smooth
    The track has a seen row.
    """
    seen = np.flatnonzero(track.is_seen)
    head = np.full((len(times), 6), np.nan)
    turned = track.rotation[seen].transpose(0, 2, 1)
    head[seen, :3] = euler_degrees(turned)
    head[seen, 3] = np.log(track.scale[seen])
    head[seen, 4:] = track.place[seen]
    measures = np.asarray(track.measures, np.float64)
    noise, window = np.array([_MEASURE_NOISE[name] for name in MEASURE_NAMES]).T
    shots = _shots(len(times), cuts)
    for shot in shots:
        rows = seen[(seen >= shot.start) & (seen < shot.stop)]
        if not len(rows):
            continue
        middle = head[rows, 3].mean()
        head[rows, 3] -= middle
        head[rows, 4:] = (head[rows, 4:] - np.median(head[rows, 4:], axis=0)) / np.exp(middle)
        inside = slice(shot.start, shot.stop)
        for values, spread, span in (
            (head, _HEAD_NOISE, _HEAD_WINDOW_S),
            (measures, noise, window),
        ):
            values[inside] = _filled(values[inside], times[inside])
            values[inside] = steadied(values[inside], times[inside], spread, span, smooth)
    head, measures = _filled(head, times), _filled(measures, times)
    size = head[:, 3]
    size = size**3 / np.maximum(size**2 + (_SIZE_REST * min(1.0, 2.0 * smooth)) ** 2, 1e-12)
    translation = np.zeros((len(times), 3), np.float32)
    translation[:, :2] = _REACH * np.tanh(head[:, 4:] / (_HALF_CROP_CM * _REACH))
    lids = measures[:, [MEASURE_NAMES.index("lid_left"), MEASURE_NAMES.index("lid_right")]]
    return Curves(
        rotation=rotation_matrix(*head[:, :3].T),
        translation=translation,
        scale=np.exp(size).astype(np.float32),
        measures=measures,
        lids_open=np.maximum(np.percentile(lids[seen], _OPEN_PERCENTILE, axis=0), 0.05),
        is_seen=track.is_seen.copy(),
    )


def _shots(count: int, cuts: tuple[int, ...]) -> list[slice]:
    edges = sorted({0, count, *(cut for cut in cuts if 0 < cut < count)})
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _filled(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(T, C) with rows of NaN put on lines between their neighbours; all NaN stay."""
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    if not len(known) or len(known) == len(values):
        return values
    columns = [np.interp(times, times[known], values[known, i]) for i in range(values.shape[1])]
    return np.column_stack(columns)
