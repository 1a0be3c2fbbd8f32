"""Bakes of pictures with transparency and of scene-linear pictures equal the live image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from baking import (  # noqa: F401 - fixtures
    FRAMES,
    bake,
    fresh,
    image_node,
    key_smile,
    live,
)
from pictures import read_picture, save_picture


def linear_of(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def shown(plane: Any, pixels: Any, frame: int) -> np.ndarray:
    """What the baked texture holds at a frame, through a still image of the same settings."""
    texture = image_node(plane).image
    folder = Path(bpy.path.abspath(texture.filepath)).parent
    path = next(folder.glob(f"*_{frame:04d}.*"))
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = texture.colorspace_settings.name
    image.alpha_mode = texture.alpha_mode
    return pixels(image)


def test_transparency_is_baked(
    astronaut: str, add_portrait: Any, pixels: Any, tmp_path: Path
) -> None:
    picture = read_picture(astronaut, pixels)
    picture[..., 3] = np.linspace(1.0, 0.0, picture.shape[1])[None, :]
    plane, (face,) = add_portrait(save_picture(tmp_path / "ghost.png", picture))
    key_smile(face)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.keyportrait_bake.folder = str(tmp_path / "out")
    wanted = live(plane, FRAMES, pixels)
    bake()
    got = shown(plane, pixels, FRAMES)
    assert abs(got - wanted).max() <= 1 / 255 + 1e-6
    assert got[..., 3].min() < 0.01 and got[..., 3].max() > 0.99


@pytest.mark.parametrize("file_format", ["PNG", "OPEN_EXR"])
def test_a_scene_linear_picture_is_baked(
    file_format: str, astronaut: str, add_portrait: Any, pixels: Any, tmp_path: Path
) -> None:
    picture = read_picture(astronaut, pixels)
    picture[..., :3] = linear_of(picture[..., :3])
    picture[:40, :40, :3] = 4.0  # brighter than white, away from the face
    plane, (face,) = add_portrait(save_picture(tmp_path / "hdr.exr", picture))
    key_smile(face)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, FRAMES
    settings = scene.keyportrait_bake
    settings.folder, settings.format, settings.png_depth = str(tmp_path / "out"), file_format, "16"
    wanted = live(plane, FRAMES, pixels)
    assert wanted.max() > 3.9
    bake()
    got = shown(plane, pixels, FRAMES)
    if file_format == "OPEN_EXR":
        assert abs(got - wanted).max() < 4e-3
    else:
        assert image_node(plane).image.colorspace_settings.name == "sRGB"
        # Blender makes 16-bit PNG scene-linear when it reads it.
        assert abs(got[..., :3] - np.clip(wanted[..., :3], 0.0, 1.0)).max() < 1e-3


def test_glows_in_clear_pixels_survive_a_head_motion(
    astronaut: str, add_portrait: Any, pixels: Any, tmp_path: Path
) -> None:
    """Flames have colour and no alpha: beside the head, far away, live and baked."""
    picture = read_picture(astronaut, pixels)
    picture[..., :3] = linear_of(picture[..., :3])
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    picture[((x - 224) / 75) ** 2 + ((y - 135) / 120) ** 2 > 1.0] = 0.0
    near, far = (slice(126, 144), slice(127, 145)), (slice(400, 418), slice(400, 418))
    for place in (near, far):
        picture[place] = (4.0, 2.0, 1.0, 0.0)
    plane, (face,) = add_portrait(save_picture(tmp_path / "flame.exr", picture))
    for frame, yaw, shift in ((1, 0.0, 0.0), (2, 6.0, 0.08)):
        face["head_yaw"], face["head_x"] = yaw, shift
        face.keyframe_insert('["head_yaw"]', frame=frame)
        face.keyframe_insert('["head_x"]', frame=frame)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 2
    settings = scene.keyportrait_bake
    settings.folder, settings.format, settings.exr_depth = str(tmp_path), "OPEN_EXR", "32"
    rest, moved = live(plane, 1, pixels), live(plane, 2, pixels)
    assert abs(rest - picture).max() < 4e-3
    assert (moved[far] == rest[far]).all()
    around = (slice(100, 170), slice(95, 165))
    assert abs(moved[around] - rest[around]).max() > 1.0
    light = [(p[around][..., :3] * (p[around][..., 3:] < 1e-3)).sum() for p in (rest, moved)]
    assert light[1] == pytest.approx(light[0], rel=0.15)
    bake()
    assert abs(shown(plane, pixels, 2) - moved).max() < 1e-3
