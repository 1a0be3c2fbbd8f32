"""Keeps portraits whole: live images that were removed, and what a saved file must hold."""

from __future__ import annotations

import logging

from . import portraits
from .images import new_image, read_picture
from .portraits import Portrait
from .textures import texture_nodes

log = logging.getLogger(__name__)


def restore_output(item: Portrait) -> None:
    """Make the live image of a portrait again when it was removed, and show it on the plane.

    Raises AddonError when the picture is gone too.
    """
    settings = item.settings
    if settings.output is not None or settings.source is None:
        return
    picture = read_picture(settings.source)
    settings.output = new_image(f"{item.plane.name} Live", picture, settings.source)
    for node in texture_nodes(item.plane):
        if node.image is None:
            node.image = settings.output


def pack_outputs() -> None:
    """Keep the live images in the .blend, so that it opens with them without the extension."""
    for item in portraits.all_portraits():
        output = item.settings.output
        if output is not None and output.is_editable and output.has_data and output.is_dirty:
            try:
                output.pack()
            except RuntimeError as error:
                log.warning("'%s' could not be packed: %s", output.name, error)
