"""Visemes: what the mouth does for each phone, in speech/visemes.csv, and for each mouth shape of
an animator's chart, in speech/mouth_chart.csv.

Standard library only: Blender's side copies the tables for artists to edit, the engine reads them.
The first row names the columns: `phone` (or `chart` and `shape`), `weight`, `firm`, then face
controls. A cell that is empty leaves its control to the neighbouring sounds.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .controls import CONTROLS_BY_NAME

FOLDER = Path(__file__).resolve().parent / "speech"
SHIPPED_TABLE = FOLDER / "visemes.csv"
SHIPPED_CHART = FOLDER / "mouth_chart.csv"
SILENCE = "SIL"
# Charts of mouth shapes: Rhubarb's nine letters, and Papagayo's ten (Preston Blair's).
LETTERS, PRESTON_BLAIR = "letters", "preston_blair"

MAX_TABLE_BYTES = 64 * 1024
MAX_WEIGHT = 10.0
_HINT = "Mend the table, or delete it to use the one that comes with KeyPortrait."


class VisemeTableError(ValueError):
    """A table that cannot be used; the text names the file and the line.

    hint  what to do about it
    """

    def __init__(self, text: str, hint: str = _HINT) -> None:
        super().__init__(text)
        self.hint = hint


@dataclass(frozen=True)
class Viseme:
    """What the mouth does for a sound.

    values    control → value; what is missing is left to the neighbours
    weight    how much it insists on its values beside its neighbours, 0..MAX_WEIGHT
    firmness  0..1, how far it takes over from its neighbours; 1 for lips that must meet
    label     what the mouth looks like, for people
    """

    values: Mapping[str, float]
    weight: float = 1.0
    firmness: float = 0.0
    label: str = ""

    @property
    def is_shut(self) -> bool:
        """Whether the lips meet, whatever is around."""
        return self.firmness >= 1.0


def mixed(visemes: Iterable[tuple[Viseme, float]]) -> Viseme:
    """Between several visemes, each with its share: what a sound looks like that may be any."""
    values: dict[str, float] = {}
    pulls: dict[str, float] = {}
    weight = firmness = 0.0
    for viseme, share in visemes:
        weight += share * viseme.weight
        firmness += share * viseme.firmness
        for name, value in viseme.values.items():
            pull = share * viseme.weight
            values[name] = values.get(name, 0.0) + pull * value
            pulls[name] = pulls.get(name, 0.0) + pull
    means = {name: value / pulls[name] for name, value in values.items()}
    return Viseme(means, weight, firmness)


@cache
def shipped_visemes() -> Mapping[str, Viseme]:
    """Phone (ARPAbet without stress, SILENCE) → viseme, of the table that comes with the engine."""
    return {name: viseme for _, name, viseme in _rows(SHIPPED_TABLE, ("phone",))}


def read_visemes(path: Path | None) -> Mapping[str, Viseme]:
    """The shipped table with the rows of the user's in place of its own.

    Raises VisemeTableError, OSError for file trouble.
    """
    shipped = shipped_visemes()
    if path is None:
        return shipped
    table = dict(shipped)
    for place, name, viseme in _rows(path, ("phone",)):
        if name not in shipped:
            raise VisemeTableError(f"{place}: there is no phone '{name[:20]}'.")
        table[name] = viseme
    return table


@cache
def mouth_chart(chart: str) -> Mapping[str, Viseme]:
    """Mouth shape → viseme of LETTERS or PRESTON_BLAIR, in the order of the chart."""
    rows = _rows(SHIPPED_CHART, ("chart", "shape"))
    return {name: viseme for place, name, viseme in rows if place.endswith(f", {chart}")}


def _rows(path: Path, keys: tuple[str, ...]) -> Iterator[tuple[str, str, Viseme]]:
    """(place for messages, name, viseme) of each row; the place of a chart's ends with its name."""
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise VisemeTableError(f"'{path.name}' is too large for a table of visemes.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
        delimiter = ";" if text.count(";") > text.count(",") else ","
        lines = list(csv.reader(text.splitlines(), delimiter=delimiter))
    except (csv.Error, UnicodeDecodeError) as error:
        raise VisemeTableError(f"'{path.name}' is no CSV table: {error}.") from error
    header: list[str] = []
    for number, cells in enumerate(lines, 1):
        row = [cell.strip() for cell in cells]
        if not any(row) or row[0].startswith("#"):
            continue
        place = f"'{path.name}', line {number}"
        if not header:
            header = _header(place, row, keys)
            continue
        fields = dict(zip(header, row, strict=False))
        viseme = _viseme(place, fields, keys, uses_comma=delimiter == ";")
        yield ", ".join([place, *(fields[key] for key in keys[:-1])]), fields[keys[-1]], viseme


def _header(place: str, row: list[str], keys: tuple[str, ...]) -> list[str]:
    missing = [key for key in keys if key not in row]
    if missing:
        raise VisemeTableError(f"{place}: the first row has no column '{missing[0]}'.")
    for name in row:
        if name in (*keys, "weight", "firm", "label", ""):
            continue
        control = CONTROLS_BY_NAME.get(name)
        if control is None or not control.terms:
            raise VisemeTableError(f"{place}: '{name[:40]}' is no control for visemes.")
    return row


def _viseme(
    place: str, fields: Mapping[str, str], keys: tuple[str, ...], *, uses_comma: bool
) -> Viseme:
    values: dict[str, float] = {}
    weight, firmness = 1.0, 0.0
    for name, cell in fields.items():
        if not cell or not name or name in (*keys, "label"):
            continue
        try:
            number = float(cell.replace(",", ".") if uses_comma else cell)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise VisemeTableError(f"{place}: '{cell[:40]}' in column '{name}' is no number.")
        if name == "weight":
            if not 0.0 < number <= MAX_WEIGHT:
                raise VisemeTableError(f"{place}: a weight is above 0 and at most {MAX_WEIGHT:g}.")
            weight = number
        elif name == "firm":
            firmness = min(max(number, 0.0), 1.0)
        else:
            control = CONTROLS_BY_NAME[name]
            values[name] = min(max(number, control.minimum), control.maximum)
    return Viseme(values, weight, firmness, fields.get("label", ""))
