"""What a clip's face does by itself, taken out while a take is put in its place.

Keys on the holds of `holds.py`: 0 from the first to the last frame of the performance, and what
was there before just outside, so that other frames stay those of the clip.
"""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np

from . import clips
from .holds import KEEP_EXPRESSION, KEEP_EYES, KEEP_MOUTH
from .keying import control_path
from .take_channels import Channel

# Regions of a take → the hold that leaves the same part of the clip's own expression out.
_HOLD_OF_REGION = {
    "all": KEEP_EXPRESSION,
    "exp": KEEP_EXPRESSION,
    "lip": KEEP_MOUTH,
    "eyes": KEEP_EYES,
}
_GROUP = "Clip's Own Motion"


def hold_of(region: str) -> str | None:
    """The hold that makes room for a take's region; None where there is none, as for the head.

    region  as in take_channels.Reach.of; what stands after its first word is added to the clip
    """
    return _HOLD_OF_REGION.get(region.partition(" ")[0])


def hold_path(region: str) -> str | None:
    """Its data path on a controller."""
    name = hold_of(region)
    return None if name is None else control_path(name)


def channels_for(
    controller: bpy.types.Object, region: str, first: float, last: float
) -> list[Channel]:
    """What takes a clip's own expression out between two scene frames; [] for stills.

    The values of its outer keys are to be those that the curve has there, see take_placing.
    """
    plane, name = controller.keyportrait.face.portrait, hold_of(region)
    if plane is None or name is None or name not in controller:
        return []
    if not clips.is_moving(plane.keyportrait.portrait):
        return []
    frames = np.array([first - 1.0, first, last, last + 1.0])
    values = np.array([1.0, 0.0, 0.0, 1.0])
    holds = np.ones(4, bool)
    path = control_path(name)
    return [Channel(path, 0, _GROUP, frames, values, holds, frames, values)]


def split(channels: Sequence[Channel]) -> tuple[list[Channel], list[Channel]]:
    """The channels of a take, and those of channels_for."""
    paths = {control_path(name) for name in _HOLD_OF_REGION.values()}
    own = [channel for channel in channels if channel.path in paths]
    return [channel for channel in channels if channel.path not in paths], own
