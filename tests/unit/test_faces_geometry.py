"""Canonical face, pose, measures, crop and resampling, on faces whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.faces.canonical import (
    CANONICAL,
    EYES,
    LEFT_EYE,
    LIP_CORNERS,
    LIP_LOWER_INNER,
    LIP_LOWER_OUTER,
    LIP_UPPER_INNER,
    LIP_UPPER_OUTER,
    LOWER_LIP,
    MIRROR,
    OVAL,
    STABLE,
    UPPER_LIP,
    align,
    euler_to_matrix,
    fit_pose,
    matrix_to_euler,
    pose_residual,
)
from engine.faces.crop import face_crop, sample
from engine.faces.lips import fit_lips
from engine.faces.measures import MEASURE_NAMES, measure

ANGLES = [(0, 0, 0), (12, -30, 8), (-20, 45, -75), (5, 10, 170)]


def posed(pitch, yaw, roll, points=CANONICAL, scale=30.0, shift=(400.0, 300.0, 5.0)):
    """(478, 3) landmarks in pixels of a face in a known pose."""
    return scale * points @ euler_to_matrix(pitch, yaw, roll).T + np.array(shift)


def test_canonical_face_is_symmetric_and_to_scale():
    assert CANONICAL[MIRROR] * [-1, 1, 1] == pytest.approx(CANONICAL, abs=0.35)
    assert np.linalg.norm(CANONICAL[468] - CANONICAL[473]) == pytest.approx(6.3, abs=0.01)
    assert (np.sort(MIRROR) == np.arange(478)).all()


def test_index_sets():
    """Sides, orders and memberships that the renderer relies on."""
    for eye, side in zip(EYES, (-1, 1), strict=True):
        assert np.sign(CANONICAL[[*eye.upper, *eye.brow], 0]).tolist() == [side] * 19
        assert (CANONICAL[list(eye.upper[1:-1]), 1] < CANONICAL[list(eye.lower[1:-1]), 1]).all()
        outer, inner = eye.corners
        assert abs(CANONICAL[outer, 0]) > abs(CANONICAL[inner, 0])
    assert CANONICAL[list(LIP_LOWER_INNER), 0].tolist() == sorted(
        CANONICAL[list(LIP_LOWER_INNER), 0]
    )
    assert not set(UPPER_LIP) & set(LOWER_LIP)
    assert len(set(STABLE)) == len(STABLE)
    outline = CANONICAL[list(OVAL), :2].astype(np.float32)
    inside = [cv2.pointPolygonTest(outline, point.tolist(), False) for point in CANONICAL[:, :2]]
    assert min(inside) >= -1 and np.mean(np.array(inside) >= 0) > 0.95


@pytest.mark.parametrize("angles", ANGLES)
def test_euler_round_trip(angles):
    matrix = euler_to_matrix(*angles)
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    assert matrix_to_euler(matrix) == pytest.approx(np.array(angles, float), abs=1e-6)


def test_signs_of_the_angles():
    """Positive pitch looks down, positive yaw turns the nose to the picture's left, roll is
    clockwise."""
    nose = CANONICAL[1]
    assert (euler_to_matrix(15, 0, 0) @ nose)[1] > nose[1]
    assert (euler_to_matrix(0, 15, 0) @ nose)[0] < 0
    assert (euler_to_matrix(0, 0, 15) @ np.array([1.0, 0.0, 0.0]))[1] > 0


@pytest.mark.parametrize("angles", ANGLES)
def test_pose_is_recovered(angles):
    landmarks = posed(*angles)
    pose = fit_pose(landmarks)
    assert pose.scale == pytest.approx(30.0)
    assert pose.euler == pytest.approx(np.array(angles, float), abs=1e-4)
    assert pose.to_face_frame(landmarks) == pytest.approx(CANONICAL, abs=1e-6)
    assert pose.to_picture(CANONICAL) == pytest.approx(landmarks, abs=1e-6)
    assert pose_residual(landmarks) == pytest.approx(0.0, abs=1e-6)


def test_weights_of_align():
    """A point of weight 0 cannot pull the fit."""
    target = posed(4, 9, 2)
    target[0] += 500
    weights = np.ones(len(CANONICAL))
    weights[0] = 0
    assert align(CANONICAL, target, weights).scale == pytest.approx(30.0)


def test_expression_does_not_change_the_pose():
    points = CANONICAL.copy()
    points[list(LOWER_LIP), 1] += 1.5
    assert fit_pose(posed(3, 7, 1, points)).euler == pytest.approx(np.array([3, 7, 1.0]), abs=1e-4)


@pytest.mark.parametrize("angles", ANGLES)
def test_measures_do_not_depend_on_the_pose(angles):
    neutral = measure(CANONICAL)
    assert measure(posed(*angles)).as_array() == pytest.approx(neutral.as_array(), abs=1e-6)
    assert len(neutral.as_array()) == len(MEASURE_NAMES) == 23


def test_measures_see_their_movement():
    """Each edit of the canonical face moves its measure by the known amount, others not."""
    neutral = measure(CANONICAL)
    points = CANONICAL.copy()
    points[14, 1] += 1.0
    assert measure(points).lip_gap - neutral.lip_gap == pytest.approx(1.0, abs=0.05)
    points = CANONICAL.copy()
    points[61] += [-0.5, -0.4, 0]
    changed = measure(points)
    assert changed.mouth_width - neutral.mouth_width == pytest.approx(0.5)
    assert changed.lift_left - neutral.lift_left == pytest.approx(0.4)
    assert changed.lift_right == neutral.lift_right
    points = CANONICAL.copy()
    points[list(LEFT_EYE.brow), 1] -= 0.6
    changed = measure(points)
    assert changed.brow_left - neutral.brow_left == pytest.approx(0.6)
    assert changed.brow_right == neutral.brow_right
    points = CANONICAL.copy()
    points[list(LEFT_EYE.upper)] = points[list(LEFT_EYE.lower)]
    assert measure(points).lid_left == pytest.approx(0.0, abs=1e-9)
    points = CANONICAL.copy()
    points[[468, 473], 0] += 0.3
    assert measure(points).gaze_x > neutral.gaze_x + 0.1


def test_opening_ratios():
    measures = measure(CANONICAL)
    assert 0.2 < measures.eyes_open < 0.6
    points = CANONICAL.copy()
    points[13, 1], points[14, 1] = 3.0, 4.0
    points[[13, 14], 0] = 0.0
    assert measure(points).lips_open == pytest.approx(1.0 / measure(points).mouth_width)
    points[14, 1] = 2.9
    assert measure(points).lips_open == 0.0


@pytest.mark.parametrize("roll", [0, 35, -120])
def test_crop_turns_with_the_face(roll):
    """Eyes stand level and above the mouth, and the face fills the same part of every crop."""
    landmarks = posed(0, 0, roll, scale=17.0)
    crop = face_crop(landmarks)
    points = crop.landmarks_to_crop(landmarks)
    left, right, mouth = points[[33, 133]].mean(0), points[[263, 362]].mean(0), points[13]
    assert left[1] == pytest.approx(right[1], abs=0.5)
    assert left[0] < right[0] and mouth[1] > left[1]
    upright = face_crop(posed(0, 0, 0)).landmarks_to_crop(posed(0, 0, 0))
    assert points[:, :2] == pytest.approx(upright[:, :2], abs=0.5)
    below = points[np.flatnonzero(CANONICAL[:468, 1] > -6.6), :2]
    assert np.ptp(below, axis=0).max() * 2.3 == pytest.approx(512, rel=1e-3)
    matrix = np.vstack([crop.crop_to_picture, [0, 0, 1]]) @ np.vstack(
        [crop.picture_to_crop, [0, 0, 1]]
    )
    assert matrix == pytest.approx(np.eye(3), abs=1e-9)


@pytest.mark.parametrize("scale", [0.12, 0.4, 1.0, 2.5])
@pytest.mark.parametrize("angle", [0.0, 33.0])
def test_sample_keeps_positions_at_every_scale(scale, angle):
    """A smooth ramp reads the same position whatever the reduction: no half-pixel drift."""
    rows, columns = np.mgrid[:900, :900].astype(np.float32)
    picture = np.dstack([columns, rows])
    matrix = cv2.getRotationMatrix2D((450, 450), angle, scale)
    matrix[:, 2] += np.array([40, 40]) - 450
    view = sample(picture, matrix, (80, 80), cv2.BORDER_REPLICATE)
    inverse = cv2.invertAffineTransform(matrix)
    expected = inverse @ np.array([40.0, 40.0, 1.0])
    assert view[40, 40] == pytest.approx(expected, abs=0.6 / min(scale, 1.0) * 0.2)


def test_sample_does_not_alias():
    """A one-pixel checkerboard shrinks to even grey."""
    checker = (np.indices((800, 800)).sum(axis=0) % 2 * 255).astype(np.uint8)
    view = sample(checker, np.array([[0.2, 0, 0], [0, 0.2, 0]]), (160, 160))
    assert view[10:-10, 10:-10].std() < 3


def test_sample_outside_the_picture():
    picture = np.full((50, 50, 3), 200, np.uint8)
    view = sample(picture, np.array([[0.5, 0, 1000.0], [0, 0.5, 0]]), (32, 32))
    assert view.shape == (32, 32, 3) and not view.any()


# ---- the mouth in the picture ------------------------------------------------------------------


def drawn_mouth(shift_cm, gap_cm):
    """A crop with painted lips and the landmarks of a network that puts them `shift_cm` too high.

    Returns (view, landmarks as predicted, true y of the upper and of the lower edge, px per cm).
    """
    per_cm = 24.0
    points = CANONICAL.copy()
    points[list(LIP_UPPER_INNER), 1] -= gap_cm / 2
    points[list(LIP_LOWER_INNER[1:-1]), 1] += gap_cm / 2
    truth = posed(0, 0, 0, points, per_cm, (256.0, 200.0, 0.0))
    view = np.full((512, 512, 3), (205, 165, 140), np.uint8)
    for ring, colour in (
        (LIP_UPPER_OUTER + LIP_LOWER_OUTER[::-1], (170, 80, 80)),
        (LIP_UPPER_INNER + LIP_LOWER_INNER[::-1], (40, 15, 15)),
    ):
        polygon = np.rint(truth[list(ring), :2] * 16).astype(np.int32)
        cv2.fillPoly(view, [polygon], colour, cv2.LINE_AA, 4)
        cv2.polylines(view, [polygon], True, colour, 2, cv2.LINE_AA, 4)
    predicted = truth.copy()
    lips = sorted({*UPPER_LIP, *LOWER_LIP, *LIP_CORNERS})
    predicted[lips, 1] -= shift_cm * per_cm
    return view, predicted, truth, per_cm


@pytest.mark.parametrize("shift_cm", [-0.3, 0.0, 0.3])
@pytest.mark.parametrize("gap_cm", [0.0, 1.0])
def test_lips_are_found_in_the_picture(shift_cm, gap_cm):
    view, predicted, truth, per_cm = drawn_mouth(shift_cm, gap_cm)
    fitted = fit_lips(view, predicted)
    middle = [*LIP_UPPER_INNER[3:8], *LIP_LOWER_INNER[3:8]]
    error = np.abs(fitted - truth)[middle, 1].mean() / per_cm
    assert error < 0.12
    others = np.setdiff1d(np.arange(478), [*UPPER_LIP, *LOWER_LIP, *LIP_CORNERS])
    assert (fitted[others] == predicted[others]).all()


def test_lips_stay_where_nothing_is_seen():
    _, predicted, _, _ = drawn_mouth(0.3, 0.0)
    blank = np.full((512, 512, 3), 150, np.uint8)
    assert fit_lips(blank, predicted) == pytest.approx(predicted, abs=1e-6)
