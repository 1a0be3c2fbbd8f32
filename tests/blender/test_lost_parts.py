"""Planes without controllers, controllers without planes, and what new ones are called."""

from __future__ import annotations

import bpy
import pytest
from test_panels import draw_all, operators_drawn, properties_drawn


def delete(*items) -> None:
    for item in bpy.context.view_layer.objects:
        item.select_set(item in items)
    bpy.ops.object.delete()


def activate(item) -> None:
    bpy.context.view_layer.objects.active = item
    item.select_set(True)


def test_the_controller_of_a_deleted_plane_says_so(add_portrait) -> None:
    plane, (controller,) = add_portrait()
    delete(plane)
    activate(controller)
    texts, calls = draw_all()
    assert "The plane of 'astronaut Face' was deleted." in texts.replace("\n", " ")
    assert "Select a portrait" in texts
    assert "keyportrait.find_faces" not in operators_drawn(calls)
    with pytest.raises(RuntimeError, match="No portrait is active"):
        bpy.ops.keyportrait.find_faces()
    assert bpy.ops.keyportrait.remove_face() == {"FINISHED"}


def test_the_plane_of_a_deleted_controller_offers_to_find_it(add_portrait) -> None:
    plane, (controller,) = add_portrait()
    delete(controller)
    activate(plane)
    texts, calls = draw_all()
    assert "press Find or Draw" in texts and "has no face yet" in texts
    assert '["smile"]' not in properties_drawn(calls)
    bpy.ops.keyportrait.find_faces()
    assert [link.controller.name for link in plane.keyportrait.portrait.faces][-1] == (
        "astronaut Face"
    )


def test_find_tells_what_it_kept_and_added(add_portrait, capfd) -> None:
    plane, (controller,) = add_portrait()
    activate(plane)
    capfd.readouterr()
    bpy.ops.keyportrait.find_faces()
    assert "kept 'astronaut Face'" in capfd.readouterr().out
    delete(controller)
    activate(plane)
    bpy.ops.keyportrait.find_faces()
    assert "added 'astronaut Face'" in capfd.readouterr().out


def test_faces_are_numbered_without_gaps(add_portrait) -> None:
    plane, (_controller,) = add_portrait()
    names = []
    for _ in range(3):
        activate(plane)
        bpy.ops.keyportrait.add_face(box=(20, 20, 120, 140))
        names.append(plane.keyportrait.portrait.faces[-1].controller.name)
    assert names == [f"astronaut Face {number}" for number in (2, 3, 4)]
    delete(bpy.data.objects["astronaut Face 3"])
    activate(plane)
    bpy.ops.keyportrait.add_face(box=(20, 20, 120, 140))
    assert plane.keyportrait.portrait.faces[-1].controller.name == "astronaut Face 3"


def test_a_lost_picture_is_told_once(add_portrait, module) -> None:
    plane, (controller,) = add_portrait()
    bpy.data.images.remove(plane.keyportrait.portrait.source)
    controller["smile"] = 1.0
    live = module("rig.live")
    live.refresh(bpy.context.scene, bpy.context.evaluated_depsgraph_get())
    assert "lost its picture" in live.problem_of(plane).message
    activate(plane)
    assert draw_all()[0].count("lost its") == 1
