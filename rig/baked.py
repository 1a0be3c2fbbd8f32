"""Show a baked sequence or movie on a portrait's plane, and go back to the live image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import bpy

from .bake_colour import FileColour
from .errors import PortraitError
from .image_files import stored_path
from .portraits import check_editable
from .textures import texture_nodes

# Later than any frame of a scene.
NEVER = 1048574


class BakedFiles(NamedTuple):
    """What a bake has made.

    path         the movie, or the picture of the first frame
    format       "PNG", "OPEN_EXR" or "MP4"
    frame_start  first frame of the scene; pictures carry scene frames as numbers
    frame_count  frames without a gap
    colour       what the files hold, and how they are read
    digests      what each frame was made from, see bake_state
    is_relative  whether the folder was given relative to the .blend file, and is to stay so
    """

    path: Path
    format: str
    frame_start: int
    frame_count: int
    colour: FileColour = FileColour()
    digests: str = ""
    is_relative: bool = False


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
    baked.digests, baked.is_lost = files.digests, False
    for node in nodes:
        _show(node, image, baked)
    plane.keyportrait.portrait.use_baked = True
    return image


def show_again(plane: bpy.types.Object) -> None:
    """Put the last bake back on the plane. Raises PortraitError when nothing can show it."""
    baked = plane.keyportrait_baked
    if baked.image is None:
        raise PortraitError(f"'{plane.name}' has not been baked.", "Bake it first.")
    if not has_files(plane):
        raise PortraitError(
            f"The bake of '{plane.name}' is gone: '{file_of(plane)}'.",
            "Choose its folder, or bake again.",
        )
    baked.is_lost = False
    live = plane.keyportrait.portrait.output
    for node in _nodes(plane, live, baked.image):
        _show(node, baked.image, baked)
    plane.keyportrait.portrait.use_baked = True


def hold_ends(plane: bpy.types.Object) -> None:
    """Let a bake that KeyPortrait 0.1.0 has put on a plane hold its first and last frame, too.

    Only nodes that still have what 0.1.0 gave them are changed; linked materials stay.
    """
    baked = plane.keyportrait_baked
    if baked.image is None or baked.image.source != "SEQUENCE":
        return
    start, count = baked.frame_start, baked.frame_count
    for node in image_nodes(plane, baked.image):
        user = node.image_user
        given = (user.frame_start, user.frame_duration, user.frame_offset)
        if given == (start, count, start - 1) and node.id_data.is_editable:
            _set_frames(user, baked, is_movie=False)


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


def file_of(plane: bpy.types.Object) -> Path:
    """The movie or the first picture of a plane's bake; it must have one."""
    image = plane.keyportrait_baked.image
    return Path(bpy.path.abspath(image.filepath, library=image.library))


def has_files(plane: bpy.types.Object) -> bool:
    """Whether a plane's bake is on disk: its movie or its first picture."""
    return plane.keyportrait_baked.image is not None and file_of(plane).is_file()


def relink(plane: bpy.types.Object, path: Path) -> None:
    """Read a plane's bake from another place, and show it. Raises PortraitError."""
    check_editable(plane)
    image = plane.keyportrait_baked.image
    if not image.is_editable:
        raise PortraitError(f"'{image.name}' is linked from another file.", "Make it local first.")
    image.filepath = stored_path("", path, None)
    image.reload()
    show_again(plane)


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
    path = stored_path("", files.path, files.is_relative or None)
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
    image.colorspace_settings.name = files.colour.space
    image.alpha_mode = files.colour.alpha_mode
    image.reload()
    return image


def _is_shared(plane: bpy.types.Object, image: bpy.types.Image) -> bool:
    """Whether another plane, such as the original of a copy, shows the same bake."""
    others = (item for item in bpy.data.objects if item.keyportrait.kind == "PORTRAIT")
    return any(item != plane and item.keyportrait_baked.image == image for item in others)


def _show(node: bpy.types.Node, image: bpy.types.Image, baked: bpy.types.PropertyGroup) -> None:
    node.image = image
    _set_frames(node.image_user, baked, is_movie=image.source == "MOVIE")
    node.image_user.use_cyclic = False
    node.image_user.use_auto_refresh = True


def _set_frames(
    user: bpy.types.ImageUser, baked: bpy.types.PropertyGroup, *, is_movie: bool
) -> None:
    # File number = offset + scene frame - frame_start + 1, where the last part is never less than 0
    # nor more than the duration. The start is one late, so that 0 is the first file: it is held
    # before the bake as the last one is held after it.
    start, count = baked.frame_start, baked.frame_count
    if is_movie:
        user.frame_start, user.frame_duration, user.frame_offset = start, count, 0
    elif count == 1:
        user.frame_start, user.frame_duration, user.frame_offset = NEVER, 1, start
    else:
        user.frame_start, user.frame_duration, user.frame_offset = start + 1, count - 1, start
