"""Keeps portraits whole: live images that were removed, and what a saved file must hold."""

from __future__ import annotations

import logging

import bpy

from . import portraits
from .content import read_source
from .images import new_image
from .portraits import Portrait
from .textures import texture_nodes

log = logging.getLogger(__name__)


# A plain custom property of every plane: it can be read where the extension is not installed.
ABOUT = "keyportrait_about"
ABOUT_TEXT = (
    "Made with the KeyPortrait extension. Without it this plane shows its last picture, and the "
    "sliders of its face controllers move nothing. Install KeyPortrait to move the face."
)


def tell_about(plane: bpy.types.Object) -> None:
    """Note on a plane what it takes to move its face, once; linked ones stay as they are."""
    if plane.is_editable and ABOUT not in plane:
        plane[ABOUT] = ABOUT_TEXT


def restore_output(item: Portrait) -> None:
    """Make the live image of a portrait again when it was removed, and show it on the plane.

    Raises AddonError when the picture is gone too.
    """
    settings = item.settings
    if settings.output is not None or settings.source is None:
        return
    picture = read_source(settings)
    settings.output = new_image(f"{item.plane.name} Live", picture, settings.source)
    for node in texture_nodes(item.plane):
        if node.image is None:
            node.image = settings.output


def straighten_outputs() -> None:
    """Let live images of 8 bits from other days be read as they are packed, with straight alpha.

    Pictures that are to be read as premultiplied have once passed that on to them.
    """
    for plane in portraits.all_planes():
        output = plane.keyportrait.portrait.output
        is_wrong = output is not None and output.alpha_mode == "PREMUL" and not output.is_float
        if is_wrong and output.is_editable:
            output.alpha_mode = "STRAIGHT"


def pack_outputs() -> None:
    """Keep the live images in the .blend, so that it opens with them without the extension."""
    outputs = {plane.keyportrait.portrait.output for plane in portraits.all_planes()}
    for output in outputs - {None}:
        if not output.is_editable or not _would_be_lost(output):
            continue
        try:
            output.pack()
        except RuntimeError as error:
            log.warning("'%s' could not be packed: %s", output.name, error)


def _would_be_lost(image: bpy.types.Image) -> bool:
    """Whether a saved file would not have the pixels that an image shows now."""
    if not image.has_data:
        return False
    # After undo pixels may be clean though nothing has stored them.
    return image.is_dirty or (image.source == "GENERATED" and image.packed_file is None)
