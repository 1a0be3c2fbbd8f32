"""From a take to the keys of its channels: scene frames, losses of the face, cuts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..engine.controls import CONTROLS_BY_NAME
from ..engine.take import EXPRESSION, REGION_GROUPS, REGION_KEYPOINTS, TRANSLATION
from .keying import TAKE_GROUP
from .takes import FaceTake

# A face lost for longer keeps its last expression meanwhile; in between the curves go on.
LONG_LOSS_S = 1.0
# Channels that stay below this are at rest.
STILL = 1e-6


@dataclass(frozen=True)
class Reach:
    """What a take may move.

    groups    of controls, whole
    controls  single ones of other groups
    rows      of the 63 offsets of exp
    """

    groups: frozenset[str]
    controls: frozenset[str]
    rows: tuple[int, ...]

    @classmethod
    def of(cls, region: str) -> Reach:
        """Of a region's name, and of names of controls after it, with spaces between them."""
        names = region.split()
        regions = [name for name in names if name in REGION_GROUPS]
        points = sorted({point for name in regions for point in REGION_KEYPOINTS[name]})
        return cls(
            groups=frozenset(group for name in regions for group in REGION_GROUPS[name]),
            controls=frozenset(names) - frozenset(regions),
            rows=tuple(3 * point + axis for point in points for axis in range(3)),
        )

    def has_control(self, name: str) -> bool:
        """Whether a control may move."""
        return name in self.controls or CONTROLS_BY_NAME[name].group in self.groups


@dataclass(frozen=True)
class Timing:
    """Where a performance lies in a scene.

    start_frame  scene frame of the moment `lead_s` of the performance
    fps          of the scene, frames per second
    stretch      2 takes twice the time
    start_s      where in its clip the performance begins, seconds
    """

    start_frame: float
    fps: float
    lead_s: float = 0.0
    stretch: float = 1.0
    start_s: float = 0.0

    @property
    def frames_per_second(self) -> float:
        """Scene frames that a second of the performance takes."""
        return self.fps * self.stretch

    def frames(self, times_s: np.ndarray) -> np.ndarray:
        """Scene frames of moments of the performance."""
        return self.start_frame + (times_s - self.lead_s) * self.frames_per_second

    def moment(self, frame: float) -> float:
        """The moment of the performance, in seconds, that is at a frame of the scene."""
        return self.lead_s + (frame - self.start_frame) / self.frames_per_second


@dataclass(frozen=True)
class Channel:
    """The keys of one F-curve.

    frames    (K,) float64 scene frames, rising
    values    (K,) float64
    holds     (K,) bool: the value stays until the next key
    dense_frames, dense_values  the same with a key for every moment
    is_still  at rest all the time: it needs keys only where there are others
    slopes    (K,) value per frame, of cubics from key to key; None for straight lines
    straights (K,) bool: keys from which a straight line leads to the next one all the same
    """

    path: str
    index: int
    group: str
    frames: np.ndarray
    values: np.ndarray
    holds: np.ndarray
    dense_frames: np.ndarray
    dense_values: np.ndarray
    is_still: bool = False
    slopes: np.ndarray | None = None
    straights: np.ndarray | None = None


def loss_spans(is_seen: np.ndarray) -> list[tuple[int, int]]:
    """(first, end) rows of every stretch in which the face was not seen; `end` is seen again."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], is_seen, [True]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


class Sampling:
    """Where the moments of a take may have keys.

    use_whole_frames  keys lie on whole frames, with the performance's value there
    """

    def __init__(self, take: FaceTake, timing: Timing, *, use_whole_frames: bool) -> None:
        self._take = take
        self._frames = timing.frames(take.times)
        self._use_whole_frames = use_whole_frames
        self.frames_per_second = timing.frames_per_second
        seen = take.is_seen
        shot = np.zeros(len(seen), np.int64)
        for cut in take.cuts:
            shot[cut:] += 1
        self.holds = np.zeros(len(seen), bool)
        self.edges = np.zeros(len(seen), bool)
        self.straights = np.zeros(len(seen), bool)
        rows = np.flatnonzero(seen)
        self.edges[rows[[0, -1]]] = True
        before, after = rows[:-1], rows[1:]
        is_cut = shot[before] != shot[after]
        is_lost = after - before > 1
        is_long = is_lost & (take.times[after] - take.times[before] > LONG_LOSS_S)
        self.edges[before[is_cut | is_lost]] = self.edges[after[is_cut | is_lost]] = True
        self.holds[before[is_cut | is_long]] = True
        self.straights[before[is_lost]] = True
        # Between rows of one stretch values may be interpolated.
        stretch = np.zeros(len(seen), np.int64)
        np.add.at(stretch, after[is_cut | is_long], 1)
        stretch = np.cumsum(stretch)
        self._first = np.array([rows[stretch[rows] == s][0] for s in range(stretch[-1] + 1)])
        self._last = np.array([rows[stretch[rows] == s][-1] for s in range(stretch[-1] + 1)])
        self._stretch = stretch

    @cached_property
    def dense(self) -> Keys:
        """A key for every moment in which the face was seen."""
        return self.at(np.ones(len(self._frames), bool))

    def at(self, is_key: np.ndarray) -> Keys:
        """Keys at some (T,) of the moments, at the edges of losses and cuts, and at no unseen."""
        rows = np.flatnonzero((is_key | self.edges) & self._take.is_seen)
        frames = self._frames[rows]
        if not self._use_whole_frames:
            return self._keys(frames, rows, rows, np.zeros(len(rows)), rows)
        whole = np.round(frames)
        is_last = np.append(whole[1:] != whole[:-1], True)
        rows, whole = rows[is_last], whole[is_last]
        first, last = (ends[self._stretch[rows]] for ends in (self._first, self._last))
        right = np.searchsorted(self._frames, whole)
        left, right = np.clip(right - 1, first, last), np.clip(right, first, last)
        gap = self._frames[right] - self._frames[left]
        weight = (whole - self._frames[left]) / np.where(gap > 0.0, gap, 1.0)
        return self._keys(whole, left, right, np.clip(weight, 0.0, 1.0), rows)

    def _keys(
        self,
        frames: np.ndarray,
        left: np.ndarray,
        right: np.ndarray,
        weight: np.ndarray,
        rows: np.ndarray,
    ) -> Keys:
        return Keys(frames, left, right, weight, self.holds[rows], self.straights[rows])


@dataclass(frozen=True)
class Keys:
    """K keys: their scene frames, and the rows of a take that their values lie between."""

    frames: np.ndarray
    left: np.ndarray
    right: np.ndarray
    weight: np.ndarray
    holds: np.ndarray
    straights: np.ndarray

    def values(self, samples: np.ndarray) -> np.ndarray:
        """(K, …) values of (T, …) samples."""
        weight = self.weight.reshape(-1, *([1] * (samples.ndim - 1)))
        return samples[self.left] * (1.0 - weight) + samples[self.right] * weight


def channels_of(
    take: FaceTake, sampling: Sampling, region: str, *, use_detail: bool
) -> list[Channel]:
    """Every channel of a take that its region moves. At least one moment must be seen.

    region  as in Reach.of
    """
    channels = []
    reach = Reach.of(region)
    dense = sampling.dense
    for index, column in enumerate(take.columns):
        if reach.has_control(column):
            samples = take.values[:, index].astype(np.float64)
            keys = sampling.at(take.keys[:, index])
            channels.append(
                Channel(
                    f'["{column}"]', 0, CONTROLS_BY_NAME[column].group,
                    keys.frames, keys.values(samples), keys.holds,
                    dense.frames, dense.values(samples),
                    slopes=keys.values(take.slopes[:, index]) / sampling.frames_per_second,
                    straights=keys.straights,
                )
            )  # fmt: skip
    if "Head" in reach.groups:
        channels += _array_channels(TRANSLATION, dense, take.translation, range(3))
    detail = take.expression if use_detail else np.zeros_like(take.expression)
    return channels + _array_channels(EXPRESSION, dense, detail, reach.rows)


def with_still_ones(channels: Iterable[Channel], rest: Mapping[str, float]) -> list[Channel]:
    """Channels of which those of controls are still, too, that never leave their rest.

    rest  control name → value that leaves the picture as it is
    """
    rests = {f'["{name}"]': value for name, value in rest.items()}
    return [
        replace(
            c, is_still=c.is_still or float(np.abs(c.dense_values - rests[c.path]).max()) <= STILL
        )
        if c.path in rests
        else c
        for c in channels
    ]


def _array_channels(
    name: str, dense: Keys, samples: np.ndarray, indices: Iterable[int]
) -> list[Channel]:
    values = dense.values(samples.astype(np.float64))
    ends = np.unique([0, len(values) - 1])
    channels = []
    for index in indices:
        is_still = bool(np.abs(values[:, index]).max() <= STILL)
        chosen = ends if is_still else slice(None)
        frames, column = dense.frames[chosen], values[chosen, index]
        holds = dense.holds[chosen]
        channels.append(
            Channel(
                f'["{name}"]', index, TAKE_GROUP, frames, column, holds, frames, column, is_still
            )
        )
    return channels
