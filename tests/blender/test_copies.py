"""Copies of portraits: which become portraits of their own, and which stay instances."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest
from conftest import change_box
from soundness import portraits, shown_images


def update(*items) -> None:
    for item in items:
        item.update_tag()
    bpy.context.view_layer.update()


def copy(*items, linked: bool = False):
    """Duplicate; (plane, controller) of the copy."""
    for item in bpy.context.selected_objects:
        item.select_set(False)
    for item in items:
        item.select_set(True)
    bpy.context.view_layer.objects.active = items[0]
    bpy.ops.object.duplicate(linked=linked)
    made = list(bpy.context.selected_objects)
    plane = next(item for item in made if item.type == "MESH")
    return plane, next((item for item in made if item.type == "EMPTY"), None)


def only_image(plane):
    (image,) = shown_images(plane)
    return image


def test_an_instance_shows_the_original_which_goes_on(add_portrait, pixels) -> None:
    plane, (controller,) = add_portrait()
    output = plane.keyportrait.portrait.output
    still = pixels(output)
    other, second = copy(plane, controller, linked=True)
    assert other.data == plane.data
    assert only_image(plane) == only_image(other) == output
    controller["smile"] = 1.0
    update(controller)
    smiling = pixels(output)
    assert change_box(still, smiling)
    second["mouth_open"] = 1.0
    update(second)
    assert (pixels(output) == smiling).all()


def test_an_instance_says_what_it_is_and_becomes_a_portrait(add_portrait, pixels, module) -> None:
    plane, (controller,) = add_portrait()
    output = plane.keyportrait.portrait.output
    other, second = copy(plane, controller, linked=True)
    bpy.context.view_layer.objects.active = other
    with pytest.raises(RuntimeError, match="shows the picture of 'astronaut'"):
        bpy.ops.keyportrait.find_faces()
    assert bpy.ops.keyportrait.make_own() == {"FINISHED"}
    assert only_image(plane) == output
    assert only_image(other) == other.keyportrait.portrait.output != output
    assert other.data != plane.data and other.active_material != plane.active_material
    still = pixels(output)
    second["smile"] = 1.0
    update(second)
    assert (pixels(output) == still).all()
    assert change_box(still, pixels(other.keyportrait.portrait.output))
    with pytest.raises(RuntimeError, match="portrait of its own already"):
        bpy.ops.keyportrait.make_own()


def test_make_single_user_makes_a_portrait_of_an_instance(add_portrait) -> None:
    plane, (controller,) = add_portrait()
    other, second = copy(plane, controller, linked=True)
    bpy.context.view_layer.objects.active = other
    bpy.ops.object.make_single_user(object=True, obdata=True)
    assert only_image(other) == other.keyportrait.portrait.output
    assert only_image(plane) == plane.keyportrait.portrait.output != only_image(other)
    assert [link.controller for link in other.keyportrait.portrait.faces] == [second]


def test_an_instance_takes_over_when_its_original_is_deleted(add_portrait, pixels) -> None:
    plane, (controller,) = add_portrait()
    other, second = copy(plane, controller, linked=True)
    for item in (plane, controller):
        item.select_set(True)
    for item in (other, second):
        item.select_set(False)
    bpy.ops.object.delete()
    output = other.keyportrait.portrait.output
    assert only_image(other) == output
    still = pixels(output)
    second["smile"] = 1.0
    update(second)
    assert change_box(still, pixels(output))


def test_a_saved_instance_is_still_one_whatever_it_is_called(
    add_portrait, pixels, tmp_path: Path
) -> None:
    plane, (controller,) = add_portrait()
    copy(plane, controller, linked=True)
    plane.name, controller.name = "Zoe", "Zoe Face"
    controller["smile"] = 1.0
    update(controller)
    smiling = pixels(plane.keyportrait.portrait.output)
    path = str(tmp_path / "instances.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    plane, controller = bpy.data.objects["Zoe"], bpy.data.objects["Zoe Face"]
    other = next(item for item in portraits() if item != plane)
    output = plane.keyportrait.portrait.output
    assert only_image(plane) == only_image(other) == output
    assert (pixels(output) == smiling).all()
    controller["smile"] = 0.0
    update(controller)
    assert change_box(smiling, pixels(output))


def test_duplicates_of_a_portrait_and_its_instance_are_the_same_again(add_portrait) -> None:
    plane, (controller,) = add_portrait()
    instance, _second = copy(plane, controller, linked=True)
    copy(plane, controller, instance)
    third, fourth = sorted(portraits(), key=lambda item: item.session_uid)[2:]
    assert third.data == fourth.data != plane.data
    assert third.keyportrait.portrait.uid == fourth.keyportrait.portrait.uid
    assert only_image(third) == only_image(fourth) == third.keyportrait.portrait.output
    assert only_image(plane) == plane.keyportrait.portrait.output != only_image(third)


def test_a_baked_copy_goes_back_to_its_own_live_image(add_portrait, tmp_path: Path) -> None:
    plane, (controller,) = add_portrait()
    bpy.context.scene.keyportrait_bake.folder = str(tmp_path)
    bpy.context.scene.frame_end = 1
    bpy.ops.keyportrait.bake()
    other, _ = copy(plane, controller)
    bpy.context.view_layer.objects.active = other
    bpy.ops.keyportrait.show_live()
    assert only_image(other) == other.keyportrait.portrait.output
    assert only_image(plane) == plane.keyportrait_baked.image


def test_a_texture_in_a_node_group_is_separated_too(add_portrait) -> None:
    plane, (controller,) = add_portrait()
    output = plane.keyportrait.portrait.output
    tree = plane.active_material.node_tree
    group = bpy.data.node_groups.new("Photo", "ShaderNodeTree")
    group.nodes.new("ShaderNodeTexImage").image = output
    tree.nodes.remove(tree.nodes.active)
    tree.nodes.new("ShaderNodeGroup").node_tree = group
    other, _ = copy(plane, controller)
    assert only_image(plane) == output
    assert only_image(other) == other.keyportrait.portrait.output != output


def test_a_pasted_portrait_is_one_of_its_own(add_portrait, pixels) -> None:
    plane, (controller,) = add_portrait()
    still = pixels(plane.keyportrait.portrait.output)
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    plane.select_set(True)
    controller.select_set(True)
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.view3d.copybuffer()
        bpy.ops.view3d.pastebuffer()
    (other,) = (item for item in portraits() if item != plane)
    settings = other.keyportrait.portrait
    assert settings.uid != plane.keyportrait.portrait.uid
    assert only_image(other) == settings.output != plane.keyportrait.portrait.output
    assert (pixels(settings.output) == still).all()
    second = settings.faces[0].controller
    second["smile"] = 1.0
    update(second)
    assert change_box(still, pixels(settings.output))
    assert (pixels(plane.keyportrait.portrait.output) == still).all()


def test_a_portrait_linked_from_an_older_copy_of_this_file_is_another_one(
    add_portrait, pixels, tmp_path: Path
) -> None:
    plane, (controller,) = add_portrait()
    for frame, value in ((1, 0.0), (5, 1.0)):
        controller["smile"] = value
        controller.keyframe_insert('["smile"]', frame=frame)
    path = str(tmp_path / "older.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path, copy=True)
    controller.animation_data_clear()
    controller["smile"] = 0.0
    with bpy.data.libraries.load(path, link=True) as (there, here):
        here.objects = list(there.objects)
    for item in here.objects:
        bpy.context.collection.objects.link(item)
    linked = next(item for item in here.objects if item.type == "MESH")
    bpy.context.scene.frame_set(1)
    still = pixels(linked.keyportrait.portrait.output)
    bpy.context.scene.frame_set(5)
    assert change_box(still, pixels(linked.keyportrait.portrait.output))
    assert not change_box(still, pixels(plane.keyportrait.portrait.output))
