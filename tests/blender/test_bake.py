"""Baking in Blender: operator, texture, resume, movies, several portraits, the command line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from baking import (  # noqa: F401 - fixtures
    FRAMES,
    bake,
    bake_folder,
    begin,
    finish,
    frame_path,
    fresh,
    image_node,
    key_smile,
    live,
    loaded,
    performance,
    summary,
)


def test_baked_frames_equal_the_live_image(performance: Any, pixels: Any, module: Any) -> None:
    plane, _ = performance
    wanted = {frame: live(plane, frame, pixels) for frame in range(1, FRAMES + 1)}
    bpy.context.scene.frame_set(4)
    assert bake() == {"FINISHED"}
    assert bpy.context.scene.frame_current == 4
    assert summary(module).rendered == FRAMES
    for frame, picture in wanted.items():
        baked = loaded(frame_path(plane, frame), pixels)
        assert abs(baked - picture).max() <= 1 / 255 + 1e-6
    assert abs(wanted[1] - wanted[FRAMES]).max() > 0.1


def test_the_bake_becomes_the_texture_and_goes_back(performance: Any) -> None:
    plane, _ = performance
    node, output = image_node(plane), plane.keyportrait.portrait.output
    bake()
    assert node.image.source == "SEQUENCE" and node.image.filepath.startswith("//")
    user = node.image_user
    assert (user.frame_start, user.frame_duration, user.frame_offset) == (2, FRAMES - 1, 1)
    assert user.use_auto_refresh
    assert node.image.colorspace_settings.name == output.colorspace_settings.name
    assert node.image.alpha_mode == "STRAIGHT"
    assert plane.keyportrait.portrait.use_baked
    assert bpy.ops.keyportrait.show_live() == {"FINISHED"}
    assert node.image == output and not plane.keyportrait.portrait.use_baked
    assert bpy.ops.keyportrait.show_baked() == {"FINISHED"}
    assert node.image == plane.keyportrait_baked.image


def test_a_bake_that_nothing_can_show_is_refused(performance: Any) -> None:
    plane, _ = performance
    bake()
    bpy.ops.keyportrait.show_live()
    image_node(plane).image = None
    with pytest.raises(RuntimeError, match="No material of"):
        bpy.ops.keyportrait.show_baked()
    assert not plane.keyportrait.portrait.use_baked


def test_a_copied_portrait_gets_a_bake_of_its_own(performance: Any) -> None:
    plane, face = performance
    bake()
    for item in bpy.context.view_layer.objects:
        item.select_set(item in (plane, face))
    bpy.ops.object.duplicate()
    copy = next(o for o in bpy.context.selected_objects if o.keyportrait.kind == "PORTRAIT")
    bpy.context.view_layer.objects.active = copy
    key_smile(next(o for o in bpy.context.selected_objects if o.keyportrait.kind == "FACE"), 0.2)
    bake()
    original, own = (o.keyportrait_baked.image for o in (plane, copy))
    assert original != own and plane.name in original.filepath and copy.name in own.filepath


def add_camera_and_render(path: Path) -> np.ndarray:
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.data.type = "ORTHO"
    camera.data.ortho_scale = 2.0
    plane = next(o for o in scene.objects if o.keyportrait.kind == "PORTRAIT")
    matrix = plane.matrix_world.copy()
    camera.matrix_world = matrix
    camera.location = matrix @ (matrix.inverted() @ matrix.translation) + matrix.col[2].xyz * 3
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.render.resolution_x = scene.render.resolution_y = 96
    scene.view_settings.view_transform = "Standard"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    flat = np.array(image.pixels[:], np.float32)
    bpy.data.images.remove(image)
    return flat


@pytest.mark.parametrize("file_format", ["PNG", "OPEN_EXR", "MP4"])
def test_a_baked_plane_renders_like_the_live_one_without_an_engine(
    file_format: str, performance: Any, tmp_path: Path, module: Any
) -> None:
    for frame, yaw in ((1, -25.0), (FRAMES, 25.0)):
        performance[1]["head_yaw"] = yaw
        performance[1].keyframe_insert('["head_yaw"]', frame=frame)
    settings = bpy.context.scene.keyportrait_bake
    settings.format, settings.use_scene_range = file_format, False
    settings.frame_start, settings.frame_end = 2, FRAMES
    bpy.context.scene.frame_set(5)
    from_live = add_camera_and_render(tmp_path / "live.png")
    bake()
    engine = module("rig.engine")
    engine.stop()
    bpy.context.scene.frame_set(5)
    from_bake = add_camera_and_render(tmp_path / "baked.png")
    assert engine.engine().state.name == "STOPPED"
    difference = abs(from_live - from_bake).mean()
    assert difference < (0.001 if file_format == "PNG" else 0.006)
    assert from_live.std() > 0.1
    for other in (2, 4, 6):
        bpy.context.scene.frame_set(other)
        neighbour = add_camera_and_render(tmp_path / "other.png")
        assert abs(neighbour - from_live).mean() > 1.5 * difference


def test_baking_again_only_makes_changed_frames(performance: Any, module: Any) -> None:
    plane, face = performance
    bake()
    stamps = {f: frame_path(plane, f).stat().st_mtime_ns for f in range(1, FRAMES + 1)}
    bake()
    assert (summary(module).kept, summary(module).rendered) == (FRAMES, 0)
    key_smile(face, 0.5)
    bake()
    assert (summary(module).kept, summary(module).rendered) == (1, FRAMES - 1)
    assert frame_path(plane, 1).stat().st_mtime_ns == stamps[1]
    assert frame_path(plane, 3).stat().st_mtime_ns != stamps[3]
    key_smile(face, 1.0)
    bake()
    assert (summary(module).cached, summary(module).rendered) == (FRAMES - 1, 0)


def test_an_unrelated_change_keeps_the_bake(performance: Any, module: Any) -> None:
    plane, face = performance
    bake()
    plane.location.x += 3.0
    plane.rotation_euler.z += 0.4
    face.name = "Renamed"
    bake()
    assert (summary(module).kept, summary(module).rendered) == (FRAMES, 0)


def test_a_constraint_and_a_driver_are_baked(performance: Any, pixels: Any, module: Any) -> None:
    plane, face = performance
    target = bpy.data.objects.new("Target", None)
    bpy.context.scene.collection.objects.link(target)
    for frame, angle in ((1, 0.0), (FRAMES, 0.3)):
        target.rotation_euler.z = angle
        target.keyframe_insert("rotation_euler", frame=frame)
    face.constraints.new("COPY_ROTATION").target = target
    face.constraints[0].mix_mode = "ADD"
    driver = face.driver_add('["brows"]').driver
    driver.expression = "frame / 10"
    face.animation_data.action = None
    face["smile"] = 0.0
    bake()
    assert summary(module).rendered == FRAMES
    last = loaded(frame_path(plane, FRAMES), pixels)
    bpy.ops.keyportrait.show_live()
    assert abs(last - live(plane, FRAMES, pixels)).max() <= 1 / 255 + 1e-6


def test_step_holds_frames(performance: Any, module: Any) -> None:
    plane, _ = performance
    bpy.context.scene.keyportrait_bake.frame_step = 3
    bake()
    data = [frame_path(plane, frame).read_bytes() for frame in range(1, FRAMES + 1)]
    assert data[0] == data[1] == data[2] != data[3] == data[4] == data[5]
    assert summary(module).rendered == 2


def test_a_range_of_its_own_numbers_files_by_scene_frame(performance: Any) -> None:
    plane, _ = performance
    settings = bpy.context.scene.keyportrait_bake
    settings.use_scene_range = False
    settings.frame_start, settings.frame_end = 3, 4
    bake()
    assert sorted(p.name for p in bake_folder(plane).glob("*.png")) == [
        f"{plane.name}_0003.png",
        f"{plane.name}_0004.png",
    ]
    user = image_node(plane).image_user
    assert (user.frame_start, user.frame_duration, user.frame_offset) == (4, 1, 3)


@pytest.mark.parametrize("depth", ["16", "32"])
def test_openexr_is_linear_and_shown_as_such(performance: Any, pixels: Any, depth: str) -> None:
    plane, _ = performance
    settings = bpy.context.scene.keyportrait_bake
    settings.format, settings.exr_depth = "OPEN_EXR", depth
    bpy.context.scene.frame_end = 2
    srgb = live(plane, 2, pixels)
    bake()
    image = image_node(plane).image
    assert image.colorspace_settings.name == "Linear Rec.709" and image.alpha_mode == "PREMUL"
    linear = loaded(frame_path(plane, 2, "exr"), pixels)
    wanted = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    assert abs(linear[..., :3] - wanted[..., :3]).max() < 2e-3
    assert (linear[..., 3] == 1.0).all()


def test_sixteen_bit_png(performance: Any) -> None:
    plane, _ = performance
    bpy.context.scene.keyportrait_bake.png_depth = "16"
    bpy.context.scene.frame_end = 1
    bake()
    assert frame_path(plane, 1).read_bytes()[24] == 16


def test_a_movie_is_encoded_shown_and_kept(performance: Any, pixels: Any, module: Any) -> None:
    plane, face = performance
    bpy.context.scene.keyportrait_bake.format = "MP4"
    scenes = len(bpy.data.scenes)
    wanted = live(plane, FRAMES, pixels)
    assert bake() == {"FINISHED"}
    path = bake_folder(plane) / f"{plane.name}.mp4"
    assert path.exists() and len(bpy.data.scenes) == scenes
    assert sorted(p.name for p in bake_folder(plane).iterdir()) == [
        path.name,
        f"{plane.name}.mp4.jsonl",
    ]
    node = image_node(plane)
    assert node.image.source == "MOVIE" and node.image.frame_duration == FRAMES
    height, width = wanted.shape[:2]
    assert tuple(node.image.size) == (width // 2 * 2, height // 2 * 2)
    movie = bpy.data.images.load(str(path))
    still = pixels(movie)  # its first frame
    first = loaded_live(plane, 1, pixels)[: still.shape[0], : still.shape[1]]
    assert abs(still[..., :3] - first[..., :3]).mean() < 0.02
    stamp = path.stat().st_mtime_ns
    bake()
    assert path.stat().st_mtime_ns == stamp and summary(module).kept == FRAMES
    key_smile(face, 0.4)
    bake()
    assert path.stat().st_mtime_ns != stamp


def loaded_live(plane: Any, frame: int, pixels: Any) -> np.ndarray:
    bpy.ops.keyportrait.show_live()
    picture = live(plane, frame, pixels)
    bpy.ops.keyportrait.show_baked()
    return picture


def test_several_portraits_selected_or_all(add_portrait: Any, tmp_path: Path, module: Any) -> None:
    planes = []
    for _ in range(3):
        plane, (face,) = add_portrait()
        key_smile(face)
        planes.append(plane)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 2
    scene.keyportrait_bake.folder = str(tmp_path / "out")
    for item in bpy.context.view_layer.objects:
        item.select_set(item in planes[:2])
    bpy.context.view_layer.objects.active = planes[0]
    bake(scope="SELECTED")
    assert sorted(summary(module).names) == sorted(p.name for p in planes[:2])
    bake(scope="ALL")
    assert len(summary(module).names) == 3
    assert {p.name for p in (tmp_path / "out").iterdir()} == {p.name for p in planes}
    assert summary(module).rendered == 0, "the same picture and motion come from the cache"


def test_bake_with_a_renderer_that_is_not_set_up_says_so(performance: Any) -> None:
    bpy.context.scene.keyportrait_bake.renderer = "liveportrait"
    with pytest.raises(RuntimeError, match="cannot be baked"):
        bake()


def test_an_unsaved_file_needs_a_folder(add_portrait: Any, tmp_path: Path) -> None:
    plane, _ = add_portrait()
    bpy.context.scene.frame_end = 1
    with pytest.raises(RuntimeError, match=r"not saved yet.*\n?.*Save the file"):
        bake()
    bpy.context.scene.keyportrait_bake.folder = str(tmp_path)
    assert bake() == {"FINISHED"}
    assert (tmp_path / plane.name / f"{plane.name}_0001.png").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b, s, f: setattr(b, "folder", ""), "No output folder"),
        (lambda b, s, f: setattr(b, "folder", "somewhere"), "not absolute"),
        (lambda b, s, f: setattr(b, "folder", str(f)), "cannot be written"),
        (lambda b, s, f: setattr(b, "use_scene_range", False), None),
    ],
)
def test_bad_settings_are_named(
    performance: Any, tmp_path: Path, change: Any, reason: str | None
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    settings = bpy.context.scene.keyportrait_bake
    change(settings, bpy.context.scene, blocked)
    if reason is None:
        settings.frame_start, settings.frame_end, reason = 9, 3, "is empty"
    with pytest.raises(RuntimeError, match=reason):
        bake()
    assert not performance[0].keyportrait.portrait.use_baked


def test_a_portrait_without_faces_and_no_portrait_at_all(performance: Any, module: Any) -> None:
    _, face = performance
    bpy.data.objects.remove(face)
    with pytest.raises(RuntimeError, match="no face controllers"):
        bake(scope="ALL")
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    with pytest.raises(RuntimeError, match="no portrait"):
        bake()


def test_the_bake_panel_draws_in_every_state(performance: Any, module: Any) -> None:
    seen: list[str] = []

    class Layout:
        def __getattr__(self, name: str) -> Any:
            def call(*arguments: Any, **options: Any) -> Any:
                seen.extend([str(a) for a in arguments if isinstance(a, str)])
                seen.append(options.get("text", ""))
                return Layout()

            return call

    def drawn() -> list[str]:
        seen.clear()
        panel = module("panels.bake").KEYPORTRAIT_PT_bake
        panel.draw(SimpleNamespace(layout=Layout()), bpy.context)
        return seen

    assert "keyportrait.bake" in drawn()
    run = begin(module)
    assert "keyportrait.stop_bake" in drawn()
    finish(run)
    assert "keyportrait.show_live" in drawn()
    bpy.ops.keyportrait.show_live()
    assert "keyportrait.show_baked" in drawn()


def test_clearing_the_cache_keeps_baked_files(performance: Any, module: Any) -> None:
    plane, _ = performance
    bake()
    cache = module("rig.frame_cache")
    assert cache.measure() > 0
    assert bpy.ops.keyportrait.clear_cache() == {"FINISHED"}
    assert cache.size_bytes() == 0 and frame_path(plane, 1).exists()
