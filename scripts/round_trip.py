"""Key every slider on pictures, render, capture the frames like a clip, and compare.

    python scripts/round_trip.py IMAGES OUT_DIR

IMAGES is a folder of pictures, or one picture. Each picture's largest face moves one slider after
the other: in, held, out, first up and then down, with rests between. The frames are read as those
of a clip are and become a take. OUT_DIR gets

    summary.json  {"pictures": n, "refused": [names], "sliders": {name: {"error_median",
                  "returned_median", "others_median"}}}
    table.md      the same as a table, to read

Errors and values are parts of a slider's way from rest to its end. "error" is the median, over all
frames in which the slider is keyed, of how far the captured one is off; "returned" what comes back
of it where it is held, 1 for all of it; "others" the largest of what the other sliders do then.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from closed_loop import OPENCV_THREADS, analytic_renderer, pictures_of
from control_sweep import Subject, open_subject, render

from engine.analytic.response_fit import Response
from engine.clip_reading import performance_of
from engine.clips.facts import ClipFrame
from engine.controls import CONTROLS, CONTROLS_BY_NAME
from engine.own_face import response_of
from engine.renderer import Renderer, ReportedError
from engine.take import AUTO, TakeOptions
from engine.taking import make_takes
from engine.tracking.clip_tracks import read_tracks

FPS = 25.0
LEVEL = 0.6  # of a slider's way that is keyed
EASE, HOLD, PAUSE = 4, 5, 4  # frames
SMOOTH = 0.5
# A take has no columns for them: absolute ratios, and what belongs to the picture.
LEFT_OUT = ("eyes_open", "lips_open", "lid_offset")
# Half crop widths of the head at the end of the sliders that move it.
TRANSLATED = {"head_x": (0, 0.19), "head_y": (1, -0.19)}


@dataclass(frozen=True)
class Passage:
    """The frames, from `first` until before `end`, in which one slider is keyed."""

    name: str
    first: int
    end: int
    values: np.ndarray  # (end - first,) in the control's unit


def main() -> int:
    """Run over pictures; returns the process's exit status."""
    parser = argparse.ArgumentParser(description="Capture our own renders of keyed sliders.")
    parser.add_argument("images", type=Path, help="a folder of pictures, or one")
    parser.add_argument("out", type=Path, help="folder for the results; made when missing")
    arguments = parser.parse_args()
    cv2.setNumThreads(OPENCV_THREADS)
    is_one = arguments.images.is_file()
    try:
        paths = [arguments.images] if is_one else pictures_of(arguments.images)
        summary = run(paths, analytic_renderer())
        arguments.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(summary, indent=2) + "\n"
        (arguments.out / "summary.json").write_text(text, encoding="utf-8")
        (arguments.out / "table.md").write_text(table_of(summary), encoding="utf-8")
    except (ReportedError, OSError) as error:
        print(f"round trip: {error}", file=sys.stderr)
        return 1
    print(f"\n{table_of(summary)}\nResults are in {arguments.out}")
    return 0


def run(paths: list[Path], renderer: Renderer) -> dict[str, Any]:
    """summary.json's value."""
    found: dict[str, list[tuple[np.ndarray, float, float]]] = {}
    refused = []
    passages = script()
    for index, path in enumerate(paths, 1):
        print(f"[{index}/{len(paths)}] {path.name}", flush=True)
        try:
            subject = open_subject(path, renderer)
            captured = capture_back(subject, passages)
        except ReportedError as error:
            refused.append(path.name)
            print(f"    refused: {error.message}")
            continue
        for passage in passages:
            found.setdefault(passage.name, []).append(compare(passage, captured))
    sliders = {
        name: {
            "error_median": round(float(np.median(np.concatenate([r[0] for r in rows]))), 3),
            "returned_median": round(float(np.median([r[1] for r in rows])), 3),
            "others_median": round(float(np.median([r[2] for r in rows])), 3),
        }
        for name, rows in found.items()
    }
    return {"pictures": len(paths), "refused": refused, "sliders": sliders}


def script() -> list[Passage]:
    """What is keyed, from frame PAUSE on: every slider up, then down where it goes down."""
    ease = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, EASE + 1) / (EASE + 1))
    shape = np.concatenate([ease, np.ones(HOLD), ease[::-1]])
    passages: list[Passage] = []
    place = 2 * PAUSE
    for control in CONTROLS:
        if control.name in LEFT_OUT:
            continue
        for end in reversed(control.soft_range):
            if end != control.default:
                values = control.default + LEVEL * (end - control.default) * shape
                passages.append(Passage(control.name, place, place + len(shape), values))
                place += len(shape) + PAUSE
    return passages


class Film:
    """The script played on a picture."""

    def __init__(self, subject: Subject, passages: list[Passage]) -> None:
        self._subject = subject
        self._keyed = {
            p.first + i: {p.name: float(v)} for p in passages for i, v in enumerate(p.values)
        }
        self._still, _ = render(subject, {})
        self._count = passages[-1].end + 2 * PAUSE

    def picture(self, number: int) -> np.ndarray:
        """(H, W, 3) uint8 of one frame."""
        values = self._keyed.get(number)
        return self._still if values is None else render(self._subject, values)[0]

    def frames(self) -> Iterator[ClipFrame]:
        """All frames."""
        for number in range(self._count):
            yield ClipFrame(number / FPS, self.picture(number))


def capture_back(subject: Subject, passages: list[Passage]) -> dict[str, np.ndarray]:
    """Control name → (T,) what a capture of the rendered frames says."""
    film = Film(subject, passages)
    tracks = read_tracks(film.frames())
    if not tracks.performers:
        raise ReportedError("no_face", "No face found in the rendered frames.")

    def respond(row: int) -> Response | None:
        return response_of(film.picture(row), tracks.performers[0], row, _quiet)

    performance = performance_of(tracks, 0, SMOOTH, respond=respond)
    taken = make_takes(performance, [subject.face], TakeOptions(reference=AUTO))
    columns = dict(zip(taken.columns, taken.values[0].T.astype(np.float64), strict=True))
    for name, (axis, reach) in TRANSLATED.items():
        columns[name] = taken.translation[0, :, axis].astype(np.float64) / reach
    return columns


def _quiet(_fraction: float, _text: str) -> None:
    pass


def compare(passage: Passage, captured: dict[str, np.ndarray]) -> tuple[np.ndarray, float, float]:
    """Errors of every frame, what came back where it was held, and what others did meanwhile."""
    rows = slice(passage.first, passage.end)
    held = slice(passage.first + EASE, passage.end - EASE)
    shares = {name: _share(name, values) for name, values in captured.items()}
    keyed = _share(passage.name, passage.values)
    own = shares.pop(passage.name)
    errors = np.abs(own[rows] - keyed)
    returned = float(np.median(own[held])) / float(keyed[EASE])
    others = max(abs(float(np.median(values[held]))) for values in shares.values())
    return errors, returned, others


def _share(name: str, values: np.ndarray) -> np.ndarray:
    """Values as parts of the way from rest to the slider's further end."""
    control = CONTROLS_BY_NAME[name]
    return (values - control.default) / max(abs(e - control.default) for e in control.soft_range)


def table_of(summary: dict[str, Any]) -> str:
    """The summary for reading."""
    lines = ["| slider | error, median | returned | others, at most |", "|---|---|---|---|"]
    for name, row in summary["sliders"].items():
        label = CONTROLS_BY_NAME[name].label
        lines.append(
            f"| {label} | {row['error_median']:.2f} | {100 * row['returned_median']:.0f} % "
            f"| {row['others_median']:.2f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
