"""What the recorded loops share: sources, templates and options in our terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from official_driving import DrivenSource, DrivingOptions

from engine.performance.geometry import KeypointMotion
from engine.performance.ratios import OpeningRatios
from engine.performance.template import MotionTemplate

from .comparing import find_template
from .golden import Golden, GoldenError

LOOPS = "loops.npz"
# The recorded run gave these to templates without lists, so that the official loop could run.
FILLED_EYES, FILLED_LIPS = 0.3, 0.1
OPTIONS = {
    "flag_relative_motion": "use_relative_motion",
    "animation_region": "region",
    "flag_stitching": "use_stitching",
    "driving_multiplier": "driving_multiplier",
    "flag_normalize_lip": "use_lip_normalization",
    "flag_eye_retargeting": "use_eye_retargeting",
    "flag_lip_retargeting": "use_lip_retargeting",
    "flag_source_video_eye_retargeting": "use_source_eye_retargeting",
    "driving_smooth_observation_variance": "smoothing_variance",
}


def motion_of(golden: Golden, image_u8: np.ndarray) -> KeypointMotion:
    """M's reading of one (256, 256, 3) uint8 picture."""
    pixels = image_u8[None].astype(np.float32) / np.float32(255)
    return KeypointMotion.from_heads(golden.models.extract_motion(pixels))


def image_motion(golden: Golden) -> KeypointMotion:
    """M's reading of the loops' source picture; read once."""
    key = "loops_image_motion"
    if key not in golden.memory:
        golden.memory[key] = motion_of(golden, golden.arrays(LOOPS)["image/img_u8"])
    return golden.memory[key]


def video_source(golden: Golden) -> DrivenSource:
    """The recorded source video: M's outputs and landmarks."""
    a = golden.arrays(LOOPS)
    info = {key.split("_")[-1]: a[key] for key in a if key.startswith("source_video/info_")}
    motion = KeypointMotion(
        keypoints=info["kp"].reshape(-1, 21, 3),
        expression=info["exp"].reshape(-1, 21, 3),
        pitch=info["pitch"].ravel(),
        yaw=info["yaw"].ravel(),
        roll=info["roll"].ravel(),
        translation=info["t"],
        scale=info["scale"].ravel(),
    )
    ratios = OpeningRatios.from_landmarks(a["source_video/lmk203"])
    return DrivenSource(motion, ratios, is_video=True)


def source_of(golden: Golden, kind: str) -> DrivenSource:
    """The source of a row's kind. Raises GoldenError for an unknown kind."""
    if kind.startswith("source_video"):
        return video_source(golden)
    if not kind.startswith("image"):
        raise GoldenError(f"unknown kind of source '{kind}'")
    if "no_landmarks" in kind:
        return DrivenSource(image_motion(golden))
    name = "closed" if "lip_closed" in kind else "open"
    points = golden.arrays(LOOPS)[f"image/lmk203_{name}"]
    return DrivenSource(image_motion(golden), OpeningRatios.from_landmarks(points))


def template_of(golden: Golden, name: str) -> MotionTemplate:
    """A row's template, "d1" or "d1[frame 5 only]", with ratio lists in any case."""
    if name in golden.memory:
        return golden.memory[name]
    single = re.fullmatch(r"(.+)\[frame (\d+) only\]", name)
    template = find_template(golden, single[1] if single else name)
    if template.ratios is None:
        count = len(template)
        template = replace(
            template,
            ratios=OpeningRatios(
                eyes=np.full((count, 2), FILLED_EYES, np.float32),
                lips=np.full((count, 1), FILLED_LIPS, np.float32),
            ),
        )
    if single:
        frame = int(single[2])
        template = template[frame : frame + 1]
    golden.memory[name] = template
    return template


def options_of(recorded: Mapping[str, Any]) -> DrivingOptions:
    """DrivingOptions of a row's official options; unknown ones raise GoldenError."""
    values = {OPTIONS[key]: value for key, value in recorded.items() if key in OPTIONS}
    unknown = set(recorded) - set(OPTIONS) - {"driving_option"}
    if unknown:
        raise GoldenError(f"unknown options {sorted(unknown)}")
    mode = recorded.get("driving_option", "expression-friendly")
    return DrivingOptions(is_expression_friendly=mode == "expression-friendly", **values)
