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
        """(T,) cm that the corners of the mouth are higher than usual."""
        return np.array([(m.lift_left + m.lift_right) / 2 for m in self.measures])

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
    """What changes in the result from frame to frame where the source stands still."""

    changes: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    _before: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, source: np.ndarray, result: np.ndarray) -> None:
        """The next frame, (H, W, 3) uint8 each."""
        if self._before is not None:
            was, has = (
                cv2.absdiff(now, before).max(axis=2).astype(np.int16)
                for now, before in zip((source, result), self._before, strict=True)
            )
            is_still = (was <= STILL_LEVELS) & (source != result).any(axis=2)
            if is_still.any():
                more = np.maximum(has - was, 0)[is_still]
                self.changes.append(float(more.mean()))
                self.seen.append(float((more > FLICKER_LEVELS).mean()))
        self._before = source, result

    @property
    def mean(self) -> float:
        """Grey levels per still pixel that the result touches."""
        return float(np.mean(self.changes)) if self.changes else 0.0

    @property
    def seen_share(self) -> float:
        """Of these pixels: those whose change one sees."""
        return float(np.mean(self.seen)) if self.seen else 0.0


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
