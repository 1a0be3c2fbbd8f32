"""Stills of movies and image sequences: the frame that an image user shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Protocol

import bpy

from .errors import ImageError
from .image_files import check_file, check_readable, load_file
from .images import Picture, new_image, read_picture

MOVING = frozenset({"MOVIE", "SEQUENCE"})
_NUMBER = re.compile(r"(\d+)(?=\D*$)")


class FrameRange(Protocol):
    """The part of bpy.types.ImageUser that says which frame is shown when."""

    frame_start: int
    frame_duration: int
    frame_offset: int
    use_cyclic: bool


class _WholeImage:
    """Shows a movie or sequence from its first frame on, starting at frame 1 of the scene."""

    def __init__(self, image: bpy.types.Image) -> None:
        self.frame_start = 1
        self.frame_offset = 0
        self.use_cyclic = False
        self.frame_duration = image.frame_duration
        if image.source == "SEQUENCE":
            path = Path(bpy.path.abspath(image.filepath, library=image.library))
            found = _NUMBER.search(path.stem)
            first = int(found[1]) if found else 1
            self.frame_offset = first - 1
            count = 1
            while frame_path(path, first + count).exists() and found:
                count += 1
            self.frame_duration = count


def frame_path(path: Path, frame: int) -> Path:
    """The file of a frame of a sequence, from the file of any of its frames."""
    stem = _NUMBER.sub(lambda found: str(frame).zfill(len(found[1])), path.stem)
    return path.with_name(stem + path.suffix)


def still_of(image: bpy.types.Image, user: FrameRange | None, frame: int) -> bpy.types.Image:
    """A packed copy of what a movie or sequence shows; other images are returned as they are.

    user   of the texture that shows it; None: of any texture or Image Editor that does
    frame  of the scene
    Raises ImageError when that frame of the image cannot be read.
    """
    if image.source not in MOVING:
        return image
    name = f"{_title(image)} Still"
    # Without a number in its name a file is a sequence of itself.
    if image.source == "MOVIE" or _NUMBER.search(PurePath(image.filepath).stem):
        number = shown_frame(user or user_of(image), frame)
        picture = read_frame(image, number)
        name = f"{_title(image)} Frame {number}"
    else:
        picture = read_picture(image)
    still = new_image(name, picture, image)
    still.pack()
    return still


def read_frame(image: bpy.types.Image, number: int) -> Picture:
    """The pixels of a frame of a movie or sequence, as Blender reads it. Raises ImageError."""
    _load_frame(image, number)
    return read_picture(image)


def open_image(
    image: bpy.types.Image,
    user: FrameRange | None,
    scene: bpy.types.Scene,
    *,
    use_still: bool = True,
) -> tuple[bpy.types.Image, bool]:
    """A picture for a portrait, checked, and whether it is new. Raises ImageError.

    user       of the texture that shows the image, as in still_of
    use_still  take a still of movies and sequences
    """
    if image.source in MOVING and not use_still:
        return image, False
    if image.source in MOVING:
        return still_of(image, user, scene.frame_current), True
    check_readable(image)
    check_file(image)
    return image, False


def open_file(
    filepath: str, use_relative: bool | None, scene: bpy.types.Scene, *, use_still: bool = True
) -> tuple[bpy.types.Image, bool]:
    """As open_image, for a file; see image_files.load_file. Of a movie only the still remains."""
    image, is_new = load_file(filepath, use_relative=use_relative)
    if image.source not in MOVING or not use_still:
        return image, is_new
    try:
        return open_image(image, None, scene)
    finally:
        if is_new:
            bpy.data.images.remove(image)


def shown_frame(user: FrameRange, frame: int) -> int:
    """The frame of a movie or sequence at a frame of the scene, as Blender counts."""
    count = user.frame_duration
    if not count:
        return 0
    number = frame - user.frame_start + 1
    if user.use_cyclic:
        number = number % count or count
    return min(max(number, 0), count) + user.frame_offset


def user_of(image: bpy.types.Image) -> FrameRange:
    """The image user of any texture or Image Editor that shows an image, else all its frames."""
    return next(_users_of(image), _WholeImage(image))


def _users_of(image: bpy.types.Image) -> Iterator[FrameRange]:
    screen = bpy.context.screen
    for area in screen.areas if screen is not None else ():
        if area.type == "IMAGE_EDITOR" and area.spaces.active.image == image:
            yield area.spaces.active.image_user
    trees = [material.node_tree for material in bpy.data.materials]
    for tree in (*trees, *bpy.data.node_groups):
        for node in tree.nodes if tree is not None else ():
            if getattr(node, "image", None) == image and hasattr(node, "image_user"):
                yield node.image_user


def _load_frame(image: bpy.types.Image, number: int) -> None:
    """Let the image's pixels be those of a frame: the one that a texture has looked at last."""
    texture = bpy.data.textures.new("Frame", "IMAGE")
    try:
        texture.image = image
        texture.image_user.frame_current = number
        texture.evaluate((0.0, 0.0, 0.0))
    finally:
        bpy.data.textures.remove(texture)
    if image.has_data and image.size[0]:
        return
    path = Path(bpy.path.abspath(image.filepath, library=image.library))
    if image.source == "SEQUENCE":
        path = frame_path(path, number)
        if not path.exists():
            raise ImageError(
                f"'{image.name}' has no picture for its frame {number}: {path} is missing.",
                "Go to another frame, or correct the texture's frame range.",
            )
    raise ImageError(
        f"Frame {number} of '{image.name}' cannot be read: {path}", "Go to another frame."
    )


def _title(image: bpy.types.Image) -> str:
    stem = PurePath(image.name).stem or image.name
    if image.source == "SEQUENCE":
        return _NUMBER.sub("", stem).rstrip(" ._-") or stem
    return stem
