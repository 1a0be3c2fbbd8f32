"""Pixels there and back: rows, colour spaces, depth, alpha."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest


def random_rgba(height: int = 5, width: int = 7, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 4)).astype(np.float32)


def image_with(values: np.ndarray, **options):
    """An image that shows `values`, (H, W, 4) with row 0 at the top."""
    image = bpy.data.images.new("test", values.shape[1], values.shape[0], alpha=True, **options)
    image.pixels.foreach_set(np.ascontiguousarray(values[::-1]).ravel())
    return image


def test_byte_pixels_are_exact_and_top_first(module) -> None:
    images = module("rig.images")
    bytes_in = np.random.default_rng(1).integers(0, 256, (5, 7, 4), np.uint8)
    picture = images.read_picture(image_with(bytes_in / np.float32(255)))
    assert picture.encoding == "srgb"
    assert picture.pixels.dtype == np.uint8
    assert (picture.pixels == bytes_in).all()
    wire = picture.to_wire()
    assert bytes(wire.data) == bytes_in.tobytes()


def test_float_pixels_lose_nothing(module, pixels) -> None:
    images = module("rig.images")
    values = random_rgba() * 8.0
    values[..., 3] = 1.0
    picture = images.read_picture(image_with(values, float_buffer=True))
    assert (picture.encoding, picture.pixels.dtype) == ("linear", np.float32)
    assert (picture.pixels == values).all()
    output = images.new_image("out", picture)
    assert output.is_float
    assert (pixels(output) == values).all()


def test_premultiplied_alpha_is_straight_on_the_wire(module) -> None:
    images = module("rig.images")
    straight = random_rgba()
    straight[..., 3] = np.linspace(0.1, 1.0, 35).reshape(5, 7)
    premultiplied = straight.copy()
    premultiplied[..., :3] *= straight[..., 3:]
    picture = images.read_picture(image_with(premultiplied, float_buffer=True))
    wire = picture.to_wire()
    assert np.allclose(np.frombuffer(wire.data, np.float32), straight.ravel(), atol=1e-6)
    assert np.allclose(picture.from_wire(wire), premultiplied, atol=1e-6)


def test_invalid_floats_do_not_reach_the_engine(module) -> None:
    images = module("rig.images")
    values = np.ones((2, 2, 4), np.float32)
    values[0, 0, 0], values[1, 1, 1] = np.nan, np.inf
    wire = images.read_picture(image_with(values, float_buffer=True)).to_wire()
    assert np.isfinite(np.frombuffer(wire.data, np.float32)).all()


def test_a_16_bit_file_keeps_its_steps(module, tmp_path: Path) -> None:
    images = module("rig.images")
    values = np.zeros((2, 256, 4), np.float32)
    values[..., :3] = np.linspace(0.2, 0.21, 256)[None, :, None]
    values[..., 3] = 1.0
    image = image_with(values, float_buffer=True)
    scene = bpy.context.scene
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_depth = "16"
    scene.view_settings.view_transform = "Raw"
    path = tmp_path / "deep.png"
    image.save_render(str(path), scene=scene)
    loaded = bpy.data.images.load(str(path))
    picture = images.read_picture(loaded)
    assert picture.encoding == "linear"
    assert len(np.unique(picture.pixels[0, :, 0])) > 200


def test_only_the_rectangle_changes(module, pixels) -> None:
    images = module("rig.images")
    picture = images.read_picture(image_with(random_rgba(20, 30)))
    canvas = images.Canvas(picture)
    output = images.new_image("out", picture)
    still = pixels(output)
    canvas.show((4, 2, 5, 3), np.full((3, 5, 4), 255, np.uint8))
    canvas.push(output)
    after = pixels(output)
    assert (after[2:5, 4:9] == 1.0).all()
    after[2:5, 4:9] = still[2:5, 4:9]
    assert (after == still).all()
    canvas.show((20, 10, 2, 2), np.zeros((2, 2, 4), np.uint8))
    canvas.push(output)
    moved = pixels(output)
    assert (moved[2:5, 4:9] == still[2:5, 4:9]).all()
    assert (moved[10:12, 20:22] == 0.0).all()
    canvas.restore()
    canvas.push(output)
    assert (pixels(output) == still).all()


@pytest.mark.parametrize("rectangle", [(-1, 0, 2, 2), (29, 0, 2, 2), (0, 19, 2, 2)])
def test_a_rectangle_outside_is_refused(module, rectangle) -> None:
    images, errors = module("rig.images"), module("rig.errors")
    canvas = images.Canvas(images.read_picture(image_with(random_rgba(20, 30))))
    with pytest.raises(errors.ImageError):
        canvas.show(rectangle, np.zeros((2, 2, 4), np.uint8))


@pytest.mark.parametrize("is_float", [False, True])
def test_the_live_image_survives_saving_without_the_extension(
    module, pixels, tmp_path: Path, is_float
) -> None:
    images = module("rig.images")
    values = random_rgba(16, 16) * (3.0 if is_float else 1.0)
    values[..., 3] = 0.5
    if is_float:
        values[..., :3] *= 0.5
    else:
        values = np.rint(values * 255) / np.float32(255)
    picture = images.read_picture(image_with(values, float_buffer=is_float))
    output = images.new_image("out", picture)
    output.use_fake_user = True
    output.pack()
    path = str(tmp_path / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    loaded = pixels(bpy.data.images["out"])
    # OpenEXR packs half floats.
    assert np.allclose(loaded, values, rtol=0, atol=4e-3 if is_float else 1e-6)
