"""The official driving loop, as parity runs it: its order and its habits."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.keypoint_motion import drawn_motion as motion
from fakes.keypoint_motion import drawn_ratios as ratios
from fakes.model_set import FakeModelSet

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from official_driving import (
    DrivenSource,
    DrivingOptions,
    drive_animal,
    frame_count,
    official_keypoints,
)

from engine.performance.geometry import transform_keypoints
from engine.performance.lip_rest import LIP_REST
from engine.performance.template import MotionTemplate
from engine.performance.transfer import EYE_KEYPOINTS, LIP_KEYPOINTS

FRAMES = 6
PLAIN = DrivingOptions(is_expression_friendly=False, use_stitching=False)


PICTURE = DrivenSource(motion(1), ratios(1))
VIDEO = DrivenSource(motion(9, seed=8), ratios(9), is_video=True)
DRIVING = MotionTemplate.from_motion(motion(FRAMES, seed=21), 25.0, ratios(FRAMES, lips=0.5))


def run(
    source: DrivenSource = PICTURE, driving: MotionTemplate = DRIVING, **options: Any
) -> np.ndarray:
    networks = options.pop("networks", FakeModelSet())
    return official_keypoints(source, driving, replace(PLAIN, **options), networks)


def test_multiplier_scales_the_finished_motion() -> None:
    networks = FakeModelSet(stitching_shift=0.1)
    once = run(use_stitching=True, networks=networks)
    twice = run(use_stitching=True, networks=networks, driving_multiplier=2.0)
    x_source = PICTURE.motion.points
    assert twice - x_source == pytest.approx(2 * (once - x_source), abs=1e-5)


@pytest.mark.parametrize("region", ["all", "exp", "pose", "lip", "eyes"])
def test_being_expression_friendly_changes_nothing(region: str) -> None:
    """Frame 0 has become the source by then, and is compared with the source."""
    friendly = run(region=region, is_expression_friendly=True)
    assert friendly == pytest.approx(run(region=region), abs=1e-5)


def test_stitching_moves_every_keypoint() -> None:
    shift = run(use_stitching=True, networks=FakeModelSet(stitching_shift=0.1)) - run()
    assert shift[..., :2] == pytest.approx(np.full((FRAMES, 21, 2), 0.1), abs=1e-6)
    assert np.abs(shift[..., 2]).max() == 0


def test_normalized_lips_close_only_open_mouths() -> None:
    closed = run(use_lip_normalization=True) - run()
    # The stand-in moves y of keypoint 19 by wanted minus own opening.
    assert closed[:, 19, 1] == pytest.approx(np.full(FRAMES, -0.2), abs=1e-6)
    pressed = DrivenSource(PICTURE.motion, ratios(1, lips=0.02))
    assert np.array_equal(run(pressed, use_lip_normalization=True), run(pressed))
    absolute = {"use_relative_motion": False}
    assert np.array_equal(run(use_lip_normalization=True, **absolute), run(**absolute))


def test_eyes_of_one_driving_picture_keep_the_rest() -> None:
    single = DRIVING[2:3]
    moved = run(driving=single, region="eyes") - PICTURE.motion.points
    wanted = PICTURE.motion.scale[0] * single.expression[:, EYE_KEYPOINTS]
    assert moved[:, EYE_KEYPOINTS] == pytest.approx(wanted, abs=1e-6)
    lips = run(driving=single, region="lip") - PICTURE.motion.points
    wanted = PICTURE.motion.scale[0] * (single.expression - LIP_REST)[:, LIP_KEYPOINTS]
    assert lips[:, LIP_KEYPOINTS] == pytest.approx(wanted, abs=1e-6)


def test_retargeted_ratios_throw_the_motion_and_normalised_lips_away() -> None:
    uneven = ratios(FRAMES, lips=0.5)
    uneven.eyes[:] = (0.1, 0.5)
    driving = replace(DRIVING, ratios=uneven)
    offsets = run(
        driving=driving, use_eye_retargeting=True, use_lip_normalization=True
    ) - PICTURE.motion.points  # fmt: skip
    # Both eyes follow the first one.
    assert offsets[:, 11, 1] == pytest.approx(np.full(FRAMES, 0.1 - 0.35), abs=1e-6)
    assert np.abs(np.delete(offsets, 11, axis=1)).max() < 1e-6
    lips = run(use_lip_retargeting=True) - PICTURE.motion.points
    assert lips[:, 19, 1] == pytest.approx(np.full(FRAMES, 0.5 - 0.2), abs=1e-6)


def test_templates_without_ratios_end_it() -> None:
    with pytest.raises(KeyError):
        run(driving=replace(DRIVING, ratios=None))


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
