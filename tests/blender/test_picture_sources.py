"""Files, sequences and movies as pictures: what is taken, how it is stored, what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from conftest import ASTRONAUT
from pictures import save_picture
from test_bad_input import everything, refused, sequencer_strips


def frames_of_astronaut(folder: Path, pixels: Any, numbers: tuple[int, ...]) -> list[str]:
    """shot_0000.png …: the photograph, with a corner as bright as the frame's number tells."""
    photo = bpy.data.images.load(str(ASTRONAUT))
    values = pixels(photo).copy()
    bpy.data.images.remove(photo)
    paths = []
    for number in numbers:
        values[:40, :40, :3] = number / 10
        paths.append(save_picture(folder / f"shot_{number:04}.png", values))
    return paths


def corner(image: Any, pixels: Any) -> float:
    """The frame's number again."""
    return float(pixels(image)[:40, :40, :3].mean() * 10)


def textured_plane(module: Any, image: Any) -> tuple[Any, Any]:
    """A plane that shows an image, and its texture node."""
    bpy.ops.mesh.primitive_plane_add()
    item = bpy.context.active_object
    item.data.materials.append(module("rig.planes").add_material("m", image, "EMISSION"))
    return item, item.active_material.node_tree.nodes.active


def as_sequence(path: str) -> Any:
    image = bpy.data.images.load(path)
    image.source = "SEQUENCE"
    return image


def source_of(item: Any) -> Any:
    return item.keyportrait.portrait.source


@pytest.mark.parametrize("numbers", [(1, 2, 3, 4), (0, 1, 2, 3, 4)])
def test_a_sequence_gives_the_frame_that_its_texture_shows(
    module, pixels, tmp_path: Path, numbers
) -> None:
    paths = frames_of_astronaut(tmp_path, pixels, numbers)
    item, node = textured_plane(module, as_sequence(paths[0]))
    node.image_user.frame_duration = 4
    bpy.context.scene.frame_current = 4
    assert bpy.ops.keyportrait.use_texture(use_still=True) == {"FINISHED"}
    still = source_of(item)
    assert corner(still, pixels) == pytest.approx(4, abs=0.1)
    assert still.name == "shot Frame 4"
    assert still.packed_file is not None
    assert node.image == item.keyportrait.portrait.output
    bpy.ops.keyportrait.find_faces()
    assert len(item.keyportrait.portrait.faces) == 1
    assert source_of(item) == still


@pytest.mark.parametrize(
    ("frame", "start", "duration", "offset", "is_cyclic", "shown"),
    [
        (4, 1, 5, 0, False, 4),
        (9, 1, 5, 0, False, 5),
        (12, 10, 5, 0, False, 3),
        (2, 1, 3, 2, False, 4),
        (9, 1, 3, 2, True, 5),
        (-3, 1, 4, 0, True, 1),
        (0, 1, 4, 0, True, 4),
    ],
)
def test_the_image_user_says_which_frame(
    module, pixels, tmp_path: Path, frame, start, duration, offset, is_cyclic, shown
) -> None:
    sequence = as_sequence(frames_of_astronaut(tmp_path, pixels, (1, 2, 3, 4, 5))[0])
    _, node = textured_plane(module, sequence)
    user = node.image_user
    user.frame_start, user.frame_duration = start, duration
    user.frame_offset, user.use_cyclic = offset, is_cyclic
    still = module("rig.stills").still_of(sequence, user, frame)
    assert corner(still, pixels) == pytest.approx(shown, abs=0.1)
    assert still.name.endswith(f"Frame {shown}")
    assert module("rig.stills").still_of(still, None, 1) == still


def test_a_sequence_of_the_file_without_a_texture(add_portrait, pixels, tmp_path: Path) -> None:
    sequence = as_sequence(frames_of_astronaut(tmp_path, pixels, (3, 4, 5))[0])
    for frame, shown in ((1, 3), (2, 4), (50, 5)):
        bpy.context.scene.frame_current = frame
        bpy.ops.keyportrait.add_portrait(image=sequence.name, use_still=True)
        source = source_of(bpy.context.active_object)
        assert corner(source, pixels) == pytest.approx(shown, abs=0.1)


def test_a_frame_without_a_file_is_named(module, pixels, tmp_path: Path) -> None:
    sequence = as_sequence(frames_of_astronaut(tmp_path, pixels, (1, 2))[0])
    _, node = textured_plane(module, sequence)
    node.image_user.frame_duration = 9
    bpy.context.scene.frame_current = 7
    before = everything()
    with pytest.raises(
        RuntimeError, match=r"no picture for its frame 7: .*shot_0007.png is missing"
    ):
        bpy.ops.keyportrait.use_texture(use_still=True)
    assert everything() == before


def make_movie(module: Any, folder: Path, paths: list[str]) -> str:
    scene = bpy.context.scene
    scene.render.resolution_x = scene.render.resolution_y = 512
    scene.frame_start, scene.frame_end = 1, len(paths)
    for number, path in enumerate(paths, 1):
        strip = sequencer_strips(scene).new_image(
            "frame", path, channel=1, frame_start=number, fit_method="FIT"
        )
        strip.frame_final_duration = 1
    module("compat").set_video_output(scene)
    scene.view_settings.view_transform = "Standard"
    scene.render.ffmpeg.constant_rate_factor = "PERC_LOSSLESS"
    scene.render.filepath = str(folder / "clip.mp4")
    bpy.ops.render.render(animation=True)
    (clip,) = folder.glob("*.mp4")
    return str(clip)


def test_a_movie_gives_the_frame_that_its_texture_shows(module, pixels, tmp_path: Path) -> None:
    paths = frames_of_astronaut(tmp_path, pixels, (1, 2, 3, 4, 5, 6))
    clip = bpy.data.images.load(make_movie(module, tmp_path, paths))
    item, node = textured_plane(module, clip)
    node.image_user.frame_duration = 6
    node.image_user.frame_start = 11
    bpy.context.scene.frame_current = 15
    assert bpy.ops.keyportrait.use_texture(use_still=True) == {"FINISHED"}
    assert corner(source_of(item), pixels) == pytest.approx(5, abs=0.3)
    assert source_of(item).name.endswith("Frame 5")
    bpy.context.scene.frame_current = 2
    images = len(bpy.data.images)
    bpy.ops.keyportrait.add_portrait(filepath=clip.filepath, use_still=True)
    assert corner(source_of(bpy.context.active_object), pixels) == pytest.approx(2, abs=0.3)
    assert len(bpy.data.images) == images + 2  # the still and the live image


def test_a_movie_file_leaves_only_its_still(module, pixels, tmp_path: Path) -> None:
    paths = frames_of_astronaut(tmp_path, pixels, (1, 2, 3))
    clip = make_movie(module, tmp_path, paths)
    bpy.context.scene.frame_current = 3
    bpy.ops.keyportrait.add_portrait(filepath=clip, use_still=True)
    source = source_of(bpy.context.active_object)
    assert corner(source, pixels) == pytest.approx(3, abs=0.3)
    assert not [image for image in bpy.data.images if image.source == "MOVIE"]
    assert not bpy.data.textures


def test_a_multilayer_file_is_named(tmp_path: Path, module) -> None:
    scene = bpy.context.scene
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.resolution_x = scene.render.resolution_y = 8
    scene.render.filepath = str(tmp_path / "layers.exr")
    bpy.ops.render.render(write_still=True)
    refused(
        "'layers.exr' is a multilayer file. Save one of its layers",
        filepath=str(tmp_path / "layers.exr"),
    )
    image = bpy.data.images.load(str(tmp_path / "layers.exr"))
    refused("is a multilayer file", image=image.name)


# --- paths --------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a saved .blend, and a picture beside it; that it is the open file."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(ASTRONAUT, folder / "face.jpg")
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    return folder


@pytest.fixture
def relative_paths() -> Any:
    """The preference Relative Paths, put back afterwards."""
    filepaths = bpy.context.preferences.filepaths
    before = filepaths.use_relative_paths
    yield filepaths
    filepaths.use_relative_paths = before


@pytest.mark.parametrize(
    ("preference", "options", "is_relative"),
    [
        (True, {}, True),
        (False, {}, False),
        (False, {"relative_path": True}, True),
        (True, {"relative_path": False}, False),
    ],
)
def test_relative_paths_are_followed(
    add_portrait, project, relative_paths, preference, options, is_relative
) -> None:
    relative_paths.use_relative_paths = preference
    path = str(project / "face.jpg")
    plane, _ = add_portrait(path, **options)
    assert source_of(plane).filepath == ("//face.jpg" if is_relative else path)


def test_a_typed_relative_path_stays(add_portrait, project, relative_paths) -> None:
    relative_paths.use_relative_paths = False
    plane, _ = add_portrait("//face.jpg")
    assert source_of(plane).filepath == "//face.jpg"


def test_a_relative_path_needs_a_saved_file() -> None:
    refused(
        "'//face.jpg' is relative to the .blend file, which is not saved", filepath="//face.jpg"
    )


def test_an_image_that_is_there_keeps_its_path(add_portrait, project) -> None:
    image = bpy.data.images.load(str(project / "face.jpg"))
    plane, _ = add_portrait(str(project / "face.jpg"))
    assert source_of(plane) == image
    assert image.filepath == str(project / "face.jpg")


def test_a_moved_project_still_moves(add_portrait, project, pixels, tmp_path: Path) -> None:
    plane, (controller,) = add_portrait(str(project / "face.jpg"))
    still = pixels(source_of(plane)).copy()
    controller["smile"] = 1.0
    bpy.ops.wm.save_mainfile()
    project.rename(tmp_path / "elsewhere")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "elsewhere" / "shot.blend"))
    plane = next(o for o in bpy.data.objects if o.keyportrait.kind == "PORTRAIT")
    controller = plane.keyportrait.portrait.faces[0].controller
    controller["smile"] = 0.5
    controller.update_tag()
    bpy.context.view_layer.update()
    assert np.abs(pixels(plane.keyportrait.portrait.output) - still).max() > 0.05
    controller["smile"] = 0.0
    controller.update_tag()
    bpy.context.view_layer.update()
    assert (pixels(plane.keyportrait.portrait.output) == still).all()


# --- files that are not what they seem ----------------------------------------------------------


def test_half_a_jpeg(tmp_path: Path) -> None:
    data = ASTRONAUT.read_bytes()
    path = tmp_path / "half.jpg"
    path.write_bytes(data[: len(data) // 2])
    words = "'half.jpg' is only a part of a JPEG: its end is missing. Copy or download it again"
    refused(words, filepath=str(path))
    image = bpy.data.images.load(str(path))
    refused(words, image="half.jpg")
    image.pack()
    refused(words, image="half.jpg")


def test_a_jpeg_that_lacks_only_its_last_mark(tmp_path: Path, add_portrait) -> None:
    data = ASTRONAUT.read_bytes()
    assert data.endswith(b"\xff\xd9")
    (tmp_path / "camera.jpg").write_bytes(data[:-2])
    add_portrait(str(tmp_path / "camera.jpg"))


def test_half_a_jpeg_on_a_mesh(tmp_path: Path, module) -> None:
    data = ASTRONAUT.read_bytes()
    (tmp_path / "half.jpg").write_bytes(data[: len(data) // 2])
    textured_plane(module, bpy.data.images.load(str(tmp_path / "half.jpg")))
    with pytest.raises(RuntimeError, match="only a part of a JPEG"):
        bpy.ops.keyportrait.use_texture()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("photo.heic", b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" * 9, "is a HEIC photo"),
        ("logo.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "is an SVG drawing"),
        ("photo.jpg", b"<!DOCTYPE html><html></html>", "is a web page, not a picture"),
        ("paint.xcf", b"gimp xcf v011\x00" * 9, "is a GIMP project"),
    ],
)
def test_files_are_named_as_what_they_are(tmp_path: Path, name, data, words) -> None:
    (tmp_path / name).write_bytes(data)
    refused(f"'{name}' {words}", filepath=str(tmp_path / name))


def test_half_a_webp_and_an_animated_one(tmp_path: Path, pixels) -> None:
    image = bpy.data.images.load(str(ASTRONAUT))
    bpy.context.scene.render.image_settings.file_format = "WEBP"
    path = tmp_path / "whole.webp"
    image.save_render(str(path))
    data = path.read_bytes()
    (tmp_path / "half.webp").write_bytes(data[: len(data) // 2])
    refused("'half.webp' is only a part of a WebP", filepath=str(tmp_path / "half.webp"))
    chunks = b"VP8X\x0a\x00\x00\x00\x02\x00\x00\x00\xff\x01\x00\xff\x01\x00"
    chunks += b"ANIM\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    frame = b"\x00" * 6 + b"\xff\x01\x00\xff\x01\x00" + b"\x64\x00\x00\x00" + data[12:]
    chunks += b"ANMF" + len(frame).to_bytes(4, "little") + frame
    moving = b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP" + chunks
    (tmp_path / "moving.webp").write_bytes(moving)
    words = "'moving.webp' is an animated WebP, which Blender cannot show. Save one of its frames"
    refused(words, filepath=str(tmp_path / "moving.webp"))
