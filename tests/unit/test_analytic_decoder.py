"""From LivePortrait's expression offsets to deformer amounts."""

from __future__ import annotations

import numpy as np
import pytest

from engine.analytic.decoder import captured_share, decode
from engine.controls import CONTROLS, motion_from_controls
from engine.faces.canonical import CANONICAL
from engine.faces.measures import measure
from engine.motion import KEYPOINT_COUNT, Motion

MEASURES = measure(CANONICAL)


def amounts(**values: float):
    motion = motion_from_controls(
        values, eyes_open=MEASURES.eyes_open, lips_open=MEASURES.lips_open
    )
    return decode(motion, MEASURES, MEASURES.eyes_open, MEASURES.lips_open)


def test_nothing_in_nothing_out():
    result = amounts()
    assert max(map(abs, result.deformers.values())) == 0.0
    assert result.blink == (0.0, 0.0)
    assert result.gaze == (0.0, 0.0)
    assert result.lips_close == 0.0


def test_expressions_of_sliders_are_told_from_captured_ones():
    for control in CONTROLS:
        if control.terms:
            for value in (control.minimum, control.maximum):
                assert captured_share(motion_from_controls({control.name: value}).expression) == 0.0
    captured = np.random.default_rng(0).normal(0.0, 0.01, 3 * KEYPOINT_COUNT)
    assert captured_share(captured) == 1.0


def test_blinks_are_linear_and_each_eye_is_on_its_own():
    for value in (0.25, 0.5, 0.75, 1.0):
        assert amounts(blink=value).blink == pytest.approx((value, value), abs=0.03)
        assert amounts(wink_left=value).blink == pytest.approx((value, 0.0), abs=0.03)
        assert amounts(wink_right=value).blink == pytest.approx((0.0, value), abs=0.03)
    assert min(amounts(blink=-1.0).blink) < -0.2


def test_winks_do_not_twist_the_face():
    wink = amounts(wink_left=1.0)
    assert wink.gaze == pytest.approx((0.0, 0.0), abs=0.02)
    assert wink.deformers["smile_left"] == pytest.approx(0.2, abs=0.1)
    others = {k: v for k, v in wink.deformers.items() if k != "smile_left"}
    assert max(map(abs, others.values())) < 0.02


def test_gaze_leaves_lids_and_mouth_alone():
    for control, axis in (("gaze_x", 0), ("gaze_y", 1)):
        for sign in (-1.0, 1.0):
            result = amounts(**{control: sign})
            assert sign * result.gaze[axis] > 0.7
            assert result.gaze[1 - axis] == pytest.approx(0.0, abs=0.02)
            assert result.blink == pytest.approx((0.0, 0.0), abs=0.02)
            assert max(map(abs, result.deformers.values())) < 1e-6


def test_mirrored_controls_give_mirrored_amounts():
    left, right = amounts(wink_left=0.7), amounts(wink_right=0.7)
    assert left.blink == pytest.approx(right.blink[::-1], abs=1e-6)
    assert left.deformers["smile_left"] == pytest.approx(right.deformers["smile_right"], abs=0.02)


def test_brows_go_both_ways():
    up, down = amounts(brows=1.0).deformers, amounts(brows=-1.0).deformers
    assert up["brow_left"] == pytest.approx(up["brow_right"]) and up["brow_left"] > 0.5
    assert down["brow_left"] < 0.0 < down["frown"]


def test_opening_ratios_are_absolute():
    still = Motion(eyes_open=MEASURES.eyes_open, lips_open=MEASURES.lips_open)
    result = decode(still, MEASURES, MEASURES.eyes_open, MEASURES.lips_open)
    assert result.blink == pytest.approx((0.0, 0.0), abs=1e-9)
    assert max(map(abs, result.deformers.values())) < 1e-9
    shut = decode(Motion(eyes_open=0.0), MEASURES, MEASURES.eyes_open, MEASURES.lips_open)
    assert shut.blink == (1.0, 1.0)
    closed = decode(Motion(lips_open=0.0), MEASURES, MEASURES.eyes_open, MEASURES.lips_open)
    assert closed.lips_close == pytest.approx(1.0)


def test_amounts_stay_bounded_for_wild_input():
    wild = Motion(expression=(5.0, -5.0, 5.0) * KEYPOINT_COUNT, eyes_open=9.0, lips_open=9.0)
    result = decode(wild, MEASURES, MEASURES.eyes_open, MEASURES.lips_open)
    assert max(map(abs, result.deformers.values())) < 4.0
    assert all(-1.0 <= value <= 1.0 for value in (*result.blink, *result.gaze))
