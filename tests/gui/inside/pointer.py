"""Mouse and keyboard for a Blender that runs with --enable-event-simulate.

Every function that needs the event loop is a generator: it yields the seconds to wait, since an
event takes effect only when Blender's main loop comes round again.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import bpy

Steps = Iterator[float]
Widgets = dict[str, tuple[int, int]]
KEYS = {".": "PERIOD", "/": "SLASH", "_": "MINUS", "-": "MINUS", " ": "SPACE"}
DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")


def window() -> bpy.types.Window:
    return bpy.context.window_manager.windows[0]


def find_area(area_type: str) -> bpy.types.Area:
    """The largest area of a type."""
    areas = [area for area in window().screen.areas if area.type == area_type]
    if not areas:
        raise AssertionError(f"no {area_type} area on the screen")
    return max(areas, key=lambda area: area.width * area.height)


def find_region(area: bpy.types.Area, region_type: str) -> bpy.types.Region:
    return next(region for region in area.regions if region.type == region_type)


def override(area_type: str) -> bpy.types.Context:
    """The context of a click into an area, for operators that scripts call."""
    area = find_area(area_type)
    region = find_region(area, "WINDOW")
    return bpy.context.temp_override(window=window(), area=area, region=region)


def screenshot(path: Path) -> None:
    """The whole display; Blender's own screenshot is black under software rendering."""
    subprocess.run(["import", "-window", "root", str(path)], check=True)


def convert(picture: Path, other: Path) -> None:
    """Write a picture in the format that the other name says."""
    subprocess.run(["convert", str(picture), str(other)], check=True)


def send(kind: str, value: str, x: int, y: int, **keys: object) -> None:
    window().event_simulate(type=kind, value=value, x=x, y=y, **keys)


def move(x: int, y: int) -> Steps:
    send("MOUSEMOVE", "NOTHING", x, y)
    yield 0.12


def click(x: int, y: int) -> Steps:
    yield from move(x - 1, y)
    yield from move(x, y)
    send("LEFTMOUSE", "PRESS", x, y)
    yield 0.05
    send("LEFTMOUSE", "RELEASE", x, y)
    yield 0.4


def double_click(x: int, y: int) -> Steps:
    yield from move(x, y)
    for _ in range(2):
        send("LEFTMOUSE", "PRESS", x, y)
        send("LEFTMOUSE", "RELEASE", x, y)
        yield 0.05
    yield 0.3


def drag(x: int, y: int, distance: int, steps: int = 8) -> Steps:
    """Press, move to the right by `distance` pixels, release."""
    yield from move(x, y)
    send("LEFTMOUSE", "PRESS", x, y)
    yield 0.2
    for step in range(1, steps + 1):
        send("MOUSEMOVE", "NOTHING", x + distance * step // steps, y)
        yield 0.15
    send("LEFTMOUSE", "RELEASE", x + distance, y)
    yield 0.5


def key(kind: str, x: int, y: int, **modifiers: bool) -> Steps:
    send(kind, "PRESS", x, y, **modifiers)
    send(kind, "RELEASE", x, y, **modifiers)
    yield 0.1


def type_text(text: str, x: int, y: int) -> Steps:
    """Replace the text of the field that is being edited, and confirm."""
    yield from key("A", x, y, ctrl=True)
    for character in text:
        if character.isdigit():
            kind = DIGITS[int(character)]
        else:
            kind = KEYS.get(character, character.upper())
        send(kind, "PRESS", x, y, unicode=character)
        send(kind, "RELEASE", x, y)
        yield 0.02
    yield from key("RET", x, y)
    yield 0.5


def widget_under_pointer(area: bpy.types.Area, region: bpy.types.Region) -> str:
    """What the button under the pointer is: a data path, a Python call, or ""."""
    manager = bpy.context.window_manager
    with bpy.context.temp_override(window=window(), area=area, region=region):
        for copy in (bpy.ops.ui.copy_python_command_button, bpy.ops.ui.copy_data_path_button):
            manager.clipboard = ""
            if copy.poll():
                copy()
                if manager.clipboard:
                    return manager.clipboard
    return ""


def find_widgets(
    area: bpy.types.Area,
    region: bpy.types.Region,
    found: Widgets,
    *,
    offsets: tuple[float, ...] = (0.35, 0.8),
    step: int = 9,
) -> Steps:
    """Sweep the pointer down a region and note what lies where: no position is written down.

    found    data path or Python call → middle of the widget, window pixels; is added to
    offsets  columns to sweep, parts of the region's width
    """
    for offset in offsets:
        x = region.x + int(region.width * offset)
        heights: dict[str, list[int]] = {}
        for y in range(region.y + region.height - 8, region.y + 4, -step):
            send("MOUSEMOVE", "NOTHING", x, y)
            yield 0.05
            name = widget_under_pointer(area, region)
            if name:
                heights.setdefault(name, []).append(y)
        for name, rows in heights.items():
            found.setdefault(name, (x, sum(rows) // len(rows)))


def find_widget(found: Widgets, text: str) -> tuple[int, int]:
    """Position of the widget whose data path or call contains `text`."""
    for name, position in found.items():
        if text in name:
            return position
    raise AssertionError(f"no widget {text!r}; found {sorted(found)}")
