"""The renderers as both sides know them: names, labels, what they find, what they need.

Standard library only. `engine/renderers.py` says where each one's code lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

PREVIEW = "analytic"
FINAL = "liveportrait"
PEOPLE = "people"
CATS = "cats"


class RendererRow(NamedTuple):
    """One renderer.

    name         on the wire and in files
    label        what artists read
    description  one line for a tooltip
    finds        PEOPLE or CATS: whose faces are looked for
    needs_setup  works only where LivePortrait was set up
    weight_set   the set of engine/weight_table.py that it needs, "" for none
    """

    name: str
    label: str
    description: str
    finds: str
    needs_setup: bool
    weight_set: str = ""


_ROWS = (
    RendererRow(
        PREVIEW,
        "Preview",
        "Built-in renderer: runs everywhere, at once",
        PEOPLE,
        needs_setup=False,
    ),
    RendererRow(
        FINAL,
        "Final",
        "LivePortrait's networks for people; needs their set-up",
        PEOPLE,
        needs_setup=True,
        weight_set="human",
    ),
    RendererRow(
        "liveportrait_animal",
        "Animal",
        "LivePortrait's networks for animals; needs their set-up",
        CATS,
        needs_setup=True,
        weight_set="animal",
    ),
)
RENDERERS: Mapping[str, RendererRow] = {row.name: row for row in _ROWS}
# For Blender's enumerations: (name, label, description).
RENDERER_ITEMS = tuple((row.name, row.label, row.description) for row in _ROWS)


def label_of(name: str) -> str:
    """What artists call a renderer; "" for a name that there is not."""
    row = RENDERERS.get(name)
    return "" if row is None else row.label


def needs_setup(name: str) -> bool:
    """Whether a renderer needs LivePortrait's set-up; False for a name that there is not."""
    row = RENDERERS.get(name)
    return row is not None and row.needs_setup
