"""Following every face of a clip, frame by frame, without looking for faces in each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..faces.candidates import fit_detection
from ..faces.canonical import Pose, fit_pose, pose_residual
from ..faces.checks import is_human
from ..faces.detector import Detection, detect
from ..faces.features import features_of
from ..faces.measures import measure
from ..faces.mesh import Mesh, View, second_looks
from .shots import ShotFinder
from .signature import signature
from .steady import follow, read_face, view_of
from .tracklet import Tracklet

FACE_LIMIT = 4  # faces that are followed at once, the largest
# A mesh that the network believes less, or that fits a face worse, has lost it.
_PRESENCE, _RESIDUAL = 0.5, 1.0
_JUMP = 0.35  # of a view's side in one frame: another face, or another shot
_ENTANGLED = 0.3  # of a view's side between two faces: one hides the other
_LOOK_S = 0.25  # between looks for further faces
_LONGEST_SEARCH_S = 0.4  # between looks for lost ones
# Lost faces are looked for at once, then less often: after this part of the time since.
_SEARCH_SHARE = 0.1
# Of the picture's height: sides of the smallest faces that are followed, and of newcomers.
_SMALLEST_SHARE, _NEWCOMER_SHARE = 1 / 14, 1 / 10
_SMALLEST = 40.0  # pixels
# Frames of a tracklet that leave a signature: a face that appears may still be hidden in part.
_SIGN_FIRST, _SIGN_EVERY, _SIGN_LIMIT, _SIGN_YAW = (0, 4, 9), 20, 24, 30.0


@dataclass
class _Live:
    """A face that is being followed."""

    tracklet: Tracklet
    view: View
    pose: Pose


class Tracker:
    """Takes a clip's frames in their order.

    cuts       frames that begin a new shot
    tracklets  of all faces, in the order in which they were found
    """

    def __init__(
        self, *, face_limit: int = FACE_LIMIT, smallest: float | None = None,
        keeps_landmarks: bool = False,
    ) -> None:  # fmt: skip
        """Begin a clip.

        face_limit  faces that are followed at once
        smallest    sides of the smallest faces that are looked for, pixels; None for a part of the
                    picture
        keeps_landmarks  in the tracklets
        """
        self.cuts: list[int] = []
        self._face_limit, self._smallest = face_limit, smallest
        self._keeps_landmarks = keeps_landmarks
        self.tracklets: list[Tracklet] = []
        self._live: list[_Live] = []
        self._shots = ShotFinder()
        self._row = -1
        self._next_look_s = self._lost_s = -np.inf
        self._had_blank = False

    def take(self, time_s: float, rgb: np.ndarray, *, must_look: bool = False) -> None:
        """Read the next frame, (H, W, 3) uint8 sRGB. Raises ReportedError "no_models".

        must_look  for further faces, whether that is due or not
        """
        self._row += 1
        change = self._shots.look(rgb)
        if change.is_blank:
            self._live.clear()
            self._had_blank = True
            return
        if change.is_cut or self._had_blank:
            self._begin_shot()
        self._had_blank = False
        has_lost = self._follow_all(rgb)
        if has_lost:
            self._next_look_s, self._lost_s = -np.inf, time_s
        is_jump = change.is_doubtful and has_lost and not self._live
        if must_look or time_s >= self._next_look_s:
            self._find_more(rgb)
            longest = _LOOK_S if self._live else _LONGEST_SEARCH_S
            self._next_look_s = time_s + min(longest, _SEARCH_SHARE * (time_s - self._lost_s))
        if is_jump and self._live:
            # All faces are elsewhere in one frame: not a hand before them, but another shot.
            self.cuts.append(self._row)
            for live in self._live:
                live.tracklet.shot = len(self.cuts)

    def _begin_shot(self) -> None:
        if self._row:
            self.cuts.append(self._row)
        for live in self._live:
            _drop(live, self._row)
        self._live.clear()
        self._next_look_s = -np.inf

    def _follow_all(self, rgb: np.ndarray) -> bool:
        """Move every face on to this frame; returns whether one has jumped or vanished."""
        kept: list[_Live] = []
        for live in self._live:
            mesh = read_face(rgb, live.view)
            pose = fit_pose(mesh.landmarks)
            shift = np.hypot(*(view_of(pose).centre - view_of(live.pose).centre))
            has_moved = shift > _JUMP * live.view.side
            if not _is_seen(mesh) or has_moved:
                continue
            view, before = live.view, live.pose
            live.view, live.pose = follow(view, pose, before), pose
            self._note(live, rgb, mesh, view)
            kept.append(live)
        count = len(self._live)
        self._live = kept
        self._part_entangled()
        return len(self._live) < count

    def _note(self, live: _Live, rgb: np.ndarray, mesh: Mesh, view: View) -> None:
        """Keep what was read in a view."""
        tracklet = live.tracklet
        measures = measure(mesh.landmarks, live.pose).as_array()
        features = features_of(mesh.landmarks, live.pose)
        tracklet.add(self._row, live.pose, measures, features, view)
        if self._keeps_landmarks:
            tracklet.keep_landmarks(mesh.landmarks, live.pose)
        index = len(tracklet.rows) - 1
        is_due = index in _SIGN_FIRST or index % _SIGN_EVERY == 0
        is_frontal = abs(live.pose.euler[1]) < _SIGN_YAW or not tracklet.signatures
        if is_due and is_frontal and len(tracklet.signatures) < _SIGN_LIMIT:
            tracklet.signatures.append(signature(rgb, mesh.landmarks, live.pose))

    def _part_entangled(self) -> None:
        """Where faces hide one another nobody knows which mesh is on which: both begin anew."""
        entangled: set[int] = set()
        for i, first in enumerate(self._live):
            for j in range(i):
                second = self._live[j]
                gap = np.hypot(*(first.view.centre - second.view.centre))
                if gap < _ENTANGLED * min(first.view.side, second.view.side):
                    entangled |= {i, j}
        for i in entangled:
            _drop(self._live[i], self._row)
        self._live = [live for i, live in enumerate(self._live) if i not in entangled]

    def _find_more(self, rgb: np.ndarray) -> None:
        share = _NEWCOMER_SHARE if self._live else _SMALLEST_SHARE
        smallest = max(_SMALLEST, self._smallest or share * min(rgb.shape[:2]))
        self._add(rgb, detect(rgb, None, smallest))
        if not self.tracklets and smallest > _SMALLEST:
            self._add(rgb, detect(rgb, None, _SMALLEST))

    def _add(self, rgb: np.ndarray, detections: list[Detection]) -> None:
        """Begin to follow the faces among detections, the largest first, while there is room."""
        for detection in detections:
            centre = (detection.box[:2] + detection.box[2:]) / 2
            if len(self._live) == self._face_limit:
                return
            if any(_is_on(live, centre) for live in self._live):
                continue
            mesh = fit_detection(rgb, detection)
            if not (is_human(mesh) and is_human(second_looks(rgb, mesh))):
                continue
            pose = fit_pose(mesh.landmarks)
            if any(_is_on(live, view_of(pose).centre) for live in self._live):
                continue
            live = _Live(Tracklet(len(self.cuts)), view_of(pose), pose)
            self._live.append(live)
            self.tracklets.append(live.tracklet)
            # What follows is read in the same kind of view as every frame after it.
            mesh = read_face(rgb, live.view)
            live.pose = fit_pose(mesh.landmarks)
            self._note(live, rgb, mesh, live.view)


def _is_seen(mesh: Mesh) -> bool:
    return mesh.presence >= _PRESENCE and pose_residual(mesh.landmarks) < _RESIDUAL


def _is_on(live: _Live, centre: np.ndarray) -> bool:
    """Whether a face that is followed already lies here."""
    return bool(np.hypot(*(live.view.centre - centre)) < _ENTANGLED * live.view.side)


def _drop(live: _Live, row: int) -> None:
    """Take back what was noted of a face in this frame."""
    tracklet = live.tracklet
    if len(tracklet.rows) > 1 and tracklet.last == row:
        tracklet.drop_last()
