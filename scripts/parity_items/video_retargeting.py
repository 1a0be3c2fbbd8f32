"""video_retargeting.npz: lip silence and lip retargeting of the loops' source video."""

from __future__ import annotations

from collections.abc import Iterator

from engine.liveportrait.quirks import OFFICIAL
from engine.liveportrait.sliders import lip_retargeted_points, silenced_points

from . import comparing
from .driving_rows import video_source
from .golden import Golden, Row, compare

FILE = "video_retargeting.npz"


def rows(golden: Golden) -> Iterator[Row]:
    """Every recorded array of the file."""
    recorded = golden.arrays(FILE)
    if not recorded:
        return
    source = video_source(golden)
    ours = {
        "silence/x_d": silenced_points(source.motion, quirks=OFFICIAL),
        "silence/x_s": source.motion.points,
    }
    for key, values in recorded.items():
        if not key.endswith("/ratio_obsvar") or source.ratios is None:
            continue
        case = key.removesuffix("/ratio_obsvar")
        ratio, variance = (float(v) for v in values)
        offsets, points = lip_retargeted_points(
            source.motion, source.ratios, ratio, golden.models, observation_variance=variance
        )
        ours[f"{case}/lip_delta_smooth"], ours[f"{case}/x_d_stitched"] = offsets, points
    for key, expected in recorded.items():
        if key.endswith("/ratio_obsvar"):
            continue
        item, tolerance = f"video_retargeting/{key}", comparing.SMOOTHED_LOOPS
        if key in ours:
            yield compare(item, ours[key], expected, tolerance)
        else:
            yield Row(item, float("inf"), tolerance, "no rule for this array")
