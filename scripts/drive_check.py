"""Drive every picture with every performance, and look whether the result does what was done.

    python scripts/drive_check.py SOURCES_DIR DRIVERS_DIR OUT_DIR

The largest face of each picture does what the largest face of each clip does, and each motion
template says, on the embedded renderer; then the landmark model looks at the results. OUT_DIR gets

    summary.json  {"pairs": how many were driven, "signals": {name: {"corr_median", "corr_min",
                  "gain_median"}}, "jitter_px", "scale_sigma", "read_fps",
                  "background_mean_diff", "failed": [...]}
    table.txt     every pair's correlations and gains, what each driver was read with, and the
                  floors that were missed
    pairs.csv     the same numbers
    sheets/       one contact sheet per pair: the driver's frames above the result's

Correlations are of driver and result over the rendered frames, for the signals in which a driver
does enough (drive_pairs.SIGNALS says how much, and what is measured); a template is compared in
what it states itself, openings and the head. A gain is how much of it the result does: the slope of
its reading over the driver's, 1 for as much. jitter_px: how far points of the result's face move,
root mean square, where the driver is a still picture with a camera's noise; scale_sigma: how much
the head's size then varies, in per cent. read_fps: frames read per second, decoding included.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from closed_loop import OPENCV_THREADS, analytic_renderer, pictures_of
from control_sweep import Subject, open_subject
from drive_pairs import SIGNALS, Driver, Pair, drive, open_driver
from drive_still import Still, measure_still

from engine.renderer import ReportedError

FRAMES = 40  # of each performance that are rendered
JITTER_FLOOR, SCALE_FLOOR = 0.3, 0.2

CELL, COLUMNS = 150, 12  # of a contact sheet
BLACK = (24, 24, 24)


def main() -> int:
    """Run over the folders; returns the process's exit status."""
    parser = argparse.ArgumentParser(description="Drive pictures with performances and measure.")
    parser.add_argument("sources", type=Path, help="folder of pictures")
    parser.add_argument("drivers", type=Path, help="folder of clips and motion templates")
    parser.add_argument("out", type=Path, help="folder for the results; made when missing")
    parser.add_argument("--frames", type=int, default=FRAMES, help="rendered of each performance")
    parser.add_argument("--no-sheets", action="store_true", help="leave out the contact sheets")
    arguments = parser.parse_args()
    cv2.setNumThreads(OPENCV_THREADS)
    try:
        sources, drivers = pictures_of(arguments.sources), files_of(arguments.drivers)
        run(sources, drivers, arguments.out, arguments.frames, not arguments.no_sheets)
    except (ReportedError, OSError) as error:
        print(f"drive check: {error}", file=sys.stderr)
        return 1
    return 0


def files_of(folder: Path) -> list[Path]:
    """The files of a folder, by name. Raises FileNotFoundError when there are none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"'{folder}' is not a folder.")
    paths = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    if not paths:
        raise FileNotFoundError(f"No clips or templates in '{folder}'.")
    return paths


def run(
    sources: list[Path], drivers: list[Path], out: Path, frames: int, use_sheets: bool = True
) -> dict[str, Any]:
    """Drive, write the results, and return summary.json's value."""
    out.mkdir(parents=True, exist_ok=True)
    failed: list[dict[str, str]] = []
    subjects = _opened(sources, failed)
    pairs: list[Pair] = []
    read: list[Driver] = []
    for index, path in enumerate(drivers, 1):
        print(f"[{index}/{len(drivers)}] {path.name}", end=" ", flush=True)
        try:
            driver = open_driver(path, frames, _quiet)
        except ReportedError as error:
            failed.append({"driver": path.name, "message": error.message})
            print(f"refused: {error.message}")
            continue
        for subject in subjects:
            pair = drive(subject, driver)
            if use_sheets:
                name = f"{Path(subject.name).stem} by {path.name}.png"
                write_sheet(out / "sheets" / name, driver, pair)
            pair.pictures.clear()
            pairs.append(pair)
        driver.pictures.clear()
        read.append(driver)
        own = [pair for pair in pairs if pair.driver == driver.name]
        print("  ".join(f"{name} {_median(own, name)}" for name in SIGNALS))
    stills = [measure_still(subject) for subject in subjects]
    summary = summarise(pairs, read, stills, failed)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    table = table_of(summary, pairs, read)
    (out / "table.txt").write_text(table, encoding="utf-8")
    write_pairs(out / "pairs.csv", pairs)
    print(f"\n{table}\nResults are in {out}")
    return summary


def _opened(paths: list[Path], failed: list[dict[str, str]]) -> list[Subject]:
    renderer = analytic_renderer()
    subjects = []
    for path in paths:
        try:
            subjects.append(open_subject(path, renderer))
        except ReportedError as error:
            failed.append({"source": path.name, "message": error.message})
            print(f"{path.name} refused: {error.message}")
    return subjects


def summarise(
    pairs: list[Pair], drivers: list[Driver], stills: list[Still], failed: list[dict[str, str]]
) -> dict[str, Any]:
    """summary.json's value."""
    signals = {}
    for name in SIGNALS:
        values = [pair.correlations[name] for pair in pairs if name in pair.correlations]
        gains = [pair.gains[name] for pair in pairs if name in pair.gains]
        if values:
            signals[name] = {
                "corr_median": round(float(np.median(values)), 4),
                "corr_min": round(min(values), 4),
                "gain_median": round(float(np.median(gains)), 4),
            }
    count, seconds = (sum(getattr(d, name) for d in drivers) for name in ("frame_count", "read_s"))
    return {
        "pairs": len(pairs),
        "signals": signals,
        "jitter_px": round(max((still.jitter_px for still in stills), default=0.0), 4),
        "scale_sigma": round(max((still.scale_sigma for still in stills), default=0.0), 4),
        "read_fps": round(count / seconds, 2) if seconds else None,
        "background_mean_diff": round(max((pair.background for pair in pairs), default=0.0), 3),
        "failed": failed,
    }


def missed_floors(summary: dict[str, Any]) -> list[str]:
    """The floors that the medians do not keep, in words."""
    missed = [
        f"{name}: {row['corr_median']} instead of {SIGNALS[name].floor}"
        for name, row in summary["signals"].items()
        if row["corr_median"] < SIGNALS[name].floor
    ]
    for name, floor in (("jitter_px", JITTER_FLOOR), ("scale_sigma", SCALE_FLOOR)):
        if summary[name] > floor:
            missed.append(f"{name}: {summary[name]} instead of {floor}")
    return missed


def table_of(summary: dict[str, Any], pairs: list[Pair], drivers: list[Driver]) -> str:
    """The results for reading."""
    lines = []
    for what in ("correlations", "gains"):
        names = "".join(f"{name:>12}" for name in SIGNALS)
        lines.append(f"{'source':16} {'driver':18}{names}  {what}")
        for pair in pairs:
            values = getattr(pair, what)
            cells = (f"{values[n]:12.3f}" if n in values else f"{'-':>12}" for n in SIGNALS)
            lines.append(f"{pair.source[:16]:16} {pair.driver[:18]:18}" + "".join(cells))
    medians = (("median", "corr_median"), ("least", "corr_min"), ("gain, median", "gain_median"))
    for label, key in medians:
        rows = (summary["signals"].get(name) for name in SIGNALS)
        cells = (f"{row[key]:12.3f}" if row else f"{'-':>12}" for row in rows)
        lines.append(f"{label:35}" + "".join(cells))
    for driver in drivers:
        if driver.read_s:
            speed = driver.frame_count / driver.read_s
            lines.append(f"{driver.name}: {driver.frame_count} frames, {speed:.1f} read per second")
    lines.append(
        f"still driver: jitter {summary['jitter_px']} px, size varies by {summary['scale_sigma']} %"
    )
    lines += [f"failed: {failure}" for failure in summary["failed"]]
    lines += [f"below the floor: {text}" for text in missed_floors(summary)]
    return "\n".join(lines) + "\n"


def write_pairs(path: Path, pairs: list[Pair]) -> None:
    """Every pair's numbers as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        gains = [f"{name} gain" for name in SIGNALS]
        writer.writerow(["source", "driver", *SIGNALS, *gains, "background"])
        for pair in pairs:
            measured = (pair.correlations, pair.gains)
            values = (found.get(name) for found in measured for name in SIGNALS)
            cells = ["" if value is None else f"{value:.4f}" for value in values]
            writer.writerow([pair.source, pair.driver, *cells, f"{pair.background:.3f}"])


def write_sheet(path: Path, driver: Driver, pair: Pair) -> None:
    """Contact sheet: some of the driver's frames, and the result's below them."""
    chosen = np.linspace(0, len(pair.pictures) - 1, min(COLUMNS, len(pair.pictures))).astype(int)
    rows = [pair.pictures] if not driver.pictures else [driver.pictures, pair.pictures]
    sheet = np.full((CELL * len(rows), CELL * len(chosen), 3), BLACK, np.uint8)
    for top, pictures in enumerate(rows):
        for left, index in enumerate(chosen):
            cell = _fitted(pictures[index])
            y, x = top * CELL, left * CELL
            sheet[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    data.tofile(path)


def _fitted(picture: np.ndarray) -> np.ndarray:
    scale = CELL / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _median(pairs: list[Pair], name: str) -> str:
    values = [pair.correlations[name] for pair in pairs if name in pair.correlations]
    return f"{np.median(values):.2f}" if values else "-"


def _quiet(_fraction: float, _text: str) -> None:
    pass


if __name__ == "__main__":
    raise SystemExit(main())
