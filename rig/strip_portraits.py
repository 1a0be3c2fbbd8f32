"""Portraits of strips: the image that a strip shows becomes a plane with face controllers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy

from .. import compat
from . import stills, strip_following, strip_links, strip_reading
from .errors import ImageError, PortraitError
from .image_files import load_file
from .strip_reading import StripPictures


def open_pictures(
    pictures: StripPictures, scene: bpy.types.Scene, *, use_still: bool = False
) -> tuple[bpy.types.Image, bool]:
    """The image of a strip for a portrait, and whether it is new. Raises AddonError.

    use_still  of a movie or sequence only the frame that is shown now
    """
    image, is_new = _load(pictures)
    try:
        picture, is_other = stills.open_image(image, pictures, scene, use_still=use_still)
    except ImageError:
        if is_new:
            bpy.data.images.remove(image)
        raise
    if picture != image and is_new:
        bpy.data.images.remove(image)
    return picture, is_new or is_other


def strip_of(scene: bpy.types.Scene, name: str) -> Any:
    """A strip of a scene by its name. Raises PortraitError when it is gone."""
    for strip in compat.all_strips(scene):
        if strip.name == name:
            return strip
    raise PortraitError(f"The strip '{name}' was deleted meanwhile.", "Undo, and try again.")


@contextmanager
def in_scene(context: bpy.types.Context, scene: bpy.types.Scene) -> Iterator[None]:
    """Let bpy.context be that of a scene: since 5.0 the window may show another one."""
    if context.scene == scene:
        yield
        return
    layer = scene.view_layers[0]
    with context.temp_override(scene=scene, view_layer=layer, collection=scene.collection):
        yield


def adopt(scene: bpy.types.Scene, name: str, plane: bpy.types.Object, *, is_rendered: bool) -> None:
    """Let a new portrait be that of a strip. Raises PortraitError when the strip is gone.

    is_rendered  its pictures are those that Blender has rendered of the strip
    """
    strip = strip_of(scene, name)
    strip_links.link(strip, plane)
    strip_following.note(strip, is_rendered=is_rendered)
    strip_following.follow(strip)


def _load(pictures: StripPictures) -> tuple[bpy.types.Image, bool]:
    image, is_new = load_file(str(pictures.path))
    if not is_new and not _is_read_alike(image, pictures):
        image, is_new = image.copy(), True
    if is_new:
        if pictures.kind == strip_reading.SEQUENCE:
            image.source = "SEQUENCE"
        image.colorspace_settings.name = pictures.space
        image.alpha_mode = "PREMUL" if pictures.is_premultiplied else "STRAIGHT"
    return image, is_new


def _is_read_alike(image: bpy.types.Image, pictures: StripPictures) -> bool:
    """Whether an image that is in the file already has the pixels that the strip shows."""
    is_same_kind = (image.source == "SEQUENCE") == (pictures.kind == strip_reading.SEQUENCE)
    space = image.colorspace_settings.name
    is_premultiplied = image.alpha_mode == "PREMUL"
    return (
        is_same_kind
        and not image.is_dirty
        and space == pictures.space
        and is_premultiplied == pictures.is_premultiplied
    )
