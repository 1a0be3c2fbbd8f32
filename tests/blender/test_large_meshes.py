"""A portrait on a mesh of 100 000 vertices: evaluating it inside a handler would crash Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix
from pictures import read_picture, save_picture

SIDE = 320


@pytest.fixture
def wall(astronaut: str, pixels: Any, tmp_path: Path) -> bpy.types.Object:
    """A fine grid that is a portrait; its picture is a file of its own."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=SIDE, y_subdivisions=SIDE, size=2.0)
    item = bpy.context.active_object
    assert len(item.data.vertices) > 100_000
    path = save_picture(tmp_path / "face.png", read_picture(astronaut, pixels))
    material = bpy.data.materials.new("Wall")
    material.use_nodes = True
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.load(path)
    material.node_tree.nodes.active = texture
    item.data.materials.append(material)
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    return item


def face_of(wall: Any) -> bpy.types.Object:
    return wall.keyportrait.portrait.faces[0].controller


def moved(wall: Any, pixels: Any) -> float:
    settings = wall.keyportrait.portrait
    return float(np.abs(pixels(settings.output) - pixels(settings.source)).mean())


def open_mouth(wall: Any, value: float = 1.0) -> None:
    face_of(wall)["mouth_open"] = value
    face_of(wall).update_tag()
    bpy.context.view_layer.update()


def test_its_mesh_may_change(wall: Any, pixels: Any) -> None:
    for step in range(3):
        wall.data.transform(Matrix.Translation((0.1 * step, 0.0, 0.05)))
        wall.data.update()
        bpy.context.view_layer.update()
        open_mouth(wall, 0.5 + 0.2 * step)
    assert moved(wall, pixels) > 1e-4
    bpy.ops.object.transform_apply(location=True, rotation=True, scale=True)
    bpy.context.view_layer.update()
    assert moved(wall, pixels) > 1e-4


def test_its_frames_may_change(wall: Any, pixels: Any) -> None:
    for frame, value in ((1, 0.0), (5, 1.0)):
        face_of(wall)["mouth_open"] = value
        face_of(wall).keyframe_insert('["mouth_open"]', frame=frame)
    wall.modifiers.new("Bend", "SIMPLE_DEFORM")
    for frame in range(1, 6):
        bpy.context.scene.frame_set(frame)
    assert moved(wall, pixels) > 1e-4


def test_it_may_be_copied(wall: Any) -> None:
    """The one evaluation inside a handler, of the operator that separates copies: it holds."""
    wall.modifiers.new("Bend", "SIMPLE_DEFORM")
    for item in (wall, face_of(wall)):
        item.select_set(True)
    outputs = {wall.keyportrait.portrait.output}
    for number in range(2, 6):
        bpy.ops.object.duplicate()
        bpy.context.view_layer.update()
        copy = next(o for o in bpy.context.selected_objects if o.type == "MESH")
        copy.data.transform(Matrix.Translation((0.1, 0.0, 0.05)))
        bpy.context.view_layer.update()
        open_mouth(copy)
        outputs.add(copy.keyportrait.portrait.output)
        assert len(outputs) == number


@pytest.mark.parametrize("change", ["size", "file", "field"])
def test_its_picture_may_become_another(
    wall: Any, pixels: Any, astronaut: str, tmp_path: Path, change: str
) -> None:
    picture = read_picture(astronaut, pixels)
    source = wall.keyportrait.portrait.source
    if change == "size":
        save_picture(tmp_path / "face.png", picture[:400])
        source.reload()
    elif change == "file":
        source.filepath = save_picture(tmp_path / "other.png", picture[:, ::-1])
    else:
        path = save_picture(tmp_path / "other.png", picture[:, ::-1])
        wall.keyportrait.portrait.source = bpy.data.images.load(path)
    wall.modifiers.new("Bend", "SIMPLE_DEFORM")
    for value in (0.3, 0.6, 1.0):
        open_mouth(wall, value)
    assert wall.keyportrait.portrait.is_fitted
    assert moved(wall, pixels) > 1e-4
