"""Where faces stand on what shows the picture: UV maps, mappings, groups, repetitions."""

from __future__ import annotations

import math
from typing import Any

import bpy
import pytest
from conftest import ASTRONAUT
from mathutils import Euler, Vector

MIDDLE = (225.0 / 512, 1 - 122.5 / 512)  # of the box below, in the picture's 0..1


@pytest.fixture
def wall(module) -> Any:
    """A plane of 2 x 2 whose texture shows the astronaut; UVs as of a new plane."""
    bpy.ops.mesh.primitive_plane_add(size=2)
    item = bpy.context.active_object
    material = bpy.data.materials.new("Paint")
    if material.node_tree is None:
        material.use_nodes = True
    item.data.materials.append(material)
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.load(str(ASTRONAUT))
    material.node_tree.nodes.active = texture
    return item


def tree_of(item: Any) -> Any:
    return item.data.materials[0].node_tree


def texture_of(item: Any) -> Any:
    return next(node for node in tree_of(item).nodes if node.type == "TEX_IMAGE")


def mapping_before(item: Any, kind: str, **values: tuple[float, float, float]) -> Any:
    tree = tree_of(item)
    mapping = tree.nodes.new("ShaderNodeMapping")
    mapping.vector_type = kind
    for name, value in values.items():
        mapping.inputs[name.capitalize()].default_value = value
    coordinates = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(coordinates.outputs["UV"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], texture_of(item).inputs["Vector"])
    return mapping


def face_place(item: Any, module: Any) -> tuple[float, float]:
    """Where the controller stands on the plane, in its UVs: 0..1."""
    face = module("engine.motion").Face(box=(178.0, 69.0, 272.0, 176.0))
    portrait = module("rig.creation").use_texture(item, [face], texture_of(item).image)
    portrait.settings.use_live = False
    bpy.context.view_layer.update()
    x, y, z = item.matrix_world.inverted() @ portrait.controllers[0].matrix_world.translation
    assert abs(z) < 1e-5
    return (0.5 * (x + 1), 0.5 * (y + 1))


def mapped(u: float, v: float, kind: str, values: dict[str, tuple[float, float, float]]) -> Any:
    """What a Mapping node makes of coordinates, as Blender's manual has it."""
    location = Vector(values.get("location", (0, 0, 0)))
    turn = Euler(values.get("rotation", (0, 0, 0))).to_matrix()
    scale = Vector(values.get("scale", (1, 1, 1)))
    place = Vector((u, v, 0))
    if kind == "POINT":
        return turn @ (scale * place) + location
    place = turn.transposed() @ (place - location)
    return Vector([a / b for a, b in zip(place, scale, strict=True)])


def test_without_a_mapping_the_uv_map_counts(wall, module) -> None:
    assert face_place(wall, module) == pytest.approx(MIDDLE, abs=1e-4)


MAPPINGS = [
    {"location": (0.1, -0.2, 0.0)},
    {"scale": (1.5, 1.5, 1.0)},
    {"scale": (-1.0, 1.0, 1.0), "location": (1.0, 0.0, 0.0)},
    {"rotation": (0.0, 0.0, 0.3), "location": (0.1, 0.0, 0.0), "scale": (0.8, 1.2, 1.0)},
]


@pytest.mark.parametrize("kind", ["POINT", "TEXTURE"])
@pytest.mark.parametrize("values", MAPPINGS)
def test_a_mapping_node_counts(wall, module, kind, values) -> None:
    texture_of(wall).extension = "CLIP"
    mapping_before(wall, kind, **values)
    assert mapped(*face_place(wall, module), kind, values)[:2] == pytest.approx(MIDDLE, abs=1e-4)


def test_the_texture_s_own_mapping_counts(wall, module) -> None:
    own = texture_of(wall).texture_mapping
    own.translation, own.scale = (0.2, 0.1, 0.0), (1.2, 1.2, 1.0)
    u, v = face_place(wall, module)
    assert (1.2 * u + 0.2, 1.2 * v + 0.1) == pytest.approx(MIDDLE, abs=1e-4)


def test_vector_math_and_a_group_count(wall, module) -> None:
    tree = tree_of(wall)
    group = bpy.data.node_groups.new("Shift", "ShaderNodeTree")
    group.interface.new_socket("Vector", in_out="INPUT", socket_type="NodeSocketVector")
    group.interface.new_socket("Amount", in_out="INPUT", socket_type="NodeSocketVector")
    group.interface.new_socket("Vector", in_out="OUTPUT", socket_type="NodeSocketVector")
    start, end = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    shift = group.nodes.new("ShaderNodeVectorMath")
    shift.operation = "ADD"
    group.links.new(start.outputs["Vector"], shift.inputs[0])
    group.links.new(start.outputs["Amount"], shift.inputs[1])
    group.links.new(shift.outputs[0], end.inputs["Vector"])
    node = tree.nodes.new("ShaderNodeGroup")
    node.node_tree = group
    node.inputs["Amount"].default_value = (0.2, -0.1, 0.0)
    coordinates = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(coordinates.outputs["UV"], node.inputs["Vector"])
    tree.links.new(node.outputs["Vector"], texture_of(wall).inputs["Vector"])
    u, v = face_place(wall, module)
    assert (u + 0.2, v - 0.1) == pytest.approx(MIDDLE, abs=1e-4)


@pytest.mark.parametrize("how", ["node", "render"])
def test_the_uv_map_that_the_texture_uses_counts(wall, module, how) -> None:
    other = wall.data.uv_layers.new(name="Turned")
    for item in other.data:
        item.uv = (1.0 - item.uv.x, 1.0 - item.uv.y)
    wall.data.uv_layers.active = wall.data.uv_layers[0]
    if how == "node":
        node = tree_of(wall).nodes.new("ShaderNodeUVMap")
        node.uv_map = "Turned"
        tree_of(wall).links.new(node.outputs["UV"], texture_of(wall).inputs["Vector"])
    else:
        other.active_render = True
    u, v = face_place(wall, module)
    assert (1 - u, 1 - v) == pytest.approx(MIDDLE, abs=1e-4)


def test_generated_coordinates_count(wall, module) -> None:
    for item in wall.data.uv_layers[0].data:
        item.uv = (0.5, 0.5)
    node = tree_of(wall).nodes.new("ShaderNodeTexCoord")
    tree_of(wall).links.new(node.outputs["Generated"], texture_of(wall).inputs["Vector"])
    assert face_place(wall, module) == pytest.approx(MIDDLE, abs=1e-4)


def test_a_repeated_picture_has_its_face_on_the_mesh(wall, module) -> None:
    mapping_before(wall, "POINT", location=(0.7, 0.0, 0.0))
    u, v = face_place(wall, module)
    assert 0.0 <= u <= 1.0
    assert (math.fmod(u + 0.7, 1.0), v) == pytest.approx(MIDDLE, abs=1e-4)


def test_a_mapping_that_changes_takes_the_handle_along(wall, module) -> None:
    mapping = mapping_before(wall, "POINT")
    face_place(wall, module)
    controller = wall.keyportrait.portrait.faces[0].controller
    before = controller.matrix_world.translation.copy()
    mapping.inputs["Location"].default_value[0] = 0.1
    bpy.context.view_layer.update()
    bpy.context.view_layer.update()
    moved = controller.matrix_world.translation - before
    assert tuple(moved) == pytest.approx((-0.2, 0.0, 0.0), abs=1e-5)
    motion = module("rig.motions").motion_of(controller, bpy.context.evaluated_depsgraph_get())
    assert motion == module("engine.motion").Motion()


def test_a_ray_meets_the_pixel_through_a_mapping(wall, module) -> None:
    mapping_before(wall, "POINT", location=(0.2, -0.1, 0.0), scale=(0.9, 1.1, 1.0))
    texture_of(wall).extension = "CLIP"
    surface = module("rig.placement").UvSurface(wall, (512, 512))
    for pixel in ((225.0, 122.5), (400.0, 300.0)):
        place = surface.spot(*pixel).frame.translation
        start = place + Vector((0.1, 0.2, 3.0))
        assert surface.pixel_along(start, place - start) == pytest.approx(pixel, abs=1e-2)
