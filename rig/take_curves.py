"""Keys of a take in the F-curves of an action: in place of what is there, or added to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

import bpy
import numpy as np

from .. import compat
from .take_channels import Channel

# Keys nearer than this, in frames, are at the same place.
NEAR = 1e-3
# As keyframe_points.foreach_get gives them: name → (numbers per key, type).
ATTRIBUTES = {
    "co": (2, np.float32),
    "handle_left": (2, np.float32),
    "handle_right": (2, np.float32),
    "handle_left_type": (1, np.int32),
    "handle_right_type": (1, np.int32),
    "interpolation": (1, np.int32),
    "easing": (1, np.int32),
    "type": (1, np.int32),
    "back": (1, np.float32),
    "amplitude": (1, np.float32),
    "period": (1, np.float32),
}
CONSTANT, LINEAR, BEZIER = 0, 1, 2
FREE, ALIGNED, AUTO_CLAMPED = 0, 3, 4
# What differs from 0 in a new key.
CHOSEN = tuple(list(ATTRIBUTES)[:6])
CurveKey = tuple[str, int]


class Points(NamedTuple):
    """The keys of a curve as arrays, (K, …) for each of ATTRIBUTES; new ones lack what is 0."""

    arrays: Mapping[str, np.ndarray]

    @property
    def frames(self) -> np.ndarray:
        """(K,) scene frames."""
        return self.arrays["co"][:, 0]

    def array(self, name: str) -> np.ndarray:
        """One of ATTRIBUTES."""
        if name in self.arrays:
            return self.arrays[name]
        size, kind = ATTRIBUTES[name]
        return np.zeros((len(self.frames), size) if size > 1 else len(self.frames), kind)

    def where(self, is_chosen: np.ndarray) -> Points:
        """Those of the keys."""
        return Points({name: array[is_chosen] for name, array in self.arrays.items()})


def read_points(curve: bpy.types.FCurve) -> Points:
    """Every key of a curve."""
    count = len(curve.keyframe_points)
    arrays = {}
    for name, (size, kind) in ATTRIBUTES.items():
        flat = np.empty(count * size, kind)
        curve.keyframe_points.foreach_get(name, flat)
        arrays[name] = flat.reshape(count, size) if size > 1 else flat
    return Points(arrays)


def write_points(curve: bpy.types.FCurve, parts: Iterable[Points]) -> None:
    """Let a curve have these keys alone; they are sorted by their frames."""
    parts = [part for part in parts if len(part.frames)]
    names = {name for part in parts for name in part.arrays}
    arrays = {name: np.concatenate([part.array(name) for part in parts]) for name in names}
    order = np.argsort(arrays["co"][:, 0], kind="stable")
    points = curve.keyframe_points
    points.clear()
    points.add(len(order))
    for name, array in arrays.items():
        points.foreach_set(name, array[order].ravel())
    curve.update()


def new_points(
    frames: np.ndarray,
    values: np.ndarray,
    holds: np.ndarray,
    slopes: np.ndarray | None = None,
    straights: np.ndarray | None = None,
) -> Points:
    """Keys between which a curve is straight, or holds.

    slopes     (K,) value per frame: with them it is a cubic from key to key
    straights  (K,) bool: but not from these
    """
    places = np.column_stack([frames, values]).astype(np.float32)
    kinds = np.where(holds, CONSTANT, LINEAR).astype(np.int32)
    left = right = places
    handles = np.full(len(frames), AUTO_CLAMPED, np.int32)
    if slopes is not None and len(frames) > 1:
        kinds[~holds if straights is None else ~(holds | straights)] = BEZIER
        handles[:] = ALIGNED
        # Handles a third of the way along make a cubic with these slopes at its ends.
        thirds = np.diff(frames) / 3.0
        left, right = (
            np.column_stack([frames + step, values + step * slopes]).astype(np.float32)
            for step in (-np.append(thirds[:1], thirds), np.append(thirds, thirds[-1:]))
        )
    chosen = (places, left, right, handles, handles, kinds)
    return Points(dict(zip(CHOSEN, chosen, strict=True)))


def _points_of(channel: Channel, values: np.ndarray) -> Points:
    """The keys of a channel with other values."""
    return new_points(channel.frames, values, channel.holds, channel.slopes, channel.straights)


def moved(points: Points, shift: float, stretch: float = 1.0, factor: float = 1.0) -> Points:
    """The keys at frames * stretch + shift, with their values times a factor."""
    arrays = dict(points.arrays)
    for name in ("co", "handle_left", "handle_right"):
        arrays[name] = (arrays[name] * (stretch, factor) + (shift, 0.0)).astype(np.float32)
    return Points(arrays)


def is_between(points: Points, first: float, last: float) -> np.ndarray:
    """(K,) bool: which keys lie in a range of frames, its ends included."""
    return (points.frames >= first - NEAR) & (points.frames <= last + NEAR)


def by_key(curves: Iterable[bpy.types.FCurve]) -> dict[CurveKey, bpy.types.FCurve]:
    """Curves by data path and index."""
    return {(curve.data_path, curve.array_index): curve for curve in curves}


def replace_keys(
    curves: compat.ActionCurves,
    channels: Iterable[Channel],
    span: tuple[float, float],
    others: set[CurveKey],
) -> Iterator[Channel]:
    """Write channels; what their curves had between the frames of `span` goes.

    others  further curves that move the object, below in the NLA
    Yields the channels that need no curve.
    """
    known = by_key(curves)
    for channel in channels:
        key = channel.path, channel.index
        curve = known.get(key)
        if channel.is_still and curve is None and key not in others:
            yield channel
            continue
        kept = []
        if curve is None:
            curve = curves.new(channel.path, channel.index, channel.group)
        else:
            points = read_points(curve)
            kept = [points.where(~is_between(points, *span))]
        write_points(curve, [*kept, _points_of(channel, channel.values)])


def add_keys(
    curves: compat.ActionCurves,
    channels: Iterable[Channel],
    span: tuple[float, float],
    rest: Mapping[CurveKey, float],
    now: Mapping[CurveKey, float],
) -> None:
    """Add channels to what their curves say between the frames of `span`, and leave the rest.

    rest  value that stands for no motion, of each channel
    now   value that a property without a curve has
    """
    known = by_key(curves)
    for channel in channels:
        key = channel.path, channel.index
        curve = known.get(key)
        moved = channel.values - rest[key]
        if not np.abs(moved).max(initial=0.0) > 0.0:
            continue
        if curve is None:
            curve = curves.new(channel.path, channel.index, channel.group)
            write_points(curve, [_points_of(channel, now[key] + moved)])
        else:
            write_points(curve, _sum(curve, channel, span, rest[key]))


def _sum(
    curve: bpy.types.FCurve, channel: Channel, span: tuple[float, float], rest: float
) -> Iterator[Points]:
    """The keys of a curve and a channel on top of it, the curve's own around them."""
    points = read_points(curve)
    dense = np.array([curve.evaluate(frame) for frame in channel.dense_frames])
    if np.ptp(dense) > 0.0:
        frames, moved = channel.dense_frames, channel.dense_values - rest
        holds = np.zeros(len(frames), bool)
        holds[np.isin(frames, channel.frames[channel.holds])] = True
    else:
        frames, moved, holds = channel.frames, channel.values - rest, channel.holds
    said = np.array([curve.evaluate(frame) for frame in frames])
    before, after = grown(span)
    for guard in (before, after):
        points = divided(points, guard, curve.evaluate(guard))
    # What is outside must not bend towards the sum.
    left, right = points.frames <= before + NEAR, points.frames >= after - NEAR
    points.arrays["interpolation"][np.flatnonzero(left)[-1:]] = LINEAR
    yield points.where(left | right)
    if frames is channel.frames:
        yield _points_of(channel, said + moved)
    else:
        yield new_points(frames, said + moved, holds)


def grown(span: tuple[float, float]) -> tuple[float, float]:
    """A range with the frames of guards, which keep what is outside as it was."""
    return span[0] - 1.0, span[1] + 1.0


def divided(points: Points, frame: float, value: float) -> Points:
    """Keys with one more between two of them, where the curve keeps its shape.

    value  of the curve at that frame
    """
    after = int(np.searchsorted(points.frames, frame))
    if not 0 < after < len(points.frames) or np.abs(points.frames - frame).min() < NEAR:
        return points
    before = after - 1
    arrays = {name: np.insert(a, after, a[before], axis=0) for name, a in points.arrays.items()}
    arrays["co"][after] = frame, value
    if arrays["interpolation"][before] == BEZIER:
        _divide_bezier(arrays, before, frame)
    return Points(arrays)


def _divide_bezier(arrays: Mapping[str, np.ndarray], before: int, frame: float) -> None:
    """Handles of three keys, of which the middle one was put into the curve (de Casteljau)."""
    first, end = arrays["co"][before], arrays["co"][before + 2]
    corners = [first, arrays["handle_right"][before], arrays["handle_left"][before + 2], end]
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        levels = _halved(corners, middle)
        low, high = (middle, high) if levels[3][0][0] < frame else (low, middle)
    levels = _halved(corners, 0.5 * (low + high))
    arrays["handle_right"][before] = levels[1][0]
    arrays["handle_left"][before + 1], arrays["handle_right"][before + 1] = levels[2]
    arrays["handle_left"][before + 2] = levels[1][-1]
    arrays["handle_right_type"][before] = arrays["handle_left_type"][before + 2] = FREE
    arrays["handle_left_type"][before + 1] = arrays["handle_right_type"][before + 1] = FREE


def _halved(corners: list[np.ndarray], share: float) -> list[list[np.ndarray]]:
    levels = [corners]
    while len(levels[-1]) > 1:
        row = levels[-1]
        levels.append([(1 - share) * a + share * b for a, b in pairwise(row)])
    return levels


def restore_keys(
    curves: compat.ActionCurves,
    base: Iterable[bpy.types.FCurve],
    keys: set[CurveKey],
    span: tuple[float, float],
) -> None:
    """Give curves back what they had between the frames of `span` before a capture.

    base  the curves as they were then
    keys  which curves
    """
    former = by_key(base)
    for key, curve in by_key(curves).items():
        if key not in keys:
            continue
        points = read_points(curve)
        parts = [points.where(~is_between(points, *span))]
        if key in former:
            points = read_points(former[key])
            parts.append(points.where(is_between(points, *span)))
        if sum(len(part.frames) for part in parts):
            write_points(curve, parts)
        else:
            curves.remove(curve)
