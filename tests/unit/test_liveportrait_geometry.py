"""Implicit keypoints: angles, rotations, hulls, smoothing, ratios."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from official_driving import motion_multiplier

from engine.performance.geometry import (
    KeypointMotion,
    convex_hull_volume,
    degrees_from_bins,
    orthonormal,
    rotation_matrix,
    transform_keypoints,
)
from engine.performance.ratios import OpeningRatios, eye_condition, lip_condition
from engine.performance.smoothing import PROCESS_VARIANCE, smooth

RANDOM = np.random.default_rng(20240703)


def test_certain_bins_give_their_angle() -> None:
    logits = np.full((3, 66), -50.0)
    for row, index in enumerate((0, 32, 65)):
        logits[row, index] = 50.0
    assert degrees_from_bins(logits) == pytest.approx([-97.5, -1.5, 97.5], abs=1e-4)


def test_two_equal_bins_give_the_angle_between_them() -> None:
    logits = np.full((1, 66), -50.0)
    logits[0, 40:42] = 3.0
    assert degrees_from_bins(logits) == pytest.approx([24.0], abs=1e-4)


def test_rotations_turn_about_the_paper_axes() -> None:
    # Row vectors: p' = p R. Pitch turns y towards z, yaw z towards x, roll x towards y.
    quarter = np.array([90.0])
    none = np.zeros(1)
    x, y, z = np.eye(3)
    assert y @ rotation_matrix(quarter, none, none)[0] == pytest.approx(z, abs=1e-6)
    assert z @ rotation_matrix(none, quarter, none)[0] == pytest.approx(x, abs=1e-6)
    assert x @ rotation_matrix(none, none, quarter)[0] == pytest.approx(y, abs=1e-6)


def test_pitch_comes_first_and_roll_last() -> None:
    pitch, yaw, roll = (np.array([a]) for a in (20.0, -35.0, 50.0))
    none = np.zeros(1)
    combined = rotation_matrix(pitch, yaw, roll)
    by_steps = (
        rotation_matrix(pitch, none, none)
        @ rotation_matrix(none, yaw, none)
        @ rotation_matrix(none, none, roll)
    )
    assert combined == pytest.approx(by_steps, abs=1e-6)


def test_keypoints_are_rotated_bent_scaled_and_moved_in_this_order() -> None:
    keypoints = RANDOM.normal(size=(1, 21, 3))
    expression = RANDOM.normal(size=(1, 21, 3))
    rotation = rotation_matrix(np.array([10.0]), np.array([20.0]), np.array([30.0]))
    moved = transform_keypoints(
        keypoints, rotation, expression, np.array([1.5]), np.array([[0.1, 0.2, 0.3]])
    )
    expected = 1.5 * (keypoints[0, 4] @ rotation[0] + expression[0, 4]) + [0.1, 0.2, 0.3]
    assert moved[0, 4] == pytest.approx(expected, abs=1e-6)


def test_source_points_ignore_depth_translation() -> None:
    motion = _motion(translation=np.array([[0.1, 0.2, 9.0]]))
    level = _motion(translation=np.array([[0.1, 0.2, 0.0]]))
    assert np.array_equal(motion.points, level.points)


def _motion(translation: np.ndarray) -> KeypointMotion:
    count = len(translation)
    keypoints = np.random.default_rng(1).normal(size=(count, 21, 3)).astype(np.float32)
    zeros = np.zeros(count, np.float32)
    return KeypointMotion(
        keypoints, np.zeros_like(keypoints), zeros, zeros, zeros,
        translation.astype(np.float32), np.ones(count, np.float32),
    )  # fmt: skip


def test_hull_volumes_of_known_solids() -> None:
    cube = np.array(np.meshgrid([0, 2], [0, 3], [0, 5])).reshape(3, -1).T
    inside = RANDOM.uniform(0.1, 1.9, size=(9, 3))
    assert convex_hull_volume(np.vstack([cube, inside])) == pytest.approx(30.0)
    tetrahedron = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert convex_hull_volume(tetrahedron) == pytest.approx(1 / 6)
    octahedron = np.vstack([np.eye(3), -np.eye(3)])
    assert convex_hull_volume(octahedron) == pytest.approx(4 / 3)


def test_hull_volume_is_that_of_scipy() -> None:
    spatial = pytest.importorskip("scipy.spatial")
    for size in (1e-3, 1.0, 1e3):
        points = RANDOM.normal(size=(21, 3)) * size
        assert convex_hull_volume(points) == pytest.approx(spatial.ConvexHull(points).volume)


def test_flat_points_have_no_volume_and_no_multiplier() -> None:
    flat = RANDOM.normal(size=(21, 3))
    flat[:, 2] = 0.25
    assert convex_hull_volume(flat) == 0.0
    assert motion_multiplier(RANDOM.normal(size=(21, 3)), flat) == 1.0


def test_multiplier_compares_linear_sizes_to_the_power_of_three_halves() -> None:
    points = RANDOM.normal(size=(21, 3))
    assert motion_multiplier(points * 2.0, points) == pytest.approx(2.0**1.5)


def test_orthonormal_repairs_a_skewed_rotation() -> None:
    rotation = rotation_matrix(np.array([5.0]), np.array([25.0]), np.array([-8.0]))
    skewed = rotation + RANDOM.normal(size=(1, 3, 3)) * 0.02
    repaired = orthonormal(skewed)
    assert repaired[0] @ repaired[0].T == pytest.approx(np.eye(3), abs=1e-6)
    assert np.linalg.det(repaired[0]) == pytest.approx(1.0)
    assert repaired == pytest.approx(rotation, abs=0.05)


def test_smoothing_solves_its_least_squares_problem() -> None:
    """A random walk seen through noise is a quadratic problem with one exact solution."""
    count, variance = 30, 3e-6
    values = np.cumsum(RANDOM.normal(size=(count, 2)) * 3e-3, axis=0)
    steps = np.diff(np.eye(count), axis=0)
    first = np.zeros((count, count))
    first[0, 0] = 1.0  # the walk's start is known with variance 1
    normal = np.eye(count) / variance + steps.T @ steps / PROCESS_VARIANCE + first
    right = values / variance + first @ values
    assert smooth(values, variance) == pytest.approx(np.linalg.solve(normal, right), abs=1e-6)


def test_smoothing_calms_noise_and_keeps_the_shape() -> None:
    noisy = RANDOM.normal(size=(40, 1, 21, 3)).astype(np.float32)
    calm = smooth(noisy, 1e-2)
    assert calm.shape == noisy.shape
    assert np.abs(np.diff(calm, axis=0)).mean() < 0.1 * np.abs(np.diff(noisy, axis=0)).mean()


@pytest.mark.parametrize("count", [0, 1])
def test_smoothing_leaves_single_frames_alone(count: int) -> None:
    frame = RANDOM.normal(size=(count, 3, 3)).astype(np.float32)
    assert np.array_equal(smooth(frame), frame)


def test_ratios_are_height_over_width() -> None:
    points = np.zeros((203, 2), np.float32)
    points[[0, 12]] = [(0, 0), (10, 0)]  # corners and lids of the left eye
    points[[6, 18]] = [(5, -1), (5, 2)]
    points[[24, 36]] = [(20, 0), (20, 8)]  # the right eye stands upright
    points[[30, 42]] = [(18, 4), (22, 4)]
    points[[48, 66]] = [(0, 30), (20, 30)]
    points[[90, 102]] = [(10, 30), (10, 31)]
    ratios = OpeningRatios.from_landmarks(points)
    assert ratios.eyes[0] == pytest.approx([0.3, 0.5], abs=1e-5)
    assert ratios.lips[0] == pytest.approx([0.05], abs=1e-5)


def test_conditions_repeat_one_source_for_all_targets() -> None:
    source = OpeningRatios(np.array([[0.3, 0.4]], np.float32), np.array([[0.1]], np.float32))
    targets = np.array([0.0, 0.5, 0.8])
    assert eye_condition(source, targets)[:, 2] == pytest.approx(targets)
    assert eye_condition(source, targets)[2, :2] == pytest.approx([0.3, 0.4])
    assert lip_condition(source, 0.2) == pytest.approx(np.array([[0.1, 0.2]]))
