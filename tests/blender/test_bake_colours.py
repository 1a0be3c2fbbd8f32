"""A plane with its bake renders as with its live image: colour spaces, alpha modes, every frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from baking import bake, fresh, image_node, key_smile  # noqa: F401 - fixtures
from pictures import read_picture, save_picture

FIRST, LAST = 20, 22


@pytest.fixture
def shot(astronaut: str, add_portrait: Any, pixels: Any, tmp_path: Path) -> Any:
    """(plane, camera's scene): half of the picture is transparent, a smile grows, Cycles."""
    picture = read_picture(astronaut, pixels)
    picture[..., 3] = np.linspace(1.4, 0.0, picture.shape[1]).clip(0.0, 1.0)[None, :]
    plane, (face,) = add_portrait(save_picture(tmp_path / "ghost.png", picture))
    prepare(plane, face, tmp_path)
    return plane


def prepare(plane: Any, face: Any, folder: Path) -> None:
    for frame, value in ((FIRST, 0.3), (LAST, 1.0)):
        face["smile"] = value
        face.keyframe_insert('["smile"]', frame=frame)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = FIRST, LAST
    scene.keyportrait_bake.folder = str(folder / "out")
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 2.0
    bpy.context.view_layer.update()
    camera.matrix_world = plane.matrix_world.copy()
    camera.location += plane.matrix_world.to_3x3().col[2]
    scene.camera = camera
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.cycles.use_denoising, scene.render.film_transparent = False, True
    scene.view_settings.view_transform = "Standard"
    image_node(plane).interpolation = "Closest"


def rendered(pixels: Any, frame: int, folder: Path) -> np.ndarray:
    """(H, W, 4) scene-linear pixels of a render, values above 1 included."""
    scene = bpy.context.scene
    scene.frame_set(frame)
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
    scene.render.filepath = str(folder / "render.exr")
    bpy.ops.render.render(write_still=True)
    return read_picture(scene.render.filepath, pixels)


def use_space(plane: Any, space: str, alpha: str = "STRAIGHT") -> None:
    settings = plane.keyportrait.portrait
    for image in (settings.source, settings.output):
        image.colorspace_settings.name, image.alpha_mode = space, alpha
    if alpha == "PREMUL":
        settings.output.alpha_mode = "STRAIGHT"
    bpy.context.view_layer.objects.active = plane
    bpy.ops.keyportrait.refresh(use_wait=True)  # Blender drops pixels when the space changes


def check_alike(baked: np.ndarray, live: np.ndarray, what: str, limit: float) -> None:
    """limit  largest difference; relative to what is brighter than white."""
    assert live[..., :3].max() > 0.3, what
    difference = np.abs(baked - live)
    worst = (difference / np.maximum(np.abs(live), 1.0)).max()
    assert worst < limit and difference.mean() < 1.2e-3, f"{what}: {worst}, {difference.mean()}"


# Cycles keeps 8-bit pictures in 8 bits, multiplied by alpha, or in half floats, before the curves
# that make them linear. Some of these are steep: so much differ two renders of the same bytes.
LIMITS = {
    "sRGB": 0.009,
    "Linear Rec.709": 0.005,
    "Non-Color": 0.001,
    "ACEScg": 0.003,
    "Display P3": 0.003,
    "AgX Base sRGB": 0.04,
    "Filmic sRGB": 0.06,
}


@pytest.mark.parametrize("form", ["PNG 8", "PNG 16", "OPEN_EXR 16"])
def test_every_colour_space(shot: Any, pixels: Any, tmp_path: Path, form: str) -> None:
    set_format(form)
    for space, limit in LIMITS.items():
        use_space(shot, space)
        live = rendered(pixels, LAST, tmp_path)
        bake()
        assert shot.keyportrait.portrait.use_baked
        check_alike(rendered(pixels, LAST, tmp_path), live, space, limit)
        bpy.ops.keyportrait.show_live()


def set_format(form: str) -> None:
    scene = bpy.context.scene
    settings = scene.keyportrait_bake
    settings.format, depth = form.split()
    setattr(settings, "png_depth" if settings.format == "PNG" else "exr_depth", depth)
    scene.frame_start = LAST


@pytest.mark.parametrize("mode", ["PREMUL", "CHANNEL_PACKED", "NONE"])
def test_every_alpha_mode(shot: Any, pixels: Any, tmp_path: Path, mode: str) -> None:
    for form in ("PNG 8", "OPEN_EXR 32"):
        set_format(form)
        for space in ("sRGB", "Non-Color", "ACEScg"):
            use_space(shot, space, mode)
            live = rendered(pixels, LAST, tmp_path)
            bake()
            what = f"{form} {space}"
            check_alike(rendered(pixels, LAST, tmp_path), live, what, LIMITS[space])
            image = image_node(shot).image
            held = read_as(image, LAST, pixels)
            bpy.ops.keyportrait.show_live()
            if form == "PNG 8":
                wanted = pixels(image_node(shot).image)
                assert np.abs(held - wanted)[wanted[..., 3] > 0].max() < 1.1 / 255, what


def read_as(texture: Any, frame: int, pixels: Any) -> np.ndarray:
    """What Blender itself reads at a frame, by a still image of the same settings."""
    path = next(Path(bpy.path.abspath(texture.filepath)).parent.glob(f"*_{frame:04d}.*"))
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = texture.colorspace_settings.name
    image.alpha_mode = texture.alpha_mode
    return pixels(image)


@pytest.mark.parametrize("mode", ["STRAIGHT", "PREMUL", "CHANNEL_PACKED", "NONE"])
def test_the_live_image_is_the_picture_in_every_alpha_mode(
    astronaut: str, add_portrait: Any, pixels: Any, tmp_path: Path, mode: str
) -> None:
    picture = read_picture(astronaut, pixels)
    picture[..., 3] = np.linspace(1.4, 0.0, picture.shape[1]).clip(0.0, 1.0)[None, :]
    straight = bpy.data.images.load(save_picture(tmp_path / "straight.png", picture))
    if mode == "PREMUL":
        picture[..., :3] *= picture[..., 3:]
    path = save_picture(tmp_path / "ghost.png", picture)
    bpy.data.images.load(path).alpha_mode = mode
    plane, (face,) = add_portrait(path)
    prepare(plane, face, tmp_path)
    face.animation_data_clear()
    face["smile"] = 0.0
    output, source = plane.keyportrait.portrait.output, plane.keyportrait.portrait.source
    assert source.alpha_mode == mode
    # Cycles up to 5.1 takes a premultiplied file's colours otherwise than Blender does.
    image_node(plane).image = straight if mode == "PREMUL" else source
    wanted = rendered(pixels, FIRST, tmp_path)
    image_node(plane).image = output
    check_alike(rendered(pixels, FIRST, tmp_path), wanted, mode, 0.01)
    name, path = plane.name, str(tmp_path / "saved.blend")
    if mode == "PREMUL":
        output.alpha_mode = mode  # as older versions have left it
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert image_node(bpy.data.objects[name]).image.packed_file is not None
    check_alike(rendered(pixels, FIRST, tmp_path), wanted, f"{mode}, opened", 0.01)


@pytest.fixture
def linear_shot(astronaut: str, add_portrait: Any, pixels: Any, tmp_path: Path) -> Any:
    """As `shot`, of a scene-linear picture; shot(alpha_mode) → plane."""

    def make(alpha_mode: str) -> Any:
        picture = read_picture(astronaut, pixels)
        picture[..., :3] = 1.5 * picture[..., :3] ** 2.2
        picture[..., 3] = np.linspace(1.4, 0.1, picture.shape[1]).clip(0.0, 1.0)[None, :]
        picture[..., :3] *= picture[..., 3:]
        image = bpy.data.images.load(save_picture(tmp_path / "linear.exr", picture))
        image.alpha_mode = alpha_mode
        bpy.ops.keyportrait.add_portrait(image=image.name)
        plane = bpy.context.active_object
        prepare(plane, plane.keyportrait.portrait.faces[0].controller, tmp_path)
        return plane

    return make


@pytest.mark.parametrize("mode", ["PREMUL", "CHANNEL_PACKED"])
def test_scene_linear_pictures(linear_shot: Any, pixels: Any, tmp_path: Path, mode: str) -> None:
    plane = linear_shot(mode)
    set_format("OPEN_EXR 32")
    live = rendered(pixels, LAST, tmp_path)
    wanted = pixels(plane.keyportrait.portrait.output).copy()
    bake()
    check_alike(rendered(pixels, LAST, tmp_path), live, mode, 1e-4)
    assert np.abs(read_as(image_node(plane).image, LAST, pixels) - wanted).max() < 1e-4


@pytest.mark.skipif(bpy.app.version < (5, 0, 0), reason="a choice since 5.0")
def test_another_working_space(linear_shot: Any, pixels: Any, tmp_path: Path) -> None:
    bpy.ops.wm.set_working_color_space(working_space="ACEScg")
    linear_shot("PREMUL")
    set_format("OPEN_EXR 32")
    live = rendered(pixels, LAST, tmp_path)
    bake()
    check_alike(rendered(pixels, LAST, tmp_path), live, "ACEScg", 1e-4)
    set_format("PNG 16")
    with pytest.raises(RuntimeError, match=r"holds floats in 'ACEScg'.*OpenEXR"):
        bake()


@pytest.mark.parametrize("form", ["PNG 8", "OPEN_EXR 16", "MP4 8"])
@pytest.mark.parametrize("count", [3, 1])
def test_the_first_and_the_last_frame_are_held(
    shot: Any, pixels: Any, tmp_path: Path, form: str, count: int
) -> None:
    set_format("PNG 8" if form == "MP4 8" else form)
    scene = bpy.context.scene
    scene.keyportrait_bake.format = form.split()[0]
    scene.frame_start, scene.frame_end = FIRST, FIRST + count - 1
    inside = [rendered(pixels, frame, tmp_path) for frame in range(FIRST, FIRST + count)]
    assert bake() == {"FINISHED"}
    # A movie has no alpha: only what was opaque can be compared, as far as its codec goes.
    opaque = inside[0][..., 3] > 0.999
    limit = 0.02 if form == "MP4 8" else 1e-3
    frames = (-5, FIRST - 1, *range(FIRST, FIRST + count), FIRST + count, FIRST + 50)
    for frame in frames:
        wanted = inside[min(max(frame - FIRST, 0), count - 1)]
        found = rendered(pixels, frame, tmp_path)
        assert np.abs(found - wanted)[opaque].mean() < limit, f"{form}, frame {frame}"


def test_a_bake_made_again_renders_with_its_new_pixels(
    shot: Any, pixels: Any, tmp_path: Path
) -> None:
    """Cycles 5.2 keeps textures in files of its own, named by the picture's path."""
    render = bpy.context.scene.render
    if "use_texture_cache" in render.bl_rna.properties:
        assert render.use_texture_cache  # the default is what artists have
    face = shot.keyportrait.portrait.faces[0].controller
    bake(scope="ALL")
    first = rendered(pixels, LAST, tmp_path)
    for frame, value in ((FIRST, 0.0), (LAST, 20.0)):
        face["head_yaw"] = value
        face.keyframe_insert('["head_yaw"]', frame=frame)
    bake(scope="ALL")
    second = rendered(pixels, LAST, tmp_path)
    bpy.ops.keyportrait.show_live()
    live = rendered(pixels, LAST, tmp_path)
    assert np.abs(second - first).max() > 0.2
    check_alike(second, live, "made again", 0.05)


@pytest.mark.parametrize("is_appended", [False, True])
@pytest.mark.parametrize("count", [3, 1])
def test_bakes_of_0_1_0_hold_their_ends_too(
    shot: Any, pixels: Any, tmp_path: Path, count: int, is_appended: bool
) -> None:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = FIRST, FIRST + count - 1
    first, last = (rendered(pixels, n, tmp_path) for n in (FIRST, FIRST + count - 1))
    assert bake() == {"FINISHED"}
    user = image_node(shot).image_user
    # What 0.1.0 gave its nodes.
    user.frame_start, user.frame_duration, user.frame_offset = FIRST, count, FIRST - 1
    name, path = shot.name, str(tmp_path / "old.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path, copy=is_appended)
    if is_appended:
        bpy.data.batch_remove(
            [shot, *(link.controller for link in shot.keyportrait.portrait.faces)]
        )
        bpy.data.orphans_purge(do_recursive=True)
        with bpy.data.libraries.load(path) as (there, here):
            here.objects = [item for item in there.objects if item.startswith(name)]
        for item in here.objects:
            bpy.context.collection.objects.link(item)
        bpy.context.view_layer.update()
    else:
        bpy.ops.wm.open_mainfile(filepath=path)
    for frame, wanted in ((FIRST - 1, first), (-5, first), (FIRST + count + 20, last)):
        found = rendered(pixels, frame, tmp_path)
        assert np.abs(found - wanted).mean() < 1e-3, frame
