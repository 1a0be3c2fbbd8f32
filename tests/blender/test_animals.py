"""Animals and boxes by hand: what is found for the Animal renderer, and drawing on the plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest
from mathutils import Matrix, Vector

# A drawing of 480 px whose eyes are at (190, 235) and (290, 235).
CAT = str(Path(__file__).resolve().parents[1] / "data" / "cat.png")


def box_of(controller: Any, module: Any) -> tuple[float, float, float, float]:
    return module("rig.controllers").face_of(controller).box


def test_the_animal_renderer_finds_a_cat(add_portrait: Any, module: Any) -> None:
    plane, (controller,) = add_portrait(CAT, renderer="liveportrait_animal")
    assert plane.keyportrait.portrait.renderer == "liveportrait_animal"
    left, top, right, bottom = box_of(controller, module)
    assert left < 190
    assert right > 290
    assert top < 235 < bottom
    bpy.ops.keyportrait.find_faces()
    assert len(plane.keyportrait.portrait.faces) == 1


def test_without_a_cat_the_plane_waits_for_a_box(add_portrait: Any, module: Any) -> None:
    plane, controllers = add_portrait(renderer="liveportrait_animal")
    assert controllers == []
    bpy.context.scene.frame_set(2)  # a portrait without faces disturbs nothing
    with pytest.raises(RuntimeError, match=r"No cat's face.*Draw a box"):
        bpy.ops.keyportrait.find_faces()
    bpy.ops.keyportrait.add_face(box=(170, 60, 280, 190))
    (link,) = plane.keyportrait.portrait.faces
    assert box_of(link.controller, module) == pytest.approx((170, 60, 280, 190))


def test_the_preview_moves_a_box_around_a_readable_face(add_portrait: Any, pixels: Any) -> None:
    plane, (found,) = add_portrait()
    bpy.context.view_layer.objects.active = found
    bpy.ops.keyportrait.remove_face()
    bpy.ops.keyportrait.add_face(box=(175, 70, 275, 190))
    output = plane.keyportrait.portrait.output
    still = pixels(output).copy()
    controller = plane.keyportrait.portrait.faces[0].controller
    controller["head_yaw"] = 15.0
    controller.update_tag()
    bpy.context.scene.frame_set(2)
    changed = (abs(pixels(output) - still) > 0.05).any(axis=2)
    assert changed[70:190, 175:275].mean() > 0.1


def test_the_preview_says_that_a_box_holds_no_face(add_portrait: Any, module: Any) -> None:
    plane, (found,) = add_portrait()
    bpy.context.view_layer.objects.active = found
    bpy.ops.keyportrait.remove_face()
    bpy.ops.keyportrait.add_face(box=(10, 300, 120, 420))
    plane.keyportrait.portrait.faces[0].controller["smile"] = 1.0
    item = module("rig.portraits").portrait(plane)
    with pytest.raises(module("host.client").EngineError) as caught:
        module("rig.live").show_now(item, bpy.context.evaluated_depsgraph_get())
    assert caught.value.code == "bad_face"
    assert caught.value.hint


def test_a_ray_meets_the_pixel_whose_spot_it_aims_at(add_portrait: Any, module: Any) -> None:
    plane, _ = add_portrait()
    size = tuple(plane.keyportrait.portrait.source.size)
    surface = module("rig.placement").UvSurface(plane, size)
    for pixel in ((0.0, 0.0), (200.0, 50.0), (511.0, 300.0), (-40.0, 530.0)):
        spot = surface.spot(*pixel).frame
        target = spot.translation
        for start in (spot @ Vector((0.0, 0.0, 3.0)), spot @ Vector((1.0, -0.7, 2.0))):
            assert surface.pixel_along(start, target - start) == pytest.approx(pixel, abs=1e-3)
    with pytest.raises(module("rig.errors").PortraitError, match="from its edge"):
        surface.pixel_along(spot @ Vector((5.0, 0.0, 0.0)), spot.to_3x3() @ Vector((1, 0, 0)))


def test_a_view_of_a_turned_plane_finds_the_pixel(
    add_portrait: Any, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane, _ = add_portrait()
    plane.matrix_world = Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(0.7, 4, "Y")
    bpy.context.view_layer.update()
    picking = module("rig.picking")
    size = tuple(plane.keyportrait.portrait.source.size)
    spot = plane.matrix_world @ module("rig.placement").UvSurface(plane, size).spot(120, 80).frame
    eye = spot @ Vector((0.2, 0.3, 4.0))
    # In the background there is no viewport; it would answer with a ray like this.
    monkeypatch.setattr(picking.view3d_utils, "region_2d_to_origin_3d", lambda *_: eye)
    monkeypatch.setattr(
        picking.view3d_utils, "region_2d_to_vector_3d", lambda *_: spot.translation - eye
    )
    assert picking.picture_point(plane, None, None, (0, 0)) == pytest.approx((120, 80), abs=1e-3)


def test_drawn_boxes_are_sorted_cut_off_and_not_tiny(module: Any) -> None:
    picking = module("rig.picking")
    assert picking.box_between((300, 20), (-50, 600), (400, 500)) == (0, 20, 300, 500)
    with pytest.raises(module("rig.errors").PortraitError, match="too small"):
        picking.box_between((10, 10), (14, 200), (400, 500))
    with pytest.raises(module("rig.errors").PortraitError, match="too small"):
        picking.box_between((450, 10), (800, 200), (400, 500))


def test_drawing_needs_a_viewport(add_portrait: Any) -> None:
    add_portrait()
    with pytest.raises(RuntimeError, match="no 3D viewport"):
        bpy.ops.keyportrait.draw_face()
