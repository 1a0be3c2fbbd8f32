"""Two runs of closed_loop.py over the same pictures, side by side as Markdown.

    python scripts/looks_compare.py BEFORE_DIR AFTER_DIR

Prints a table of the looks, one of the pictures that miss a floor, and one of the controls whose
lowest correlation is under LEAST_CORRELATION before or after. docs/looks.md is made of them.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from looks import FLOORS

LEAST_CORRELATION = 0.8
Looks = dict[str, dict[str, float]]


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Compare two runs of closed_loop.py.")
    parser.add_argument("before", type=Path, help="the folder of the earlier run")
    parser.add_argument("after", type=Path, help="the folder of the later run")
    arguments = parser.parse_args()
    try:
        before, after = read_looks(arguments.before), read_looks(arguments.after)
        controls = [read_controls(folder) for folder in (arguments.before, arguments.after)]
    except (OSError, ValueError) as error:
        print(f"looks compare: {error}", file=sys.stderr)
        return 1
    parts = [table_of_measures(before, after), table_of_pictures(before, after)]
    print("\n\n".join([*parts, table_of_controls(*controls)]))
    return 0


def read_looks(folder: Path) -> Looks:
    """The looks of each picture; what does not apply is left out."""
    with (folder / "looks.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {
        row["picture"]: {n: float(v) for n, v in row.items() if n != "picture" and v}
        for row in rows
    }


def read_controls(folder: Path) -> dict[str, Any]:
    """summary.json's "controls" of a run."""
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))["controls"]


def table_of_measures(before: Looks, after: Looks) -> str:
    """Median, worst picture and how many pictures miss the floor, of pictures in both runs."""
    lines = [
        "| look | floor | pictures | median | worst | missed by |",
        "|---|---|---|---|---|---|",
    ]
    for name, floor in FLOORS.items():
        names = [p for p in before if name in before[p] and name in after.get(p, {})]
        if not names:
            continue
        columns = []
        for looks in (before, after):
            values = {picture: looks[picture][name] for picture in names}
            missed = sum(not floor.is_met(value) for value in values.values())
            worst = values[floor.worst(values)]
            columns.append((_short(float(np.median(list(values.values())))), _short(worst), missed))
        median, worst, missed = (f"{a} → {b}" for a, b in zip(*columns, strict=True))
        lines.append(
            f"| `{name}`, {floor.text} | {_limits(name)} | {len(names)} | {median} | {worst} "
            f"| {missed if np.isfinite(floor.high) else ''} |"
        )
    return "\n".join(lines)


def table_of_pictures(before: Looks, after: Looks) -> str:
    """What each picture misses, before and after; pictures that miss nothing are left out."""
    lines = ["| picture | mended | missed still | missed now only |", "|---|---|---|---|"]
    for picture in before:
        sets = [
            {name for name, v in looks.get(picture, {}).items() if not FLOORS[name].is_met(v)}
            for looks in (before, after)
        ]
        if picture not in after or not sets[0] | sets[1]:
            continue
        cells = (sets[0] - sets[1], sets[0] & sets[1], sets[1] - sets[0])
        texts = [", ".join(_told(n, picture, before, after) for n in sorted(s)) for s in cells]
        lines.append(f"| {picture} | {' | '.join(texts)} |")
    return "\n".join(lines)


def table_of_controls(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Lowest correlations of the controls that have one under LEAST_CORRELATION."""
    lines = ["| control | lowest correlation | median |", "|---|---|---|"]
    for name in (name for name in before if name in after):
        pair = before[name], after[name]
        if min(row["corr_min"] for row in pair) < LEAST_CORRELATION:
            columns = (
                " → ".join(f"{row[key]:.2f}" for row in pair) for key in ("corr_min", "corr_median")
            )
            lines.append(f"| `{name}` | {' | '.join(columns)} |")
    return "\n".join(lines)


def _told(name: str, picture: str, before: Looks, after: Looks) -> str:
    values = (looks[picture].get(name) for looks in (before, after))
    return f"{name} {' → '.join('–' if v is None else _short(v) for v in values)}"


def _limits(name: str) -> str:
    floor = FLOORS[name]
    if not np.isfinite(floor.high):
        return "none"
    limit = f"≤ {floor.high:g}" if floor.low == 0 else f"{floor.low:g} … {floor.high:g}"
    return f"median {limit}" if floor.statistic == "median" else limit


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 1e-3 else "0"


if __name__ == "__main__":
    raise SystemExit(main())
