"""Comparisons with the tolerances of pictures and matrices, and where motion templates lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from engine.performance.template import MotionTemplate, TemplateError, read_template

from .golden import UNUSABLE, Golden, GoldenError, Row, compare, reason

KEYPOINTS = 1e-5
MATRIX = 1e-4
LOOPS = 2e-5
SMOOTHED_LOOPS = 5e-5
# Share of pixels that may be off by more than 1: OpenCV's builds round warps differently.
IMAGE = 1e-3

Outputs = Mapping[str, np.ndarray]


def compare_image(item: str, ours: np.ndarray, golden: np.ndarray) -> Row:
    """The share of values that differ by more than 1 of 255."""
    ours, golden = np.asarray(ours), np.asarray(golden)
    if ours.shape != golden.shape or not golden.size:
        return Row(item, np.inf, IMAGE, f"shape {ours.shape}, expected {golden.shape}")
    difference = np.abs(ours.astype(np.int32) - golden.astype(np.int32))
    return Row(item, float((difference > 1).mean()), IMAGE, f"largest {difference.max()}")


def compare_matrix(item: str, ours: np.ndarray, golden: np.ndarray) -> Row:
    """Affine matrices; translations reach 1e3 and may be off by ten times as much."""
    ours, golden = np.asarray(ours, np.float64), np.asarray(golden, np.float64)
    if ours.shape != golden.shape or not golden.size:
        return Row(item, np.inf, MATRIX, f"shape {ours.shape}, expected {golden.shape}")
    scale = np.ones(golden.shape[-2:])
    scale[:2, 2] = 10.0
    return Row(item, float((np.abs(ours - golden) / scale).max()), MATRIX)


def compare_named(item: str, name: str, ours: np.ndarray, golden: np.ndarray) -> Row:
    """Choose the comparison by the array's name."""
    if name.endswith("u8") or "_u8" in name:
        return compare_image(item, ours, golden)
    if "M_o2c" in name or "M_c2o" in name or name == "align_M":
        return compare_matrix(item, ours, golden)
    # Points in pixels carry the matrices' translation tolerance.
    in_pixels = (
        "pt",
        "lmk",
        "calc_lmks",
        "out_rect",
        "out_center",
        "out_size",
        "out_bbox",
        "out_det",
        "out_kps",
    )
    if name.startswith(in_pixels) and golden.size and np.abs(golden).max() > 2:
        return compare(item, ours, golden, 1e-3)
    return compare(item, ours, golden, KEYPOINTS)


def compare_all(
    recorded: Mapping[str, np.ndarray], prefix: str, ours: Outputs, note: str
) -> Iterator[Row]:
    """One row per recorded array below `prefix` that is no input; `note` explains missing ones."""
    for key, golden in recorded.items():
        name = key.removeprefix(prefix)
        if not key.startswith(prefix) or _is_input(key):
            continue
        if name in ours:
            yield compare_named(key, name.split("/")[-1], ours[name], golden)
        else:
            yield Row(key, np.inf, 0.0, note)


def _is_input(key: str) -> bool:
    function, leaf = key.split("/")[0], key.split("/")[-1]
    if "_div_out_" in leaf:  # rows with input and output side by side
        return False
    return (
        leaf in ("in", "obs_var")
        or leaf.startswith(("in_", "net_out_", "stub_"))
        or (function == "paste_back" and leaf == "M_c2o")
    )


def find_template(golden: Golden, name: str) -> MotionTemplate:
    """A motion template by its name without .pkl. Raises GoldenError if it is nowhere."""
    folders = [
        *golden.template_folders,
        golden.folder / "templates",
        golden.folder.resolve().parent.parent / "samples" / "templates",
        Path(__file__).resolve().parents[3] / "shared" / "samples" / "templates",
    ]
    for folder in folders:
        path = folder / f"{name}.pkl"
        if path.is_file():
            try:
                return read_template(path)
            except TemplateError as error:
                raise GoldenError(str(error)) from error
    raise GoldenError(f"template '{name}.pkl' is missing; name its folder with --templates")


def unlisted(recorded: Outputs, file: str, ids: list[str]) -> Iterator[Row]:
    """A failed row for every recorded run whose options the file's table does not tell."""
    known = {f"x_d/{identity}" for identity in ids}
    for key in recorded:
        if key.startswith("x_d/") and key not in known:
            yield Row(f"{file}/{key}", np.inf, LOOPS, f"{file}.json does not list it")


def guarded(item: str, tolerance: float, compute: Callable[[], Row]) -> Row:
    """The row, or a failed one where something that it needs is missing or misshapen."""
    try:
        return compute()
    except UNUSABLE as error:
        return Row(item, np.inf, tolerance, reason(error))
