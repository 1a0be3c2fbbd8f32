"""video_retargeting.npz: lip silence and lip retargeting of the loops' source video."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.liveportrait.model_set import Retargeting
from engine.liveportrait.quirks import OFFICIAL, SENSIBLE, Quirks
from engine.liveportrait.retargeting import lip_delta, stitched
from engine.performance.geometry import KeypointMotion, flat, transform_keypoints
from engine.performance.lip_rest import LIP_REST
from engine.performance.ratios import OpeningRatios
from engine.performance.smoothing import LIP_OBSERVATION_VARIANCE, smooth
from engine.performance.transfer import EYE_MASK

from . import comparing
from .driving_rows import video_source
from .golden import Golden, Row, compare

FILE = "video_retargeting.npz"


def silenced_points(
    source: KeypointMotion, networks: Retargeting | None = None, quirks: Quirks = SENSIBLE
) -> np.ndarray:
    """Lip silence: every frame of a video with a resting face, its own eyes and head pose.

    networks  stitching, or None for none
    """
    expression = np.where(EYE_MASK, source.expression, LIP_REST)
    translation = source.translation if quirks.keeps_translation_z else flat(source.translation)
    x_driving = transform_keypoints(
        source.keypoints, source.rotation, expression, source.scale, translation
    )
    return x_driving if networks is None else stitched(networks, source.points, x_driving)


def lip_retargeted_points(
    source: KeypointMotion,
    ratios: OpeningRatios,
    lip_ratio: float,
    networks: Retargeting,
    *,
    observation_variance: float = LIP_OBSERVATION_VARIANCE,
) -> tuple[np.ndarray, np.ndarray]:
    """Lips of a video held at one opening: (smoothed lip offsets, stitched keypoints)."""
    x_source = source.points
    offsets = smooth(lip_delta(networks, x_source, ratios, lip_ratio), observation_variance)
    return offsets, stitched(networks, x_source, x_source + offsets)


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
