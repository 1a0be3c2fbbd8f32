"""A performance on a face that M has read: the keypoints that the networks get of its Motions."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.keypoint_motion import drawn_motion, drawn_ratios
from fakes.model_set import FakeModelSet

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from official_driving import DrivenSource, DrivingOptions, official_keypoints

from engine.controls import motion_from_controls
from engine.liveportrait.analysis import BoxAnalysis
from engine.liveportrait.driving import drive, read_face
from engine.liveportrait.renderer import LivePortraitRenderer
from engine.liveportrait.sliders import retargeted_points
from engine.motion import Face, Motion
from engine.performance.geometry import KeypointMotion, rotation_matrix, transform_keypoints
from engine.performance.lip_rest import LIP_REST
from engine.performance.performance import Performance
from engine.performance.template import MotionTemplate, read_template, write_template
from engine.performance.transfer import EXPRESSION_MASK, TargetFace
from engine.renderer import SourceImage
from engine.take import CHOSEN, TakeOptions, with_take
from engine.taking import Taken, make_takes

FRAMES = 6
SOURCE, RATIOS = drawn_motion(1), drawn_ratios(1)
DRIVING = MotionTemplate.from_motion(
    drawn_motion(FRAMES, seed=21), 25.0, drawn_ratios(FRAMES, lips=0.5)
)
REGIONS = ("all", "exp", "pose", "lip", "eyes")


def points(motions: Sequence[Motion], **options: Any) -> np.ndarray:
    networks = options.pop("networks", FakeModelSet())
    use_stitching = options.pop("use_stitching", False)
    return retargeted_points(
        SOURCE, RATIOS, list(motions), networks, use_stitching=use_stitching
    )  # fmt: skip


def run(driving: MotionTemplate = DRIVING, reference: int = 0, **options: Any) -> np.ndarray:
    performance = Performance.from_template(driving)
    wanted = TakeOptions(**options)
    return points(drive(SOURCE, RATIOS, performance, wanted, reference).motions())


@pytest.mark.parametrize(
    ("region", "is_relative", "count"),
    [*itertools.product(REGIONS, (True, False), (FRAMES, 1))],
)
def test_motions_are_the_official_loop_before_stitching(
    region: Any, is_relative: bool, count: int
) -> None:
    if region == "eyes" and is_relative and count == 1:
        pytest.skip("measured from the resting face, unlike the official loop: docs/quirks.md")
    official = official_keypoints(
        DrivenSource(SOURCE, RATIOS),
        DRIVING[:count],
        DrivingOptions(region=region, use_relative_motion=is_relative, use_stitching=False),
        FakeModelSet(),
    )
    ours = run(DRIVING[:count], region=region, use_relative_motion=is_relative)
    assert ours == pytest.approx(official, abs=1e-5)


def test_relative_motion_starts_at_the_source() -> None:
    moved = run()
    assert moved[0] == pytest.approx(SOURCE.points[0], abs=1e-5)
    assert np.abs(moved[1:] - moved[0]).max() > 0.05


def test_absolute_motion_copies_pose_and_place() -> None:
    expression = np.where(EXPRESSION_MASK, DRIVING.expression, SOURCE.expression)
    level = DRIVING.translation * [1, 1, 0]
    expected = transform_keypoints(
        SOURCE.keypoints, DRIVING.rotation, expression, SOURCE.scale, level
    )
    assert run(use_relative_motion=False) == pytest.approx(expected, abs=1e-5)


def test_rotations_of_the_driver_turn_the_source_head_not_the_world() -> None:
    """Relative rotation acts on the source's own pose: R_d R_d0^T R_s."""
    angles = np.zeros((3, 2))
    angles[1] = (0.0, 30.0)
    driving = MotionTemplate(
        rotation_matrix(*angles), np.zeros((2, 21, 3), np.float32),
        np.zeros((2, 3), np.float32), np.ones(2, np.float32),
    )  # fmt: skip
    moved = run(driving, region="pose")
    expected = SOURCE.scale[0] * (
        SOURCE.keypoints[0] @ rotation_matrix(*angles[:, 1:])[0] @ SOURCE.rotation[0]
        + SOURCE.expression[0]
    )
    assert moved[1] - moved[1].mean(axis=0) == pytest.approx(
        expected - expected.mean(axis=0), abs=1e-5
    )


def test_one_driving_picture_is_measured_from_the_resting_face() -> None:
    single = DRIVING[2:3]
    for region in ("exp", "eyes"):
        offsets = run(single, region=region) - SOURCE.points
        expected = (single.expression - LIP_REST) * SOURCE.scale[0]
        assert offsets[:, 11] == pytest.approx(expected[:, 11], abs=1e-5)


def test_another_frame_may_be_the_rest() -> None:
    moved = run(reference=3)
    assert moved[3] == pytest.approx(SOURCE.points[0], abs=1e-5)
    assert np.abs(moved[0] - SOURCE.points[0]).max() > 0.02


def test_ratios_take_the_place_of_what_the_expression_does_to_lids_and_lips() -> None:
    following = run(use_lip_retargeting=True, use_eye_retargeting=True)
    plain = run()
    still = [k for k in range(21) if k not in (11, 13, 15, 16, 19)]
    assert following[:, still] == pytest.approx(plain[:, still], abs=1e-6)
    assert np.abs(following[:, 19, 1] - plain[:, 19, 1]).max() > 1e-3
    normalised = run(use_lip_normalization=True) - plain
    # The stand-in moves y of keypoint 19 by wanted minus own opening.
    assert normalised[:, 19, 1] == pytest.approx(np.full(FRAMES, -0.2), abs=1e-6)


def test_stitching_is_the_renderers() -> None:
    motions = drive(SOURCE, RATIOS, Performance.from_template(DRIVING), TakeOptions()).motions()
    shift = points(motions, use_stitching=True, networks=FakeModelSet(stitching_shift=0.1))
    shift -= points(motions)
    assert shift[..., :2] == pytest.approx(np.full((FRAMES, 21, 2), 0.1), abs=1e-6)


def played(taken: Taken, face: Face) -> list[Motion]:
    """The Motions that a controller with the take's curves asks for."""
    motions = []
    for i in range(len(taken.times)):
        values = dict(zip(taken.columns, map(float, taken.values[0, i]), strict=True))
        motion = motion_from_controls(values, eyes_open=face.eyes_open, lips_open=face.lips_open)
        motions.append(with_take(motion, taken.expression[0, i], taken.translation[0, i], {}))
    return motions


SWITCHES = ("use_lip_normalization", "use_eye_retargeting", "use_lip_retargeting", "use_mirror")


@pytest.mark.parametrize(("region", "is_relative"), [*itertools.product(REGIONS, (True, False))])
def test_the_networks_play_takes_exactly(tmp_path: Path, region: str, is_relative: bool) -> None:
    path = tmp_path / "performance.pkl"
    write_template(path, DRIVING)
    performance = Performance.from_template(read_template(path))
    face = Face((0.0, 0.0, 1.0, 1.0), eyes_open=0.35, lips_open=0.2)
    target = read_face(SOURCE, RATIOS)
    for multiplier, reference_s in ((1.0, 0.0), (0.7, 0.12)):
        for switches in itertools.product((True, False), repeat=len(SWITCHES)):
            options = TakeOptions(
                region=region, use_relative_motion=is_relative, multiplier=multiplier,
                reference=CHOSEN, reference_s=reference_s,
                **dict(zip(SWITCHES, switches, strict=True)),
            )  # fmt: skip
            taken = make_takes(performance, [face], options, [target])
            driven = drive(SOURCE, RATIOS, performance, options, taken.reference).motions()
            # What is within two digits of the picture's own opening counts as untouched.
            wanted = [_untouched(motion, face) for motion in driven]
            assert points(played(taken, face)) == pytest.approx(points(wanted), abs=1e-5)


def _untouched(motion: Motion, face: Face) -> Motion:
    is_own = motion.eyes_open is not None and abs(motion.eyes_open - face.eyes_open) <= 0.005
    return replace(motion, eyes_open=None) if is_own else motion


def test_an_opened_face_tells_takes_how_the_networks_read_it() -> None:
    image = np.full((300, 300, 4), 128, np.uint8)
    face = Face((60.0, 60.0, 240.0, 240.0), eyes_open=0.3)
    portrait = LivePortraitRenderer(FakeModelSet(), BoxAnalysis()).open(
        SourceImage(image, "srgb"), face
    )
    assert not face.reading
    opened = Face.from_json(portrait.face.to_json())
    target = TargetFace.from_face(opened)
    heads = KeypointMotion.from_heads(FakeModelSet().extract_motion(np.zeros((1, 256, 256, 3))))
    wanted = read_face(heads, None)
    assert target.pose == pytest.approx(wanted.pose, abs=1e-6)
    assert target.keypoints == pytest.approx(wanted.keypoints)
    assert target.expression == pytest.approx(wanted.expression)
    with pytest.raises(ValueError, match="reading"):
        Face.from_json({**face.to_json(), "reading": [1.0, 2.0]})
