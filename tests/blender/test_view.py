"""The notice where the view changes an emitted picture's colours, and its button."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest


def has_notice(module) -> bool:
    return module("panels.view").KEYPORTRAIT_PT_view.poll(bpy.context)


def test_the_default_view_has_a_notice_and_one_click_puts_it_right(add_portrait, module) -> None:
    add_portrait()
    view = bpy.context.scene.view_settings
    view.view_transform, view.exposure = "AgX", 0.5
    view.use_curve_mapping = True
    assert has_notice(module)
    assert bpy.ops.keyportrait.set_standard_view() == {"FINISHED"}
    assert (view.view_transform, view.look, view.exposure) == ("Standard", "None", 0.0)
    assert not view.use_curve_mapping
    assert not has_notice(module)
    assert not bpy.ops.keyportrait.set_standard_view.poll()


@pytest.mark.parametrize(
    ("name", "value"),
    [("view_transform", "Filmic"), ("exposure", 1.0), ("gamma", 1.2), ("use_curve_mapping", True)],
)
def test_every_grading_counts(add_portrait, module, name, value) -> None:
    add_portrait()
    bpy.context.scene.view_settings.view_transform = "Standard"
    assert not has_notice(module)
    setattr(bpy.context.scene.view_settings, name, value)
    assert has_notice(module)


def test_what_the_light_shades_has_no_notice(add_portrait, module) -> None:
    add_portrait(material="PRINCIPLED")
    bpy.context.scene.view_settings.view_transform = "AgX"
    assert not has_notice(module)


def test_standard_renders_the_pictures_colours(add_portrait, pixels, tmp_path: Path) -> None:
    plane, _controllers = add_portrait()
    scene = bpy.context.scene
    scene.view_settings.view_transform = "AgX"
    bpy.ops.keyportrait.set_standard_view()
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.data.type, camera.data.ortho_scale = "ORTHO", max(plane.dimensions)
    bpy.context.view_layer.update()
    camera.matrix_world = plane.matrix_world
    camera.location += plane.matrix_world.to_3x3().col[2]
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    output = plane.keyportrait.portrait.output
    scene.render.resolution_x, scene.render.resolution_y = output.size
    scene.render.filepath = str(tmp_path / "still.png")
    bpy.ops.render.render(write_still=True)
    rendered = pixels(bpy.data.images.load(scene.render.filepath))[..., :3]
    still = pixels(output)[..., :3]
    # One sample a pixel lies somewhere in it: on average the colours are the same.
    assert np.abs(rendered.mean(axis=(0, 1)) - still.mean(axis=(0, 1))).max() < 2 / 255
