"""Drive one picture with one performance, and measure what the result does.

The landmark model looks at the driver's frames and at the rendered ones. What a driver does in a
signal counts where it does enough of it: noise correlates with nothing. drive_check.py runs this
over folders.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from control_sweep import Reading, Subject  # noqa: E402

from engine.clip_reading import MAX_SIDE, read_clip_tracks  # noqa: E402
from engine.clips.clip import open_clip  # noqa: E402
from engine.controls import motion_from_controls  # noqa: E402
from engine.faces.find import view_8bit  # noqa: E402
from engine.faces.measures import MEASURE_NAMES, Measures  # noqa: E402
from engine.motion import Motion  # noqa: E402
from engine.performance.files import SUFFIXES  # noqa: E402
from engine.performance.geometry import euler_degrees  # noqa: E402
from engine.performance.performance import Performance  # noqa: E402
from engine.reading import read_performance  # noqa: E402
from engine.renderer import SourceImage  # noqa: E402
from engine.take import AUTO, PerformanceSource, TakeOptions, with_take  # noqa: E402
from engine.taking import Taken, make_takes  # noqa: E402


class Signal(NamedTuple):
    """Something that a face does.

    of_measures  what it is of a face's measures, None for the head
    reach        what a driver must do of it to count, from the 5th to the 95th percentile
    floor        correlation that the samples keep with the embedded renderer; 0 for none
    """

    of_measures: Callable[[Measures], float] | None
    reach: float
    floor: float = 0.0


# A driver does enough of something when it is three times what the landmark model reads into
# faces that only turn: 0.2 cm of lips, 0.4 of width and so on, measured on paintings and photos.
SIGNALS: dict[str, Signal] = {
    "eyes": Signal(lambda m: m.eyes_open, 0.12, 0.7),
    "lips": Signal(lambda m: m.lip_gap, 0.6, 0.9),
    "mouth_width": Signal(lambda m: m.mouth_width, 1.2),
    "smile": Signal(lambda m: (m.lift_left + m.lift_right) / 2, 0.6, 0.8),
    "brows": Signal(lambda m: (m.brow_left + m.brow_right) / 2, 0.36),
    "gaze": Signal(lambda m: m.gaze_x, 0.18),
    "pitch": Signal(None, 5.0, 0.85),
    "yaw": Signal(None, 5.0, 0.85),
    "roll": Signal(None, 5.0, 0.85),
}
_HEAD = ("pitch", "yaw", "roll")
_SHARES = (5.0, 95.0)  # percentiles between which a driver's reach is taken
_HIGHEST_SAMPLE = 320  # pixels of a driver's picture that is kept for the sheets


@dataclass
class Driver:
    """A performance, and what the landmark model says of its frames.

    rows      the frames that are rendered
    signals   name → (len(rows),) of the driver; a template has those that it states itself
    pictures  (H, W, 3) uint8 of these frames, empty for a template
    read_s, frame_count  how long reading took, and of how many frames; 0 for a template
    """

    name: str
    performance: Performance
    rows: np.ndarray
    signals: dict[str, np.ndarray]
    pictures: list[np.ndarray] = field(default_factory=list)
    read_s: float = 0.0
    frame_count: int = 0


@dataclass
class Pair:
    """One picture driven by one performance.

    correlations  signal → Pearson's r of driver and result, where the driver does enough
    gains         signal → how much of it the result does, in the same cases: the slope of the
                  result's reading over the driver's, 1 for as much
    background    mean change of what is not the head in the worst frame, grey levels
    pictures      the rendered crops
    """

    source: str
    driver: str
    correlations: dict[str, float]
    gains: dict[str, float]
    background: float
    pictures: list[np.ndarray]


def open_driver(path: Path, frame_limit: int, report: Callable[[float, str], None]) -> Driver:
    """Read a clip or a template. Raises ReportedError."""
    source = PerformanceSource(str(path))
    if path.suffix.lower() in SUFFIXES:
        performance = read_performance(source, report)
        rows = _spread(np.arange(len(performance)), frame_limit)
        return Driver(path.name, performance, rows, _stated(performance, rows))
    start = time.perf_counter()
    performance = read_performance(source, report)
    read_s = time.perf_counter() - start
    track = read_clip_tracks(source, report).performers[0]
    rows = _spread(np.flatnonzero(track.is_seen), frame_limit)
    measures = [_measures(row) for row in track.measures[rows]]
    head = euler_degrees(track.rotation[rows].transpose(0, 2, 1))
    return Driver(
        path.name,
        performance,
        rows,
        _signals(measures, head),
        list(_pictures(path, rows)),
        read_s,
        len(performance),
    )


def drive(subject: Subject, driver: Driver) -> Pair:
    """Render a picture's face with a performance, and look at the result."""
    takes = make_takes(driver.performance, [subject.face], TakeOptions(reference=AUTO))
    still = subject.before.astype(np.int16)
    pictures: list[np.ndarray] = []
    readings: list[Reading] = []
    seen: list[int] = []
    background = 0.0
    for index, row in enumerate(driver.rows):
        rgb = render_motion(subject, motion_at(takes, int(row)))
        crop = subject.crop.extract(rgb, cv2.BORDER_CONSTANT)
        change = np.abs(crop.astype(np.int16) - still)[subject.background]
        background = max(background, float(change.mean()) if change.size else 0.0)
        pictures.append(crop)
        reading = subject.read(rgb)
        if reading is not None:
            readings.append(reading)
            seen.append(index)
    results = _signals(
        [reading.measures for reading in readings],
        np.array([reading.pose.euler for reading in readings]).reshape(-1, 3),
    )
    done = {
        name: values[seen]
        for name, values in driver.signals.items()
        if np.ptp(np.percentile(values, _SHARES)) > SIGNALS[name].reach
    }
    seen_share = len(seen) / len(driver.rows)
    correlations = {
        name: _correlation(values, results[name], seen_share) for name, values in done.items()
    }
    gains = {name: _gain(values, results[name]) for name, values in done.items()}
    return Pair(subject.name, driver.name, correlations, gains, background, pictures)


def motion_at(takes: Taken, row: int) -> Motion:
    """What the first face does in one frame."""
    values = dict(zip(takes.columns, map(float, takes.values[0, row]), strict=True))
    expression, translation = takes.expression[0, row], takes.translation[0, row]
    motion = motion_from_controls(values)
    return with_take(motion, expression.tolist(), translation.tolist(), {})


def render_motion(subject: Subject, motion: Motion) -> np.ndarray:
    """(H, W, 3) uint8 picture with its face moved."""
    canvas = subject.image.pixels.copy()
    subject.portrait.render(motion, canvas)
    return view_8bit(SourceImage(canvas, subject.image.encoding))


def _spread(rows: np.ndarray, limit: int) -> np.ndarray:
    chosen = np.linspace(0, len(rows) - 1, min(limit, len(rows)))
    return rows[np.unique(np.rint(chosen).astype(int))]


def _measures(row: np.ndarray) -> Measures:
    return Measures(**dict(zip(MEASURE_NAMES, map(float, row), strict=True)))


def _signals(measures: Sequence[Measures], head: np.ndarray) -> dict[str, np.ndarray]:
    """Every signal of some frames; head (N, 3) degrees."""
    values = {
        name: np.array([signal.of_measures(m) for m in measures])
        for name, signal in SIGNALS.items()
        if signal.of_measures is not None
    }
    return values | dict(zip(_HEAD, head.T, strict=True))


def _stated(performance: Performance, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The signals that a template states itself."""
    head = euler_degrees(performance.rotation[rows]).T
    signals: dict[str, np.ndarray] = dict(zip(_HEAD, head, strict=True))
    if performance.ratios is not None:
        signals["eyes"] = performance.ratios.eyes[rows].mean(axis=1)
        # An opening ratio is a share of the mouth's width, which is about 5 cm.
        signals["lips"] = 5.0 * performance.ratios.lips[rows, 0]
    return {name: signals[name].astype(np.float64) for name in SIGNALS if name in signals}


def _correlation(driver: np.ndarray, result: np.ndarray, seen_share: float) -> float:
    """Pearson's r; a face that the landmark model loses counts as 0."""
    if len(driver) < 3 or np.ptp(result) < 1e-9:
        return 0.0
    return seen_share * float(np.corrcoef(driver, result)[0, 1])


def _gain(driver: np.ndarray, result: np.ndarray) -> float:
    """Slope of the result over the driver; 0 where the face is lost."""
    if len(driver) < 3 or np.ptp(driver) < 1e-9:
        return 0.0
    return float(np.polyfit(driver, result, 1)[0])


def _pictures(path: Path, rows: np.ndarray) -> Iterator[np.ndarray]:
    wanted = set(rows.tolist())
    with open_clip(path) as clip:
        for row, frame in enumerate(clip.frames(max_side=MAX_SIDE)):
            if row in wanted:
                height, width = frame.image.shape[:2]
                scale = min(1.0, _HIGHEST_SAMPLE / height)
                size = max(1, round(width * scale)), max(1, round(height * scale))
                yield cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
