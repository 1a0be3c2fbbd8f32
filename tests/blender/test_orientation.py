"""Photographs that their EXIF data asks to turn stand upright, on the plane and for the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from baking import bake, fresh  # noqa: F401 - fixtures
from conftest import ASTRONAUT, change_box
from fakes.exif import with_orientation
from pictures import read_picture, save_picture

# What a camera that was held like this stores of an upright picture.
AS_STORED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}


@pytest.fixture
def upright(pixels: Any) -> np.ndarray:
    """The photograph, wider than high: (400, 512, 4), row 0 at the top."""
    image = bpy.data.images.load(str(ASTRONAUT))
    values = pixels(image)[:400].copy()
    bpy.data.images.remove(image)
    return values


def stored(path: Path, upright: np.ndarray, orientation: int, kind: str = "PNG") -> str:
    """A file whose pixels lie as a camera stores them, with its EXIF orientation."""
    save_picture(path.with_suffix(".png"), AS_STORED[orientation](upright))
    if kind != "PNG":
        image = bpy.data.images.load(str(path.with_suffix(".png")))
        assert image.pixels[0] >= 0.0  # loads it
        image.file_format = kind
        image.filepath_raw = str(path)
        image.save()
        bpy.data.images.remove(image)
    path.write_bytes(with_orientation(path.read_bytes(), orientation))
    return str(path)


def face_place(controller: Any) -> np.ndarray:
    plane = controller.keyportrait.face.portrait
    return np.array(plane.matrix_world.inverted() @ controller.matrix_world.translation)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_stands_upright(
    add_portrait, pixels, tmp_path: Path, upright, orientation
) -> None:
    path = stored(tmp_path / "photo.png", upright, orientation)
    plane, (controller,) = add_portrait(path)
    settings = plane.keyportrait.portrait
    assert tuple(settings.output.size) == (512, 400)
    assert (pixels(settings.output) == upright).all()
    assert np.allclose(plane.dimensions, (2.0, 2.0 * 400 / 512, 0.0), atol=1e-4)
    bpy.context.view_layer.update()
    x, y, _ = face_place(controller)
    # The face of the photograph is left of and above the middle.
    assert -0.25 < x < 0.0 and 0.1 < y < 0.5
    controller["mouth_open"] = 1.0
    controller.update_tag()
    bpy.context.view_layer.update()
    moved = change_box(upright, pixels(settings.output))
    assert moved is not None and moved[2] - moved[0] < 200 and moved[3] < 330


@pytest.mark.parametrize(
    ("name", "kind"), [("photo.jpg", "JPEG"), ("photo.tif", "TIFF"), ("photo.webp", "WEBP")]
)
def test_every_kind_of_file_that_can_tell(
    add_portrait, pixels, tmp_path: Path, upright, name, kind
) -> None:
    plane, controllers = add_portrait(stored(tmp_path / name, upright, 6, kind))
    output = plane.keyportrait.portrait.output
    assert tuple(output.size) == (512, 400)
    assert len(controllers) == 1
    assert np.abs(pixels(output)[..., :3] - upright[..., :3]).mean() < 0.02


def test_packed_reloaded_found_again_and_baked(
    add_portrait, pixels, tmp_path: Path, upright
) -> None:
    path = stored(tmp_path / "photo.png", upright, 8)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    plane, (controller,) = add_portrait(path)
    settings = plane.keyportrait.portrait
    settings.source.pack()
    bpy.ops.keyportrait.find_faces()
    assert [link.controller for link in settings.faces] == [controller]
    bpy.ops.keyportrait.add_face(box=(400, 10, 500, 120))  # inside the upright picture only
    assert len(settings.faces) == 2
    bpy.data.objects.remove(settings.faces[1].controller)
    bpy.context.view_layer.update()
    bpy.context.scene.frame_end = 1
    controller["mouth_open"] = 1.0
    assert bake(scope="ALL") == {"FINISHED"}
    (file,) = tmp_path.rglob("*_0001.png")
    baked = read_picture(str(file), pixels)
    assert baked.shape == upright.shape
    assert (baked[:, 450:] == upright[:, 450:]).all()


def test_on_a_mesh_of_the_artist_s_nothing_is_turned(
    module, pixels, tmp_path: Path, upright
) -> None:
    path = stored(tmp_path / "photo.png", upright, 6)
    bpy.ops.mesh.primitive_plane_add()
    item = bpy.context.active_object
    image = bpy.data.images.load(path)
    item.data.materials.append(module("rig.planes").add_material("m", image, "EMISSION"))
    bpy.ops.keyportrait.use_texture()
    output = item.keyportrait.portrait.output
    assert tuple(output.size) == (400, 512)
    assert (pixels(output) == AS_STORED[6](upright)).all()
