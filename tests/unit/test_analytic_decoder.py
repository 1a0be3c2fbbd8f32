"""From LivePortrait's expression offsets to deformer amounts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.analytic.decoder import captured_share, decode, decode_rows
from engine.controls import CONTROLS, motion_from_controls
from engine.faces.canonical import CANONICAL
from engine.faces.measures import measure
from engine.motion import KEYPOINT_COUNT, Motion
from engine.sliders import CARRIERS

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
                offsets = motion_from_controls({control.name: value}).expression
                assert captured_share(np.array([offsets])) == 0.0
    captured = np.random.default_rng(0).normal(0.0, 0.01, 3 * KEYPOINT_COUNT)
    assert captured_share(captured) == 1.0


def test_blinks_come_down_evenly_and_each_eye_is_on_its_own():
    for value in (0.25, 0.5, 0.75, 1.0):
        off = 0.05 if value in (0.25, 0.75) else 0.01
        assert amounts(blink=value).blink == pytest.approx((value, value), abs=off)
        assert amounts(wink_left=value).blink == pytest.approx((value, 0.0), abs=off)
        assert amounts(wink_right=value).blink == pytest.approx((0.0, value), abs=off)
    assert min(amounts(blink=-1.0).blink) < -0.2


def test_a_mouth_that_is_wide_open_opens_over_the_whole_slider():
    scream = replace(MEASURES, lip_gap=3.5)
    jaws = [
        decode(motion_from_controls({"mouth_open": value}), scream, 0.4, 0.6).deformers["jaw"]
        for value in (0.25, 0.5, 0.75, 1.0)
    ]
    assert 0.25 < jaws[-1] < 0.5
    assert jaws[0] < 0.45 * jaws[-1]
    assert np.diff(jaws).min() > 0.03


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
    for end in ("inner", "outer"):
        assert up[f"brow_{end}_left"] == pytest.approx(up[f"brow_{end}_right"])
        assert up[f"brow_{end}_left"] > 0.5
        assert down[f"brow_{end}_left"] < 0.0 < down["frown_left"]


def moving(result, least=0.06):
    """Names of what is done, and its sign."""
    amount = {**result.deformers, "blink_left": result.blink[0], "blink_right": result.blink[1]}
    return {name: value > 0 for name, value in amount.items() if abs(value) > least}


@pytest.mark.parametrize(
    ("control", "value", "expected"),
    [
        ("brow_inner_left", 1.0, {"brow_inner_left": True}),
        ("brow_inner_right", -1.0, {"brow_inner_right": False, "frown_right": True}),
        ("brow_outer_right", 1.0, {"brow_outer_right": True}),
        ("brow_outer_left", -1.0, {"brow_outer_left": False}),
        ("jaw_x", -1.0, {"jaw_x": False}),
        ("upper_lip", 1.0, {"lip_raise": True}),
        ("cheek_left", 1.0, {"cheek_left": True}),
        ("cheek_puff", 1.0, {"cheek_puff": True, "press": True}),
    ],
)  # fmt: skip
def test_what_liveportrait_cannot_say_moves_nothing_else(control, value, expected):
    assert moving(amounts(**{control: value})) == expected


def test_one_side_of_a_smile_leaves_the_other_and_shuts_the_lips():
    left, both = amounts(smile_left=1.0), amounts(smile=1.0)
    assert left.deformers["smile_left"] == pytest.approx(both.deformers["smile_left"], abs=0.05)
    assert abs(left.deformers["smile_right"]) < 0.1
    assert left.deformers["jaw"] < 0.05 and left.deformers["part"] <= 0.0
    together = amounts(smile_left=1.0, smile_right=1.0)
    assert together.deformers == pytest.approx(both.deformers, abs=1e-6)
    assert together.blink == pytest.approx(both.blink, abs=1e-6)


def test_all_ends_of_the_brows_are_the_brows():
    ends = {f"brow_{end}_{side}": 1.0 for end in ("inner", "outer") for side in ("left", "right")}
    assert amounts(**ends).deformers == pytest.approx(amounts(brows=1.0).deformers, abs=0.03)


def test_a_lip_comes_down_as_far_as_there_is_room():
    shut, open_ = amounts(upper_lip=-1.0), amounts(upper_lip=-1.0, mouth_open=0.5)
    assert shut.deformers["lip_raise"] > -0.6 and shut.deformers["press"] > 0.2
    assert shut.deformers["seam_lower"] > 0.3 and open_.deformers["seam_lower"] == 0.0
    assert open_.deformers["lip_raise"] == pytest.approx(-1.0)


def test_own_sliders_add_to_what_is_there():
    captured = np.random.default_rng(4).normal(0.0, 0.004, 3 * KEYPOINT_COUNT)
    captured[list(CARRIERS.values())] = 0.0
    own = np.array(motion_from_controls({"brow_inner_left": 0.5, "jaw_x": 0.4}).expression)
    alone, together = (decode_rows(row[None], MEASURES) for row in (captured, captured + own))
    for name, values in together.items():
        more = {"brow_inner_left": 0.465, "jaw_x": 0.4}.get(name, 0.0)
        assert values[0] == pytest.approx(alone[name][0] + more, abs=1e-9), name


def test_many_rows_are_decoded_as_one_by_one():
    rows = np.random.default_rng(5).normal(0.0, 0.006, (20, 3 * KEYPOINT_COUNT))
    many = decode_rows(rows, MEASURES)
    for index, row in enumerate(rows):
        one = decode(Motion(expression=tuple(row)), MEASURES, 0.3, 0.1)
        assert one.deformers["jaw"] == pytest.approx(many["jaw"][index])
        assert one.gaze == pytest.approx((many["gaze_x"][index], many["gaze_y"][index]))


def test_opening_ratios_are_absolute():
    still = Motion(eyes_open=MEASURES.eyes_open, lips_open=MEASURES.lips_open)
    result = decode(still, MEASURES, MEASURES.eyes_open, MEASURES.lips_open)
    assert result.blink == pytest.approx((0.0, 0.0), abs=1e-9)
    assert max(map(abs, result.deformers.values())) < 1e-9
    shut = decode(Motion(eyes_open=0.0), MEASURES, MEASURES.eyes_open, MEASURES.lips_open)
    assert shut.blink == (1.0, 1.0)
    closed = decode(Motion(lips_open=0.0), MEASURES, MEASURES.eyes_open, MEASURES.lips_open)
    assert closed.lips_close == pytest.approx(1.0)


@pytest.mark.parametrize("gap", [0.2, 0.9, 2.4])
def test_what_shuts_the_lips_of_one_face_shuts_those_of_any(gap):
    source = replace(MEASURES, lip_gap=gap)
    shut, half = (
        decode(motion_from_controls({"mouth_open": value}), source, 0.3, 0.1)
        for value in (-0.16, -0.08)
    )
    assert shut.lips_close == pytest.approx(1.0)
    assert half.lips_close >= 0.5 and (half.lips_close < 0.6 or gap < 0.4)
    assert shut.deformers["press"] < 0.1


def test_amounts_stay_bounded_for_wild_input():
    wild = Motion(expression=(5.0, -5.0, 5.0) * KEYPOINT_COUNT, eyes_open=9.0, lips_open=9.0)
    result = decode(wild, MEASURES, MEASURES.eyes_open, MEASURES.lips_open)
    assert max(map(abs, result.deformers.values())) < 4.0
    assert all(-1.0 <= value <= 1.0 for value in (*result.blink, *result.gaze))
