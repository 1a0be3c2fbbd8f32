"""The round trip compares what was keyed with what a capture says of it."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
round_trip = pytest.importorskip("round_trip")

from engine.controls import CONTROLS, CONTROLS_BY_NAME  # noqa: E402
from engine.taking import COLUMNS  # noqa: E402


def captured(passages, factor: float) -> dict[str, np.ndarray]:
    """A capture that returns `factor` of everything that was keyed."""
    columns = {
        name: np.full(passages[-1].end + 10, float(CONTROLS_BY_NAME[name].default))
        for name in (*COLUMNS, *round_trip.TRANSLATED)
    }
    for passage in passages:
        rest = CONTROLS_BY_NAME[passage.name].default
        rows = slice(passage.first, passage.end)
        columns[passage.name][rows] = rest + factor * (passage.values - rest)
    return columns


def test_every_slider_is_keyed_alone_and_both_ways() -> None:
    passages = round_trip.script()
    names = {control.name for control in CONTROLS} - set(round_trip.LEFT_OUT)
    assert {passage.name for passage in passages} == names
    assert sum(passage.name == "brows" for passage in passages) == 2
    assert sum(passage.name == "wink_left" for passage in passages) == 1
    for before, after in pairwise(passages):
        assert after.first >= before.end + round_trip.PAUSE


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_what_comes_back_is_told(factor: float) -> None:
    passages = round_trip.script()
    for passage in passages:
        errors, returned, others = round_trip.compare(passage, captured(passages, factor))
        assert returned == pytest.approx(factor)
        assert others == 0.0
        reach = abs(round_trip._share(passage.name, passage.values)).max()
        assert errors.max() == pytest.approx((1.0 - factor) * reach)


def test_motion_of_another_slider_is_told() -> None:
    passages = round_trip.script()
    columns = captured(passages, 1.0)
    smile = next(p for p in passages if p.name == "smile")
    columns["grin"][smile.first : smile.end] = 0.25
    assert round_trip.compare(smile, columns)[2] == pytest.approx(0.25)
