"""The driving loop: what each option moves, and where the default differs from parity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes.model_set import FakeModelSet

from engine.liveportrait.driving import (
    EXPRESSION_MASK,
    EYE_KEYPOINTS,
    LIP_KEYPOINTS,
    DrivenSource,
    DrivingOptions,
    drive,
    drive_animal,
    frame_count,
)
from engine.liveportrait.quirks import OFFICIAL, SENSIBLE
from engine.performance.geometry import KeypointMotion, rotation_matrix, transform_keypoints
from engine.performance.lip_rest import LIP_REST
from engine.performance.ratios import OpeningRatios
from engine.performance.template import MotionTemplate

FRAMES = 6
PLAIN = DrivingOptions(is_expression_friendly=False, use_stitching=False)


def motion(count: int, seed: int = 5) -> KeypointMotion:
    random = np.random.default_rng(seed)
    angles = random.normal(size=(3, count)).astype(np.float32) * 8
    return KeypointMotion(
        keypoints=np.tile(random.normal(size=(1, 21, 3)), (count, 1, 1)).astype(np.float32),
        expression=random.normal(size=(count, 21, 3)).astype(np.float32) * 0.02,
        pitch=angles[0],
        yaw=angles[1],
        roll=angles[2],
        translation=random.normal(size=(count, 3)).astype(np.float32) * 0.05,
        scale=random.uniform(1.2, 1.6, count).astype(np.float32),
    )


def ratios(count: int, lips: float = 0.2) -> OpeningRatios:
    eyes = np.tile(np.array([[0.3, 0.4]], np.float32), (count, 1))
    return OpeningRatios(eyes, np.full((count, 1), lips, np.float32))


PICTURE = DrivenSource(motion(1), ratios(1))
VIDEO = DrivenSource(motion(9, seed=8), ratios(9), is_video=True)
DRIVING = MotionTemplate.from_motion(motion(FRAMES, seed=21), 25.0, ratios(FRAMES, lips=0.5))


def run(
    source: DrivenSource = PICTURE, driving: MotionTemplate = DRIVING, **options: Any
) -> np.ndarray:
    quirks = options.pop("quirks", SENSIBLE)
    networks = options.pop("networks", FakeModelSet())
    return drive(source, driving, replace(PLAIN, **options), networks, quirks)


def test_relative_motion_starts_at_the_source() -> None:
    moved = run()
    assert moved.shape == (FRAMES, 21, 3)
    assert moved[0] == pytest.approx(PICTURE.motion.points[0], abs=1e-5)
    assert np.abs(moved[1:] - moved[0]).max() > 0.05


def test_absolute_motion_copies_pose_and_place() -> None:
    s = PICTURE.motion
    expression = np.where(EXPRESSION_MASK, DRIVING.expression, s.expression)
    level = DRIVING.translation * [1, 1, 0]
    expected = transform_keypoints(s.keypoints, DRIVING.rotation, expression, s.scale, level)
    assert run(use_relative_motion=False) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("region", "rows"), [("lip", LIP_KEYPOINTS), ("eyes", EYE_KEYPOINTS)])
@pytest.mark.parametrize("is_relative", [True, False])
def test_lip_and_eye_regions_move_their_keypoints_only(
    region: str, rows: tuple[int, ...], is_relative: bool
) -> None:
    offsets = run(region=region, use_relative_motion=is_relative) - PICTURE.motion.points
    still = [k for k in range(21) if k not in rows]
    assert np.abs(offsets[:, still]).max() < 1e-6
    assert np.abs(offsets[-1, list(rows)]).max() > 1e-3


def test_pose_region_keeps_the_expression() -> None:
    s = PICTURE.motion
    moved = run(region="pose")
    rotation = DRIVING.rotation @ DRIVING.rotation[0].T @ s.rotation
    place = (s.translation + DRIVING.translation - DRIVING.translation[0]) * [1, 1, 0]
    expected = transform_keypoints(s.keypoints, rotation, s.expression, s.scale, place)
    assert moved == pytest.approx(expected, abs=1e-5)


def test_expression_region_keeps_pose_place_and_scale() -> None:
    s = PICTURE.motion
    expression = s.expression + DRIVING.expression - DRIVING.expression[:1]
    level = s.translation * [1, 1, 0]
    expected = transform_keypoints(s.keypoints, s.rotation, expression, s.scale, level)
    assert run(region="exp") == pytest.approx(expected, abs=1e-5)


def test_expression_friendly_motion_is_scaled_to_the_face() -> None:
    small = replace(DRIVING, scale=DRIVING.scale * 0.5)
    plain, friendly = run(driving=small), run(driving=small, is_expression_friendly=True)
    x_source = PICTURE.motion.points
    factors = (friendly[1:] - x_source) / (plain[1:] - x_source)
    assert factors.std() < 1e-2
    assert friendly[0] == pytest.approx(x_source[0], abs=1e-5)


def test_multiplier_scales_the_finished_motion() -> None:
    networks = FakeModelSet(stitching_shift=0.1)
    once = run(use_stitching=True, networks=networks)
    twice = run(use_stitching=True, networks=networks, driving_multiplier=2.0)
    x_source = PICTURE.motion.points
    assert twice - x_source == pytest.approx(2 * (once - x_source), abs=1e-5)


def test_stitching_moves_every_keypoint() -> None:
    shift = run(use_stitching=True, networks=FakeModelSet(stitching_shift=0.1)) - run()
    assert shift[..., :2] == pytest.approx(np.full((FRAMES, 21, 2), 0.1), abs=1e-6)
    assert np.abs(shift[..., 2]).max() == 0


def test_one_driving_picture_is_measured_from_the_resting_mouth() -> None:
    single = DRIVING[2:3]
    offsets = run(driving=single, region="lip") - PICTURE.motion.points
    expected = (single.expression - LIP_REST) * PICTURE.motion.scale[0]
    assert offsets[:, LIP_KEYPOINTS] == pytest.approx(expected[:, LIP_KEYPOINTS], abs=1e-5)


def test_eyes_of_one_driving_picture_lose_the_rest_but_for_parity() -> None:
    single = DRIVING[2:3]
    ours, official = (run(driving=single, region="eyes", quirks=q) for q in (SENSIBLE, OFFICIAL))
    rest = LIP_REST * PICTURE.motion.scale[0]
    rows = list(EYE_KEYPOINTS)
    assert (official - ours)[:, rows] == pytest.approx(rest[:, rows], abs=1e-6)


def test_normalized_lips_close_only_open_mouths() -> None:
    closed = run(use_lip_normalization=True) - run()
    # The stand-in moves y of keypoint 19 by wanted minus own opening.
    assert closed[:, 19, 1] == pytest.approx(np.full(FRAMES, -0.2), abs=1e-6)
    pressed = DrivenSource(PICTURE.motion, ratios(1, lips=0.02))
    assert np.array_equal(run(pressed, use_lip_normalization=True), run(pressed))
    absolute = {"use_relative_motion": False}
    assert np.array_equal(run(use_lip_normalization=True, **absolute), run(**absolute))


def test_lip_retargeting_keeps_the_other_motion_but_for_parity() -> None:
    ours = run(use_lip_retargeting=True)
    expected = run()
    expected[:, 19, 1] += 0.5 - 0.2
    assert ours == pytest.approx(expected, abs=1e-6)
    official = run(use_lip_retargeting=True, quirks=OFFICIAL)
    still = np.tile(PICTURE.motion.points, (FRAMES, 1, 1))
    still[:, 19, 1] += 0.5 - 0.2
    assert official == pytest.approx(still, abs=1e-6)


def test_eye_target_is_the_mean_but_for_parity() -> None:
    uneven = ratios(FRAMES)
    uneven.eyes[:] = (0.1, 0.5)
    driving = replace(DRIVING, ratios=uneven)
    for quirks, target in ((SENSIBLE, 0.3), (OFFICIAL, 0.1)):
        plain = run(driving=driving) if quirks is SENSIBLE else PICTURE.motion.points
        moved = run(driving=driving, use_eye_retargeting=True, quirks=quirks)
        delta = (moved - plain)[:, 11, 1]
        assert delta == pytest.approx(np.full(FRAMES, target - 0.35), abs=1e-6)


def test_eye_retargeting_leaves_lip_normalization_on_but_for_parity() -> None:
    both = {"use_eye_retargeting": True, "use_lip_normalization": True}
    ours = run(**both) - run(use_eye_retargeting=True)
    assert ours[:, 19, 1] == pytest.approx(np.full(FRAMES, -0.2), abs=1e-6)
    official = run(**both, quirks=OFFICIAL) - run(use_eye_retargeting=True, quirks=OFFICIAL)
    assert np.abs(official).max() == 0


def test_templates_without_ratios_drive_but_for_parity() -> None:
    bare = replace(DRIVING, ratios=None)
    assert np.array_equal(run(driving=bare), run())
    assert np.array_equal(run(driving=bare, use_lip_retargeting=True), run())
    with pytest.raises(KeyError):
        run(driving=bare, quirks=OFFICIAL)


def test_sources_without_landmarks_are_not_retargeted() -> None:
    blind = DrivenSource(PICTURE.motion)
    options = {"use_lip_retargeting": True, "use_eye_retargeting": True}
    assert np.array_equal(run(blind, **options, use_lip_normalization=True), run())


def test_frame_counts() -> None:
    assert frame_count(PICTURE, DRIVING) == FRAMES
    assert frame_count(VIDEO, DRIVING) == FRAMES
    assert frame_count(VIDEO, DRIVING[:1]) == 9
    assert frame_count(DrivenSource(motion(3), is_video=True), DRIVING) == 3
    for driving in (DRIVING, DRIVING[:1]):
        assert len(run(VIDEO, driving)) == frame_count(VIDEO, driving)


def test_a_still_performance_leaves_a_video_as_it_is() -> None:
    still = DRIVING[np.zeros(9, int)]
    tiny = {"smoothing_variance": 1e-11}
    moved = run(VIDEO, still, **tiny)
    assert moved == pytest.approx(VIDEO.motion.points, abs=1e-3)


def test_video_motion_is_smoothed_on_wish() -> None:
    rough, calm = (run(VIDEO, smoothing_variance=v) for v in (1e-11, 1e-2))
    assert np.abs(np.diff(calm, axis=0)).mean() < 0.8 * np.abs(np.diff(rough, axis=0)).mean()


def test_smoothed_rotations_stay_rotations_but_for_parity() -> None:
    options = {"region": "pose", "smoothing_variance": 1e-2}
    rigid = replace(VIDEO.motion, expression=np.zeros_like(VIDEO.motion.expression))
    source = DrivenSource(rigid, is_video=True)
    sizes = []
    for quirks in (SENSIBLE, OFFICIAL):
        moved = run(source, quirks=quirks, **options)
        centred = moved - moved.mean(axis=1, keepdims=True)
        kp = rigid.keypoints[:FRAMES] - rigid.keypoints[:FRAMES].mean(axis=1, keepdims=True)
        sizes.append(
            np.linalg.norm(centred, axis=(1, 2)) / np.linalg.norm(kp, axis=(1, 2))
            / rigid.scale[:FRAMES]
        )  # fmt: skip
    assert sizes[0] == pytest.approx(np.ones(FRAMES), abs=1e-5)
    assert sizes[1] != pytest.approx(np.ones(FRAMES), abs=1e-5)


@pytest.mark.parametrize(("first", "target"), [((0.1, 0.1), 0.39), ((0.3, 0.5), 0.4)])
def test_source_eyes_are_held_open(first: tuple[float, float], target: float) -> None:
    own = ratios(9)
    own.eyes[0] = first
    source = DrivenSource(VIDEO.motion, own, is_video=True)
    delta = (run(source, use_source_eye_retargeting=True) - run(source))[:, 11, 1]
    assert delta == pytest.approx(target - own.eyes[:FRAMES].mean(axis=1), abs=1e-6)


def test_animals_take_pose_and_expression_as_they_are() -> None:
    source = PICTURE.motion
    moved = drive_animal(source, DRIVING)
    assert moved[0] == pytest.approx(source.points[0], abs=1e-5)
    level = DRIVING.translation * [1, 1, 0]
    raw = transform_keypoints(
        source.keypoints, DRIVING.rotation, DRIVING.expression, source.scale, level
    )  # fmt: skip
    factors = (moved[1:] - source.points) / (raw[1:] - raw[:1])
    assert factors.std() < 1e-2
    double = drive_animal(source, DRIVING, driving_multiplier=2.0)
    assert double - source.points == pytest.approx(2 * (moved - source.points), abs=1e-5)
    stitched = drive_animal(source, DRIVING, FakeModelSet(stitching_shift=0.1))
    assert (stitched - moved)[..., :2] == pytest.approx(np.full((FRAMES, 21, 2), 0.1), abs=1e-6)


def test_rotations_of_the_driver_turn_the_source_head_not_the_world() -> None:
    """Relative rotation acts on the source's own pose: R_d R_d0^T R_s."""
    angles = np.zeros((3, 2))
    angles[1] = (0.0, 30.0)
    driving = MotionTemplate(
        rotation_matrix(*angles), np.zeros((2, 21, 3), np.float32),
        np.zeros((2, 3), np.float32), np.ones(2, np.float32),
    )  # fmt: skip
    moved = run(driving=driving, region="pose")
    s = PICTURE.motion
    expected = s.scale[0] * (
        s.keypoints[0] @ rotation_matrix(*angles[:, 1:])[0] @ s.rotation[0] + s.expression[0]
    )
    assert moved[1] - moved[1].mean(axis=0) == pytest.approx(
        expected - expected.mean(axis=0), abs=1e-5
    )
