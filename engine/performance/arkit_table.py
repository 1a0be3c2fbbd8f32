"""The table from ARKit's 52 face shapes to face controls; arkit.csv beside this file holds it.

A row is a shape, then up to three pairs of a control and what a shape of 1 adds to it. "Left" and
"right" of a shape are the performer's own, those of a control are the picture's. A table of the
user's has the same form, and its rows take the place of those of the same shape.
"""

from __future__ import annotations

import csv
import math
from functools import cache
from pathlib import Path

import numpy as np

from ..controls import CONTROLS_BY_NAME
from .performance import PerformanceError

SHIPPED_TABLE = Path(__file__).with_name("arkit.csv")
SHAPE_COUNT = 52
HEAD_CONTROLS = ("head_pitch", "head_yaw", "head_roll")
# What the eyes do is in shapes, and once more in angles for files that lack those.
GAZE_SHAPES = tuple(f"EyeLook{way}{side}" for way in ("Down", "In", "Out", "Up")
                    for side in ("Left", "Right"))  # fmt: skip
EYE_ANGLES = ("LeftEyeYaw", "LeftEyePitch", "RightEyeYaw", "RightEyePitch")
HEAD_ANGLES = ("HeadYaw", "HeadPitch", "HeadRoll")
MAX_TABLE_BYTES = 64 * 1024
_HINT = "Mend the table, or delete it to use the one that comes with KeyPortrait."

# Shape → control → what a shape of 1 adds to it.
Table = dict[str, dict[str, float]]


@cache
def shipped_table() -> Table:
    """The table that comes with KeyPortrait: 52 shapes, then head and eye angles in radians."""
    return _parse(SHIPPED_TABLE, None)


def read_table(path: Path | None) -> Table:
    """The shipped table with the rows of the user's in place of its own.

    Raises PerformanceError that names the file and the line, OSError for file trouble.
    """
    table = dict(shipped_table())
    if path is not None:
        table |= _parse(path, frozenset(table))
    return table


def matrix(table: Table, shapes: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """(controls, (len(shapes), len(controls))): values are shapes @ matrix."""
    controls = tuple(dict.fromkeys(name for shape in shapes for name in table[shape]))
    weights = np.array([[table[shape].get(name, 0.0) for name in controls] for shape in shapes])
    return controls, weights.reshape(len(shapes), len(controls))


def plain(name: str) -> str:
    """A shape's name without what files write differently: capitals, underscores, L for Left."""
    name = name.strip()
    for short, whole in (("_L", "Left"), ("_R", "Right")):
        if name.endswith(short):
            name = name.removesuffix(short) + whole
    return name.lower().replace("_", "").replace(" ", "")


def _parse(path: Path, known: frozenset[str] | None) -> Table:
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise PerformanceError(f"'{path.name}' is too large for a table of shapes.", _HINT)
    names = {plain(name): name for name in known} if known is not None else None
    table: Table = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, cells in enumerate(csv.reader(file), 1):
                row = [cell.strip() for cell in cells]
                while row and not row[-1]:
                    row.pop()
                if not row or row[0].startswith("#") or plain(row[0]) == "shape":
                    continue
                place = f"'{path.name}', line {number}"
                table[_shape(place, row[0], names)] = _terms(place, row[1:])
    except (csv.Error, UnicodeDecodeError) as error:
        raise PerformanceError(f"'{path.name}' is no CSV table: {error}.", _HINT) from error
    return table


def _shape(place: str, name: str, names: dict[str, str] | None) -> str:
    if names is None:
        return name
    found = names.get(plain(name))
    if found is None:
        raise PerformanceError(f"{place}: there is no ARKit shape '{name[:40]}'.", _HINT)
    return found


def _terms(place: str, cells: list[str]) -> dict[str, float]:
    if len(cells) % 2:
        raise PerformanceError(f"{place}: a control without an amount.", _HINT)
    terms: dict[str, float] = {}
    for name, text in zip(cells[::2], cells[1::2], strict=True):
        control = CONTROLS_BY_NAME.get(name)
        if control is None or not (control.terms or name in HEAD_CONTROLS):
            raise PerformanceError(f"{place}: '{name[:40]}' is no control for shapes.", _HINT)
        try:
            amount = float(text)
        except ValueError:
            amount = math.nan
        if not abs(amount) <= 1000.0:
            raise PerformanceError(f"{place}: '{text[:40]}' is no amount.", _HINT)
        terms[name] = terms.get(name, 0.0) + amount
    return terms


SHAPES = tuple(shipped_table())[:SHAPE_COUNT]
