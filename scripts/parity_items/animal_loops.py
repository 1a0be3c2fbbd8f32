"""animal_loops.npz: keypoints of the animal driving loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from official_driving import drive_animal

from . import comparing
from .comparing import find_template, guarded, unlisted
from .driving_rows import image_motion
from .golden import Golden, Row, compare

FILE = "animal_loops.npz"


def rows(golden: Golden) -> Iterator[Row]:
    """One row per recorded run; templates as they are, without ratio lists."""
    table = golden.table("animal_loops.json") or []
    yield from unlisted(golden.arrays(FILE), "animal_loops", [str(entry["id"]) for entry in table])
    for entry in table:
        item = f"animal_loops/{entry['id']} {entry['template']}"
        yield guarded(item, comparing.LOOPS, lambda e=entry, i=item: _run(golden, e, i))


def _run(golden: Golden, entry: dict[str, Any], item: str) -> Row:
    expected = golden.arrays(FILE).get(f"x_d/{entry['id']}")
    if expected is None:
        return Row(item, np.inf, comparing.LOOPS, "animal_loops.npz lacks its array")
    ours = drive_animal(
        image_motion(golden),
        find_template(golden, entry["template"]),
        golden.models if entry["flag_stitching"] else None,
        driving_multiplier=entry["driving_multiplier"],
    )
    return compare(item, ours[:: entry["frame_stride"]], expected, comparing.LOOPS)
