"""Compare every number of a golden folder with what this repository computes.

    python scripts/parity.py DIR [--device cpu|cuda] [--only networks]

DIR holds arrays recorded from LivePortrait's official modules with name-seeded weights
(scripts/scheme_weights.py rebuilds them). Prints a table and `N passed, N failed`; leaves with 1
if anything missed and with 2 if DIR cannot be read.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from parity_items import UNUSABLE, Golden, GoldenError, Row, reason

from engine.renderer import ReportedError

ITEMS = (
    "weights",
    "networks",
    "extra",
    "layers",
    "functions",
    "sliders",
    "loops",
    "video_retargeting",
    "animal_loops",
    "end_to_end",
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("golden", type=Path, help="folder with the recorded arrays")
    parser.add_argument("--device", default="cpu", help="torch device of the networks")
    parser.add_argument("--only", choices=ITEMS, help="one group of items")
    parser.add_argument("--fast", action="store_true", help="check the fast path of W and G too")
    parser.add_argument(
        "--templates", type=Path, help="folder with LivePortrait's d1.pkl and so on"
    )
    options = parser.parse_args(arguments)
    start = time.monotonic()
    rows: list[Row] = []
    try:
        golden = Golden(options.golden, options.device, use_fast_path=options.fast)
        if options.templates:
            golden.template_folders.append(options.templates)
        print(f"Parity with '{options.golden}', seed '{golden.seed}', on {golden.label}")
        print(f"{'item':<58} {'max error':>11} {'tolerance':>11}  pass", flush=True)
        for name in (options.only,) if options.only else ITEMS:
            count = len(rows)
            for row in rows_of(golden, name):
                rows.append(row)
                print(row, flush=True)
            if len(rows) == count:
                print(f"{name:<58} nothing of it in this folder", flush=True)
        if not options.only:
            rows += unknown_files(options.golden)
    except (GoldenError, ReportedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    failed = sum(not row.passed for row in rows)
    print(f"{time.monotonic() - start:.0f} s")
    if not rows:
        print("error: the folder holds nothing to compare", file=sys.stderr)
        return 2
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


def rows_of(golden: Golden, name: str) -> Iterator[Row]:
    """One group's rows; arrays that cannot be used end it with a failed row, not the whole run."""
    try:
        yield from importlib.import_module(f"parity_items.{name}").rows(golden)
    except GoldenError:
        raise
    except UNUSABLE as error:
        yield Row(name, math.inf, 0.0, f"rest not compared: {reason(error)}")


def unknown_files(folder: Path) -> list[Row]:
    """A failed row for every file of arrays that no group reads."""
    names = sorted(path.stem for path in folder.glob("*.npz") if path.stem not in ITEMS)
    rows = [Row(f"{name}.npz", math.inf, 0.0, "no rule for this file") for name in names]
    for row in rows:
        print(row, flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
