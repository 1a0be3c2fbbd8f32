"""Bakes on planes: out of date or gone, and what the artist is told and offered."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import Any

import bpy
import pytest
from baking import bake, bake_folder, fresh, image_node, key_smile, performance, summary  # noqa: F401
from test_panels import Layout, operators_drawn


@pytest.fixture
def baked(performance) -> Any:
    """(plane, face) whose plane shows a bake of frames 1 to 6."""
    bake(scope="ALL")
    plane, face = performance
    assert plane.keyportrait.portrait.use_baked
    return plane, face


def follow(module, frame: int) -> None:
    bpy.context.scene.frame_set(frame)
    bpy.context.view_layer.update()
    scene, depsgraph = bpy.context.scene, bpy.context.evaluated_depsgraph_get()
    module("rig.live").refresh(scene, depsgraph)


def drawn(module, plane) -> list[str]:
    """The labels and operators of the banner."""
    found: list[str] = []

    class Layout(SimpleNamespace):
        def label(self, text="", icon=""):
            found.append(text)

        def operator(self, name, **_options):
            found.append(name)

        def box(self):
            return self

        row = column = lambda self, **_options: self

    module("panels.source").draw_bake_banner(Layout(), plane)
    return found


def test_a_bake_is_out_of_date_where_the_face_would_move_otherwise(baked, module) -> None:
    plane, face = baked
    state = module("rig.bake_state")
    for frame in (1, 3, 6):
        follow(module, frame)
        assert not state.is_stale(plane)
    assert drawn(module, plane)[0] == "Shows its bake"
    face.animation_data_clear()
    key_smile(face, end=0.5)
    follow(module, 6)
    assert state.is_stale(plane)
    assert "out of date" in drawn(module, plane)[0]
    follow(module, 1)  # the smile begins as it did
    assert not state.is_stale(plane)
    follow(module, 50)  # held beyond the bake: nothing is known
    assert not state.is_stale(plane)
    bpy.context.view_layer.objects.active = plane
    bake(scope="ALL")
    follow(module, 6)
    assert not state.is_stale(plane)


@pytest.mark.parametrize("name", ["source", "face"])
def test_both_panels_say_that_the_bake_is_shown_and_lead_back(baked, name) -> None:
    """Above everything else, where sliders that do nothing are looked at."""
    _plane, face = baked
    bpy.context.view_layer.objects.active = face
    texts, calls = [], []
    panel = getattr(bpy.types, f"KEYPORTRAIT_PT_{name}")
    panel.draw(SimpleNamespace(layout=Layout(texts, calls)), bpy.context)
    banner = texts.index("Shows its bake")
    assert texts[:banner] in ([], [""])
    assert {"keyportrait.show_live", "keyportrait.bake"} <= operators_drawn(calls)
    bpy.ops.keyportrait.show_live()
    texts.clear()
    panel.draw(SimpleNamespace(layout=Layout(texts, calls)), bpy.context)
    assert "Shows its bake" not in texts


def test_held_frames_of_a_bake_on_twos_are_not_out_of_date(performance, module) -> None:
    bpy.context.scene.keyportrait_bake.frame_step = 2
    bake(scope="ALL")
    for frame in range(1, 7):
        follow(module, frame)
        assert not module("rig.bake_state").is_stale(performance[0])


def test_a_bake_that_is_gone_goes_back_to_live_when_the_file_is_opened(baked, module):
    plane, _ = baked
    name = plane.name
    bpy.ops.wm.save_mainfile()
    shutil.move(bake_folder(plane), bake_folder(plane).parent / "elsewhere")
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    plane = bpy.data.objects[name]
    settings = plane.keyportrait.portrait
    assert not settings.use_baked
    assert image_node(plane).image == settings.output
    texts = drawn(module, plane)
    assert name in " ".join(texts)
    assert {"keyportrait.choose_bake_folder", "keyportrait.bake"} <= set(texts)
    bpy.context.view_layer.objects.active = plane
    with pytest.raises(RuntimeError, match="is gone"):
        bpy.ops.keyportrait.show_baked()
    folder = bake_folder(plane).parent / "elsewhere"
    with pytest.raises(RuntimeError, match="is not in"):
        bpy.ops.keyportrait.choose_bake_folder(directory=str(folder.parent.parent))
    assert bpy.ops.keyportrait.choose_bake_folder(directory=str(folder)) == {"FINISHED"}
    assert settings.use_baked
    assert not drawn(module, plane) or drawn(module, plane)[0] == "Shows its bake"
    assert module("rig.baked").file_of(plane).parent == folder


def test_a_render_in_the_background_shows_live_where_the_bake_is_gone(
    baked, tmp_path, module
) -> None:
    plane, _ = baked
    shutil.rmtree(bake_folder(plane))
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.render.resolution_x = scene.render.resolution_y = 32
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.filepath = str(tmp_path / "frame.png")
    bpy.ops.render.render(write_still=True)
    assert not plane.keyportrait.portrait.use_baked
    assert image_node(plane).image == plane.keyportrait.portrait.output
    assert module("rig.bake_state").is_lost(plane)


def test_a_render_of_a_plane_that_cannot_be_changed_stops(baked, module) -> None:
    plane, _ = baked
    shutil.rmtree(bake_folder(plane))
    item = module("rig.portraits").portrait(plane)
    with pytest.raises(module("rig.errors").PortraitError, match="is gone"):
        module("rig.bake_state").check_there(item)


def test_a_movie_whose_log_cannot_be_written_is_shown_all_the_same(performance, module) -> None:
    plane, _ = performance
    bpy.context.scene.keyportrait_bake.format = "MP4"
    (bake_folder(plane) / f"{plane.name}.mp4.jsonl").mkdir(parents=True)
    assert bake(scope="ALL") == {"FINISHED"}
    (warning,) = summary(module).warnings
    assert "its log could not be written" in warning
    assert plane.keyportrait.portrait.use_baked
    assert module("rig.baked").has_files(plane)
