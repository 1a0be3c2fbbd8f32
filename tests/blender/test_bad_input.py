"""Pictures that cannot become portraits: a clear error, and nothing is left behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy
import numpy as np
import pytest
from conftest import ASTRONAUT


def everything() -> dict[str, list[str]]:
    names = ("objects", "meshes", "materials", "images", "actions")
    return {name: sorted(item.name for item in getattr(bpy.data, name)) for name in names}


def refused(words: str, **options) -> None:
    """Add Portrait must fail with these words and change nothing."""
    before = everything()
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.keyportrait.add_portrait(**options)
    assert everything() == before


def new_image(name: str, width: int, height: int, colour: float = 0.5, **options):
    image = bpy.data.images.new(name, width, height, **options)
    image.pixels.foreach_set(np.full(width * height * 4, colour, np.float32))
    return image


def test_a_missing_file() -> None:
    refused("There is no file", filepath="/no/such/picture.png")


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    refused("is empty", filepath=str(path))


def test_a_corrupt_file(tmp_path: Path) -> None:
    path = tmp_path / "corrupt.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\nthis is no picture")
    refused("corrupt.png.*cannot be read", filepath=str(path))


def test_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("not a picture")
    refused("notes.jpg.*cannot be read", filepath=str(path))


def test_a_picture_without_a_face_becomes_a_plane_to_draw_on(capfd) -> None:
    new_image("wall", 256, 256)
    assert bpy.ops.keyportrait.add_portrait(image="wall") == {"FINISHED"}
    assert "0 faces" in (printed := capfd.readouterr().out) and "Press Draw" in printed
    plane = bpy.context.active_object
    assert plane.keyportrait.kind == "PORTRAIT" and not plane.keyportrait.portrait.faces
    assert bpy.ops.keyportrait.add_face(box=(60, 60, 190, 200)) == {"FINISHED"}
    assert len(plane.keyportrait.portrait.faces) == 1


def test_a_tiny_face_is_left_out_and_the_report_says_why(capfd) -> None:
    image = bpy.data.images.load(str(ASTRONAUT))
    image.scale(48, 48)
    assert bpy.ops.keyportrait.add_portrait(image=image.name) == {"FINISHED"}
    printed = capfd.readouterr().out
    assert "1 left out" in printed and "Press Draw" in printed
    assert len(printed) > len("Added 'astronaut': 0 faces, 1 left out. Press Draw in the") + 60
    assert not bpy.context.active_object.keyportrait.portrait.faces


def test_a_texture_without_a_face_is_used_all_the_same(module, capfd) -> None:
    bpy.ops.mesh.primitive_plane_add()
    item = bpy.context.active_object
    image = new_image("wall", 256, 256)
    item.data.materials.append(module("rig.planes").add_material("m", image, "PRINCIPLED"))
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    assert item.keyportrait.kind == "PORTRAIT"
    assert "Press Draw" in capfd.readouterr().out


def test_find_says_when_there_is_still_no_face() -> None:
    new_image("wall", 256, 256)
    bpy.ops.keyportrait.add_portrait(image="wall")
    with pytest.raises(RuntimeError, match="No face found in 'wall'"):
        bpy.ops.keyportrait.find_faces()


def test_several_files_at_once_and_one_of_them_is_broken(tmp_path: Path, capfd) -> None:
    shutil.copy(ASTRONAUT, tmp_path / "first.jpg")
    shutil.copy(ASTRONAUT, tmp_path / "third.jpg")
    (tmp_path / "second.jpg").write_text("not a picture")
    files = [{"name": name} for name in ("first.jpg", "second.jpg", "third.jpg")]
    answer = bpy.ops.keyportrait.add_portrait(files=files, directory=str(tmp_path))
    assert answer == {"FINISHED"}
    planes = [o for o in bpy.data.objects if o.keyportrait.kind == "PORTRAIT"]
    assert sorted(plane.name for plane in planes) == ["first", "third"]
    assert all(len(plane.keyportrait.portrait.faces) == 1 for plane in planes)
    assert "'second.jpg' cannot be read" in capfd.readouterr().out
    assert [image.name for image in bpy.data.images if "second" in image.name] == []


def test_several_files_and_all_are_broken(tmp_path: Path) -> None:
    for name in ("first.jpg", "second.jpg"):
        (tmp_path / name).write_text("not a picture")
    files = [{"name": name} for name in ("first.jpg", "second.jpg")]
    refused("second.jpg.*cannot be read", files=files, directory=str(tmp_path))


def test_a_picture_that_is_too_large() -> None:
    image = bpy.data.images.new("huge", 17000, 2)
    refused("16384 px a side", image=image.name)


def test_an_image_that_does_not_exist() -> None:
    refused("There is no image 'gone'", image="gone")


def test_an_image_whose_file_is_missing() -> None:
    image = bpy.data.images.new("lost", 1, 1)
    image.source = "FILE"
    image.filepath = "/no/such/lost.png"
    refused("The file of 'lost' is missing", image="lost")


def test_a_udim_set() -> None:
    image = bpy.data.images.new("tiles", 64, 64, tiled=True)
    refused("UDIM", image=image.name)


def test_a_render_result() -> None:
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.resolution_x = scene.render.resolution_y = 8
    bpy.ops.render.render()
    refused("has no pixels of its own. Save the render", image="Render Result")


def test_packed_and_generated_images_are_fine(astronaut) -> None:
    packed = bpy.data.images.load(astronaut)
    packed.pack()
    bpy.ops.keyportrait.add_portrait(image=packed.name)
    width, height = packed.size
    flat = np.empty(width * height * 4, np.float32)
    packed.pixels.foreach_get(flat)
    generated = bpy.data.images.new("generated", width, height)
    generated.pixels.foreach_set(flat)
    bpy.ops.keyportrait.add_portrait(image="generated")
    assert sum(o.keyportrait.kind == "PORTRAIT" for o in bpy.data.objects) == 2


def test_a_sequence_becomes_a_still(astronaut, pixels) -> None:
    sequence = bpy.data.images.load(astronaut)
    sequence.source = "SEQUENCE"
    bpy.ops.keyportrait.add_portrait(image=sequence.name)
    source = bpy.context.active_object.keyportrait.portrait.source
    assert source != sequence
    assert source.packed_file is not None
    assert tuple(source.size) == (512, 512)


def test_a_movie_becomes_a_still(astronaut, module, tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.render.resolution_x = scene.render.resolution_y = 512
    scene.frame_start, scene.frame_end = 1, 2
    strip = sequencer_strips(scene).new_image(
        "astronaut", astronaut, channel=1, frame_start=1, fit_method="FIT"
    )
    strip.frame_final_duration = 2
    module("compat").set_video_output(scene)
    scene.render.filepath = str(tmp_path / "clip.mp4")
    bpy.ops.render.render(animation=True)
    (clip,) = tmp_path.glob("*.mp4")
    assert bpy.ops.keyportrait.add_portrait(filepath=str(clip), use_still=True) == {"FINISHED"}
    source = bpy.context.active_object.keyportrait.portrait.source
    assert source.source == "FILE" and source.packed_file is not None


def sequencer_strips(scene):
    editor = scene.sequence_editor or scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def test_the_engine_cannot_start(tmp_path: Path, astronaut, module) -> None:
    module("rig.engine").stop()
    module("preferences").preferences().python_path = str(tmp_path / "no-python")
    refused("could not be started", filepath=astronaut)
    state = module("rig.engine").status()
    assert state.name == "FAILED"
    assert "preferences" in state.problem[1]
    module("preferences").preferences().python_path = ""
    assert bpy.ops.keyportrait.add_portrait(filepath=astronaut) == {"FINISHED"}
