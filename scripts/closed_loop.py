"""Measure every control in a closed loop: render it, then look at the result.

    python scripts/closed_loop.py IMAGES_DIR OUT_DIR

Each picture's largest face is moved by one control at a time through the slider's range, and the
landmark model measures the rendered picture. OUT_DIR gets

    summary.json  {"images": number of pictures, "refused": [file names], "controls": {name:
                  {"corr_median", "corr_min", "slope_median", "other_side_median"}},
                  "background_mean_diff": {name: grey levels, the worst picture's},
                  "ms_per_frame": {"expression", "pose", "all"},
                  "looks": {name: {"median", "worst", "worst_picture", "pictures": how many it
                  applies to, "floor", "is_met", "missed": [file names]}}}
    table.txt     the same and the median measured values, to read; why pictures were refused
    measured.csv  every requested and measured value of every picture
    looks.csv     every look of every picture, empty where it does not apply
    sheets/       one contact sheet per picture: a row per control, a column per value

Correlation and slope are of the measured over the requested values; control_sweep.READERS says
what is measured, in which unit. The other side is how much the other half of the face changes
under a one-sided control, as a share of its own half. A face that the landmark model loses counts
as correlation 0. Looks are what people see; looks.FLOORS tells what each one measures, and what it
must keep.
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
from control_sweep import READERS, Subject, Sweep, open_subject, render, sweep_control
from looks import KINDS, Values, look_at, summarise_looks, table_of_looks

from engine.controls import CONTROLS_BY_NAME
from engine.renderer import Renderer, ReportedError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
OPENCV_THREADS = 2
EVERYTHING = {"head_yaw": 10.0, "head_pitch": 5.0, "smile": 0.6, "mouth_open": 0.3, "gaze_x": 0.4}
EVERYTHING_FRAMES = 5

CELL = 176  # pixels of a picture in a contact sheet
LABEL = 18
BLACK, WHITE = (24, 24, 24), (235, 235, 235)


def main() -> int:
    """Run over a folder; returns the process's exit status."""
    parser = argparse.ArgumentParser(description="Measure every control on a folder of pictures.")
    parser.add_argument("images", type=Path, help="folder of pictures")
    parser.add_argument("out", type=Path, help="folder for the results; made when missing")
    parser.add_argument("--controls", nargs="*", default=list(READERS), help="none: looks only")
    parser.add_argument("--looks", nargs="*", choices=KINDS, default=KINDS, help="which kinds")
    parser.add_argument("--no-sheets", action="store_true", help="leave out the contact sheets")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.controls if name not in READERS]
    if unknown:
        parser.error(f"no control {', '.join(unknown)}; there are {', '.join(READERS)}")
    cv2.setNumThreads(OPENCV_THREADS)
    try:
        renderer = analytic_renderer()
        paths = pictures_of(arguments.images)
        use_sheets = not arguments.no_sheets
        kinds = tuple(arguments.looks)
        run(paths, arguments.out, renderer, arguments.controls, use_sheets, kinds)
    except (ReportedError, OSError) as error:
        print(f"closed loop: {error}", file=sys.stderr)
        return 1
    return 0


def analytic_renderer() -> Renderer:
    """The renderer that is measured."""
    from engine.analytic.renderer import AnalyticRenderer

    return AnalyticRenderer()


def pictures_of(folder: Path) -> list[Path]:
    """The picture files of a folder, by name. Raises FileNotFoundError when there are none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"'{folder}' is not a folder.")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"No pictures in '{folder}'.")
    return paths


def run(
    paths: list[Path],
    out: Path,
    renderer: Renderer,
    controls: list[str],
    use_sheets: bool = True,
    kinds: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Measure the pictures, write the results, and return summary.json's value.

    kinds  of looks.KINDS that are looked at, too
    """
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, list[Sweep]] = {}
    everything: list[float] = []
    looks: dict[str, Values] = {}
    refused: dict[str, str] = {}
    for index, path in enumerate(paths, 1):
        print(f"[{index}/{len(paths)}] {path.name}", end=" ", flush=True)
        try:
            subject = open_subject(path, renderer)
        except ReportedError as error:
            refused[path.name] = error.message
            print(f"refused: {error.message}")
            continue
        sweeps = [sweep_control(subject, name) for name in controls]
        if controls:
            everything += [render(subject, EVERYTHING)[1] for _ in range(EVERYTHING_FRAMES)]
        if kinds:
            looks[path.name] = look_at(subject, renderer, kinds)
        if use_sheets and controls:
            write_sheet(out / "sheets" / f"{path.name}.png", subject, sweeps)
        for sweep in sweeps:
            sweep.crops.clear()
        results[path.name] = sweeps
        worst = min(sweeps, key=lambda s: s.correlation, default=None)
        print(f"lowest correlation {worst.correlation:.3f} ({worst.control})" if worst else "")
    summary = summarise(len(paths), list(refused), results, everything)
    summary["looks"] = summarise_looks(looks)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    table = table_of(summary, results, refused)
    (out / "table.txt").write_text(table, encoding="utf-8")
    write_measured(out / "measured.csv", results)
    write_looks(out / "looks.csv", looks)
    print(f"\n{table}\nResults are in {out}")
    return summary


def summarise(
    image_count: int,
    refused: list[str],
    results: dict[str, list[Sweep]],
    everything: list[float],
) -> dict[str, Any]:
    """summary.json's value."""
    by_control: dict[str, list[Sweep]] = {}
    for sweeps in results.values():
        for sweep in sweeps:
            by_control.setdefault(sweep.control, []).append(sweep)
    times: dict[str, list[float]] = {"expression": [], "pose": [], "all": everything}
    for name, sweeps in by_control.items():
        kind = "pose" if CONTROLS_BY_NAME[name].group == "Head" else "expression"
        times[kind] += [ms for sweep in sweeps for ms in sweep.milliseconds]
    return {
        "images": image_count,
        "refused": refused,
        "controls": {
            name: {
                "corr_median": round(float(np.median([s.correlation for s in sweeps])), 4),
                "corr_min": round(min(s.correlation for s in sweeps), 4),
                "slope_median": round(float(np.median([s.slope for s in sweeps])), 4),
                "other_side_median": round(float(np.median([s.other_side for s in sweeps])), 4),
            }
            for name, sweeps in by_control.items()
        },
        "background_mean_diff": {
            name: round(max(s.background for s in sweeps), 3) for name, sweeps in by_control.items()
        },
        "ms_per_frame": {kind: round(float(np.median(ms)), 2) for kind, ms in times.items() if ms},
    }


def table_of(
    summary: dict[str, Any], results: dict[str, list[Sweep]], refused: dict[str, str]
) -> str:
    """The summary for reading, with the median measured value for each requested one."""
    lines = [f"{summary['images']} pictures, {len(refused)} refused"]
    if summary["controls"]:
        lines.append(
            f"{'control':16} {'r median':>8} {'r min':>7} {'(picture)':18} {'slope':>7} "
            f"{'other':>6} {'backgr.':>7}  requested → median measured"
        )
    for name, row in summary["controls"].items():
        of_control = {
            picture: sweep for picture, s in results.items() for sweep in s if sweep.control == name
        }
        worst = min(of_control, key=lambda picture: of_control[picture].correlation)
        sweeps = list(of_control.values())
        medians = np.nanmedian([s.measured for s in sweeps], axis=0)
        pairs = zip(sweeps[0].requested, medians, strict=True)
        lines.append(
            f"{name:16} {row['corr_median']:8.3f} {row['corr_min']:7.3f} {'(' + worst + ')':18} "
            f"{row['slope_median']:7.3f} {row['other_side_median']:6.2f} "
            f"{summary['background_mean_diff'][name]:7.2f}  "
            + "  ".join(f"{value:g} → {median:.3f}" for value, median in pairs)
        )
    times = ", ".join(f"{kind} {ms:.1f}" for kind, ms in summary["ms_per_frame"].items())
    lines += [f"ms per frame: {times}"] if times else []
    lines += [f"refused {name}: {reason}" for name, reason in refused.items()]
    if summary["looks"]:
        lines += ["", table_of_looks(summary["looks"]).rstrip()]
    return "\n".join(lines) + "\n"


def write_measured(path: Path, results: dict[str, list[Sweep]]) -> None:
    """Every requested and measured value as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["picture", "control", "requested", "measured", "background", "milliseconds"]
        )
        for picture, sweeps in results.items():
            for s in sweeps:
                rows = zip(s.requested, s.measured, s.changes, s.milliseconds, strict=True)
                writer.writerows(
                    [picture, s.control, f"{a:g}", f"{b:.5f}", f"{c:.3f}", f"{ms:.2f}"]
                    for a, b, c, ms in rows
                )


def write_looks(path: Path, looks: dict[str, Values]) -> None:
    """Every look of every picture as a CSV file."""
    names = list(dict.fromkeys(name for values in looks.values() for name in values))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["picture", *names])
        for picture, values in looks.items():
            row = [values.get(name, float("nan")) for name in names]
            writer.writerow([picture, *("" if np.isnan(v) else f"{v:.4f}" for v in row)])


def write_sheet(path: Path, subject: Subject, sweeps: list[Sweep]) -> None:
    """Contact sheet: the source first in every row, then the rendered crops with their values."""
    columns = 1 + max(len(sweep.requested) for sweep in sweeps)
    height = CELL + LABEL
    sheet = np.full((height * len(sweeps), CELL * columns, 3), BLACK, np.uint8)
    for row, sweep in enumerate(sweeps):
        values = zip(sweep.requested, sweep.measured, strict=True)
        labels = [f"{sweep.control} r {sweep.correlation:.2f}"]
        labels += [f"{value:g} : {measured:.3f}" for value, measured in values]
        crops = [subject.before, *sweep.crops]
        for column, (crop, label) in enumerate(zip(crops, labels, strict=True)):
            x, y = column * CELL, row * height
            small = cv2.resize(crop, (CELL, CELL), interpolation=cv2.INTER_AREA)
            sheet[y + LABEL : y + height, x : x + CELL] = small
            origin = (x + 4, y + LABEL - 5)
            cv2.putText(sheet, label, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.4, WHITE, 1, cv2.LINE_AA)
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    data.tofile(path)


if __name__ == "__main__":
    raise SystemExit(main())
