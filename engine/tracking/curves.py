"""A performer's track as smooth curves without gaps: head pose, place, size and measures."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..faces.canonical import CANONICAL
from ..faces.crop import face_crop
from ..faces.measures import LID_RATIO_PER_EYES_OPEN, MEASURE_NAMES, measure
from ..performance.geometry import euler_degrees, rotation_matrix
from ..performance.ratios import OpeningRatios
from ..performance.smoothing import steadied
from .performers import FaceTrack

# Centimetres of the face frame in half a crop's width, LivePortrait's unit of translation.
_HALF_CROP_CM = 0.5 * 512 / face_crop(CANONICAL, size=512).scale
# Usual noise, and time constant in seconds: pitch, yaw, roll (degrees), log size, place x, y (cm).
HEAD_NOISE = np.array([0.25, 0.2, 0.12, 0.0025, 0.03, 0.03])
HEAD_WINDOW_S = np.array([0.32, 0.32, 0.32, 0.8, 0.32, 0.32])
MEASURE_NOISE = {
    "lid_left": (0.006, 0.05), "lid_right": (0.006, 0.05),
    "lip_gap": (0.03, 0.06), "mouth_width": (0.04, 0.08),
    "lift_left": (0.02, 0.07), "lift_right": (0.02, 0.07),
    "mouth_x": (0.015, 0.13), "brow_left": (0.03, 0.19), "brow_right": (0.03, 0.19),
    "brow_distance": (0.03, 0.19), "gaze_x": (0.008, 0.1), "gaze_y": (0.008, 0.1),
    "protrusion": (0.03, 0.13), "upper_lip": (0.02, 0.08), "jaw_drop": (0.04, 0.1),
    "brow_inner_left": (0.03, 0.19), "brow_inner_right": (0.03, 0.19),
    "brow_outer_left": (0.03, 0.19), "brow_outer_right": (0.03, 0.19),
    "chin_x": (0.02, 0.13), "cheek_left": (0.012, 0.16), "cheek_right": (0.012, 0.16),
    "cheek_width": (0.05, 0.19),
}  # fmt: skip
# Half crop widths that a head is carried at most: those who walk through the picture, or are
# filmed by a moving camera, would tear a portrait's neck.
_REACH = 0.25
# A size that changes by less hardly does: heads must not seem to breathe.
_SIZE_REST = 0.01  # of the logarithm
_OPEN_PERCENTILE = 85.0  # of a performer's lid ratios: how far open the eyes usually are
# How a performer looks at rest: what is usual, where that is possible. Percentile, and by how much
# one adult differs from the average face at most, in the measure's unit: what is beyond is acting.
_ANATOMY = {
    "lip_gap": (10.0, 0.1), "mouth_width": (30.0, 0.4), "lift_left": (30.0, 0.35),
    "lift_right": (30.0, 0.35), "jaw_drop": (20.0, 0.6), "upper_lip": (50.0, 0.3),
    "gaze_x": (50.0, 0.12), "gaze_y": (50.0, 0.12), "mouth_x": (50.0, 0.2), "chin_x": (50.0, 0.2),
}  # fmt: skip
_USUAL_ANATOMY = (50.0, 0.4)
# Who comes back to the very same face again and again is at rest there, whatever that face shows:
# that part of the frames, and noises between them.
_HELD_SHARE, _SAME_NOISES = 0.2, 4.0

_LIDS = [MEASURE_NAMES.index(name) for name in ("lid_left", "lid_right")]


@dataclass(frozen=True)
class Curves:
    """What one performer does at T moments.

    rotation     (T, 3, 3) float32 R, as in Performance
    translation  (T, 3) float32 half crop widths, from the shot's middle
    scale        (T,) float32, 1 at the shot's median
    measures     (T, M) float64, columns as in MEASURE_NAMES
    is_seen      (T,) bool
    rest_rotation  (3, 3) of the head at rest
    rest         (M,) measures of the face at rest; its lids are open
    """

    rotation: np.ndarray
    translation: np.ndarray
    scale: np.ndarray
    measures: np.ndarray
    is_seen: np.ndarray
    rest_rotation: np.ndarray
    rest: np.ndarray

    @property
    def lids_open(self) -> np.ndarray:
        """(2,) lid ratios of the open eyes, left and right."""
        return self.rest[_LIDS]


def ratios_of(measures: np.ndarray) -> OpeningRatios:
    """Opening ratios of eyes and lips of (T, M) measures, on LivePortrait's scale."""
    gap = np.maximum(measures[:, MEASURE_NAMES.index("lip_gap")], 0.0)
    lips = gap / np.maximum(measures[:, MEASURE_NAMES.index("mouth_width")], 1e-3)
    eyes = measures[:, _LIDS] / LID_RATIO_PER_EYES_OPEN
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
    noise, window = np.array([MEASURE_NOISE[name] for name in MEASURE_NAMES]).T
    for shot in shots_of(len(times), cuts):
        rows = seen[(seen >= shot.start) & (seen < shot.stop)]
        if not len(rows):
            continue
        middle = head[rows, 3].mean()
        head[rows, 3] -= middle
        head[rows, 4:] = (head[rows, 4:] - np.median(head[rows, 4:], axis=0)) / np.exp(middle)
    head = gapless(head, times, cuts, HEAD_NOISE, HEAD_WINDOW_S, smooth)
    measures = gapless(measures, times, cuts, noise, window, smooth)
    rotation, translation, scale = moves_of(head, smooth)
    return Curves(
        rotation=rotation,
        translation=translation,
        scale=scale,
        measures=measures,
        is_seen=track.is_seen.copy(),
        rest_rotation=rotation_matrix(*np.median(head[seen, :3], axis=0)[:, None])[0],
        rest=at_rest(measures[seen]),
    )


def moves_of(head: np.ndarray, smooth: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T, 3, 3) rotation, (T, 3) translation and (T,) scale of a head, float32, as in Curves.

    head    (T, 6) pitch, yaw, roll in degrees; logarithm of the size and place in cm, both from
            where the head usually is
    smooth  0 as it was read, 1 very smooth
    """
    size = head[:, 3]
    size = size**3 / np.maximum(size**2 + (_SIZE_REST * min(1.0, 2.0 * smooth)) ** 2, 1e-12)
    translation = np.zeros((len(head), 3), np.float32)
    translation[:, :2] = _REACH * np.tanh(head[:, 4:] / (_HALF_CROP_CM * _REACH))
    return rotation_matrix(*head[:, :3].T), translation, np.exp(size).astype(np.float32)


def gapless(
    values: np.ndarray,
    times: np.ndarray,
    cuts: tuple[int, ...],
    noise: np.ndarray,
    window_s: np.ndarray,
    smooth: float,
) -> np.ndarray:
    """(T, C) with rows of NaN put between their neighbours, steadied within each shot.

    noise, window_s, smooth  see performance.smoothing.steadied
    """
    values = values.copy()
    for shot in shots_of(len(times), cuts):
        part = _filled(values[shot], times[shot])
        if np.isfinite(part).all():
            values[shot] = steadied(part, times[shot], noise, window_s, smooth)
    return _filled(values, times)


def usual_of(measures: np.ndarray) -> np.ndarray:
    """(M,) what (N, M) measures of a face usually are where it does little."""
    percentiles = [_ANATOMY.get(name, _USUAL_ANATOMY)[0] for name in MEASURE_NAMES]
    usual = np.array([np.percentile(c, p) for c, p in zip(measures.T, percentiles, strict=True)])
    usual[_LIDS] = np.maximum(np.percentile(measures[:, _LIDS], _OPEN_PERCENTILE, axis=0), 0.05)
    return usual


def held(measures: np.ndarray) -> np.ndarray:
    """(N,) bool: where a face with (N, M) measures is as usual in every one of them.

    A picture that sliders move comes back to that; a filmed face hardly ever does.
    """
    noise = np.array([MEASURE_NOISE[name][0] for name in MEASURE_NAMES])
    return np.asarray((np.abs(measures - usual_of(measures)) < _SAME_NOISES * noise).all(axis=1))


def at_rest(measures: np.ndarray) -> np.ndarray:
    """(M,) measures of a performer's face at rest, from (N, M) of what it does."""
    is_held = held(measures)
    if is_held.mean() > _HELD_SHARE:
        return np.median(measures[is_held], axis=0)
    usual = usual_of(measures)
    average = measure(CANONICAL).as_array()
    anatomy = np.array([_ANATOMY.get(name, _USUAL_ANATOMY)[1] for name in MEASURE_NAMES])
    rest = np.clip(usual, average - anatomy, average + anatomy)
    rest[_LIDS] = usual[_LIDS]
    return rest


def shots_of(count: int, cuts: tuple[int, ...]) -> list[slice]:
    """The rows of each shot."""
    edges = sorted({0, count, *(cut for cut in cuts if 0 < cut < count)})
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _filled(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(T, C) with rows of NaN put on lines between their neighbours; all NaN stay."""
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    if not len(known) or len(known) == len(values):
        return values
    columns = [np.interp(times, times[known], values[known, i]) for i in range(values.shape[1])]
    return np.column_stack(columns)
