"""What can be chosen for a take of whatever kind: where it comes from, how it is written."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Protocol, TypeVar

import bpy

from .kept_properties import BoolProperty, EnumProperty, FloatProperty, StringProperty

FILE, STRIP = "FILE", "STRIP"
REPLACE, ADD = "REPLACE", "ADD"
MODE_ITEMS = (
    (
        REPLACE,
        "Replace",
        "Between the first and the last frame the captured channels do what the performer did, "
        "on a clip in place of what its face does by itself; all other keys stay",
    ),
    (ADD, "Add", "The performance is added to what the face does already"),
)

Plain = TypeVar("Plain")


class TakeChoices(Protocol):
    """What decides how a take, from whatever it was made, is written to faces.

    name    what the performance is called
    region  what is written, as in take_channels.Reach.of
    is_whole_pose  channels that need no keys go to rest in Replace; else they stay as they are
    Others as the property of the same name of CaptureChoices.
    """

    @property
    def name(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def is_whole_pose(self) -> bool: ...
    @property
    def use_detail(self) -> bool: ...
    @property
    def mode(self) -> str: ...
    @property
    def use_track(self) -> bool: ...
    @property
    def use_whole_frames(self) -> bool: ...
    @property
    def use_markers(self) -> bool: ...
    @property
    def use_scene_range(self) -> bool: ...


class PlacedChoices:
    """Mixin: how a performance lies on the faces that it is written to."""

    mode: EnumProperty(
        name="Mode", items=MODE_ITEMS, description="What becomes of the keys that are there"
    )
    use_track: BoolProperty(
        name="As NLA Strip",
        description="Put the take on a new NLA track; the face's action, if it has one, becomes "
        "a strip below",
    )
    face_offset: FloatProperty(
        name="Offset",
        description="Frames by which each selected face begins after the one selected before it",
        step=100,
        precision=1,
    )


class WrittenChoices(PlacedChoices):
    """Mixin: the properties of all takes that are written to faces."""

    strip: StringProperty(
        name="Strip", description="Name of a strip of the Video Sequencer; empty for the active one"
    )
    use_scene_range: BoolProperty(
        name="Set Scene Range", description="Let the scene begin and end with the take"
    )


def plain_values(kind: type[Plain], holder: Any, pointer: str) -> Plain:
    """What an operator or a face's settings hold, as a dataclass that outlives them.

    pointer  the property that is a data-block on faces, and its name elsewhere
    """
    values = {field.name: getattr(holder, field.name) for field in fields(kind)}  # pyright: ignore
    block = values[pointer]
    name = block.name if isinstance(block, bpy.types.ID) else block or ""
    return kind(**{**values, pointer: name})


def store_values(choices: Any, holder: Any, pointer: str, blocks: Any, own: Any = None) -> None:
    """Write a dataclass of plain_values to an operator or to a face's settings.

    blocks  data-blocks by name, for `pointer`
    own     of an operator: its bpy properties; those that its caller has set are kept
    """
    for field in fields(choices):
        if own is not None and own.is_property_set(field.name):
            continue
        value: Any = getattr(choices, field.name)
        if field.name == pointer and isinstance(holder, bpy.types.PropertyGroup):
            value = blocks.get(value)
        setattr(holder, field.name, value)
