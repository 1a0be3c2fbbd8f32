"""Expression presets: named values of face controls, shipped ones and the user's own.

Shipped presets lie in presets.json beside this file, each of the user's is one JSON file in the
extension's own folder. Both are checked when read; a damaged file is skipped and named.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..engine.controls import CONTROLS, CONTROLS_BY_NAME
from ..engine.motion import KEYPOINT_COUNT
from ..engine.part_files import hint_of, write_whole
from ..engine.take import detail_rows
from ..engine.viseme_table import LETTERS, mouth_chart

FORMAT_VERSION = 1
SHIPPED_FILE = Path(__file__).with_name("presets.json")
HEAD_GROUP = "Head"
MOUTH_GROUP = "Mouth"
# What comes before the letter in the name of a shape of the mouth chart.
CHART_PREFIX = "Mouth "
# Set once per picture so that its lids meet; part of the rig, not of an expression.
CALIBRATION = frozenset({"lid_offset"})
EXPRESSION_COUNT = 3 * KEYPOINT_COUNT
LARGEST_OFFSET = 10.0
MAX_FILE_BYTES = 64 * 1024


class PresetError(Exception):
    """A preset cannot be read, saved or deleted; the text is for the user."""


@dataclass(frozen=True)
class Preset:
    """Values of controls under a name.

    Controls that are not named go to the picture's rest, but those of the head, which stay: a
    smile should not turn a turned head back.
    path         the user's file; None for a preset that ships
    expression   what a captured face does beyond the sliders, 63 offsets of exp; empty for nothing
    translation  3 offsets of the head; empty where it stays
    groups       the only groups of controls that it is about; empty for all but the head
    """

    name: str
    controls: Mapping[str, float] = field(default_factory=dict)
    path: Path | None = None
    expression: tuple[float, ...] = ()
    translation: tuple[float, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def is_shipped(self) -> bool:
        """Whether it came with the extension and cannot be deleted."""
        return self.path is None

    def values(self, rest: Mapping[str, float], factor: float = 1.0) -> dict[str, float]:
        """What to set each affected control to.

        rest    control name → value that leaves the picture as it is
        factor  strength: 0 is the rest, 1 the preset, above 1 exaggerates within the limits
        """
        values: dict[str, float] = {}
        for control in CONTROLS:
            name = control.name
            is_listed = name in self.controls
            if name in CALIBRATION or (control.group == HEAD_GROUP and not is_listed):
                continue
            if self.groups and control.group not in self.groups:
                continue
            start = rest.get(name, control.default)
            end = self.controls.get(name, start)
            value = start + factor * (end - start)
            values[name] = min(max(value, control.minimum), control.maximum)
        return values

    def offsets(self) -> dict[int, float]:
        """Which of the 63 offsets of exp it sets, and to what at full strength."""
        rows = detail_rows(self.groups) if self.groups else range(EXPRESSION_COUNT)
        return {row: self.expression[row] if self.expression else 0.0 for row in rows}


def from_values(
    name: str,
    values: Mapping[str, float],
    rest: Mapping[str, float],
    expression: Sequence[float] = (),
    translation: Sequence[float] = (),
    *,
    use_head: bool,
) -> Preset:
    """A preset of what differs from the rest.

    expression, translation  as in Preset
    use_head  keep all six head controls and the translation as well
    """
    kept: dict[str, float] = {}
    for control in CONTROLS:
        if control.name not in values or control.name in CALIBRATION:
            continue
        value = float(values[control.name])
        is_head = control.group == HEAD_GROUP
        differs = abs(value - rest.get(control.name, control.default)) > 1e-4
        if (is_head and use_head) or (not is_head and differs):
            kept[control.name] = round(value, 5)
    detail = tuple(round(float(number), 6) for number in expression)
    moved = tuple(round(float(number), 6) for number in translation)
    return Preset(
        checked_name(name),
        kept,
        expression=detail if any(detail) else (),
        translation=moved if use_head else (),
    )


def checked_name(name: str) -> str:
    """The name without outer spaces. Raises PresetError for one that cannot be used."""
    name = name.strip()
    if not name:
        raise PresetError("A preset needs a name")
    if len(name) > 63 or not name.isprintable():
        raise PresetError("A preset's name has at most 63 printable characters")
    return name


def preset_from_json(data: Any, path: Path | None = None) -> Preset:
    """Check one preset. Raises PresetError that says what is wrong."""
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise PresetError("it has no name")
    controls = data.get("controls")
    if not isinstance(controls, dict):
        raise PresetError("it has no controls")
    values: dict[str, float] = {}
    for name, value in controls.items():
        control = CONTROLS_BY_NAME.get(name)
        if control is None:
            raise PresetError(f"it names an unknown control '{name}'")
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            raise PresetError(f"'{name}' is not a number")
        if not control.minimum <= value <= control.maximum:
            limits = f"{control.minimum:g} to {control.maximum:g}"
            raise PresetError(f"'{name}' is {value:g}, outside {limits}")
        values[name] = float(value)
    return Preset(
        checked_name(data["name"]),
        values,
        path,
        _numbers(data, "expression", EXPRESSION_COUNT),
        _numbers(data, "translation", 3),
    )


def _numbers(data: dict[str, Any], key: str, count: int) -> tuple[float, ...]:
    """`count` finite numbers of a preset; none where it has no such key."""
    numbers = data.get(key, [])
    is_list = isinstance(numbers, list) and len(numbers) in (0, count)
    if not is_list or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
        raise PresetError(f"'{key}' is not {count} numbers")
    if not all(abs(n) <= LARGEST_OFFSET for n in numbers):
        raise PresetError(f"'{key}' has a number beyond {LARGEST_OFFSET:g}")
    return tuple(map(float, numbers))


@cache
def shipped() -> tuple[Preset, ...]:
    """The presets that come with the extension, in the order of the panel."""
    table = _read_json(SHIPPED_FILE)
    return tuple(preset_from_json(entry) for entry in table["presets"])


@cache
def chart() -> tuple[Preset, ...]:
    """The mouth chart of animators, A to H and X: the mouth alone, from the table of visemes."""
    presets = []
    for letter, shape in mouth_chart(LETTERS).items():
        # A mouth that is open in the picture shuts, too.
        shut = {"lips_open": 0.0} if shape.is_shut else {}
        values = {**shape.values, **shut}
        presets.append(Preset(f"{CHART_PREFIX}{letter}", values, groups=(MOUTH_GROUP,)))
    return tuple(presets)


def users(folder: Path) -> tuple[list[Preset], list[str]]:
    """The user's presets in name order, and one line for each file that had to be skipped."""
    presets: list[Preset] = []
    problems: list[str] = []
    taken = {preset.name.casefold() for preset in (*shipped(), *chart())}
    try:
        paths = sorted(folder.glob("*.json"))
    except OSError as error:
        return [], [f"The preset folder '{folder}' cannot be read: {error.strerror}"]
    for path in paths:
        try:
            preset = _read_user_preset(path)
            if preset.name.casefold() in taken:
                raise PresetError(f"there is another preset '{preset.name}'")
        except PresetError as error:
            problems.append(f"Preset file '{path.name}' was skipped: {error}")
        else:
            taken.add(preset.name.casefold())
            presets.append(preset)
    return sorted(presets, key=lambda preset: preset.name.casefold()), problems


def find(name: str, presets: Iterable[Preset]) -> Preset | None:
    """The preset of this name, whatever its capitals."""
    wanted = name.strip().casefold()
    return next((p for p in presets if p.name.casefold() == wanted), None)


def save(preset: Preset, folder: Path) -> Preset:
    """Write one of the user's presets, in place of one of the same name.

    Raises PresetError when the name belongs to a shipped preset or the file cannot be written.
    """
    name = checked_name(preset.name)
    if find(name, (*shipped(), *chart())):
        raise PresetError(f"'{name}' is a preset that comes with KeyPortrait. Choose another name")
    existing = find(name, users(folder)[0])
    path = existing.path if existing else None
    path = path or _free_path(name, folder)
    data: dict[str, Any] = {
        "keyportrait_preset": FORMAT_VERSION,
        "name": name,
        "controls": dict(preset.controls),
    }
    for key in ("expression", "translation"):
        if numbers := getattr(preset, key):
            data[key] = list(numbers)
    text = json.dumps(data, indent=2) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))
    except OSError as error:
        hint = hint_of(error).removesuffix(".")
        raise PresetError(f"'{path}' cannot be written: {error.strerror}. {hint}") from error
    return replace(preset, name=name, controls=dict(preset.controls), path=path)


def delete(preset: Preset) -> None:
    """Remove one of the user's presets. Raises PresetError for a shipped one."""
    if preset.path is None:
        raise PresetError(f"'{preset.name}' comes with KeyPortrait and cannot be deleted")
    try:
        preset.path.unlink(missing_ok=True)
    except OSError as error:
        raise PresetError(f"'{preset.path}' cannot be deleted: {error.strerror}") from error


def _read_user_preset(path: Path) -> Preset:
    data = _read_json(path)
    version = data.get("keyportrait_preset") if isinstance(data, dict) else None
    if version != FORMAT_VERSION:
        raise PresetError("it is not a KeyPortrait preset, or of a newer version")
    return preset_from_json(data, path)


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PresetError("it is too large")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PresetError(f"it cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise PresetError("it is not JSON text") from error


def _free_path(name: str, folder: Path) -> Path:
    stem = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower() or "preset"
    # A letter in front keeps clear of names that Windows reserves, such as con or aux.
    stem = f"preset_{stem[:40]}"
    number = 0
    while True:
        path = folder / (f"{stem}_{number}.json" if number else f"{stem}.json")
        if not path.exists():
            return path
        number += 1
