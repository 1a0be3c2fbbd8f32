"""Where new portraits stand: before the viewer, clear of other objects, side by side; cameras."""

from __future__ import annotations

import math
import shutil
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from conftest import ASTRONAUT
from mathutils import Euler, Matrix, Vector


def view(rotation: tuple[float, float, float], distance: float = 15.0) -> Any:
    """A perspective viewport that looks at the origin."""
    turn = Euler([math.radians(v) for v in rotation]).to_matrix().to_4x4()
    to_world = turn @ Matrix.Translation((0.0, 0.0, distance))
    return SimpleNamespace(view_matrix=to_world.inverted(), is_perspective=True)


# Blender's own start view, as it looks at the default cube.
START_VIEW = view((63.6, 0.0, 46.7))


def axes(matrix: Matrix) -> tuple[Vector, Vector, Vector]:
    return tuple(matrix.to_3x3().normalized().transposed())


@pytest.fixture
def place(module: Any) -> Any:
    """place(view, *sizes) → world matrices of planes that stand in a row."""

    def at(seen_by: Any, *sizes: tuple[float, float]) -> list[Matrix]:
        bpy.context.view_layer.update()
        row = module("rig.stance").row_before_viewer(bpy.context, seen_by, sizes)
        return [row.place(*size) for size in sizes]

    return at


def test_a_plane_faces_the_viewer_and_stands_upright(place: Any) -> None:
    (matrix,) = place(START_VIEW, (2.0, 2.0))
    _, up, out = axes(matrix)
    assert up.dot(Vector((0, 0, 1))) == pytest.approx(1.0, abs=1e-6)
    away = START_VIEW.view_matrix.inverted().to_3x3() @ Vector((0, 0, 1))
    assert math.degrees(out.angle(Vector((away.x, away.y, 0.0)))) < 0.1
    assert tuple(matrix.translation) == pytest.approx((0.0, 0.0, 1.0), abs=1e-5)


def test_seen_from_above_it_lies_as_it_is_seen(place: Any) -> None:
    (matrix,) = place(view((0.0, 0.0, 30.0)), (2.0, 1.0))
    right, up, out = axes(matrix)
    seen_right = view((0.0, 0.0, 30.0)).view_matrix.inverted().to_3x3() @ Vector((1, 0, 0))
    assert out.z == pytest.approx(1.0) and up.z == pytest.approx(0.0, abs=1e-6)
    assert right.dot(seen_right) == pytest.approx(1.0)
    assert matrix.translation.length == pytest.approx(0.0, abs=1e-6)


def distances(matrix: Matrix, item: bpy.types.Object) -> list[float]:
    """Of an object's corners from the plane, positive before it."""
    to_plane = matrix.inverted()
    return [(to_plane @ item.matrix_world @ Vector(corner)).z for corner in item.bound_box]


def test_it_stands_before_the_default_cube_not_inside(place: Any) -> None:
    bpy.ops.mesh.primitive_cube_add()
    (matrix,) = place(START_VIEW, (2.0, 2.0))
    assert max(distances(matrix, bpy.context.active_object)) < 0.0
    eye = matrix.inverted() @ START_VIEW.view_matrix.inverted().translation
    assert eye.z > 1.0


def test_a_floor_and_a_room_are_not_in_the_way(place: Any) -> None:
    bpy.ops.mesh.primitive_plane_add(size=50.0)
    bpy.ops.mesh.primitive_cube_add(size=100.0)
    (matrix,) = place(START_VIEW, (2.0, 2.0))
    assert tuple(matrix.translation) == pytest.approx((0.0, 0.0, 1.0), abs=1e-5)


def test_where_no_spot_is_free_it_stays_at_the_cursor(place: Any) -> None:
    bpy.ops.mesh.primitive_cube_add(size=2.0, location=(0, 0, 0))
    near = view((90.0, 0.0, 0.0), distance=1.05)
    (matrix,) = place(near, (2.0, 2.0))
    assert tuple(matrix.translation) == pytest.approx((0.0, 0.0, 1.0), abs=1e-5)


def test_another_portrait_stands_beside_the_first(place: Any, add_portrait: Any) -> None:
    first, _ = add_portrait()
    (matrix,) = place(view((90.0, 0.0, 0.0)), (2.0, 2.0))
    right_edge = max((first.matrix_world @ Vector(c)).x for c in first.bound_box)
    assert right_edge < (matrix @ Vector((-1.0, 0.0, 0.0))).x < right_edge + 0.3
    assert matrix.translation.y == pytest.approx(0.0, abs=1e-5)


def test_a_row_keeps_its_planes_apart(place: Any) -> None:
    sizes = ((2.0, 1.0), (1.0, 2.0), (2.0, 2.0))
    matrices = place(START_VIEW, *sizes)
    to_first = matrices[0].inverted()
    edges = [
        ((to_first @ m).translation.x - 0.5 * w, (to_first @ m).translation.x + 0.5 * w)
        for m, (w, _) in zip(matrices, sizes, strict=True)
    ]
    assert all(left[1] < right[0] for left, right in pairwise(edges))
    below = [Vector((0.0, -0.5 * height, 0.0)) for _, height in sizes]
    feet = [(m @ v).z for m, v in zip(matrices, below, strict=True)]
    assert feet == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)


def test_several_files_stand_side_by_side_and_are_selected(tmp_path: Path) -> None:
    files = [{"name": name} for name in ("a.jpg", "b.jpg", "c.jpg")]
    for file in files:
        shutil.copy(ASTRONAUT, tmp_path / file["name"])
    bpy.ops.keyportrait.add_portrait(files=files, directory=str(tmp_path))
    planes = sorted(bpy.context.selected_objects, key=lambda item: item.name)
    assert [plane.name for plane in planes] == ["a", "b", "c"]
    assert bpy.context.active_object == planes[0]
    assert np.diff([plane.location.x for plane in planes]).min() > 2.0


@pytest.mark.parametrize("resolution", [(1920, 1080), (1080, 1920), (512, 512)])
def test_a_camera_frames_the_picture_exactly(add_portrait: Any, resolution: Any) -> None:
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = resolution
    plane, _ = add_portrait(use_camera=True)
    bpy.context.view_layer.update()
    assert (scene.render.resolution_x, scene.render.resolution_y) == resolution
    corners = [plane.matrix_world @ vertex.co for vertex in plane.data.vertices]
    seen = np.array([world_to_camera_view(scene, scene.camera, corner) for corner in corners])
    spans = seen.max(axis=0) - seen.min(axis=0)
    assert max(spans[:2]) == pytest.approx(1.0, abs=1e-4)
    assert seen[:, :2].mean(axis=0) == pytest.approx((0.5, 0.5), abs=1e-4)
    assert scene.camera.type == "CAMERA" and bpy.context.active_object == plane


def test_the_render_can_have_the_picture_s_size(add_portrait: Any) -> None:
    add_portrait(use_resolution=True)
    render = bpy.context.scene.render
    assert (render.resolution_x, render.resolution_y) == (512, 512)


def test_all_solid_viewports_show_textures_flatly_lit(add_portrait: Any) -> None:
    def shadings() -> list[Any]:
        spaces = [space for s in bpy.data.screens for area in s.areas for space in area.spaces]
        return [space.shading for space in spaces if space.type == "VIEW_3D"]

    bpy.ops.wm.read_homefile(use_factory_startup=True)
    assert len(shadings()) > 3
    shadings()[0].type = "WIREFRAME"
    before = [(s.color_type, s.light) for s in shadings()]
    add_portrait(show_texture=False)
    assert [(s.color_type, s.light) for s in shadings()] == before
    add_portrait()
    solid = [s for s in shadings() if s.type == "SOLID"]
    assert len(solid) > 2
    assert {(s.color_type, s.light) for s in solid} == {("TEXTURE", "FLAT")}
