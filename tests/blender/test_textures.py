"""Pictures that an object shows through node groups."""

from __future__ import annotations

from typing import Any

import bpy
import pytest
from conftest import ASTRONAUT


def group_with(image: Any, name: str = "Skin") -> Any:
    """A node group whose texture shows an image."""
    tree = bpy.data.node_groups.new(name, "ShaderNodeTree")
    tree.interface.new_socket("Vector", in_out="INPUT", socket_type="NodeSocketVector")
    tree.interface.new_socket("Color", in_out="OUTPUT", socket_type="NodeSocketColor")
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    end = tree.nodes.new("NodeGroupOutput")
    tree.links.new(texture.outputs["Color"], end.inputs["Color"])
    return tree


def material_with(tree: Any, name: str = "Paint") -> Any:
    """A material that emits what a node group gives."""
    material = bpy.data.materials.new(name)
    if not material.node_tree:
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    group, shader = nodes.new("ShaderNodeGroup"), nodes.new("ShaderNodeEmission")
    group.node_tree = tree
    end = nodes.new("ShaderNodeOutputMaterial")
    links.new(group.outputs["Color"], shader.inputs["Color"])
    links.new(shader.outputs["Emission"], end.inputs["Surface"])
    return material


def wall_with(material: Any) -> Any:
    """An active plane, 2 x 2, with a material."""
    bpy.ops.mesh.primitive_plane_add(size=2)
    wall = bpy.context.active_object
    wall.data.materials.append(material)
    return wall


def shown_by(item: Any) -> list[Any]:
    """The images of an object's first material, through one level of groups."""
    found = []
    for node in item.material_slots[0].material.node_tree.nodes:
        inner = node.node_tree.nodes if node.type == "GROUP" else [node]
        found += [n.image for n in inner if n.type == "TEX_IMAGE"]
    return found


@pytest.fixture
def photograph() -> Any:
    return bpy.data.images.load(str(ASTRONAUT))


def test_a_texture_in_a_group_is_found(photograph: Any) -> None:
    wall = wall_with(material_with(group_with(photograph)))
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    settings = wall.keyportrait.portrait
    assert settings.source == photograph
    assert shown_by(wall) == [settings.output]


def test_the_active_group_comes_before_other_textures(photograph: Any) -> None:
    material = material_with(group_with(photograph))
    nodes = material.node_tree.nodes
    other = nodes.new("ShaderNodeTexImage")
    other.image = bpy.data.images.new("Dust", 8, 8)
    nodes.active = next(node for node in nodes if node.type == "GROUP")
    wall = wall_with(material)
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    assert wall.keyportrait.portrait.source == photograph


@pytest.mark.parametrize("shared", ["group", "material", "mesh"])
def test_nothing_else_changes_its_picture(photograph: Any, shared: str) -> None:
    tree = group_with(photograph)
    first = wall_with(material_with(tree))
    second = wall_with(material_with(tree, "Other"))
    if shared == "material":
        second.data.materials[0] = first.data.materials[0]
    elif shared == "mesh":
        second.data = first.data
    bpy.context.view_layer.objects.active = first
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    assert shown_by(first) == [first.keyportrait.portrait.output]
    assert shown_by(second) == [photograph]


def test_a_copy_of_a_plane_has_its_own_picture_in_its_own_group(photograph: Any) -> None:
    wall = wall_with(material_with(group_with(photograph)))
    bpy.ops.keyportrait.use_texture()
    for item in (wall, *(link.controller for link in wall.keyportrait.portrait.faces)):
        item.select_set(True)
    bpy.ops.object.duplicate()
    bpy.context.view_layer.update()
    copy = next(o for o in bpy.context.selected_objects if o.type == "MESH")
    mine, other = wall.keyportrait.portrait.output, copy.keyportrait.portrait.output
    assert mine != other
    assert (shown_by(wall), shown_by(copy)) == ([mine], [other])
