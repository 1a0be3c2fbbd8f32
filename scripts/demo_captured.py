"""The captured part of the demo: a painting watches the film of the photograph and does the same.

Runs inside Blender. The keyed photograph is baked to a clip of its own, the clip is captured onto
the face in the painting, and the painting is shown beside the room.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

# Out of the camera's sight, on the same wall.
PLACE = (-2.6, 0.0, 0.0)
BORDER = 8  # pixels between the room and the painting
BORDER_COLOUR = (0.07, 0.055, 0.035, 1.0)


def bake_clip(plane: bpy.types.Object, folder: Path) -> Path:
    """Bake what a portrait does to a movie of its picture, as an artist does; returns its path."""
    settings = bpy.context.scene.keyportrait_bake
    settings.format, settings.folder, settings.use_assign = "MP4", str(folder), False
    select(plane)
    bpy.ops.keyportrait.bake()
    return newest(folder / plane.name, "*.mp4")


def perform(plane: bpy.types.Object, face: bpy.types.Object, clip: Path, folder: Path) -> Path:
    """Capture a clip onto a face, bake it to pictures; returns the folder they lie in."""
    plane.location = PLACE
    select(face)
    scene = bpy.context.scene
    # Both pictures smile; the photograph does so at rest in its last frame only.
    rest_s = (scene.frame_end - scene.frame_start) / (scene.render.fps / scene.render.fps_base)
    bpy.ops.keyportrait.capture(
        filepath=str(clip), start_frame=scene.frame_start, reference="CHOSEN", reference_s=rest_s
    )
    settings = bpy.context.scene.keyportrait_bake
    settings.format, settings.folder, settings.use_assign = "PNG", str(folder), True
    bpy.ops.keyportrait.bake()
    return newest(folder / plane.name, "*.png").parent


def put_beside(frames: Path, painting: Path) -> None:
    """Put the painting's picture of the same frame to the right of every rendered frame."""
    for path in sorted(frames.glob("frame_*.png")):
        number = path.stem.rpartition("_")[2]
        (own,) = painting.glob(f"*_{number}.png")
        room = read(path)
        height = room.shape[0]
        border = np.empty((height, BORDER, 4), np.float32)
        border[:] = BORDER_COLOUR
        write(path, np.hstack([room, border, read(own, height)]))


def select(target: bpy.types.Object) -> None:
    """Make an object the only selected one, and the active one."""
    bpy.ops.object.select_all(action="DESELECT")
    target.select_set(True)
    bpy.context.view_layer.objects.active = target


def newest(folder: Path, pattern: str) -> Path:
    """The last written file of a folder."""
    found = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise RuntimeError(f"{folder} has no {pattern}")
    return found[-1]


def read(path: Path, height: int = 0) -> np.ndarray:
    """(H, W, 4) float32 of a picture file, its lowest row first; scaled to a height, 0 for none."""
    image = bpy.data.images.load(str(path))
    try:
        if height:
            image.scale(round(image.size[0] * height / image.size[1]), height)
        width, height = image.size
        pixels = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(pixels)
        return pixels.reshape(height, width, 4)
    finally:
        bpy.data.images.remove(image)


def write(path: Path, pixels: np.ndarray) -> None:
    """Write what `read` gives to a PNG file."""
    image = bpy.data.images.new("Frame", pixels.shape[1], pixels.shape[0])
    try:
        image.pixels.foreach_set(np.ascontiguousarray(pixels, np.float32).ravel())
        image.filepath_raw, image.file_format = str(path), "PNG"
        image.save()
    finally:
        bpy.data.images.remove(image)
