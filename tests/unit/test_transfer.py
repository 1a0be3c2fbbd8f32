"""Carrying a performance over: what each option does to the motion and to the curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.analytic.decoder import decode
from engine.controls import CONTROLS, mirrored, motion_from_controls
from engine.faces.canonical import CANONICAL
from engine.faces.measures import measure
from engine.motion import Face, Motion
from engine.performance.geometry import euler_degrees, rotation_matrix
from engine.performance.lip_rest import LIP_REST
from engine.performance.mirror import mirrored_performance
from engine.performance.openings import without_blinks, without_lip_gap
from engine.performance.performance import Performance
from engine.performance.ratios import OpeningRatios
from engine.performance.transfer import (
    EXPRESSION_MASK,
    EYE_MASK,
    LIP_MASK,
    MotionTrack,
    TargetFace,
    transfer,
)
from engine.sliders import CARRIERS
from engine.take import CHOSEN, FIRST, NEUTRAL, TakeOptions, mirrored_expression
from engine.taking import COLUMNS, make_takes, reference_frame

COUNT = 30
FACE = Face(
    (0.0, 0.0, 1.0, 1.0), pitch=4.0, yaw=-8.0, roll=3.0, eyes_open=0.42, lips_open=0.12
)  # fmt: skip
TARGET = TargetFace.from_face(FACE)


def performance(count: int = COUNT, seed: int = 7) -> Performance:
    rng = np.random.default_rng(seed)
    steps = np.linspace(0.0, 1.0, count)
    return Performance(
        times=0.04 * np.arange(count),
        rotation=rotation_matrix(3.0 + 5.0 * steps, 20.0 * steps - 4.0, 2.0 - 6.0 * steps),
        translation=rng.normal(0.0, 0.05, (count, 3)).astype(np.float32),
        scale=(1.4 + 0.2 * steps).astype(np.float32),
        expression=rng.normal(0.0, 0.01, (count, 21, 3)).astype(np.float32),
        ratios=OpeningRatios(
            rng.uniform(0.2, 0.4, (count, 2)).astype(np.float32),
            rng.uniform(0.0, 0.4, (count, 1)).astype(np.float32),
        ),
        is_seen=np.ones(count, bool),
    )


PERFORMANCE = performance()
PLAIN = TakeOptions()


def offsets(track: MotionTrack) -> np.ndarray:
    return track.expression.reshape(-1, 21, 3)


def test_absolute_motion_ends_at_the_performers_own_pose_and_expression() -> None:
    own = np.random.default_rng(1).normal(0.0, 0.01, (21, 3))
    target = replace(TARGET, expression=own, translation=np.array([0.02, 0.1, 0.0]))
    track = transfer(PERFORMANCE, target, replace(PLAIN, use_relative_motion=False))
    assert rotation_matrix(*(track.pose + target.pose).T) == pytest.approx(
        PERFORMANCE.rotation, abs=1e-5
    )
    ends = offsets(track) + own
    wanted = np.where(EXPRESSION_MASK, PERFORMANCE.expression - LIP_REST[0], own)
    assert ends == pytest.approx(wanted, abs=1e-7)
    moved = (track.translation + target.translation)[:, :2]
    assert moved == pytest.approx(PERFORMANCE.translation[:, :2], abs=1e-6)
    assert (track.scale == 1.0).all()


def test_a_face_of_unknown_expression_counts_as_resting() -> None:
    track = transfer(PERFORMANCE, TARGET, replace(PLAIN, use_relative_motion=False))
    wanted = np.where(EXPRESSION_MASK, PERFORMANCE.expression - LIP_REST[0], 0.0)
    assert offsets(track) == pytest.approx(wanted, abs=1e-7)


@pytest.mark.parametrize(("region", "mask"), [("lip", LIP_MASK), ("eyes", EYE_MASK)])
@pytest.mark.parametrize("is_relative", [True, False])
def test_regions_move_their_keypoints_alone(region: str, mask, is_relative: bool) -> None:
    options = replace(PLAIN, region=region, use_relative_motion=is_relative)
    track = transfer(PERFORMANCE, TARGET, options)
    assert not offsets(track)[:, ~mask].any()
    assert offsets(track)[:, mask].any()
    assert not (track.pose.any() or track.translation.any())


def test_the_multiplier_scales_turns_places_sizes_and_expressions() -> None:
    once, twice = (transfer(PERFORMANCE, TARGET, replace(PLAIN, multiplier=m)) for m in (1.0, 2.0))
    for name in ("pose", "translation", "expression"):
        assert getattr(twice, name) == pytest.approx(2.0 * getattr(once, name))
    assert twice.scale - 1.0 == pytest.approx(2.0 * (once.scale - 1.0))


def test_one_picture_gives_its_difference_to_a_resting_face() -> None:
    single = performance(1)
    track = transfer(single, TARGET, PLAIN)
    assert offsets(track) == pytest.approx(single.expression - LIP_REST, abs=1e-7)
    assert track.pose == pytest.approx(np.zeros((1, 3)), abs=1e-5)
    copied = transfer(single, TARGET, replace(PLAIN, use_relative_motion=False))
    own = euler_degrees(single.rotation)
    assert copied.pose + TARGET.pose == pytest.approx(own, abs=1e-4)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_a_mirrored_slider_is_the_mirrored_expression(control) -> None:
    for value in (control.minimum, control.maximum):
        motion = motion_from_controls({control.name: value})
        wanted = motion_from_controls(mirrored({control.name: value}))
        if any(term.keypoint == 5 for term in control.terms):
            continue  # moves the head, by an offset of exp that takes do not use
        assert mirrored_expression(motion.expression) == pytest.approx(wanted.expression)


def test_a_mirrored_performance_turns_and_winks_the_other_way() -> None:
    turned = mirrored_performance(PERFORMANCE)
    own, other = euler_degrees(PERFORMANCE.rotation), euler_degrees(turned.rotation)
    assert other == pytest.approx(own * [1.0, -1.0, -1.0], abs=1e-4)
    assert turned.translation[:, 0] == pytest.approx(-PERFORMANCE.translation[:, 0])
    assert turned.ratios is not None and PERFORMANCE.ratios is not None
    assert (turned.ratios.eyes[:, 0] == PERFORMANCE.ratios.eyes[:, 1]).all()
    twice = mirrored_performance(turned)
    assert (twice.expression == PERFORMANCE.expression).all()
    assert twice.rotation == pytest.approx(PERFORMANCE.rotation)
    track = transfer(PERFORMANCE, TARGET, replace(PLAIN, use_mirror=True))
    assert track.expression == pytest.approx(transfer(turned, TARGET, PLAIN).expression)


def test_lids_follow_the_performers_ratio_in_the_faces_own_range() -> None:
    blinking = performance()
    assert blinking.ratios is not None
    blinking.ratios.eyes[5] = 0.0
    options = replace(PLAIN, use_eye_retargeting=True)
    track = transfer(blinking, TARGET, options)
    performed = blinking.ratios.eyes.mean(axis=1)
    assert track.eyes_open is not None
    assert track.eyes_open[0] == pytest.approx(FACE.eyes_open)
    assert track.eyes_open[5] == pytest.approx(0.0)
    assert track.eyes_open == pytest.approx(0.42 * performed / performed[0])
    absolute = transfer(blinking, TARGET, replace(options, use_relative_motion=False))
    assert absolute.eyes_open == pytest.approx(performed)


def test_lips_follow_the_performers_ratio() -> None:
    assert PERFORMANCE.ratios is not None
    track = transfer(PERFORMANCE, TARGET, replace(PLAIN, use_lip_retargeting=True))
    assert track.lips_open == pytest.approx(PERFORMANCE.ratios.lips[:, 0])
    both = transfer(
        PERFORMANCE, TARGET, replace(PLAIN, use_lip_retargeting=True, use_lip_normalization=True)
    )
    assert both.lips_open == pytest.approx(track.lips_open)


def test_what_ratios_say_is_not_said_twice() -> None:
    """With ratios in use the expression itself neither blinks nor opens the mouth."""
    rng = np.random.default_rng(4)
    wild = rng.normal(0.0, 0.004, (6, 21, 3))
    wild.reshape(6, 63)[:, list(CARRIERS.values())] = 0.0  # no captured face uses them
    rest = measure(CANONICAL)
    for row, calm in zip(wild, without_lip_gap(without_blinks(wild)), strict=True):
        before, after = (
            decode(Motion(expression=tuple(e.ravel())), rest, 0.0, 0.0) for e in (row, calm)
        )
        assert after.gaze[1] == pytest.approx(before.gaze[1], abs=1e-6)
        assert np.diff(after.blink) * np.diff(before.blink) > 0.0
    calm = without_blinks(wild)
    left = -15.92 * calm[:, 11, 1] + 12.19 * calm[:, 13, 1]
    right = -16.29 * calm[:, 15, 1] + 12.09 * calm[:, 16, 1]
    assert left == pytest.approx(-right)
    lips = without_lip_gap(wild)
    gap = 29.4 * lips[:, 19, 1] - 33.03 * lips[:, 20, 1] - 4.98 * lips[:, 14, 1]
    assert gap == pytest.approx(np.zeros(6), abs=1e-9)
    assert (np.delete(lips, 19, axis=1) == np.delete(wild, 19, axis=1)).all()


def test_open_lips_are_shut_first_on_wish() -> None:
    options = replace(PLAIN, use_lip_normalization=True)
    track = transfer(PERFORMANCE, TARGET, options)
    assert track.lips_open is not None and not track.lips_open.any()
    pressed = replace(TARGET, lips_open=0.02)
    assert transfer(PERFORMANCE, pressed, options).lips_open is None
    assert (
        transfer(PERFORMANCE, TARGET, replace(options, use_relative_motion=False)).lips_open is None
    )


def test_faces_and_performers_without_ratios_are_left_alone() -> None:
    options = TakeOptions(use_eye_retargeting=True, use_lip_retargeting=True)
    bare = replace(PERFORMANCE, ratios=None)
    stranger = TargetFace(np.zeros(3))
    for track in (transfer(bare, TARGET, options), transfer(PERFORMANCE, stranger, options)):
        assert track.eyes_open is None and track.lips_open is None
        assert track.motions()[3].eyes_open is None
    assert transfer(bare, TARGET, options).expression == pytest.approx(
        transfer(bare, TARGET, PLAIN).expression
    )


def test_expressions_grow_with_the_face_where_m_has_read_both() -> None:
    points = np.random.default_rng(2).normal(0.0, 0.3, (21, 3))
    options = replace(PLAIN, is_expression_friendly=True)
    seen = replace(PERFORMANCE, keypoints=points)
    larger = replace(TARGET, keypoints=1.2 * points)
    plain, grown = transfer(seen, larger, PLAIN), transfer(seen, larger, options)
    assert grown.expression == pytest.approx(1.2 * plain.expression, abs=1e-6)
    assert grown.pose == pytest.approx(plain.pose)
    assert transfer(PERFORMANCE, TARGET, options).expression == pytest.approx(plain.expression)


def test_turns_beyond_half_a_turn_do_not_jump() -> None:
    turning = replace(
        PERFORMANCE, rotation=rotation_matrix(*np.array([[0, 0, r] for r in range(30)]).T * 12.0)
    )
    track = transfer(turning, TARGET, PLAIN)
    assert np.abs(np.diff(track.pose[:, 2])).max() < 20.0
    tilted = replace(TARGET, pose=np.array([0.0, 0.0, 170.0]))
    upside_down = transfer(turning, tilted, replace(PLAIN, use_relative_motion=False))
    assert np.abs(upside_down.pose[0, 2]) <= 180.0


def test_the_reference_is_a_frame_in_which_the_face_was_found() -> None:
    found = PERFORMANCE.is_seen.copy()
    found[:4] = False
    found[10] = False
    late = replace(PERFORMANCE, is_seen=found)
    assert reference_frame(late, TakeOptions(reference=FIRST)) == 4
    chosen = TakeOptions(reference=CHOSEN, reference_s=0.395)
    assert reference_frame(late, chosen) in (9, 11)
    assert found[reference_frame(late, TakeOptions(reference=NEUTRAL))]
    assert reference_frame(PERFORMANCE, chosen) == 10


def test_takes_have_a_column_for_each_ratio_in_use() -> None:
    assert PERFORMANCE.ratios is not None
    other = replace(FACE, eyes_open=0.0, lips_open=0.0)
    assert make_takes(PERFORMANCE, [FACE], PLAIN).columns == COLUMNS
    taken = make_takes(PERFORMANCE, [FACE, other], TakeOptions(use_lip_retargeting=True))
    assert taken.columns == (*COLUMNS, "lips_open")
    assert taken.values[0, :, -1] == pytest.approx(PERFORMANCE.ratios.lips[:, 0], abs=1e-6)
    assert not taken.values[1, :, -1].any()
    assert taken.expression.shape == (2, COUNT, 63)
