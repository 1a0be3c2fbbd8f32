"""How the files of a bake hold colours, so that Blender shows them as it shows the live image.

Blender makes a file's values scene-linear by the colour space of its image. Files therefore keep
the values of the still picture, in its own colour space, and their image gets that colour space:
exact for every space of every OCIO configuration. OpenEXR files of sRGB pictures are made linear,
because that is what other programs expect of them.
"""

from __future__ import annotations

from typing import NamedTuple

import bpy

from .. import compat
from ..host.sequence import BakeError

LINEAR = "Linear Rec.709"
SRGB = "sRGB"
# Spaces of Blender's and of ACES' configurations whose values are light.
LINEAR_NAMES = ("Linear", "ACEScg", "ACES2065-1", "scene_linear")
# In these modes Blender shows colours as they are, also where the picture is transparent.
UNASSOCIATED = frozenset({"CHANNEL_PACKED", "NONE"})


class FileColour(NamedTuple):
    """What the files hold, and how their image reads them.

    space, alpha_mode  of the image that shows the files
    color, alpha       of host.sequence.SequenceOutput
    """

    space: str = SRGB
    alpha_mode: str = "STRAIGHT"
    color: str = "linear"
    alpha: str = "associated"


def colour_of(live: bpy.types.Image | None, encoding: str, file_format: str) -> FileColour:
    """How a bake of a live image is written and read.

    encoding     of the picture's values: "srgb" (display values) or "linear" (float). A live image
                 of floats may come from display values of a clip, of 16 bits
    file_format  "PNG", "OPEN_EXR" or "MP4"
    Raises BakeError when the format cannot hold the picture's colours.
    """
    space = live.colorspace_settings.name if live is not None else SRGB
    mode = live.alpha_mode if live is not None else "STRAIGHT"
    is_float = encoding == "linear"
    is_deep = not is_float and live is not None and live.is_float
    if is_deep:
        space = SRGB
    if file_format != "OPEN_EXR":
        if is_float or is_deep:
            _check_working_space(live, file_format)
        return FileColour(SRGB if is_float else space, "STRAIGHT" if mode == "PREMUL" else mode)
    is_data = live is not None and live.colorspace_settings.is_data and not live.is_float
    is_straight = mode in UNASSOCIATED or is_data
    mode = "CHANNEL_PACKED" if is_straight and mode != "NONE" else mode
    mode = mode if is_straight else "PREMUL"
    alpha = "straight" if is_straight else "associated"
    if is_float:
        return FileColour(compat.working_space(), mode, "source", alpha)
    if space == SRGB and LINEAR in compat.colour_spaces():
        return FileColour(LINEAR, mode, "linear", alpha)
    return FileColour(space, mode, "source", alpha)


def light_of(live: bpy.types.Image | None, encoding: str) -> dict[str, str]:
    """How the values of a picture add up as light: color and alpha of the option `shutter`.

    encoding  see colour_of
    The curves of display spaces that are not sRGB are near enough to its curve.
    """
    if live is None:
        return {"color": "srgb", "alpha": "coverage"}
    settings = live.colorspace_settings
    is_linear = settings.is_data or settings.name.startswith(LINEAR_NAMES)
    is_linear = is_linear and not (live.is_float and encoding == "srgb")
    is_channel = settings.is_data or live.alpha_mode in UNASSOCIATED
    return {
        "color": "linear" if is_linear else "srgb",
        "alpha": "channel" if is_channel else "coverage",
    }


def _check_working_space(live: bpy.types.Image | None, file_format: str) -> None:
    working = compat.working_space()
    if working != LINEAR:
        name = "The picture" if live is None else f"'{live.name}'"
        text = f"{name} holds floats in '{working}', which {file_format} files cannot hold."
        raise BakeError(text, "Choose OpenEXR.")
