"""Let a picture speak sounds whose phones are known, and look whether its lips do what they should.

    python scripts/speak_check.py SOUNDS_DIR OUT_DIR [--source PICTURE]

Every sound of SOUNDS_DIR that has NAME.phones beside it (lines "start end phone": seconds, ARPAbet
without stress, SIL for silence) becomes the take of the picture's largest face, on the embedded
renderer. The take is rendered from its reduced keys at FRAME_RATE, and the landmark model looks at
the results. Lips that are apart in the picture are shut first. OUT_DIR gets

    summary.json  {"closed_share": of the P, B and M: lips shut in the frame at their middle,
                  "open_share": of the open vowels: lips apart there,
                  "silence_share": of the frames in pauses: lips shut,
                  "corr": correlation of the rendered opening with that of the true phones,
                  "corr_loudness": the same for a mouth that opens by loudness alone,
                  "lag_frames": by which the picture is late, "keys_per_s": of the busiest curve,
                  "cpu_s_per_min": CPU seconds to read a minute of sound, "sounds": the same of
                  each, "failed": [...]}
    table.txt     the same for reading, and the floors that were missed
    sheets/       one strip of frames per sound

Shut means that the opening of the lips, height over width as the landmark model sees it, is less
than SHUT above that of the picture at rest; open means more than OPEN above it. The true opening is
that of the phones' classes, smoothed as mouths are.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from closed_loop import OPENCV_THREADS, analytic_renderer
from control_sweep import ROOT, Subject, open_subject
from drive_pairs import render_motion

from engine.capture import capture
from engine.clips.errors import ClipError
from engine.clips.sound_file import SoundFile
from engine.controls import motion_from_controls
from engine.reading import read_performance
from engine.renderer import ReportedError
from engine.speech.features import RATE
from engine.speech_options import SpeechOptions
from engine.take import AUTO, PerformanceSource, TakeOptions
from engine.taking import Taken

FRAME_RATE = 25.0
SHUT, OPEN = 0.03, 0.05
LIPS = ("P", "B", "M")
OPEN_VOWELS = ("AA", "AE", "AO", "AW", "AY", "EH", "EY", "OW")
# How far mouths are open for a phone, 0..1; other consonants OTHER.
OPENINGS = {
    **dict.fromkeys(("SIL", *LIPS), 0.0),
    **dict.fromkeys(("F", "V", "W", "UW"), 0.1),
    **dict.fromkeys(("AA", "AE", "AW", "AY"), 1.0),
    **dict.fromkeys(("AO", "AH", "EH", "EY", "OW", "OY"), 0.65),
    **dict.fromkeys(("IH", "IY", "ER", "UH", "HH", "L"), 0.35),
}
OTHER = 0.2
SMOOTHED_S = 0.035  # standard deviation
LOUDNESS_DB = 30.0  # below the loudest moment, at which the baseline's mouth is shut
STEP_S = 0.01
MOST_LAG_S = 0.2
SILENCE_S, EDGE_S = 0.25, 0.12  # pauses that count, and what of them does not
FLOORS = {"closed_share": 0.95, "open_share": 0.9, "silence_share": 0.95}
MOST_LAG_FRAMES, MOST_KEYS_PER_S, MOST_CPU_S = 1.0, 12.0, 5.0
COLUMNS, CELL = 16, 120


class Said(NamedTuple):
    """A phone and when it is said, seconds."""

    start_s: float
    end_s: float
    phone: str


class Spoken(NamedTuple):
    """One sound on the picture.

    times     (N,) of the frames
    openings  (N,) above the picture's at rest
    """

    times: np.ndarray
    openings: np.ndarray
    keys_per_s: float
    cpu_s_per_min: float
    pictures: list[np.ndarray]


def main() -> int:
    """Run over the folder; returns the process's exit status."""
    parser = argparse.ArgumentParser(description="Let a picture speak, and look at its lips.")
    parser.add_argument("sounds", type=Path, help="folder of sounds with .phones beside them")
    parser.add_argument("out", type=Path, help="folder for the results; made when missing")
    default = ROOT / "tests" / "data" / "astronaut.jpg"
    parser.add_argument("--source", type=Path, default=default, help="picture that speaks")
    arguments = parser.parse_args()
    cv2.setNumThreads(OPENCV_THREADS)
    try:
        run(sounds_of(arguments.sounds), arguments.source, arguments.out)
    except (ReportedError, OSError, ValueError) as error:
        print(f"speak check: {error}", file=sys.stderr)
        return 1
    return 0


def sounds_of(folder: Path) -> list[Path]:
    """The sounds with phones beside them, by name. Raises FileNotFoundError without any."""
    paths = sorted(
        p for p in folder.glob("*") if p.suffix != ".phones" and p.with_suffix(".phones").is_file()
    )
    if not paths:
        raise FileNotFoundError(f"No sounds with NAME.phones beside them in '{folder}'.")
    return paths


def read_phones(path: Path) -> list[Said]:
    """The true phones. Raises ValueError that names the line."""
    said = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            start, end, phone = line.split()
            said.append(Said(float(start), float(end), phone.upper().rstrip("012")))
        except ValueError:
            raise ValueError(f"'{path.name}', line {number} is no 'start end phone'.") from None
    return said


def run(sounds: list[Path], source: Path, out: Path) -> dict[str, Any]:
    """Speak all sounds, write the results, and return summary.json's value."""
    out.mkdir(parents=True, exist_ok=True)
    subject, rest = shut_subject(source)
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for number, path in enumerate(sounds, 1):
        print(f"[{number}/{len(sounds)}] {path.name}", end=" ", flush=True)
        try:
            said = read_phones(path.with_suffix(".phones"))
            spoken = speak(subject, rest, path)
            row = {"sound": path.name, **measured(spoken, said, loudness(path))}
        except (ReportedError, ClipError, ValueError) as error:
            failed.append({"sound": path.name, "message": str(error)})
            print(f"failed: {error}")
            continue
        write_strip(out / "sheets" / f"{path.stem}.png", spoken)
        rows.append(row)
        print("  ".join(f"{name} {row[name]}" for name in ("closed_share", "open_share", "corr")))
    summary = summarise(rows, failed)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    table = table_of(summary)
    (out / "table.txt").write_text(table, encoding="utf-8")
    print(f"\n{table}\nResults are in {out}")
    return summary


def shut_subject(path: Path) -> tuple[Subject, float]:
    """The picture's largest face with its lips shut, and their opening as the model sees it."""
    renderer = analytic_renderer()
    subject = open_subject(path, renderer)
    rest = _opening(subject, subject.image.pixels)
    if rest > OPEN + SHUT:
        shut = motion_from_controls({"lips_open": 0.0}, lips_open=subject.face.lips_open)
        with tempfile.TemporaryDirectory() as folder:
            closed = Path(folder) / f"{path.stem}.png"
            picture = cv2.cvtColor(render_motion(subject, shut), cv2.COLOR_RGB2BGR)
            closed.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
            subject = open_subject(closed, renderer)
        rest = _opening(subject, subject.image.pixels)
    return subject, rest


def speak(subject: Subject, rest: float, path: Path) -> Spoken:
    """Read a sound, render its take at FRAME_RATE, and look at the lips. Raises ReportedError."""
    source = PerformanceSource(str(path), speech=SpeechOptions())
    start = time.process_time()
    performance = read_performance(source)
    cpu_s = time.process_time() - start
    length_s = float(performance.times[-1])
    taken = capture(source, [subject.face], TakeOptions(reference=AUTO), _quiet)
    times = np.arange(int(length_s * FRAME_RATE) + 1) / FRAME_RATE
    values = keyed_values(taken, times)
    openings, pictures = np.zeros(len(times)), []
    last: np.ndarray | None = None
    for index, row in enumerate(values):
        if last is None or np.abs(row - last).max() > 1e-3:
            motion = motion_from_controls(
                dict(zip(taken.columns, map(float, row), strict=True)),
                eyes_open=subject.face.eyes_open,
                lips_open=subject.face.lips_open,
            )
            rgb = render_motion(subject, motion)
            opening = _opening(subject, rgb) - rest
            last = row
        openings[index] = opening
        pictures.append(subject.crop.extract(rgb, cv2.BORDER_CONSTANT))
    keys = taken.keys[0].sum(axis=0).max() / max(length_s, 1e-6)
    return Spoken(times, openings, float(keys), 60.0 * cpu_s / max(length_s, 1e-6), pictures)


def keyed_values(taken: Taken, times: np.ndarray) -> np.ndarray:
    """(N, C) control values at some moments of the curves that the keys alone make."""
    result = np.zeros((len(times), len(taken.columns)))
    for column in range(len(taken.columns)):
        keys = np.flatnonzero(taken.keys[0, :, column])
        at = taken.times[keys]
        levels, slopes = taken.values[0, keys, column], taken.slopes[0, keys, column]
        if len(keys) < 2:
            result[:, column] = levels[0] if len(keys) else 0.0
            continue
        part = np.clip(np.searchsorted(at, times, side="right") - 1, 0, len(keys) - 2)
        span = at[part + 1] - at[part]
        t = np.clip((times - at[part]) / span, 0.0, 1.0)
        after = t * t * (3.0 - 2.0 * t)
        curve = (1.0 - after) * levels[part] + after * levels[part + 1]
        curve += t * (1.0 - t) ** 2 * span * slopes[part]
        result[:, column] = curve + t * t * (t - 1.0) * span * slopes[part + 1]
    return result


def loudness(path: Path) -> np.ndarray:
    """(T,) opening of a mouth that opens by loudness alone, 0..1, every STEP_S."""
    with SoundFile(path) as sound:
        samples = np.concatenate([block[:, 0] for block in sound.blocks(RATE)])
    hop = round(STEP_S * RATE)
    count = len(samples) // hop
    power = (samples[: count * hop].astype(np.float64) ** 2).reshape(count, hop).mean(axis=1)
    level = 10.0 * np.log10(np.maximum(_smoothed(power), 1e-12))
    return np.clip(1.0 + (level - np.percentile(level, 98.0)) / LOUDNESS_DB, 0.0, 1.0)


def measured(spoken: Spoken, said: Sequence[Said], by_loudness: np.ndarray) -> dict[str, Any]:
    """The numbers of one sound."""

    def at_middle(phones: Sequence[str]) -> np.ndarray:
        middles = np.array([(s.start_s + s.end_s) / 2 for s in said if s.phone in phones])
        rows = np.rint(middles * FRAME_RATE).astype(int)
        return spoken.openings[np.minimum(rows, len(spoken.openings) - 1)]

    pauses = np.zeros(len(spoken.times), bool)
    for s in said:
        if s.phone == "SIL" and s.end_s - s.start_s >= SILENCE_S:
            is_inside = spoken.times > s.start_s + (EDGE_S if s.start_s > 0.0 else 0.0)
            pauses |= is_inside & (spoken.times < s.end_s - EDGE_S)
    length = int(spoken.times[-1] / STEP_S)
    moments = np.arange(length) * STEP_S
    truth = _smoothed(true_openings(said, length))
    rendered = np.interp(moments, spoken.times, spoken.openings)
    baseline = np.interp(moments, np.arange(len(by_loudness)) * STEP_S, by_loudness)
    closed, opened = at_middle(LIPS) < SHUT, at_middle(OPEN_VOWELS) > OPEN
    return {
        "closed_share": _share(closed),
        "open_share": _share(opened),
        "silence_share": _share(spoken.openings[pauses] < SHUT),
        "closures": len(closed),
        "open_vowels": len(opened),
        "corr": round(_correlation(rendered, truth), 4),
        "corr_loudness": round(_correlation(baseline, truth), 4),
        "lag_frames": round(lag_s(rendered, truth) * FRAME_RATE, 2),
        "keys_per_s": round(spoken.keys_per_s, 2),
        "cpu_s_per_min": round(spoken.cpu_s_per_min, 2),
    }


def true_openings(said: Sequence[Said], length: int) -> np.ndarray:
    """(length,) openings of the true phones, every STEP_S."""
    result = np.zeros(length)
    for s in said:
        first, last = round(s.start_s / STEP_S), round(s.end_s / STEP_S)
        result[first:last] = OPENINGS.get(s.phone, OTHER)
    return result


def lag_s(values: np.ndarray, truth: np.ndarray) -> float:
    """By how many seconds values are late."""
    most = round(MOST_LAG_S / STEP_S)
    shifts = range(-most, most + 1)
    inner = slice(most, len(truth) - most)
    found = [_correlation(np.roll(values, -shift)[inner], truth[inner]) for shift in shifts]
    return shifts[int(np.argmax(found))] * STEP_S


def summarise(rows: list[dict[str, Any]], failed: list[dict[str, str]]) -> dict[str, Any]:
    """summary.json's value."""
    summary: dict[str, Any] = {}
    for name, count in (("closed_share", "closures"), ("open_share", "open_vowels")):
        total = sum(row[count] for row in rows)
        hits = sum((row[name] or 0.0) * row[count] for row in rows)
        summary[name] = round(hits / total, 4) if total else None
    known = [row["silence_share"] for row in rows if row["silence_share"] is not None]
    summary["silence_share"] = round(float(np.mean(known)), 4) if known else None
    for name in ("corr", "corr_loudness", "lag_frames", "keys_per_s", "cpu_s_per_min"):
        pick = np.max if name in ("keys_per_s", "cpu_s_per_min") else np.mean
        summary[name] = round(float(pick([row[name] for row in rows])), 4) if rows else None
    summary["sounds"], summary["failed"] = rows, failed
    return summary


def missed_floors(summary: dict[str, Any]) -> list[str]:
    """What is not kept, in words."""
    missed = [
        f"{name}: {summary[name]} instead of {floor}"
        for name, floor in FLOORS.items()
        if summary[name] is not None and summary[name] < floor
    ]
    if not summary["sounds"]:
        return missed
    if summary["corr"] <= summary["corr_loudness"]:
        missed.append("corr: no better than loudness alone")
    for name, most in (("keys_per_s", MOST_KEYS_PER_S), ("cpu_s_per_min", MOST_CPU_S)):
        if summary[name] > most:
            missed.append(f"{name}: {summary[name]} instead of {most}")
    if abs(summary["lag_frames"]) > MOST_LAG_FRAMES:
        missed.append(f"lag_frames: {summary['lag_frames']}")
    return missed


def table_of(summary: dict[str, Any]) -> str:
    """The results for reading."""
    names = [name for name in summary if name not in ("sounds", "failed")]
    lines = [f"{'':24}" + "".join(f"{name:>15}" for name in names)]
    for row in [*summary["sounds"], {"sound": "all", **summary}]:
        cells = "".join(f"{'-' if row[name] is None else row[name]:>15}" for name in names)
        lines.append(f"{row['sound'][:24]:24}{cells}")
    lines += [f"failed: {failure}" for failure in summary["failed"]]
    lines += [f"below the floor: {text}" for text in missed_floors(summary)]
    return "\n".join(lines) + "\n"


def write_strip(path: Path, spoken: Spoken) -> None:
    """Some of the frames side by side."""
    middle = len(spoken.pictures) // 2
    chosen = spoken.pictures[max(0, middle - COLUMNS) : middle + COLUMNS]
    cells = [cv2.resize(picture, (CELL, CELL), interpolation=cv2.INTER_AREA) for picture in chosen]
    while len(cells) % COLUMNS:
        cells.append(np.zeros_like(cells[0]))
    rows = [np.hstack(cells[start : start + COLUMNS]) for start in range(0, len(cells), COLUMNS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    data.tofile(path)


def _opening(subject: Subject, pixels: np.ndarray) -> float:
    reading = subject.read(np.ascontiguousarray(pixels[..., :3]))
    if reading is None:
        raise ReportedError("no_face", f"The face of '{subject.name}' is not seen any more.")
    return reading.measures.lips_open


def _smoothed(values: np.ndarray) -> np.ndarray:
    reach = round(3.0 * SMOOTHED_S / STEP_S)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * STEP_S / SMOOTHED_S) ** 2)
    return np.convolve(np.pad(values, reach, "edge"), weights / weights.sum(), "valid")


def _correlation(values: np.ndarray, truth: np.ndarray) -> float:
    if np.ptp(values) < 1e-9 or np.ptp(truth) < 1e-9:
        return 0.0
    return float(np.corrcoef(values, truth)[0, 1])


def _share(flags: np.ndarray) -> float | None:
    return round(float(flags.mean()), 4) if len(flags) else None


def _quiet(_fraction: float, _text: str) -> None:
    pass


if __name__ == "__main__":
    raise SystemExit(main())
