"""One face followed as it comes: what the next frame shows, what is neutral, smoothing.

As in the reading of clips, but nothing may look ahead, and memory does not grow.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ..faces.candidates import fit_detection
from ..faces.canonical import Pose, fit_pose, pose_residual
from ..faces.checks import is_human
from ..faces.detector import detect
from ..faces.measures import MEASURE_NAMES, measure
from ..faces.mesh import Mesh, View, second_looks
from ..performance.geometry import euler_degrees
from ..performance.smoothing import OneEuro
from .curves import HEAD_NOISE, HEAD_WINDOW_S, MEASURE_NOISE, at_rest
from .steady import follow, read_face, view_of
from .tracklet import PIVOT

# A mesh that the network believes less, or that fits a face worse, has lost it; so has one that
# jumped by more than this part of its view's side.
_PRESENCE, _RESIDUAL, _JUMP = 0.5, 1.0, 0.5
_SEARCH_S, _LONGEST_SEARCH_S = 0.1, 0.4  # between two looks for a face
_PATIENCE_S = 3.0  # without a face until it is looked for less often
# Performers sit near: smallest face that is looked for, of the picture's height.
_SMALLEST_SHARE = 1 / 9
_SMALLEST = 40.0  # pixels
_AUTO_S, _OWN_S = 2.0, 0.6  # of seen frames that the neutral is taken from
_MOST_ROWS = 120
# Hz that a channel's cut-off rises for each usual noise that it moves in a second, and the cut-off
# of the speed itself: a blink is as quick as it was, a still head rests.
_SPEED_GAIN, _SPEED_CUTOFF_HZ = 0.035, 3.0

HEAD = 6  # columns of a row that are the head's
ROW = HEAD + len(MEASURE_NAMES)


class Seen(NamedTuple):
    """A face in one frame.

    row        (ROW,) float64: pitch, yaw, roll in degrees, logarithm of pixels per cm, place of
               the neck joint in pixels; then the measures as in MEASURE_NAMES
    landmarks  (478, 3) pixels
    """

    row: np.ndarray
    landmarks: np.ndarray


class LiveFace:
    """Follows the largest face of a camera's frames."""

    def __init__(self) -> None:
        self._view: View | None = None
        self._pose: Pose | None = None
        self._next_s = self._lost_s = -np.inf

    def read(self, rgb: np.ndarray, time_s: float) -> Seen | None:
        """What the next (H, W, 3) uint8 sRGB frame shows; None where no face is seen.

        Raises ReportedError "no_models".
        """
        mesh = None
        if self._view is not None and self._pose is not None:
            mesh = self._followed(rgb, self._view, self._pose)
            if mesh is None:
                self._view, self._lost_s, self._next_s = None, time_s, -np.inf
        if mesh is None and time_s >= self._next_s:
            is_late = time_s - self._lost_s > _PATIENCE_S
            self._next_s = time_s + (_LONGEST_SEARCH_S if is_late else _SEARCH_S)
            mesh = self._found(rgb)
        if mesh is None or self._pose is None:
            return None
        place = self._pose.to_picture(PIVOT)[0, :2]
        angles = euler_degrees(self._pose.rotation.T[None])[0]
        head = [*angles, np.log(self._pose.scale), *place]
        measures = measure(mesh.landmarks, self._pose).as_array()
        return Seen(np.concatenate([head, measures]), mesh.landmarks)

    def _followed(self, rgb: np.ndarray, view: View, before: Pose) -> Mesh | None:
        mesh = read_face(rgb, view)
        if mesh.presence < _PRESENCE or pose_residual(mesh.landmarks) >= _RESIDUAL:
            return None
        pose = fit_pose(mesh.landmarks)
        shift = np.hypot(*(view_of(pose).centre - view_of(before).centre))
        if shift > _JUMP * view.side:
            return None
        self._view, self._pose = follow(view, pose, before), pose
        return mesh

    def _found(self, rgb: np.ndarray) -> Mesh | None:
        """The largest face of the whole frame, read in the view in which it will be followed."""
        smallest = max(_SMALLEST, _SMALLEST_SHARE * min(rgb.shape[:2]))
        for detection in detect(rgb, None, smallest):
            mesh = fit_detection(rgb, detection)
            if is_human(mesh) and is_human(second_looks(rgb, mesh)):
                self._view = view_of(fit_pose(mesh.landmarks))
                mesh = read_face(rgb, self._view)
                self._pose = fit_pose(mesh.landmarks)
                return mesh
        return None


class Neutral:
    """The performer at rest: found in the first seconds, or set by the performer.

    row     (ROW,) as in Seen, None before the first frame with a face
    is_own  set by the performer
    """

    def __init__(self) -> None:
        self.row: np.ndarray | None = None
        self.is_own = False
        self._rows: list[np.ndarray] = []
        self._first_s: float | None = None
        self._due_s: float | None = None

    @property
    def is_found(self) -> bool:
        """Whether it changes no more by itself."""
        return self.row is not None and self._first_s is None and self._due_s is None

    def ask(self, due_s: float) -> None:
        """Take the face as it is from a moment on as neutral."""
        self._due_s, self._rows, self._first_s = due_s, [], None

    def left_s(self, now_s: float) -> float:
        """Seconds until the performer must be at rest; 0 where nobody asked."""
        return 0.0 if self._due_s is None else max(self._due_s - now_s, 0.0)

    def see(self, row: np.ndarray, time_s: float) -> None:
        """Take a frame into account."""
        if self._due_s is not None:
            self._see_asked(row, time_s)
        elif not self.is_own and (self.row is None or self._first_s is not None):
            self._see_first(row, time_s)

    def _see_asked(self, row: np.ndarray, time_s: float) -> None:
        if self._due_s is None or time_s < self._due_s:
            return
        self._rows.append(row)
        if time_s - self._due_s >= _OWN_S or len(self._rows) >= _MOST_ROWS:
            self.row, self.is_own = np.median(np.stack(self._rows), axis=0), True
            self._due_s, self._rows = None, []

    def _see_first(self, row: np.ndarray, time_s: float) -> None:
        self._first_s = time_s if self._first_s is None else self._first_s
        self._rows.append(row)
        rows = np.stack(self._rows)
        self.row = np.concatenate([np.median(rows[:, :HEAD], axis=0), at_rest(rows[:, HEAD:])])
        if time_s - self._first_s >= _AUTO_S or len(self._rows) >= _MOST_ROWS:
            self._first_s, self._rows = None, []


class LiveSmoother:
    """Rows made calm without a look ahead."""

    def __init__(self, amount: float) -> None:
        """amount  0 as they were read, 1 very smooth"""
        self._amount = amount
        noise, window_s = usual_noise()
        cutoff_hz = 1.0 / (4.0 * np.pi * max(amount, 1e-3) * window_s)
        gain = _SPEED_GAIN / noise
        self._filter = OneEuro(cutoff_hz, gain, _SPEED_CUTOFF_HZ)

    def step(self, row: np.ndarray, time_s: float) -> np.ndarray:
        """(ROW,) of a relative row at a time later than the one before."""
        return row if self._amount <= 0.0 else self._filter.step(row, time_s)


def usual_noise() -> tuple[np.ndarray, np.ndarray]:
    """(ROW,) usual noise and time constant in seconds of the columns of relative rows."""
    noise, window_s = np.array([MEASURE_NOISE[name] for name in MEASURE_NAMES]).T
    return np.concatenate([HEAD_NOISE, noise]), np.concatenate([HEAD_WINDOW_S, window_s])


def relative(rows: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """(T, ROW) rows whose size and place count from the neutral head's, in cm."""
    result = np.array(rows, np.float64)
    result[:, 3] -= neutral[3]
    result[:, 4:HEAD] = (rows[:, 4:HEAD] - neutral[4:HEAD]) / np.exp(neutral[3])
    return result


def is_dark(rgb: np.ndarray, darkest: float = 18.0) -> bool:
    """Whether hardly anything can be seen in a frame: mean of 0..255."""
    small = cv2.resize(rgb, (32, 18), interpolation=cv2.INTER_AREA)
    return float(small.mean()) < darkest
