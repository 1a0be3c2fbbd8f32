"""Recordings of ARKit's face shapes (Live Link Face's CSV files) as performances.

Columns are found by name, in any order and either spelling (EyeBlinkLeft, eyeBlink_L). The table
of arkit_table.py says what each shape does to the face controls; head angles are in radians.
"""

from __future__ import annotations

import csv
import itertools
from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from ..controls import CONTROLS_BY_NAME
from .arkit_table import (
    EYE_ANGLES,
    GAZE_SHAPES,
    HEAD_ANGLES,
    HEAD_CONTROLS,
    SHAPE_COUNT,
    SHAPES,
    Table,
    matrix,
    plain,
    read_table,
)
from .geometry import KEYPOINT_COUNT, rotation_matrix
from .performance import MAX_FRAMES, Performance, PerformanceError, Rest
from .slider_expression import slider_expression
from .timecode import DEFAULT_RATE, seconds_of

SUFFIX = ".csv"
MAX_FILE_BYTES = 1024**3
HINT = "Choose a CSV that Live Link Face recorded in its ARKit mode."
# Shapes go from 0 to 1; calibration takes them a little beyond.
LARGEST_SHAPE = 5.0
LARGEST_ANGLE = 1000.0
_REPORT_EVERY = 1000
_BYTES_PER_ROW = 700  # about, for the progress bar
_NAMED = 6  # columns that a message lists

# Sliders of the two sides, and of both together.
_PAIRS = (("wink_left", "wink_right", "blink"), ("smile_left", "smile_right", "smile"))

Report = Callable[[float, str], None]


def read_arkit(
    path: Path, table_path: Path | None = None, report: Report | None = None
) -> Performance:
    """Read a recording. Its rest is known: all shapes 0, the head straight.

    table_path  a table of the user's, see arkit_table
    report      called with a fraction and a text; may raise to cancel
    Raises PerformanceError for anything that is no recording, OSError for file trouble.
    """
    table = read_table(table_path)
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise PerformanceError(f"'{path.name}' is too large for a recording of shapes.", HINT)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            recording = _Recording(path.name, _rows(file), table)
            for count in recording.read():
                if report is not None and count % _REPORT_EVERY == 0:
                    fraction = min(count * _BYTES_PER_ROW / size, 1.0)
                    report(fraction, f"Reading row {count} of '{path.name}'")
    except (csv.Error, UnicodeDecodeError) as error:
        text = f"'{path.name}' is damaged or no CSV table: {error}."
        raise PerformanceError(text, HINT) from error
    return recording.performance()


def sliders_of_shapes(table: Table, shapes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Slider → (T,) values within its limits, from (T,) weights of shapes; no head angles.

    shapes  by the names of arkit_table.SHAPES
    """
    moved = _moved(table, shapes)
    count = len(next(iter(shapes.values()), ()))
    return _sliders({n: c for n, c in moved.items() if n not in HEAD_CONTROLS}, count)


def _moved(table: Table, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Control → (T,) what all columns together add to it."""
    controls, weights = matrix(table, list(columns))
    if not controls:
        return {}
    return dict(zip(controls, (np.stack([*columns.values()], axis=1) @ weights).T, strict=True))


def _sliders(moved: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    sliders = {name: _limited(name, column) for name, column in moved.items()}
    _join(sliders, count)
    return sliders


def _rows(lines: Iterator[str]) -> Iterator[list[str]]:
    """Rows of cells; a table that a spreadsheet has saved may have semicolons."""
    first = next(lines, "")
    delimiter = ";" if ";" in first and "," not in first else ","
    rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter)
    return rows if delimiter == "," else ([c.replace(",", ".") for c in row] for row in rows)


class _Recording:
    """The cells of one file that matter, row by row."""

    def __init__(self, name: str, rows: Iterator[list[str]], table: Table) -> None:
        self._name = name
        self._rows = rows
        self._table = table
        header = next(rows, [])
        self._width = len(header)
        found = {plain(cell): index for index, cell in enumerate(header)}
        self._columns = {name: found[plain(name)] for name in table if plain(name) in found}
        self._time_column = next((found[n] for n in ("timecode", "time") if n in found), None)
        self._count_column = found.get("blendshapecount")
        self._check_header(header)
        self._times: list[str] = []
        self._values = array("f")
        self._is_seen: list[bool] = []
        self._notices: list[str] = []

    def _check_header(self, header: list[str]) -> None:
        if any(name in self._columns for name in SHAPES):
            return
        if not any(cell.strip() for cell in header):
            raise PerformanceError(f"'{self._name}' is empty.", HINT)
        if any(plain(cell).startswith("ctrlexpressions") for cell in header):
            text = f"'{self._name}' holds curves of a MetaHuman rig, not ARKit's face shapes."
            raise PerformanceError(text, HINT)
        columns = ", ".join(f"'{cell.strip()[:30]}'" for cell in header[:_NAMED])
        text = f"'{self._name}' holds none of ARKit's face shapes: its columns begin {columns}."
        raise PerformanceError(text, HINT)

    def read(self) -> Iterator[int]:
        """Take in all rows; yields their number so far."""
        short_line = 0  # fine only if nothing follows it
        for line, row in enumerate(self._rows, 2):
            if not any(row):
                continue
            if short_line:
                raise self._damage(f"line {short_line} has too few columns")
            if len(row) < self._width:
                short_line = line
                continue
            self._take(row, line)
            if len(self._times) > MAX_FRAMES:
                raise PerformanceError(f"'{self._name}' has more than {MAX_FRAMES} rows.", HINT)
            yield len(self._times)
        if short_line:
            self._notices.append(f"The last row of '{self._name}' is cut off and was left out.")

    def _take(self, row: list[str], line: int) -> None:
        # The app writes rows without a face as rows with a count of 0.
        is_seen = self._count_column is None or row[self._count_column].strip() not in ("", "0")
        cell = ""
        try:
            for index in self._columns.values():
                cell = row[index]
                self._values.append(float(cell) if is_seen else 0.0)
        except ValueError:
            text = f"line {line} has '{cell[:40]}' instead of a number"
            raise self._damage(text) from None
        self._is_seen.append(is_seen)
        self._times.append("" if self._time_column is None else row[self._time_column])

    def _damage(self, what: str) -> PerformanceError:
        return PerformanceError(f"'{self._name}' is damaged: {what}.", HINT)

    def performance(self) -> Performance:
        """What was read. Raises PerformanceError."""
        if not self._times:
            raise PerformanceError(f"'{self._name}' holds no rows, only its header.", HINT)
        is_seen = np.array(self._is_seen)
        if not is_seen.any():
            raise PerformanceError(f"'{self._name}' shows no face in any of its rows.", HINT)
        times = self._seconds()
        kept = np.maximum.accumulate(times) == times
        kept[1:] &= np.maximum.accumulate(times)[:-1] < times[1:]
        values = np.frombuffer(self._values, np.float32).reshape(len(times), -1)
        values = self._filled(values[kept].astype(np.float64), times[kept], is_seen[kept])
        self._say_what_is_missing(int((~kept).sum()), int((~is_seen).sum()))
        return self._built(times[kept], values, is_seen[kept])

    def _seconds(self) -> np.ndarray:
        count = len(self._times)
        even = np.arange(count) / DEFAULT_RATE
        if self._time_column is None:
            self._notices.append(f"'{self._name}' has no Timecode: {DEFAULT_RATE} rows a second.")
            return even
        found = seconds_of(self._times)
        if found is None:
            plain_seconds = _numbers(self._times)
            if plain_seconds is None:
                bad = next(code for code in self._times if seconds_of([code]) is None)
                raise self._damage(f"'{bad[:40]}' is no timecode hh:mm:ss:ff")
            return plain_seconds - plain_seconds[0]
        if count > 1 and np.ptp(found[0]) == 0.0:
            text = f"The timecodes of '{self._name}' stand still: {DEFAULT_RATE} rows a second."
            self._notices.append(text)
            return even
        return found[0]

    def _filled(self, values: np.ndarray, times: np.ndarray, is_seen: np.ndarray) -> np.ndarray:
        """The values, checked; those of rows without a face are made up from their neighbours."""
        count = sum(name in SHAPES for name in self._columns)
        if not np.isfinite(values).all() or np.abs(values).max() > LARGEST_ANGLE:
            raise self._damage("it holds values that are no numbers, or absurd ones")
        if count and np.abs(values[:, :count]).max() > LARGEST_SHAPE:
            raise self._damage("shapes go from 0 to 1, its own go far beyond")
        for column in values.T:
            column[~is_seen] = np.interp(times[~is_seen], times[is_seen], column[is_seen])
        return values

    def _say_what_is_missing(self, late: int, unseen: int) -> None:
        name = f"'{self._name}'"
        missing = [shape for shape in SHAPES if shape not in self._columns]
        if missing:
            listed = ", ".join(missing[:_NAMED]) + (" and others" if len(missing) > _NAMED else "")
            text = f"{name} lacks {len(missing)} of {SHAPE_COUNT} shapes, which stay at rest"
            self._notices.append(f"{text}: {listed}.")
        if not any(angle in self._columns for angle in HEAD_ANGLES):
            self._notices.append(f"{name} has no head angles: the head stays still.")
        if late:
            self._notices.append(f"{late} rows of {name} came out of order and were left out.")
        if unseen:
            self._notices.append(f"{unseen} rows of {name} show no face and were filled in.")

    def _built(self, times: np.ndarray, values: np.ndarray, is_seen: np.ndarray) -> Performance:
        columns = self._columns
        has_gaze = any(name in columns for name in GAZE_SHAPES)
        kept = {
            name: column
            for name, column in zip(columns, values.T, strict=True)
            if not (has_gaze and name in EYE_ANGLES)
        }
        moved = _moved(self._table, kept)
        count = len(times)
        angles = [moved.pop(name, np.zeros(count)) for name in HEAD_CONTROLS]
        sliders = _sliders(moved, count)
        return Performance(
            times=times,
            rotation=rotation_matrix(*angles),
            translation=np.zeros((count, 3), np.float32),
            scale=np.ones(count, np.float32),
            expression=slider_expression(sliders, count).astype(np.float32),
            ratios=None,
            is_seen=is_seen,
            sliders={name: column.astype(np.float32) for name, column in sliders.items()},
            rest=Rest(
                np.eye(3, dtype=np.float32),
                np.zeros(3, np.float32),
                1.0,
                np.zeros((KEYPOINT_COUNT, 3), np.float32),
            ),
            notices=tuple(self._notices),
        )


def _numbers(texts: list[str]) -> np.ndarray | None:
    """(T,) float64; None unless all are finite numbers."""
    try:
        numbers = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _limited(name: str, column: np.ndarray) -> np.ndarray:
    control = CONTROLS_BY_NAME[name]
    return np.clip(column, control.minimum, control.maximum)


def _join(sliders: dict[str, np.ndarray], count: int) -> None:
    """What both sides do is the slider of both, as artists would set it."""
    for left, right, both in _PAIRS:
        if left in sliders and right in sliders:
            shares = np.stack([sliders[left], sliders[right]])
            shared = np.where(
                (shares > 0.0).all(axis=0),
                shares.min(axis=0),
                np.where((shares < 0.0).all(axis=0), shares.max(axis=0), 0.0),
            )
            for name in (left, right):
                sliders[name] = sliders[name] - shared
            sliders[both] = _limited(both, sliders.get(both, np.zeros(count)) + shared)
