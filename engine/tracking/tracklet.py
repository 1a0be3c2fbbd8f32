"""A stretch of frames in which one face was followed without a break."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..faces.canonical import Pose
from ..faces.features import FEATURE_COUNT
from ..faces.measures import MEASURE_NAMES
from ..faces.mesh import View

PIVOT = np.array([[0.0, 1.5, 1.0]])  # the neck joint, cm of the face frame: turning leaves it


LANDMARK_CM = 0.001  # a step of stored landmarks


@dataclass
class Tracklet:
    """What was read of one face, a row per frame.

    shot       number of the shot
    rows       frame numbers, without gaps
    measures   (M,) each, see faces.measures
    features   (FEATURE_COUNT,) float16 each, see faces.features
    rotations  (3, 3) each, from the face frame to the picture
    scales     pixels per cm
    places     (2,) each, pixels of the neck joint
    views      (4,) each, see FaceTrack.view
    signatures  a few, see signature.py, from frames that show the face well
    landmarks  (478, 3) int16 each in the face frame, see LANDMARK_CM; empty where not asked for
    """

    shot: int
    rows: list[int] = field(default_factory=list)
    measures: list[np.ndarray] = field(default_factory=list)
    features: list[np.ndarray] = field(default_factory=list)
    rotations: list[np.ndarray] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    places: list[np.ndarray] = field(default_factory=list)
    views: list[np.ndarray] = field(default_factory=list)
    signatures: list[np.ndarray] = field(default_factory=list)
    landmarks: list[np.ndarray] = field(default_factory=list)

    def add(
        self, row: int, pose: Pose, measures: np.ndarray, features: np.ndarray, view: View
    ) -> None:
        """Append a frame that was read in a view."""
        assert measures.shape == (len(MEASURE_NAMES),)
        assert features.shape == (FEATURE_COUNT,)
        self.rows.append(row)
        self.measures.append(measures)
        self.features.append(features.astype(np.float16))
        self.rotations.append(pose.rotation)
        self.scales.append(pose.scale)
        self.places.append(pose.to_picture(PIVOT)[0, :2])
        self.views.append(np.array([*view.centre, view.side, view.angle]))

    def keep_landmarks(self, landmarks: np.ndarray, pose: Pose) -> None:
        """Keep the (478, 3) landmarks in pixels of the frame that was appended last."""
        steps = np.rint(pose.to_face_frame(landmarks) / LANDMARK_CM)
        self.landmarks.append(np.clip(steps, -32767, 32767).astype(np.int16))

    def drop_last(self) -> None:
        """Take the last frame back."""
        for column in (self.rows, self.measures, self.features, self.rotations):
            column.pop()
        for column in (self.scales, self.places, self.views):
            column.pop()
        if self.landmarks:
            self.landmarks.pop()

    @property
    def first(self) -> int:
        """The first frame."""
        return self.rows[0]

    @property
    def last(self) -> int:
        """The last frame."""
        return self.rows[-1]

    @property
    def size(self) -> float:
        """Median pixels per cm."""
        return float(np.median(self.scales))

    def place_at(self, row: int) -> np.ndarray:
        """(2,) where the face is, or would be if it went on as at its nearer end."""
        if self.first <= row <= self.last:
            return self.places[row - self.first]
        is_after = row > self.last
        end = self.places[-_TREND:] if is_after else self.places[:_TREND]
        if len(end) < 2:
            return end[0]
        steps = row - (self.last if is_after else self.first)
        speed = (end[-1] - end[0]) / (len(end) - 1)
        # Nobody goes on for ever.
        steps = np.sign(steps) * min(abs(steps), _LONGEST_TREND)
        return (end[-1] if is_after else end[0]) + steps * speed


_TREND, _LONGEST_TREND = 6, 25  # frames that say where a face goes, and for how long
