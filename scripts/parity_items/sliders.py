"""sliders.npz: keypoints of the image retargeting tab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from engine.liveportrait.quirks import OFFICIAL
from engine.liveportrait.sliders import retargeted_points
from engine.performance.ratios import OpeningRatios

from . import comparing
from .driving_rows import motion_of
from .golden import Golden, Row, compare
from .official import SliderPose, slider_motion

FILE = "sliders.npz"
POSE = {
    "input_head_pitch_variation": "pitch",
    "input_head_yaw_variation": "yaw",
    "input_head_roll_variation": "roll",
    "mov_z": "scale",
    "input_eye_ratio": "eye_ratio",
    "input_lip_ratio": "lip_ratio",
}


def rows(golden: Golden) -> Iterator[Row]:
    """Source keypoints, the rounded ratios, and one row per slider setting."""
    recorded, table = golden.arrays(FILE), golden.table("sliders.json")
    if not recorded or not isinstance(table, dict):
        return
    source = motion_of(golden, recorded["img_u8"])
    ratios = OpeningRatios.from_landmarks(recorded["lmk203"])
    yield compare("sliders/x_s", source.points, recorded["x_s"], comparing.LOOPS)
    own = np.round([ratios.eyes.mean(), ratios.lips[0, 0]], 2)
    expected = np.array([table["source_eye_ratio"], table["source_lip_ratio"]])
    yield compare("sliders/source ratios", own, expected, comparing.KEYPOINTS)
    if len(recorded["x_d"]) != len(table["rows"]):
        note = f"{len(recorded['x_d'])} arrays for {len(table['rows'])} rows of sliders.json"
        yield Row("sliders/x_d", np.inf, comparing.LOOPS, note)
    for entry in table["rows"]:
        motion = slider_motion(_pose({**table["defaults"], **entry["values"]}))
        ours = retargeted_points(
            source,
            ratios,
            [motion],
            golden.models,
            use_stitching=entry["stitching"],
            quirks=OFFICIAL,
        )
        names = "+".join(entry["values"]) or "neutral"
        item = f"sliders/{entry['row']:04d} {names}"[:58]
        yield compare(item, ours[0], recorded["x_d"][entry["row"]], comparing.LOOPS)


def _pose(values: Mapping[str, Any]) -> SliderPose:
    return SliderPose(
        **{POSE[name]: value for name, value in values.items() if name in POSE},
        expression={name: value for name, value in values.items() if name not in POSE},
    )
