"""Strips of deep pictures and of other colour spaces: an edit looks the same after the bake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from baking import fresh  # noqa: F401 - a fixture
from editing import LEFT, animate, bake, edit, edited
from moving import frames_of_face

__all__ = ["edit"]
# Mean difference of a picture, 0..1; H.264 costs a little.
CLOSE = {"PICTURES": 0.003, "MOVIE": 0.012}


def deep_files(folder: Path, paths: list[str], kind: str, depth: str) -> list[str]:
    """The pictures once more, of other files."""
    settings = bpy.data.scenes.new("Depth").render.image_settings
    settings.file_format, settings.color_depth, settings.color_mode = kind, depth, "RGB"
    suffix = {"PNG": "png", "TIFF": "tif", "OPEN_EXR": "exr"}[kind]
    found = []
    for number, path in enumerate(paths):
        image = bpy.data.images.load(path)
        target = folder / f"deep_{number:04}.{suffix}"
        image.file_format = kind
        image.save_render(str(target), scene=bpy.data.scenes["Depth"])
        bpy.data.images.remove(image)
        found.append(str(target))
    bpy.data.scenes.remove(bpy.data.scenes["Depth"])
    return found


@pytest.mark.parametrize(
    ("kind", "depth", "space", "form"),
    [
        ("PNG", "16", "sRGB", "MOVIE"),
        ("TIFF", "16", "sRGB", "MOVIE"),
        ("OPEN_EXR", "32", "Linear Rec.709", "MOVIE"),
        ("PNG", "8", "Linear Rec.709", "MOVIE"),
        ("PNG", "8", "Linear Rec.709", "PICTURES"),
    ],
)
def test_an_edit_looks_alike_after_the_bake(
    edit: Path, module: Any, pixels: Any, kind: str, depth: str, space: str, form: str
) -> None:
    scene = bpy.context.scene
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x, scene.render.resolution_y = 256, 256
    paths = deep_files(edit, frames_of_face(edit / "walk", pixels, count=2), kind, depth)
    strip = (
        module("compat")
        .strips(scene)
        .new_image(name="deep", filepath=paths[0], channel=1, frame_start=LEFT, fit_method="FIT")
    )
    strip.elements.append(Path(paths[1]).name)
    strip.colorspace_settings.name = space
    scene.sequence_editor.active_strip = strip
    before = [edited(pixels, frame) for frame in (LEFT, LEFT + 1)]
    animate(strip)
    scene.keyportrait_strips.format = form
    result = bake()
    assert result.type == {"PICTURES": "IMAGE", "MOVIE": "MOVIE"}[form]
    for frame, picture in zip((LEFT, LEFT + 1), before, strict=True):
        difference = np.abs(edited(pixels, frame)[..., :3] - picture[..., :3])
        assert difference.mean() < CLOSE[form], (kind, difference.mean())
