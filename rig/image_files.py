"""Image data-blocks and their files: loading, paths, and why some of them cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from . import picture_files
from .errors import ImageError

MAX_EDGE_PX = 16384
MAX_PIXEL_BYTES = 2 * 1024**3
# What libjpeg shows where data is missing, and how near to it a pixel of its last block may be.
_NO_DATA_GREY = 128 / 255
_GREY_TOLERANCE = 1.5 / 255
_START_BYTES = 4096
_WITHOUT_PIXELS = {
    "RENDER_RESULT": "Save the render to a file and choose that.",
    "COMPOSITING": "Save the viewer's picture to a file and choose that.",
}


def load_file(filepath: str, *, use_relative: bool | None = None) -> tuple[bpy.types.Image, bool]:
    """The image data-block of a file, and whether it is new. Raises ImageError.

    filepath      absolute, or relative to the .blend file when it begins with //
    use_relative  store the path relative to the .blend file where that is possible; None: as the
                  preference Relative Paths says. A path that begins with // stays as it is.
    """
    if filepath.startswith("//") and not bpy.data.filepath:
        text = f"'{filepath}' is relative to the .blend file, which is not saved."
        raise ImageError(text, "Save it first, or give the whole path.")
    path = Path(bpy.path.abspath(filepath))
    if not path.is_file():
        raise ImageError(f"There is no file '{path}'.", "Choose a picture file.")
    if path.stat().st_size == 0:
        raise ImageError(f"'{path.name}' is empty (0 bytes).", "Choose another picture.")
    known = set(bpy.data.images)
    try:
        image = bpy.data.images.load(str(path), check_existing=True)
    except RuntimeError as error:
        raise _unreadable(path.name, _bytes_of_file(path)) from error
    is_new = image not in known
    try:
        if is_new:
            image.filepath = stored_path(filepath, path, use_relative)
        check_readable(image)
        check_file(image)
    except ImageError:
        if is_new:
            bpy.data.images.remove(image)
        raise
    return image, is_new


def stored_path(given: str, path: Path, use_relative: bool | None) -> str:
    """How a file's path is stored, relative to the .blend file where that is wanted and possible.

    given  as the artist or a script gave it; path: the same, absolute
    use_relative  None for what the preferences say
    """
    if given.startswith("//"):
        return given
    if use_relative is None:
        use_relative = bpy.context.preferences.filepaths.use_relative_paths
    if not use_relative or not bpy.data.filepath:
        return str(path)
    try:
        return bpy.path.relpath(str(path))
    except ValueError:  # another drive on Windows
        return str(path)


def check_readable(image: bpy.types.Image) -> None:
    """Raise ImageError for an image that cannot be a portrait, with what to do instead."""
    name = f"'{image.name}'"
    if image.type in _WITHOUT_PIXELS:
        raise ImageError(f"{name} has no pixels of its own.", _WITHOUT_PIXELS[image.type])
    if image.source == "TILED":
        raise ImageError(f"{name} is a UDIM set.", "Choose the file of one tile.")
    # Loads the file, which only then tells whether it has layers.
    width, height = image.size
    if image.type == "MULTILAYER":
        raise ImageError(
            f"{name} is a multilayer file.", "Save one of its layers as an ordinary picture."
        )
    if not width or not height:
        raise no_pixels(image)
    if max(width, height) > MAX_EDGE_PX:
        raise ImageError(
            f"{name} is {width} x {height} px; {MAX_EDGE_PX} px a side are the most.",
            "Scale it down first.",
        )
    itemsize = 4 if image.is_float else 1
    if width * height * 4 * itemsize > MAX_PIXEL_BYTES:
        gigabytes = width * height * 4 * itemsize / 1e9
        raise ImageError(
            f"{name} is {width} x {height} px, {gigabytes:.1f} GB.", "Scale it down first."
        )


def check_file(image: bpy.types.Image) -> None:
    """Raise ImageError for a file that Blender shows wrongly without a word, such as half a JPEG.

    Reads the whole file. Pictures that were painted on are no longer what their file is.
    """
    if image.source != "FILE" or image.is_dirty:
        return
    data = file_bytes(image)
    found = picture_files.silent_fault(data)
    if found is None or _has_its_last_pixels(image, data):
        return
    raise ImageError(f"'{image.name}' {found.message}", found.hint)


def _has_its_last_pixels(image: bpy.types.Image, data: bytes) -> bool:
    """Whether a JPEG lacks nothing but the mark of its end, as some cameras leave it."""
    if not data.startswith(b"\xff\xd8") or picture_files.is_progressive_jpeg(data):
        return False
    end = image.size[0] * image.channels
    pixels: Any = image.pixels
    last = pixels[end - image.channels : end][:3]
    return any(abs(value - _NO_DATA_GREY) > _GREY_TOLERANCE for value in last)


def file_orientation(image: bpy.types.Image) -> int:
    """The EXIF orientation of an image's file, 1 to 8; 1 where there is none."""
    if image.source != "FILE":
        return 1
    return picture_files.orientation(file_bytes(image))


def no_pixels(image: bpy.types.Image) -> ImageError:
    """Why an image has no pixels, as far as that can be told."""
    if image.filepath and image.packed_file is None:
        path = _path_of(image)
        if not path.exists():
            return ImageError(
                f"The file of '{image.name}' is missing: {path}", "Put it back or choose it again."
            )
    if image.source == "MOVIE":
        return _unreadable(image.name, _bytes_of_file(_path_of(image), _START_BYTES))
    return _unreadable(image.name, file_bytes(image))


def _unreadable(name: str, data: bytes) -> ImageError:
    found = picture_files.fault(data)
    if found is not None:
        return ImageError(f"'{name}' {found.message}", found.hint)
    if not data:
        return ImageError(f"'{name}' has no pixels.", "Reload it or choose another picture.")
    return ImageError(f"'{name}' cannot be read as a picture.", "Save it as PNG or JPEG.")


def file_bytes(image: bpy.types.Image) -> bytes:
    """The file of an image, packed or on disk; empty when there is none."""
    if image.packed_file is not None:
        return bytes(image.packed_file.data)
    return _bytes_of_file(_path_of(image)) if image.filepath else b""


def _path_of(image: bpy.types.Image) -> Path:
    return Path(bpy.path.abspath(image.filepath, library=image.library))


def _bytes_of_file(path: Path, count: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""
