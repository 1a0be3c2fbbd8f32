"""Pose-free measures of an expression: what lids, lips, brows and gaze do in the face frame."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np

from .canonical import (
    CHIN,
    EYES,
    MOUTH_CORNERS,
    SUBNASALE,
    EyeIndices,
    Pose,
    fit_pose,
)

# LivePortrait measures lids on other points; its ratio is about this much larger than ours.
LID_RATIO_PER_EYES_OPEN = 0.85

_BROW_POINTS = 5  # the upper edge of EyeIndices.brow
_BROW_OUTER, _BROW_INNER = slice(0, 2), slice(3, 5)  # of the upper edge
_CHIN_POINTS = (152, 148, 377, 176, 400)
# The face's contour at the height of the mouth.
_CONTOUR_LEFT, _CONTOUR_RIGHT = (58, 132, 172), (288, 361, 397)


@dataclass(frozen=True)
class Measures:
    """Measures of one face; lengths in cm of the canonical face, head pose removed.

    lid_left, lid_right    lid gap over eye width (the eye aspect ratio)
    lip_gap                opening between the inner lips; slightly negative when pressed
    mouth_width            between the outer corners
    lift_left, lift_right  height of a mouth corner relative to the base of the nose; negative,
                           towards 0 for a smile
    mouth_x                sideways position of the mouth, + to the picture's right
    brow_left, brow_right  height of a brow above the eye corners
    brow_distance          between the inner ends of the brows
    gaze_x, gaze_y         iris from the eye's centre in half eye widths, + right and down
    protrusion             how far the lips stand out towards the camera
    upper_lip              upper inner lip below the base of the nose
    jaw_drop               chin below the base of the nose
    brow_inner_left … brow_outer_right  height of one end of a brow above the eye corners
    chin_x                 sideways position of the chin, + to the picture's right
    cheek_left, cheek_right  height of the lower lid's middle above the eye corners
    cheek_width            between the sides of the face at the height of the mouth
    """

    lid_left: float
    lid_right: float
    lip_gap: float
    mouth_width: float
    lift_left: float
    lift_right: float
    mouth_x: float
    brow_left: float
    brow_right: float
    brow_distance: float
    gaze_x: float
    gaze_y: float
    protrusion: float
    upper_lip: float
    jaw_drop: float
    brow_inner_left: float
    brow_inner_right: float
    brow_outer_left: float
    brow_outer_right: float
    chin_x: float
    cheek_left: float
    cheek_right: float
    cheek_width: float

    def as_array(self) -> np.ndarray:
        """(23,) float64 in the order of MEASURE_NAMES."""
        return np.array(astuple(self), np.float64)

    @property
    def eyes_open(self) -> float:
        """LivePortrait's eye opening ratio, mean of both eyes."""
        return 0.5 * (self.lid_left + self.lid_right) / LID_RATIO_PER_EYES_OPEN

    @property
    def lips_open(self) -> float:
        """LivePortrait's lip opening ratio: inner lip gap over mouth width, at least 0."""
        return max(self.lip_gap, 0.0) / self.mouth_width


MEASURE_NAMES = tuple(field.name for field in fields(Measures))


def measure(landmarks: np.ndarray, pose: Pose | None = None) -> Measures:
    """Measure (478, 3) landmarks in pixels; `pose` is fitted when not given."""
    points = (pose or fit_pose(landmarks)).to_face_frame(landmarks)
    lids, gazes = zip(*(_measure_eye(points, eye) for eye in EYES), strict=True)
    gaze = np.mean(gazes, axis=0)
    brows = [_brow_height(points, eye, slice(0, _BROW_POINTS)) for eye in EYES]
    inner = [_brow_height(points, eye, _BROW_INNER) for eye in EYES]
    outer = [_brow_height(points, eye, _BROW_OUTER) for eye in EYES]
    cheeks = [_lower_lid_height(points, eye) for eye in EYES]
    contour = points[list(_CONTOUR_LEFT)], points[list(_CONTOUR_RIGHT)]
    left, right = points[MOUTH_CORNERS[0]], points[MOUTH_CORNERS[1]]
    upper, lower = points[13], points[14]
    base = points[SUBNASALE, 1]
    gap = float(np.hypot(*(lower - upper)[:2]) * np.sign(lower[1] - upper[1]))
    return Measures(
        lid_left=lids[0],
        lid_right=lids[1],
        lip_gap=gap,
        mouth_width=float(right[0] - left[0]),
        lift_left=float(base - left[1]),
        lift_right=float(base - right[1]),
        mouth_x=float((left[0] + right[0] + points[0, 0] + points[17, 0]) / 4),
        brow_left=brows[0],
        brow_right=brows[1],
        brow_distance=float(points[336, 0] - points[107, 0]),
        gaze_x=float(gaze[0]),
        gaze_y=float(gaze[1]),
        protrusion=float(-(points[0, 2] + points[17, 2]) / 2),
        upper_lip=float(upper[1] - base),
        jaw_drop=float(points[CHIN, 1] - base),
        brow_inner_left=inner[0],
        brow_inner_right=inner[1],
        brow_outer_left=outer[0],
        brow_outer_right=outer[1],
        chin_x=float(points[list(_CHIN_POINTS), 0].mean()),
        cheek_left=cheeks[0],
        cheek_right=cheeks[1],
        cheek_width=float((contour[1] - contour[0])[:, 0].mean()),
    )


def _measure_eye(points: np.ndarray, eye: EyeIndices) -> tuple[float, tuple[float, float]]:
    """Lid ratio and (x, y) gaze of one eye in the face frame."""
    upper, lower = points[list(eye.upper), :2], points[list(eye.lower), :2]
    width = float(np.linalg.norm(upper[-1] - upper[0]))
    lid_ratio = float(np.linalg.norm(upper[3:6] - lower[3:6], axis=1).mean() / width)
    axis_x = (upper[-1] - upper[0]) / width
    if axis_x[0] < 0:
        axis_x = -axis_x
    axis_y = np.array([-axis_x[1], axis_x[0]])
    offset = (points[eye.iris, :2] - (upper[0] + upper[-1]) / 2) / (width / 2)
    return lid_ratio, (float(offset @ axis_x), float(offset @ axis_y))


def _brow_height(points: np.ndarray, eye: EyeIndices, part: slice) -> float:
    corners, brow = list(eye.corners), list(eye.brow[part])
    return float(points[corners, 1].mean() - points[brow, 1].mean())


def _lower_lid_height(points: np.ndarray, eye: EyeIndices) -> float:
    return float(points[list(eye.corners), 1].mean() - points[list(eye.lower[3:6]), 1].mean())
