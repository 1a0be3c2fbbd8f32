"""The live view, renders and bakes show the newest picture, whatever has changed it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from baking import bake, fresh  # noqa: F401 - fixtures
from conftest import ASTRONAUT
from pictures import read_picture, save_picture

CORNER = np.s_[430:500, 10:80, :3]  # far from the face
COLOUR = (0.2, 0.6, 0.4)


@pytest.fixture
def photo(pixels: Any) -> np.ndarray:
    image = bpy.data.images.load(str(ASTRONAUT))
    values = pixels(image).copy()
    bpy.data.images.remove(image)
    return values


@pytest.fixture
def marked(photo: np.ndarray) -> np.ndarray:
    """The photograph with a coloured corner."""
    values = photo.copy()
    values[CORNER] = np.rint(np.array(COLOUR) * 255) / 255
    return values


@pytest.fixture
def portrait(add_portrait, photo, tmp_path: Path) -> tuple[Any, Any, Path]:
    """A plane whose mouth is open, its controller, and the picture's file."""
    path = tmp_path / "face.png"
    save_picture(path, photo)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    plane, (controller,) = add_portrait(str(path))
    controller["mouth_open"] = 1.0
    evaluate(controller)
    return plane, controller, path


def evaluate(item: Any) -> None:
    item.update_tag()
    bpy.context.view_layer.update()


def edit_and_reload(source: Any, path: Path, marked: np.ndarray) -> None:
    save_picture(path, marked)
    source.reload()


def replace(source: Any, path: Path, marked: np.ndarray) -> None:
    source.filepath = save_picture(path.with_name("other.png"), marked)


def paint(source: Any, path: Path, marked: np.ndarray) -> None:
    source.pixels.foreach_set(np.ascontiguousarray(marked[::-1]).ravel())


CHANGES = pytest.mark.parametrize("change", [edit_and_reload, replace, paint])


def is_marked(values: np.ndarray) -> bool:
    return bool(np.allclose(values[CORNER], COLOUR, atol=3 / 255))


@CHANGES
def test_the_live_picture_is_the_newest(portrait, pixels, marked, change) -> None:
    plane, controller, path = portrait
    output = plane.keyportrait.portrait.output
    open_mouth = pixels(output).copy()
    change(plane.keyportrait.portrait.source, path, marked)
    evaluate(controller)
    assert is_marked(pixels(output))
    face = np.s_[60:260, 130:330]
    assert np.abs(pixels(output)[face] - open_mouth[face]).max() < 0.02
    controller["mouth_open"] = 0.0
    evaluate(controller)
    assert np.allclose(pixels(output), marked, atol=1e-4)


@CHANGES
def test_a_render_shows_the_newest(portrait, pixels, marked, change) -> None:
    plane, _, path = portrait
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.resolution_x = scene.render.resolution_y = 8
    bpy.context.view_layer.update()
    source = plane.keyportrait.portrait.source
    change(source, path, marked)
    if source.is_dirty:
        source.pack()  # without a window Cycles drops what was painted and not kept
    bpy.ops.render.render()
    assert is_marked(pixels(plane.keyportrait.portrait.output))


@CHANGES
def test_a_bake_shows_the_newest(portrait, pixels, marked, change, tmp_path: Path) -> None:
    plane, _, path = portrait
    bpy.context.scene.frame_end = 1
    assert bake(scope="ALL") == {"FINISHED"}
    change(plane.keyportrait.portrait.source, path, marked)
    assert bake(scope="ALL") == {"FINISHED"}
    (file,) = tmp_path.rglob("*_0001.png")
    assert is_marked(read_picture(str(file), pixels))


def test_what_reads_the_pixels_counts(portrait, pixels, module) -> None:
    """Another colour space or alpha mode is another picture for the live image, too."""
    plane, controller, _ = portrait
    source = plane.keyportrait.portrait.source
    content = module("rig.content")
    for change in (
        lambda: setattr(source.colorspace_settings, "name", "Non-Color"),
        lambda: setattr(source, "alpha_mode", "CHANNEL_PACKED"),
    ):
        before = content.quick_stamp(plane.keyportrait.portrait)
        change()
        evaluate(controller)
        assert content.quick_stamp(plane.keyportrait.portrait) != before


def test_a_generated_picture_that_is_made_anew(portrait, pixels) -> None:
    plane, controller, _ = portrait
    settings = plane.keyportrait.portrait
    settings.source.source = "GENERATED"
    settings.source.generated_type = "BLANK"
    settings.source.generated_width = settings.source.generated_height = 512
    for colour in ((1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0)):
        settings.source.generated_color = colour
        controller["mouth_open"] = 0.0
        evaluate(controller)
        assert np.allclose(pixels(settings.output), colour)


def test_a_slider_reads_no_pixels(portrait, module, monkeypatch) -> None:
    plane, _, _ = portrait
    item = module("rig.portraits").portrait(plane)
    content, live = module("rig.content"), module("rig.live")
    session = live.session(item)
    motion = session.shown
    reads = []
    original = content.read_source
    monkeypatch.setattr(content, "read_source", lambda s: reads.append(s) or original(s))
    for _ in range(3):
        session.want(item, motion)
    assert not reads
    plane.keyportrait.portrait.source.reload()
    session.want(item, motion)
    assert len(reads) == 1
    session.want(item, motion)
    assert len(reads) == 1


def test_an_unchanged_picture_stays_open(portrait, module) -> None:
    """A reload that brings the same pixels costs no new fit of the faces."""
    plane, controller, _ = portrait
    live = module("rig.live")
    session = live.session(module("rig.portraits").portrait(plane))
    handle = session._handle
    plane.keyportrait.portrait.source.reload()
    evaluate(controller)
    controller["mouth_open"] = 0.5
    evaluate(controller)
    assert session._handle == handle


def test_a_still_that_was_moved_on_disk_is_told(portrait, module, tmp_path: Path) -> None:
    plane, controller, path = portrait
    shutil.move(path, tmp_path / "gone.png")
    plane.keyportrait.portrait.source.reload()
    evaluate(controller)
    assert "is missing" in module("rig.live").problem_of(plane).message
    shutil.move(tmp_path / "gone.png", path)
    plane.keyportrait.portrait.source.reload()
    evaluate(controller)
    assert module("rig.live").problem_of(plane) is None
