"""Portraits from other files: appended, linked, overridden, instanced."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest
from conftest import change_box


def update(item) -> None:
    item.update_tag()
    bpy.context.view_layer.update()


def test_appended_from_another_file(add_portrait, pixels, tmp_path: Path) -> None:
    add_portrait()
    path = str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    with bpy.data.libraries.load(path) as (there, here):
        here.objects = list(there.objects)
    for item in here.objects:
        bpy.context.collection.objects.link(item)
    bpy.context.view_layer.update()
    plane = next(item for item in here.objects if item.type == "MESH")
    controller = plane.keyportrait.portrait.faces[0].controller
    output = plane.keyportrait.portrait.output
    before = pixels(output)
    controller["smile"] = 1.0
    update(controller)
    assert change_box(before, pixels(output))


def test_linked_from_a_library_it_plays(add_portrait, pixels, tmp_path: Path) -> None:
    plane, (controller,) = add_portrait()
    controller["smile"] = 1.0
    controller.keyframe_insert('["smile"]', frame=5)
    controller["smile"] = 0.0
    controller.keyframe_insert('["smile"]', frame=1)
    path = str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    with bpy.data.libraries.load(path, link=True) as (there, here):
        here.objects = list(there.objects)
    for item in here.objects:
        bpy.context.collection.objects.link(item)
    plane = next(item for item in here.objects if item.type == "MESH")
    output = plane.keyportrait.portrait.output
    bpy.context.scene.frame_set(1)
    still = pixels(output)
    bpy.context.scene.frame_set(5)
    assert change_box(still, pixels(output))
    bpy.context.view_layer.objects.active = plane
    with pytest.raises(RuntimeError, match="linked from another file"):
        bpy.ops.keyportrait.find_faces()


def saved_in_a_collection(plane, controller, path: str) -> None:
    collection = bpy.data.collections.new("Cast")
    for item in (plane, controller):
        collection.objects.link(item)
    bpy.context.scene.collection.children.link(collection)
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


def linked_collection(path: str):
    with bpy.data.libraries.load(path, link=True) as (_there, here):
        here.collections = ["Cast"]
    return here.collections[0]


def test_a_library_override_has_its_own_expression(add_portrait, pixels, tmp_path: Path) -> None:
    plane, (controller,) = add_portrait()
    path = str(tmp_path / "library.blend")
    saved_in_a_collection(plane, controller, path)
    collection = linked_collection(path)
    scene, view_layer = bpy.context.scene, bpy.context.view_layer
    planes = []
    for _ in range(2):
        override = collection.override_hierarchy_create(scene, view_layer, do_fully_editable=True)
        planes += [item for item in override.all_objects if item.type == "MESH"]
    bpy.context.view_layer.update()
    first, second = (item.keyportrait.portrait for item in planes)
    assert first.output != second.output
    stills = [pixels(first.output), pixels(second.output)]
    mine = first.faces[0].controller
    assert mine.override_library is not None and mine != second.faces[0].controller
    mine["smile"] = 1.0
    update(mine)
    assert change_box(stills[0], pixels(first.output))
    assert (pixels(second.output) == stills[1]).all()


def test_an_instanced_collection_plays(add_portrait, pixels, tmp_path: Path) -> None:
    plane, (controller,) = add_portrait()
    for frame, value in ((1, 0.0), (5, 1.0)):
        controller["smile"] = value
        controller.keyframe_insert('["smile"]', frame=frame)
    path = str(tmp_path / "library.blend")
    saved_in_a_collection(plane, controller, path)
    collection = linked_collection(path)
    instance = bpy.data.objects.new("instance", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", collection
    bpy.context.collection.objects.link(instance)
    plane = next(item for item in collection.objects if item.type == "MESH")
    scene = bpy.context.scene
    scene.frame_set(1)
    still = pixels(plane.keyportrait.portrait.output)
    scene.frame_set(5)
    assert change_box(still, pixels(plane.keyportrait.portrait.output))
