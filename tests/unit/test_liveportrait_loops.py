"""The driving loop under every combination of options, against numbers recorded from this code.

They were recorded when `make parity` had passed on the official loops, which need LivePortrait's
own motion templates; the inputs here are drawn. RECORD=1 in the environment records them again:
only do so on a state that passes parity.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from official_driving import (
    DrivenSource,
    DrivingOptions,
    Region,
    drive_animal,
    official_keypoints,
)

from engine.performance.geometry import KeypointMotion
from engine.performance.ratios import OpeningRatios
from engine.performance.template import MotionTemplate

RECORDED = Path(__file__).resolve().parents[1] / "data" / "liveportrait_loops.npz"
FRAMES = 5
SHOWN = np.s_[::2, 1::4]  # frames and keypoints that are kept
REGIONS: tuple[Region, ...] = ("all", "exp", "pose", "lip", "eyes")


class SmallNetworks:
    """S and R as one drawn layer each."""

    def __init__(self) -> None:
        random = np.random.default_rng(2407)
        self._layers = [
            random.normal(size=shape).astype(np.float32) * 0.2
            for shape in ((126, 65), (66, 63), (65, 63))
        ]

    def _run(self, layer: int, x_source: np.ndarray, other: np.ndarray) -> np.ndarray:
        count = len(other)
        inputs = np.concatenate([x_source.reshape(count, -1), other.reshape(count, -1)], axis=1)
        return (0.05 * np.tanh(inputs @ self._layers[layer])).astype(np.float32)

    def stitching(self, x_source: np.ndarray, x_driving: np.ndarray) -> np.ndarray:
        return self._run(0, x_source, x_driving)

    def eye_retargeting(self, x_source: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        return self._run(1, x_source, ratios)

    def lip_retargeting(self, x_source: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        return self._run(2, x_source, ratios)


def drawn_motion(count: int, seed: int) -> KeypointMotion:
    random = np.random.default_rng(seed)
    angles = (random.normal(size=(3, count)) * 9).astype(np.float32)
    return KeypointMotion(
        keypoints=np.tile(random.normal(size=(1, 21, 3)) * 0.3, (count, 1, 1)).astype(np.float32),
        expression=(random.normal(size=(count, 21, 3)) * 0.02).astype(np.float32),
        pitch=angles[0],
        yaw=angles[1],
        roll=angles[2],
        translation=(random.normal(size=(count, 3)) * 0.05).astype(np.float32),
        scale=random.uniform(1.2, 1.6, count).astype(np.float32),
    )


def drawn_ratios(count: int, seed: int) -> OpeningRatios:
    random = np.random.default_rng(seed)
    eyes, lips = random.uniform(0.1, 0.5, (count, 2)), random.uniform(0.05, 0.5, (count, 1))
    return OpeningRatios(eyes.astype(np.float32), lips.astype(np.float32))


SOURCES = {
    "picture": DrivenSource(drawn_motion(1, 1), drawn_ratios(1, 2)),
    "video": DrivenSource(drawn_motion(FRAMES, 3), drawn_ratios(FRAMES, 4), is_video=True),
}
PERFORMANCE = MotionTemplate.from_motion(drawn_motion(FRAMES, 5), 25.0, drawn_ratios(FRAMES, 6))
DRIVING = {"performance": PERFORMANCE, "one frame": PERFORMANCE[2:3]}
SWITCHES = (
    "use_relative_motion",
    "is_expression_friendly",
    "use_stitching",
    "use_lip_normalization",
    "use_eye_retargeting",
    "use_lip_retargeting",
    "use_source_eye_retargeting",
)


def option_rows() -> Iterator[DrivingOptions]:
    for region, values in itertools.product(
        REGIONS, itertools.product((True, False), repeat=len(SWITCHES))
    ):
        yield DrivingOptions(
            region=region, driving_multiplier=1.25, **dict(zip(SWITCHES, values, strict=True))
        )


def results(source: str, driving: str) -> np.ndarray:
    """Sums over all options would hide errors: every row is kept, half-size."""
    networks = SmallNetworks()
    rows = [
        official_keypoints(SOURCES[source], DRIVING[driving], options, networks)[SHOWN]
        for options in option_rows()
    ]
    return np.array(rows, np.float16)


@pytest.mark.parametrize("driving", DRIVING)
@pytest.mark.parametrize("source", SOURCES)
def test_every_combination_is_as_recorded(source: str, driving: str) -> None:
    key = f"{source}/{driving}".replace(" ", "_")
    ours = results(source, driving)
    if os.environ.get("RECORD"):
        _record(key, ours)
    with np.load(RECORDED) as archive:
        recorded = archive[key]
    assert ours.shape == recorded.shape
    difference = np.abs(ours.astype(np.float32) - recorded).max(axis=(1, 2, 3))
    wrong = [o for o, d in zip(option_rows(), difference, strict=True) if d > 2e-3]
    assert not wrong, f"{len(wrong)} of {len(ours)} rows differ, the first with {wrong[0]}"


@pytest.mark.parametrize("use_stitching", [True, False])
def test_animals_are_as_recorded(use_stitching: bool) -> None:
    key = f"animal/{use_stitching}"
    networks = SmallNetworks() if use_stitching else None
    ours = drive_animal(
        SOURCES["picture"].motion, PERFORMANCE, networks, driving_multiplier=1.75
    ).astype(np.float32)
    if os.environ.get("RECORD"):
        _record(key, ours)
    with np.load(RECORDED) as archive:
        assert ours == pytest.approx(archive[key], abs=1e-5)


def _record(key: str, values: np.ndarray) -> None:
    arrays: dict[str, np.ndarray] = {}
    if RECORDED.exists():
        with np.load(RECORDED) as archive:
            arrays = dict(archive)
    np.savez_compressed(RECORDED, **(arrays | {key: values}))
