"""end_to_end.npz: crop, drive, decode and paste back a whole picture."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from official_driving import DrivenSource, DrivingOptions, official_keypoints

from engine.liveportrait.crop import crop_face, network_input
from engine.liveportrait.quirks import OFFICIAL
from engine.performance.geometry import KeypointMotion
from engine.performance.ratios import OpeningRatios

from .comparing import IMAGE, compare_image
from .driving_rows import template_of
from .golden import UNUSABLE, Golden, Row, reason
from .official import comparison_strip, official_paste_back

FILE = "end_to_end.npz"
# What the folder's meta.json or README names comes first.
DEFAULT_TEMPLATE = "d1"
NAMED_IN_README = re.compile(r"template\s+[`']?(\w+?)(?:\.pkl)?[`']?\s+frames\s+`template_frames`")
INPUTS = ("source_u8", "lmk106", "source_lmk203", "template_frames")


def rows(golden: Golden) -> Iterator[Row]:
    """Every recorded picture of the file."""
    recorded = golden.arrays(FILE)
    if not recorded:
        return
    try:
        ours, note = _run(golden), ""
    except UNUSABLE as error:
        ours, note = {}, reason(error)
    for key, expected in recorded.items():
        if key in INPUTS:
            continue
        item = f"end_to_end/{key}"
        if key not in ours:
            yield Row(item, np.inf, IMAGE, note or "no rule for this array")
            continue
        step = ours[key].shape[0] // expected.shape[0]
        yield compare_image(item, ours[key][::step, ::step], expected)


def template_name(golden: Golden) -> str:
    """The template that drove the recorded run, without .pkl.

    meta.json says {"end_to_end_template": name}; else the README's words on `template_frames`.
    """
    named = golden.table("meta.json").get("end_to_end_template")
    if isinstance(named, str) and named:
        return named.removesuffix(".pkl")
    readme = golden.folder / "README.md"
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    found = NAMED_IN_README.search(text)
    return found[1] if found else DEFAULT_TEMPLATE


def _run(golden: Golden) -> dict[str, np.ndarray]:
    """Full-size pictures by the names of the recorded ones."""
    a = golden.arrays(FILE)
    source = a["source_u8"]
    crop = crop_face(source, a["lmk106"], quirks=OFFICIAL)
    pixels = network_input(crop.image)
    picture = pixels[None].astype(np.float32) / np.float32(255)
    motion = KeypointMotion.from_heads(golden.models.extract_motion(picture))
    ratios = OpeningRatios.from_landmarks(a["source_lmk203"])
    options = DrivingOptions(use_lip_normalization=True)
    driving = template_of(golden, template_name(golden))
    x_driving = official_keypoints(DrivenSource(motion, ratios), driving, options, golden.models)
    features = golden.models.extract_features(picture)
    ours: dict[str, np.ndarray] = {}
    for i, frame in enumerate(a["template_frames"]):
        decoded = golden.models.decode(features, motion.points, x_driving[frame : frame + 1])
        face = np.clip(255 * decoded.images[0], 0, 255).astype(np.uint8)
        ours[f"I_p_{i}_u8"] = face
        ours[f"pasteback_{i}_u8"] = official_paste_back(face, crop.crop_to_image, source)
        ours[f"concat_{i}_sub_u8"] = comparison_strip([pixels, face])
    return ours
