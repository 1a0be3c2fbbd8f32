"""Show a baked sequence or movie on a portrait's plane, and go back to the live image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import bpy

from .errors import PortraitError
from .portraits import check_editable
from .textures import texture_nodes

LINEAR = "Linear Rec.709"
SRGB = "sRGB"


class BakedFiles(NamedTuple):
    """What a bake has made.

    path         the movie, or the picture of the first frame
    format       "PNG", "OPEN_EXR" or "MP4"
    frame_start  first frame of the scene; pictures carry scene frames as numbers
    frame_count  frames without a gap
    encoding     of the still picture: "srgb" or "linear"
    """

    path: Path
    format: str
    frame_start: int
    frame_count: int
    encoding: str = "srgb"


def image_nodes(
    plane: bpy.types.Object, *images: bpy.types.Image | None
) -> Iterator[bpy.types.Node]:
    """The image texture nodes of a plane's materials, node groups included, that show an image."""
    wanted = [image for image in images if image is not None]
    for node in texture_nodes(plane):
        if node.image in wanted:
            yield node


def show_baked(plane: bpy.types.Object, files: BakedFiles) -> bpy.types.Image:
    """Make a bake the texture of the plane. Raises PortraitError when no node can show it."""
    check_editable(plane)
    baked = plane.keyportrait_baked
    live = plane.keyportrait.portrait.output
    nodes = _nodes(plane, live, baked.image)
    image = _load(plane, files)
    baked.image = image
    baked.frame_start, baked.frame_count = files.frame_start, files.frame_count
    for node in nodes:
        _show(node, image, baked)
    plane.keyportrait.portrait.use_baked = True
    return image


def show_again(plane: bpy.types.Object) -> None:
    """Put the last bake back on the plane. Raises PortraitError when nothing can show it."""
    baked = plane.keyportrait_baked
    if baked.image is None:
        raise PortraitError(f"'{plane.name}' has not been baked.", "Bake it first.")
    live = plane.keyportrait.portrait.output
    for node in _nodes(plane, live, baked.image):
        _show(node, baked.image, baked)
    plane.keyportrait.portrait.use_baked = True


def show_live(plane: bpy.types.Object) -> None:
    """Put the live image back on the plane; the bake's files and image stay.

    Raises PortraitError when the live image is gone.
    """
    baked = plane.keyportrait_baked
    live = plane.keyportrait.portrait.output
    if live is None:
        raise PortraitError(f"'{plane.name}' has no live image.", "Press Refresh.")
    for node in image_nodes(plane, baked.image):
        node.image = live
    plane.keyportrait.portrait.use_baked = False


def _nodes(plane: bpy.types.Object, *images: bpy.types.Image | None) -> list[bpy.types.Node]:
    """image_nodes, at least one. Raises PortraitError."""
    nodes = list(image_nodes(plane, *images))
    if not nodes:
        # Without this a plane would count as baked, and its live image would stand still.
        raise PortraitError(
            f"No material of '{plane.name}' shows its live image.",
            "Choose the live image in an Image Texture node; the files are kept.",
        )
    return nodes


def _load(plane: bpy.types.Object, files: BakedFiles) -> bpy.types.Image:
    image = plane.keyportrait_baked.image
    path = _blend_path(files.path)
    try:
        if image is None or not image.is_editable or _is_shared(plane, image):
            image = bpy.data.images.load(str(files.path))
        else:
            image.filepath = path
    except RuntimeError as error:
        raise PortraitError(f"'{files.path}' cannot be read.", "Bake again.") from error
    image.name = f"{plane.name} Bake"
    image.source = "MOVIE" if files.format == "MP4" else "SEQUENCE"
    image.filepath = path
    _copy_colour(image, plane.keyportrait.portrait.output, files)
    image.reload()
    return image


def _is_shared(plane: bpy.types.Object, image: bpy.types.Image) -> bool:
    """Whether another plane, such as the original of a copy, shows the same bake."""
    others = (item for item in bpy.data.objects if item.keyportrait.kind == "PORTRAIT")
    return any(item != plane and item.keyportrait_baked.image == image for item in others)


def _copy_colour(image: bpy.types.Image, live: bpy.types.Image | None, files: BakedFiles) -> None:
    """Read the files as the live image is read: same colour space and alpha."""
    space = live.colorspace_settings.name if live is not None else SRGB
    alpha = live.alpha_mode if live is not None else "STRAIGHT"
    if files.format == "OPEN_EXR":
        # Written scene-linear, whatever the still picture was, with associated alpha.
        space = space if files.encoding == "linear" else LINEAR
        alpha = "NONE" if alpha == "NONE" else "PREMUL"
    else:
        space = SRGB if files.encoding == "linear" else space
        alpha = "STRAIGHT" if alpha == "PREMUL" else alpha
    image.colorspace_settings.name = space
    image.alpha_mode = alpha


def _show(node: bpy.types.Node, image: bpy.types.Image, baked: bpy.types.PropertyGroup) -> None:
    node.image = image
    user = node.image_user
    user.frame_start = baked.frame_start
    user.frame_duration = baked.frame_count
    # File number = scene frame - frame_start + 1 + offset.
    user.frame_offset = 0 if image.source == "MOVIE" else baked.frame_start - 1
    user.use_cyclic = False
    user.use_auto_refresh = True


def _blend_path(path: Path) -> str:
    """Relative to the .blend file where that is possible."""
    if not bpy.data.filepath:
        return str(path)
    try:
        return bpy.path.relpath(str(path))
    except ValueError:  # another drive on Windows
        return str(path)
