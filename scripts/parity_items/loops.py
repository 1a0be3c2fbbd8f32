"""loops.npz: keypoints of the human driving loop under every option."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from official_driving import official_keypoints

from . import comparing
from .comparing import guarded, unlisted
from .driving_rows import LOOPS, options_of, source_of, template_of
from .golden import Golden, Row, compare


def rows(golden: Golden) -> Iterator[Row]:
    """Source keypoints of every kind, then one row per recorded run."""
    recorded = golden.arrays(LOOPS)
    for key, expected in recorded.items():
        if key.startswith("x_s/"):
            yield guarded(
                f"loops/{key}",
                comparing.LOOPS,
                lambda k=key, e=expected: _source_points(golden, k, e),
            )
    table = golden.table("loops.json") or []
    yield from unlisted(recorded, "loops", [f"{entry['id']:04d}" for entry in table])
    for entry in table:
        item = _item(entry)
        is_smoothed = entry["kind"].startswith("source_video")
        tolerance = comparing.SMOOTHED_LOOPS if is_smoothed else comparing.LOOPS
        yield guarded(item, tolerance, lambda e=entry, i=item, t=tolerance: _run(golden, e, i, t))


def _source_points(golden: Golden, key: str, expected: np.ndarray) -> Row:
    ours = source_of(golden, key.removeprefix("x_s/")).motion.points
    return compare(f"loops/{key}", ours, expected, comparing.LOOPS)


def _item(entry: dict[str, Any]) -> str:
    return f"loops/{entry['id']:04d} {entry['kind']} {entry['template']}"[:58]


def _run(golden: Golden, entry: dict[str, Any], item: str, tolerance: float) -> Row:
    expected = golden.arrays(LOOPS).get(f"x_d/{entry['id']:04d}")
    if expected is None:
        return Row(item, np.inf, tolerance, "loops.npz lacks its array")
    source, driving = source_of(golden, entry["kind"]), template_of(golden, entry["template"])
    ours = official_keypoints(source, driving, options_of(entry["options"]), golden.models)
    if len(ours) != entry["n_frames"]:
        return Row(item, np.inf, tolerance, f"{len(ours)} frames, not {entry['n_frames']}")
    return compare(item, ours[:: entry["frame_stride"]], expected, tolerance)
