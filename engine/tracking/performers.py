"""From stretches of followed frames to performers: who is who after losses, crossings and cuts."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ..faces.canonical import CANONICAL, CHIN, SUBNASALE, Pose
from ..faces.features import FEATURE_COUNT
from ..faces.measures import MEASURE_NAMES
from .signature import distance
from .tracklet import PIVOT, Tracklet

# Signatures nearer than this are one face; further, two. Between them the place decides.
_SAME, _OTHER = 1.1, 2.0
_OTHER_SHOT = 2.3  # light and angle change from shot to shot
_TOGETHER = 25  # frames: faces that appear within so many are told apart together
_REACH = 12.0  # cm from where a face was expected after a loss
_REACH_GROWTH = 0.5  # cm further for each frame of the loss


@dataclass(frozen=True)
class FaceTrack:
    """One performer over all T frames of a clip; rows in which nobody was seen hold NaN.

    is_seen    (T,) bool
    measures   (T, M) see faces.measures
    features   (T, FEATURE_COUNT) float16, see faces.features
    rotation   (T, 3, 3) from the face frame to the picture
    scale      (T,) pixels per cm
    place      (T, 2) pixels of the neck joint
    view       (T, 4) where the network looked: centre x, y and side in pixels, angle in radians
    """

    is_seen: np.ndarray
    measures: np.ndarray
    features: np.ndarray
    rotation: np.ndarray
    scale: np.ndarray
    place: np.ndarray
    view: np.ndarray

    @classmethod
    def of(cls, tracklets: list[Tracklet], count: int) -> FaceTrack:
        """The track of tracklets that do not overlap, in a clip of `count` frames."""
        track = cls(
            np.zeros(count, bool),
            np.full((count, len(MEASURE_NAMES)), np.nan, np.float32),
            np.full((count, FEATURE_COUNT), np.nan, np.float16),
            np.full((count, 3, 3), np.nan, np.float32),
            np.full(count, np.nan, np.float32),
            np.full((count, 2), np.nan, np.float32),
            np.full((count, 4), np.nan, np.float32),
        )
        for part in tracklets:
            rows = part.rows
            track.is_seen[rows] = True
            track.measures[rows], track.features[rows] = part.measures, part.features
            track.rotation[rows] = part.rotations
            track.scale[rows], track.place[rows] = part.scales, part.places
            track.view[rows] = part.views
        return track

    def mesh(self, row: int) -> np.ndarray:
        """(478, 3) pixels: the average face, its jaw as low as this one's, where this one was.

        row  a frame in which the face was seen
        """
        face = CANONICAL.copy()
        base = face[SUBNASALE, 1]
        drop = float(self.measures[row, MEASURE_NAMES.index("jaw_drop")])
        below = np.maximum(face[:, 1] - base, 0.0)
        face[:, 1] += below * (drop / (face[CHIN, 1] - base) - 1.0)
        mesh = float(self.scale[row]) * ((face - PIVOT) @ self.rotation[row].T.astype(np.float64))
        mesh[:, :2] += self.place[row]
        return mesh

    def pose(self, row: int) -> Pose:
        """The head's pose in a frame in which it was seen, at no depth of its own."""
        rotation, scale = self.rotation[row].astype(np.float64), float(self.scale[row])
        translation = -scale * rotation @ PIVOT[0]
        translation[:2] += self.place[row]
        return Pose(scale, rotation, translation)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def performers_of(tracklets: list[Tracklet], count: int) -> list[FaceTrack]:
    """The performers of a clip of `count` frames, those first that fill most of it."""
    return [FaceTrack.of(person, count) for person in people_of(tracklets)]


def people_of(tracklets: list[Tracklet]) -> list[list[Tracklet]]:
    """The tracklets of each performer, those performers first that fill most of the clip."""
    people: list[list[Tracklet]] = []
    for group in _appearing_together(tracklets):
        # The surest first: nobody takes the place of somebody who fits better.
        while group:
            pairs = [
                (_strangeness(p, t), i, j)
                for i, p in enumerate(people)
                for j, t in enumerate(group)
            ]
            strangeness, person, index = min(pairs, default=(1.0, 0, 0))
            if strangeness < 1.0:
                people[person].append(group.pop(index))
            else:
                people.append([group.pop(0)])
    people.sort(key=lambda person: -sum(len(t.rows) * t.size**2 for t in person))
    return people


def _appearing_together(tracklets: list[Tracklet]) -> list[list[Tracklet]]:
    """Tracklets in order of time, in groups; the largest first in each."""
    groups: list[list[Tracklet]] = []
    for tracklet in sorted(tracklets, key=lambda t: t.first):
        start = groups[-1][0] if groups else None
        if start and start.shot == tracklet.shot and tracklet.first - start.first < _TOGETHER:
            groups[-1].append(tracklet)
        else:
            groups.append([tracklet])
    return [sorted(group, key=lambda t: -t.size) for group in groups]


def _strangeness(person: list[Tracklet], tracklet: Tracklet) -> float:
    """Below 1 where a tracklet may go on with a person; inf where that cannot be."""
    if any(t.first <= tracklet.last and tracklet.first <= t.last for t in person):
        return float("inf")
    apart = min(distance(a, b) for t in person for a in t.signatures for b in tracklet.signatures)
    latest = max(person, key=lambda t: t.last)
    if latest.shot != tracklet.shot:
        return apart / _OTHER_SHOT
    gap = tracklet.first - latest.last
    expected = latest.place_at(tracklet.first)
    shift = float(np.hypot(*(tracklet.places[0] - expected))) / latest.size
    off = shift / (_REACH + _REACH_GROWTH * gap)
    if apart < _SAME:
        return 0.5 * apart / _SAME
    return apart / _OTHER if off < 1.0 else apart / _SAME
