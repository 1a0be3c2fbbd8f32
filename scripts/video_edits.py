"""Edits of a clip, and what is measured of their results.

The landmark model looks at the source's frames and at the results in the same views, so that what
it says of both can be compared. video_check.py runs this over folders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from video_clip import VideoClip

from engine.controls import motion_from_controls
from engine.faces.canonical import MESH_COUNT, fit_pose
from engine.faces.find import view_8bit
from engine.faces.measures import Measures, measure
from engine.motion import Motion
from engine.renderer import SourceImage
from engine.tracking.steady import read_face, view_of

SMILE = 0.8
WIDEST_TURN_DEG = 15.0  # that a head is turned back
OPEN_EYES_PERCENTILE = 75  # of a performer's own openings: how far open eyes are held
EDITS = ("smile", "lips", "eyes", "head")
GROWN = 1.15  # of a face's outline
STILL_LEVELS, FLICKER_LEVELS = 3, 12  # grey levels: a still pixel's change, one that is seen


@dataclass
class Look:
    """What the landmark model says of the same frames, one entry each.

    points    (468, 2) pixels of the picture
    measures  see engine.faces.measures
    pose      (3,) degrees
    """

    points: list[np.ndarray] = field(default_factory=list)
    measures: list[Measures] = field(default_factory=list)
    pose: list[np.ndarray] = field(default_factory=list)

    def add(self, rgb: np.ndarray, clip: VideoClip, row: int) -> None:
        """Look at (H, W, 3) uint8 sRGB of one frame, where the track says that the face is."""
        view = view_of(fit_pose(clip.track.landmarks_at(0, row)))
        landmarks = read_face(rgb, view).landmarks
        pose = fit_pose(landmarks)
        self.points.append(landmarks[:MESH_COUNT, :2].astype(np.float64))
        self.measures.append(measure(landmarks, pose))
        self.pose.append(np.array(pose.euler))

    def smile(self) -> np.ndarray:
        """(T,) cm that the corners of the mouth are up and out."""
        return np.array([(m.lift_left + m.lift_right + m.mouth_width) / 2 for m in self.measures])

    def lips(self) -> np.ndarray:
        """(T,) opening of the lips, cm."""
        return np.array([max(m.lip_gap, 0.0) for m in self.measures])

    def eyes(self) -> np.ndarray:
        """(T,) LivePortrait's opening ratio."""
        return np.array([m.eyes_open for m in self.measures])

    def jitter(self, rows: np.ndarray) -> float:
        """How far points are from the middle of where they were before and after, px, root mean
        square; over triples of frames of which all are in the ascending `rows`."""
        middle = [k for k in rows if k - 1 in rows and k + 1 in rows]
        if not middle:
            return float("nan")
        points = np.array(self.points)
        off = np.array([points[k] - (points[k - 1] + points[k + 1]) / 2 for k in middle])
        return float(np.sqrt((off**2).sum(axis=2).mean()))


@dataclass
class Flicker:
    """What goes to and fro in the result where the source stands still."""

    changes: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    _frames: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, source: np.ndarray, result: np.ndarray, face: np.ndarray) -> None:
        """The next frame, (H, W, 3) uint8 each, with as much of the edit as in the one before.

        face  (H, W) bool, where the face is: it has reason to change
        """
        self._frames = [*self._frames[-2:], (source, result)]
        if len(self._frames) < 3:
            return
        was, has = (_to_and_fro(frames) for frames in zip(*self._frames, strict=True))
        is_still = _is_still([frame[0] for frame in self._frames])
        is_still &= (source != result).any(axis=2) & ~face
        if is_still.any():
            more = np.maximum(has - was, 0.0)[is_still]
            self.changes.append(float(more.mean()))
            self.seen.append(float((more > FLICKER_LEVELS).mean()))

    def skip(self) -> None:
        """A frame with another amount of the edit."""
        self._frames = []

    @property
    def mean(self) -> float:
        """Grey levels per still pixel that the result touches."""
        return float(np.mean(self.changes)) if self.changes else 0.0

    @property
    def seen_share(self) -> float:
        """Of these pixels: those whose change one sees."""
        return float(np.mean(self.seen)) if self.seen else 0.0


def _to_and_fro(frames: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W) float32: how far the middle one of three frames is from between its neighbours."""
    before, now, after = (frame.astype(np.float32) for frame in frames)
    return np.abs(now - 0.5 * (before + after)).max(axis=2)


def _is_still(frames: Sequence[np.ndarray]) -> np.ndarray:
    before, now, after = frames
    change = np.maximum(cv2.absdiff(now, before), cv2.absdiff(now, after))
    return change.max(axis=2) <= STILL_LEVELS


def face_area(clip: VideoClip, row: int) -> np.ndarray:
    """(H, W) bool: the outline of the face in a frame, grown a little."""
    points = clip.track.landmarks_at(0, row)[:MESH_COUNT, :2]
    middle = points.mean(axis=0)
    hull = cv2.convexHull((middle + GROWN * (points - middle)).astype(np.float32))
    mask = np.zeros(clip.source.size[::-1], np.uint8)
    cv2.fillConvexPoly(mask, np.rint(hull).astype(np.int32), 1)
    return mask > 0


def amounts_of(count: int) -> np.ndarray:
    """(T,) how much of an edit there is: nothing, in, all of it, out, nothing."""
    places = np.linspace(0.0, 1.0, count)
    ramp = np.interp(places, [0.0, 0.15, 0.3, 0.7, 0.85, 1.0], [0, 0, 1, 1, 0, 0])
    return ramp * ramp * (3.0 - 2.0 * ramp)


def motion_of(clip: VideoClip, edit: str, row: int, amount: float) -> tuple[Motion, Sequence[str]]:
    """The motion of an edit in a frame, and the openings that it holds."""
    if edit == "smile":
        return (motion_from_controls({"smile": SMILE * amount}) if amount else Motion()), ()
    if edit == "lips":
        return Motion(lips_open=0.0), ("lips",)
    if edit == "eyes":
        ratios = clip.track.ratios[0, clip.track.is_seen[0], 0]
        return Motion(eyes_open=float(np.percentile(ratios, OPEN_EYES_PERCENTILE))), ("eyes",)
    poses = clip.track.pose[0, clip.rows].astype(np.float64)
    back = np.clip(poses.mean(axis=0) - clip.track.pose[0, row], -WIDEST_TURN_DEG, WIDEST_TURN_DEG)
    pitch, yaw, roll = (float(value) for value in back)
    return Motion(pitch=pitch, yaw=yaw, roll=roll), ()


def shown(pixels: np.ndarray, clip: VideoClip) -> np.ndarray:
    """(H, W, 3) uint8 sRGB of a picture in the clip's encoding."""
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels[..., :3])
    return view_8bit(SourceImage(pixels, clip.source.at(int(clip.rows[0])).encoding))
