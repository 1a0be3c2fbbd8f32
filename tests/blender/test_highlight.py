"""The outlines that tell faces apart: which are shown, and that they lie on the faces."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Vector


@pytest.fixture
def two_faces(add_portrait: Any) -> Any:
    plane, (first,) = add_portrait()
    bpy.ops.keyportrait.add_face(box=(300, 100, 400, 220))
    return plane, first, plane.keyportrait.portrait.faces[1].controller


@pytest.fixture
def shown(module: Any) -> Any:
    """shown() → controller → how it is outlined, in a viewport with or without overlays."""

    def look(active: Any, *, overlays: bool = True) -> dict[Any, str]:
        bpy.context.view_layer.objects.active = active
        space = next(
            area.spaces.active
            for screen in bpy.data.screens
            for area in screen.areas
            if area.type == "VIEW_3D"
        )
        space.overlay.show_overlays = overlays
        context = SimpleNamespace(active_object=active, space_data=space, mode=bpy.context.mode)
        return dict(module("rig.highlight").shown_faces(context))

    return look


def pixels(module: Any, controller: Any) -> np.ndarray:
    """Where on the picture the outline's points lie."""
    plane = controller.keyportrait.face.portrait
    surface = module("rig.placement").UvSurface(
        plane, tuple(plane.keyportrait.portrait.source.size)
    )
    points = module("rig.highlight").outline_of(controller)
    ahead = Vector((0.0, 0.0, 1.0))
    return np.array([surface.pixel_along(point + ahead, -ahead) for point in points])


def test_the_active_face_and_the_others_are_outlined(two_faces: Any, shown: Any) -> None:
    plane, first, second = two_faces
    assert shown(first) == {first: "ACTIVE", second: "OTHER"}
    assert shown(plane) == {first: "OTHER", second: "OTHER"}
    assert shown(first, overlays=False) == {}
    plane.hide_set(True)
    assert shown(first) == {}


def test_one_face_alone_is_outlined_only_while_its_row_is_pointed_at(
    add_portrait: Any, shown: Any, module: Any
) -> None:
    _, (face,) = add_portrait()
    assert shown(face) == {}
    button = bpy.types.KEYPORTRAIT_OT_select_face
    assert face.name in button.description(bpy.context, SimpleNamespace(index=0))
    assert shown(face) == {face: "POINTED"}
    module("rig.highlight")._pointed = (face.session_uid, 0.0)  # later
    assert shown(face) == {}


def test_the_outline_lies_around_the_face(two_faces: Any, module: Any) -> None:
    for controller in two_faces[1:]:
        found = pixels(module, controller)
        x0, y0, x1, y1 = module("rig.controllers").face_of(controller).box
        assert len(found) >= 30
        assert found.min(axis=0) == pytest.approx((x0, y0), abs=3.0)
        assert found.max(axis=0) == pytest.approx((x1, y1), abs=3.0)


def test_the_outline_follows_the_mesh(two_faces: Any, module: Any) -> None:
    plane, first, _ = two_faces
    before = pixels(module, first)
    old = list(module("rig.highlight").outline_of(first))
    for vertex in plane.data.vertices:
        vertex.co.x = 2.0 * vertex.co.x + 1.0
    plane.data.update()
    bpy.context.view_layer.update()
    assert np.abs(pixels(module, first) - before).max() < 0.01
    assert (module("rig.highlight").outline_of(first)[0] - old[0]).length > 0.5
