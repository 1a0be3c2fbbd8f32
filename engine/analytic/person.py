"""What of a fitted face belongs to the person: it is the same in every frame of a clip."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..faces.canonical import EYES, EyeIndices, Pose
from ..srgb import linear_from_srgb, srgb_from_linear
from .lids import across_lids
from .mouth_colours import SKIN_POINTS, MouthColours

_RINGS = ("upper", "upper2", "upper3", "lower", "lower2", "lower3", "corners")
_DOT_CM = 0.35  # radius of the skin that is looked at around each point
_LEAST_LIGHT, _MOST_CHANGE = 1e-3, 8.0  # linear light; factor between two frames


@dataclass(frozen=True)
class Person:
    """Read in one frame, for all others.

    lids            per eye (N, 2): how far its landmarks were moved to the lids' true edges, along
                    and across the eye, eye widths
    lids_open       per eye: its height there, eye widths
    colours         for the inside of the mouth
    skin            (3,) linear light of the skin that they belong to
    light           of the picture, see relight.read_light
    edge_width      of the picture, see texture.edge_width
    has_neighbours  other people are around
    """

    lids: tuple[np.ndarray, np.ndarray]
    lids_open: tuple[float, float]
    colours: MouthColours
    skin: np.ndarray
    light: np.ndarray
    edge_width: float
    has_neighbours: bool

    def with_lids(self, landmarks: np.ndarray) -> np.ndarray:
        """(478, 3) float64 copy of another frame's landmarks with the lids at their true edges."""
        fitted = np.array(landmarks, np.float64)
        for eye, moves, was_open in zip(EYES, self.lids, self.lids_open, strict=True):
            axes, height = _eye_axes(fitted, eye)
            # Shut lids lie on one line already.
            share = np.clip(height / max(was_open, 1e-3), 0.0, 1.0)
            fitted[_around(eye), :2] += share * moves @ axes
        return fitted

    def colours_under(self, skin: np.ndarray) -> MouthColours:
        """The colours in a frame's light, by (3,) linear light of the skin there."""
        change = np.maximum(skin, _LEAST_LIGHT) / np.maximum(self.skin, _LEAST_LIGHT)
        change = np.clip(change, 1.0 / _MOST_CHANGE, _MOST_CHANGE)
        lit = (srgb_from_linear(linear_from_srgb(colour) * change) for colour in self.colours)
        return MouthColours(*(np.minimum(colour, 1.0).astype(np.float32) for colour in lit))


def lid_moves(
    before: np.ndarray, after: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[float, float]]:
    """Person.lids and Person.lids_open of (478, 3) landmarks before and after lids.fit_lids."""
    moves, heights = [], []
    for eye in EYES:
        axes, height = _eye_axes(before, eye)
        shift = (np.asarray(after) - before)[_around(eye), :2]
        moves.append(shift @ np.linalg.inv(axes))
        heights.append(height)
    return (moves[0], moves[1]), (heights[0], heights[1])


def skin_light(view: np.ndarray, landmarks: np.ndarray, pose: Pose) -> np.ndarray:
    """(3,) mean linear light of cheeks, chin and forehead.

    view             (size, size, 3) uint8 sRGB crop
    landmarks, pose  crop pixels
    """
    mask = np.zeros(view.shape[:2], np.uint8)
    radius = max(2, round(_DOT_CM * pose.scale))
    for index in SKIN_POINTS:
        x, y = np.rint(landmarks[index, :2]).astype(int).tolist()
        cv2.circle(mask, (x, y), radius, 255, -1)
    return linear_from_srgb(np.array(cv2.mean(view, mask)[:3]) / 255.0)


def _around(eye: EyeIndices) -> list[int]:
    return sorted({index for name in _RINGS for index in getattr(eye, name)})


def _eye_axes(landmarks: np.ndarray, eye: EyeIndices) -> tuple[np.ndarray, float]:
    """((2, 2) along and across an eye, one eye width long; its height in eye widths)."""
    upper, lower = (landmarks[list(ring), :2] for ring in (eye.upper, eye.lower))
    along = upper[-1] - upper[0]
    width = max(float(np.hypot(*along)), 1e-6)
    down = across_lids(upper)
    height = float(((lower - upper)[3:6] @ down).mean()) / width
    return np.stack([along, down * width]), height
