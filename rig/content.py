"""What a portrait's picture is now: one stamp for the live view, renders and bakes.

Whether a picture has changed is asked at every slider move, and must cost nothing there: the quick
stamp holds what Blender tells without touching pixels. When it differs, and wherever it must be
certain (a render or a bake begins, the background evaluates), the pixels are read and compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bpy

from .errors import OtherPictureError
from .image_files import file_orientation
from .images import Picture, read_picture, shows
from .portraits import Portrait, picture_size

UPRIGHT = 1
# From this orientation on width and height change places.
FIRST_ON_ITS_SIDE = 5

_revisions: dict[int, int] = {}
_orientations: dict[int, tuple[str, int]] = {}
_revision = 0
# What was read last, with the stamp of its image: a portrait that is made reads its picture once.
_recent: tuple[Any, Picture] | None = None


def note_changed(images: Iterable[bpy.types.Image] | None = None) -> None:
    """Blender says that images were changed; None: it does not say which."""
    global _revision
    if images is None:
        _revision += 1
        return
    for image in images:
        _revisions[image.session_uid] = _revisions.get(image.session_uid, 0) + 1


def note_updates(depsgraph: bpy.types.Depsgraph) -> set[int] | None:
    """Take in what a dependency graph tells about images.

    The result is the session_uid of every image that was changed; None: some were, and it does not
    say which.
    """
    if not depsgraph.id_type_updated("IMAGE"):
        return set()
    ids = (update.id.original for update in depsgraph.updates)
    named = [item for item in ids if isinstance(item, bpy.types.Image)]
    note_changed(named or None)
    return {image.session_uid for image in named} or None


def upright_size(image: bpy.types.Image) -> tuple[int, int]:
    """(width, height) of an image that `upright` has read, pixels."""
    width, height = image.size
    is_on_its_side = _orientations.get(image.session_uid, ("", UPRIGHT))[1] >= FIRST_ON_ITS_SIDE
    return (height, width) if is_on_its_side else (width, height)


def quick_stamp(settings: bpy.types.PropertyGroup) -> Any:
    """Changes with the picture, as far as Blender tells. Reads no pixels.

    An image that is not loaded, as after Reload, has a stamp that equals no other.
    """
    return _image_stamp(settings.source), settings.use_orientation


def _image_stamp(image: bpy.types.Image) -> Any:
    if not image.has_data:
        return object()
    revision = _revision, _revisions.get(image.session_uid, 0)
    kind = image.source, image.filepath, image.is_float, image.is_dirty, tuple(image.size)
    colours = image.colorspace_settings.name, image.alpha_mode
    return image.session_uid, revision, kind, colours


class Newest:
    """Follows one portrait's picture."""

    def __init__(self) -> None:
        self._quick: Any = None
        self._picture: Picture | None = None

    def look(self, item: Portrait, *, is_certain: bool) -> Picture | None:
        """The picture if it is another one than at the last look, else None.

        is_certain  compare the pixels, also where Blender tells of no change
        Raises ImageError, and OtherPictureError as read_whole.
        """
        quick = quick_stamp(item.settings)
        if quick == self._quick and (not is_certain or self._is_unchanged(item.settings)):
            return None
        self._quick = None
        picture = read_whole(item, is_certain=is_certain)
        # Reading has loaded the image, which changes its stamp.
        self._quick = quick_stamp(item.settings)
        if self._picture is not None and picture.equals(self._picture):
            return None
        self._picture = picture
        return picture

    def _is_unchanged(self, settings: bpy.types.PropertyGroup) -> bool:
        """Whether the image's pixels are surely those of the last look; False: perhaps."""
        picture, image = self._picture, settings.source
        turned = _orientations.get(image.session_uid, ("", UPRIGHT))[1] != UPRIGHT
        return picture is not None and not turned and shows(image, picture)


def read_whole(item: Portrait, *, is_certain: bool = True) -> Picture:
    """read_source, for a portrait that is to move.

    is_certain  read the pixels, also where Blender tells of no change since somebody has
    Raises ImageError, and OtherPictureError when its faces were found in another file, or at
    another size.
    """
    picture = None if is_certain else _take_recent(item.settings)
    picture = picture or read_source(item.settings)
    name, known = file_name(item.settings.source), item.settings.found_in
    if name and known and name != known:
        raise OtherPictureError(
            f"'{item.settings.source.name}' shows '{name}' now; its faces are those of '{known}'.",
            "Choose it again in the Picture field.",
        )
    size = picture_size(item.plane)
    if size != picture.size:
        now, then = ("{} x {} px".format(*pair) for pair in (picture.size, size))
        raise OtherPictureError(
            f"'{item.settings.source.name}' is {now} now; its faces were found at {then}.",
            "Choose it again in the Picture field.",
        )
    return picture


def file_name(image: bpy.types.Image) -> str:
    """The name of an image's file without its folder, which may be moved; "" for none."""
    return bpy.path.basename(image.filepath)


def read_source(settings: bpy.types.PropertyGroup) -> Picture:
    """A portrait's picture as it is now, upright if it is to be. Raises ImageError."""
    if settings.use_orientation:
        return upright(settings.source)
    return read_picture(settings.source)


def upright(image: bpy.types.Image, *, is_certain: bool = True) -> Picture:
    """The picture of an image, turned as its file asks. Raises ImageError.

    is_certain  read the pixels, also where Blender tells of no change since the last call
    """
    global _recent
    if not is_certain and _recent is not None and _recent[0] == _image_stamp(image):
        return _recent[1]
    picture = read_picture(image)
    picture = picture.turned(_orientation(image, picture))
    _recent = _image_stamp(image), picture
    return picture


def _take_recent(settings: bpy.types.PropertyGroup) -> Picture | None:
    """What `upright` has read last, if it is this picture. It is kept no longer."""
    global _recent
    recent, _recent = _recent, None
    is_it = recent is not None and recent[0] == _image_stamp(settings.source)
    return recent[1] if recent is not None and is_it and settings.use_orientation else None


def _orientation(image: bpy.types.Image, picture: Picture) -> int:
    """What the file said when these pixels were read from it: it may be another one by now."""
    stamp, orientation = _orientations.get(image.session_uid, ("", UPRIGHT))
    now = picture.fingerprint
    if stamp != now:
        orientation = file_orientation(image)
        _orientations[image.session_uid] = now, orientation
    return orientation


def forget_all() -> None:
    """Another file is open: identities of images may come again."""
    global _recent
    _recent = None
    _revisions.clear()
    _orientations.clear()
