"""Mouth shapes over time that other programs wrote: Rhubarb's TSV, XML and JSON, Papagayo's DAT.

A shape holds until the next one; the charts in speech/mouth_chart.csv say what each looks like.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from xml.parsers import expat

from ..viseme_table import LETTERS, PRESTON_BLAIR, Viseme, mouth_chart
from .mouthing import RATE, Sound, lips_shut, mouthed, slider_performance
from .performance import Performance, PerformanceError

TSV, XML, JSON, DAT = ".tsv", ".xml", ".json", ".dat"
SUFFIXES = (TSV, XML, JSON, DAT)
MAX_FILE_BYTES = 64 * 1024**2
MAX_SECONDS = 6 * 3600.0
# Papagayo counts frames and does not say of which rate; this is what it and Moho start with.
MOHO_RATE = 24.0
MOHO_HEADER = "MohoSwitch1"
TAIL_S = 0.1  # after the last shape, where the file does not say
_HINTS = {
    TSV: "Choose a TSV that Rhubarb Lip Sync wrote: a time, a tab and a letter in each line.",
    XML: "Choose an XML that Rhubarb Lip Sync wrote.",
    JSON: "Choose a JSON that Rhubarb Lip Sync wrote.",
    DAT: "Choose a .dat that Papagayo exported for Moho.",
}

# (seconds, shape) in order of time.
Cues = list[tuple[float, str]]


def read_mouth_file(path: Path, frame_rate: float = 0.0) -> Performance:
    """Read one of SUFFIXES. Its rest is known: the mouth as it is in the picture.

    frame_rate  frames per second of a .dat, and of what comes out; 0 for MOHO_RATE and for RATE
    Raises PerformanceError for anything else, OSError for file trouble.
    """
    suffix = path.suffix.lower()
    if path.stat().st_size > MAX_FILE_BYTES:
        raise _error(path, "is too large for a list of mouth shapes")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _error(path, "is no text") from error
    notices: list[str] = []
    if suffix == DAT:
        rate = frame_rate or MOHO_RATE
        cues, end_s = _dat(path, text, rate), 0.0
        if not frame_rate:
            notices.append(f"'{path.name}' does not say its frame rate: {rate:g} frames a second.")
    elif suffix == XML:
        cues, end_s = _xml(path, text)
    elif suffix == JSON:
        cues, end_s = _json(path, text)
    else:
        cues, end_s = _tsv(path, text), 0.0
    return _performance(path, cues, end_s, frame_rate or RATE, tuple(notices))


def _performance(
    path: Path, cues: Cues, end_s: float, rate: float, notices: tuple[str, ...]
) -> Performance:
    if not cues:
        raise _error(path, "holds no mouth shapes")
    chart = mouth_chart(PRESTON_BLAIR if path.suffix.lower() == DAT else LETTERS)
    end_s = max(end_s, cues[-1][0] + TAIL_S)
    if not all(0.0 <= time_s <= MAX_SECONDS for time_s, _ in cues) or end_s > MAX_SECONDS:
        raise _error(path, "is damaged: it has times that no sound has")
    ends = [*(time_s for time_s, _ in cues[1:]), end_s]
    if any(end < start for (start, _), end in zip(cues, ends, strict=True)):
        raise _error(path, "is damaged: its times go back")
    sounds = [
        Sound(start, end, _shape(path, shape, chart))
        for (start, shape), end in zip(cues, ends, strict=True)
    ]
    times, sliders = mouthed(sounds, end_s, rate=rate)
    shut = lips_shut(sounds, len(times), rate=rate)
    return slider_performance(times, sliders, notices=notices, shut=shut)


def _shape(path: Path, name: str, chart: Mapping[str, Viseme]) -> Viseme:
    shape = chart.get(name)
    if shape is None:
        raise _error(
            path, f"has the mouth shape '{name[:20]}', which is none of {', '.join(chart)}"
        )
    return shape


def _tsv(path: Path, text: str) -> Cues:
    cues = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) != 2:
            raise _error(path, f"is damaged: line {number} is no time and a letter")
        cues.append((_seconds(path, cells[0], f"line {number}"), cells[1]))
    return cues


def _dat(path: Path, text: str, rate: float) -> Cues:
    lines = [line.split() for line in text.splitlines()]
    if not lines or lines[0] != [MOHO_HEADER]:
        raise _error(path, f"does not begin with {MOHO_HEADER}")
    cues = []
    for number, cells in enumerate(lines[1:], 2):
        if not cells:
            continue
        if len(cells) != 2:
            raise _error(path, f"is damaged: line {number} is no frame and a mouth shape")
        # The first frame is number 1.
        frame = _seconds(path, cells[0], f"line {number}") - 1.0
        cues.append((max(0.0, frame) / rate, cells[1]))
    return cues


def _json(path: Path, text: str) -> tuple[Cues, float]:
    try:
        data = json.loads(text)
        rows = [(float(cue["start"]), str(cue["value"]), float(cue["end"]))
                for cue in data["mouthCues"]]  # fmt: skip
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _error(path, "holds no mouthCues with start, end and value") from error
    return _checked(path, rows)


def _xml(path: Path, text: str) -> tuple[Cues, float]:
    rows: list[tuple[float, str, float]] = []
    values: list[str] = []
    spans: list[tuple[str, str]] = []
    is_inside = False

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal is_inside
        if name == "mouthCue":
            is_inside = True
            spans.append((attributes.get("start", ""), attributes.get("end", "")))
            values.append("")

    def end(name: str) -> None:
        nonlocal is_inside
        is_inside = is_inside and name != "mouthCue"

    def characters(data: str) -> None:
        if is_inside:
            values[-1] += data

    def refuse(*_arguments: object) -> None:
        raise _error(path, "declares entities, which Rhubarb never does")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = characters, refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise _error(path, f"is no XML: {error}") from error
    for number, ((start, stop), value) in enumerate(zip(spans, values, strict=True), 1):
        place = f"mouthCue {number}"
        rows.append((_seconds(path, start, place), value.strip(), _seconds(path, stop, place)))
    return _checked(path, rows)


def _checked(path: Path, rows: list[tuple[float, str, float]]) -> tuple[Cues, float]:
    if not all(math.isfinite(number) for start, _, end in rows for number in (start, end)):
        raise _error(path, "is damaged: it has times that are no numbers")
    return [(start, value) for start, value, _ in rows], rows[-1][2] if rows else 0.0


def _seconds(path: Path, text: str, place: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _error(path, f"is damaged: {place} has '{text[:20]}' instead of a number")
    return number


def _error(path: Path, what: str) -> PerformanceError:
    return PerformanceError(f"'{path.name}' {what}.", _HINTS[path.suffix.lower()])
