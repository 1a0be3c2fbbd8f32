"""Portraits from other files: appended, linked, overridden, instanced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest
from conftest import change_box
from performing import activate, at, capture, curves, recapture, write_template


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
    for item in {plane, controller}:
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


def overridden(path: str) -> tuple[Any, Any]:
    """(plane, controller) of a new library override."""
    collection = linked_collection(path)
    scene, view_layer = bpy.context.scene, bpy.context.view_layer
    override = collection.override_hierarchy_create(scene, view_layer, do_fully_editable=True)
    bpy.context.view_layer.update()
    return parts_of(override)


def parts_of(collection: Any) -> tuple[Any, Any]:
    found = {item.keyportrait.kind: item for item in collection.all_objects}
    return found["PORTRAIT"], found["FACE"]


def reopened(path: Path) -> list[tuple[Any, Any]]:
    """(plane, controller) of every override after saving and opening, in order of their names."""
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.open_mainfile(filepath=str(path))
    casts = [item for item in bpy.data.collections if item.override_library]
    return [parts_of(item) for item in sorted(casts, key=lambda item: item.name)]


def test_overrides_keep_their_faces_when_the_file_is_opened_again(
    add_portrait, pixels, module, tmp_path: Path
) -> None:
    plane, (controller,) = add_portrait()
    path = str(tmp_path / "library.blend")
    saved_in_a_collection(plane, controller, path)
    overridden(path)[1]["smile"] = 0.4
    other, _ = overridden(path)
    other.keyportrait.portrait.use_live = False
    uids = [item.plane.keyportrait.portrait.uid for item in module("rig.portraits").all_portraits()]
    for _ in range(2):  # what is opened can be saved again
        (first, mine), (second, others) = reopened(tmp_path / "shot.blend")
        portraits = module("rig.portraits")
        assert mine.override_library and others.override_library and mine != others
        assert portraits.portrait(first).controllers == (mine,)
        assert portraits.portrait(second).controllers == (others,)
        assert portraits.plane_of(mine) == first
        found = [item.plane.keyportrait.portrait.uid for item in portraits.all_portraits()]
        assert sorted(found) == sorted(uids) and len(set(found)) == 2
        assert mine["smile"] == pytest.approx(0.4) and others["smile"] == 0.0
        assert first.keyportrait.portrait.use_live
        assert not second.keyportrait.portrait.use_live
    outputs = [item.keyportrait.portrait.output for item in (first, second)]
    assert outputs[0] != outputs[1]
    second.keyportrait.portrait.use_live = True
    bpy.context.view_layer.update()
    stills = [pixels(output) for output in outputs]
    others["mouth_open"] = 1.0
    update(others)
    assert change_box(stills[1], pixels(outputs[1]))
    assert (pixels(outputs[0]) == stills[0]).all()


def test_overrides_that_point_into_their_library_find_home(
    add_portrait, module, tmp_path: Path
) -> None:
    """So they are in files of before pointers were kept."""
    plane, (controller,) = add_portrait()
    path = str(tmp_path / "library.blend")
    saved_in_a_collection(plane, controller, path)
    plane, controller = overridden(path)
    plane.keyportrait.portrait.faces[0].controller = controller.override_library.reference
    controller.keyportrait.face.portrait = plane.override_library.reference
    ((plane, controller),) = reopened(tmp_path / "shot.blend")
    assert module("rig.portraits").portrait(plane).controllers == (controller,)


def test_a_capture_on_an_override_survives(add_portrait, pixels, module, tmp_path: Path) -> None:
    plane, (controller,) = add_portrait()
    controller["expression"] = [0.0] * 63  # as a script may set it
    path = str(tmp_path / "library.blend")
    saved_in_a_collection(plane, controller, path)
    plane, controller = overridden(path)
    activate(controller)
    capture(filepath=write_template(tmp_path / "nod.pkl"), start_frame=1)
    controller["detail"] = 0.5
    before, keyed = expressions_of(controller), set(curves(module, controller))
    shown = pixels(plane.keyportrait.portrait.output)
    ((plane, controller),) = reopened(tmp_path / "shot.blend")
    assert controller["detail"] == 0.5
    assert module("rig.capture_settings").is_captured(controller)
    assert set(curves(module, controller)) == keyed
    assert expressions_of(controller) == before
    assert not change_box(shown, pixels(plane.keyportrait.portrait.output))
    bpy.ops.object.select_all(action="DESELECT")
    activate(controller)
    controller.keyportrait_capture.region = "exp"
    recapture()
    assert any(expressions_of(controller)[2])


def expressions_of(controller: Any) -> list[tuple[float, ...]]:
    """At three frames, the last of them 26."""
    return [tuple(at(controller, "expression", frame)) for frame in (1, 51, 26)]


def test_what_is_set_beyond_the_sliders_survives_on_an_override(
    add_portrait, tmp_path: Path
) -> None:
    plane, (controller,) = add_portrait()
    path = str(tmp_path / "library.blend")
    saved_in_a_collection(plane, controller, path)
    _, controller = overridden(path)
    numbers = [index / 1000.0 for index in range(63)]
    controller["expression"], controller["translation"] = numbers, [0.1, 0.2, 0.0]
    marker = controller.keyportrait_capture.markers.add()
    marker.label, marker.frame = "Cut 0:01", 24
    for _ in range(2):
        ((_, controller),) = reopened(tmp_path / "shot.blend")
        assert tuple(controller["expression"]) == pytest.approx(numbers)
        assert tuple(controller["translation"]) == pytest.approx((0.1, 0.2, 0.0))
        (marker,) = controller.keyportrait_capture.markers
        assert (marker.label, marker.frame) == ("Cut 0:01", 24)


def test_a_capture_on_an_override_of_an_old_library_survives(
    add_portrait, module, tmp_path: Path
) -> None:
    """Its library does not know the properties of takes."""
    plane, (controller,) = add_portrait()
    for name in module("rig.controllers").SIZES:
        del controller[name]
    path = str(tmp_path / "library.blend")
    saved_in_a_collection(plane, controller, path)
    plane, controller = overridden(path)
    activate(controller)
    capture(filepath=write_template(tmp_path / "nod.pkl"), start_frame=1)
    before = expressions_of(controller)
    assert any(any(numbers) for numbers in before)
    ((_, controller),) = reopened(tmp_path / "shot.blend")
    assert expressions_of(controller) == before


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


def test_faces_are_found_on_an_override(add_portrait, pixels, module, tmp_path: Path) -> None:
    plane, (controller,) = add_portrait()
    activate(controller)
    bpy.ops.keyportrait.remove_face()
    path = str(tmp_path / "library.blend")
    saved_in_a_collection(plane, plane, path)
    scene, view_layer = bpy.context.scene, bpy.context.view_layer
    override = linked_collection(path).override_hierarchy_create(
        scene, view_layer, do_fully_editable=True
    )
    view_layer.update()
    (mine,) = (item for item in override.all_objects if item.type == "MESH")
    activate(mine)
    assert bpy.ops.keyportrait.find_faces() == {"FINISHED"}
    activate(mine.keyportrait.portrait.faces[0].controller)
    assert bpy.ops.keyportrait.head_look_at() == {"FINISHED"}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    (mine,) = (item for item in bpy.context.scene.objects if item.type == "MESH")
    assert mine.override_library is not None
    (link,) = mine.keyportrait.portrait.faces
    assert link.controller.constraints[0].target is not None
    still = pixels(mine.keyportrait.portrait.output)
    link.controller["smile"] = 1.0
    update(link.controller)
    assert change_box(still, pixels(mine.keyportrait.portrait.output))
