"""Planes and materials that show a portrait's live image."""

from __future__ import annotations

import bpy
from mathutils import Matrix

from .. import compat

# Length of a new plane's longer side, scene units.
LONGER_SIDE = 2.0
# Upright, facing -Y: the front view.
CORNERS = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
ASPECT_TOLERANCE = 0.01
UPRIGHT = Matrix.Rotation(1.5707963267948966, 4, "X")


def scene_size(size_px: tuple[int, int]) -> tuple[float, float]:
    """Width and height of the plane that a picture gets, scene units."""
    width, height = size_px
    scale = LONGER_SIDE / max(width, height)
    return width * scale, height * scale


def add_plane(
    collection: bpy.types.Collection, name: str, size_px: tuple[int, int], matrix: Matrix
) -> bpy.types.Object:
    """A new plane with the aspect of a picture, UV-mapped, its middle at `matrix` of the world."""
    x, y = (0.5 * side for side in scene_size(size_px))
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0)], [], [(0, 1, 2, 3)])
    layer = mesh.uv_layers.new(name="UVMap")
    layer.data.foreach_set("uv", [0, 0, 1, 0, 1, 1, 0, 1])
    plane = bpy.data.objects.new(name, mesh)
    plane.matrix_world = matrix
    collection.objects.link(plane)
    return plane


def reshape(plane: bpy.types.Object, old_px: tuple[int, int], new_px: tuple[int, int]) -> bool:
    """Give the plane of a picture the aspect of another one; whether that was done.

    Only a quad that shows the whole old picture in its own aspect is changed: others are the
    artist's. Its middle, its direction and the length of its longer side stay.
    """
    mesh = plane.data
    if plane.mode != "OBJECT" or not mesh.is_editable or len(mesh.vertices) != len(CORNERS):
        return False
    if len(mesh.polygons) != 1 or mesh.uv_layers.active is None:
        return False
    uvs = [tuple(entry.uv) for entry in mesh.uv_layers.active.data]
    if any(corner not in uvs for corner in CORNERS):
        return False
    loops = [mesh.loops[uvs.index(corner)].vertex_index for corner in CORNERS]
    corners = [mesh.vertices[index].co.copy() for index in loops]
    across, up = corners[1] - corners[0], corners[3] - corners[0]
    aspect = old_px[0] / old_px[1]
    is_own = abs(across.length - aspect * up.length) < ASPECT_TOLERANCE * across.length
    if not is_own or abs(across.dot(up)) > ASPECT_TOLERANCE * across.length * up.length:
        return False
    longer = max(across.length, up.length)
    middle = sum(corners, start=corners[0] * 0.0) / len(corners)
    width, height = (longer * side / max(new_px) for side in new_px)
    across, up = across.normalized() * width, up.normalized() * height
    for index, (u, v) in zip(loops, CORNERS, strict=True):
        mesh.vertices[index].co = middle + across * (u - 0.5) + up * (v - 0.5)
    mesh.update()
    return True


def add_material(
    name: str, image: bpy.types.Image, kind: str, *, is_transparent: bool = False
) -> bpy.types.Material:
    """A material that shows an image with its alpha.

    kind  "EMISSION" or "PRINCIPLED"
    is_transparent  blend smoothly in EEVEE; opaque pictures sort better without
    """
    material = bpy.data.materials.new(name)
    compat.use_nodes(material)
    if is_transparent:
        material.surface_render_method = "BLENDED"
    tree = material.node_tree
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    texture.extension = "CLIP"
    texture.location, output.location = (-320, 120), (520, 120)
    if kind == "PRINCIPLED":
        shader = tree.nodes.new("ShaderNodeBsdfPrincipled")
        shader.location = (40, 160)
        tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
        tree.links.new(texture.outputs["Alpha"], shader.inputs["Alpha"])
        tree.links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    else:
        _add_emission(tree, texture, output)
    tree.nodes.active = texture
    return material


def _add_emission(
    tree: bpy.types.NodeTree, texture: bpy.types.Node, output: bpy.types.Node
) -> None:
    emission = tree.nodes.new("ShaderNodeEmission")
    transparent = tree.nodes.new("ShaderNodeBsdfTransparent")
    mix = tree.nodes.new("ShaderNodeMixShader")
    emission.location, transparent.location, mix.location = (40, 20), (40, 180), (300, 120)
    tree.links.new(texture.outputs["Color"], emission.inputs["Color"])
    tree.links.new(texture.outputs["Alpha"], mix.inputs["Fac"])
    tree.links.new(transparent.outputs["BSDF"], mix.inputs[1])
    tree.links.new(emission.outputs["Emission"], mix.inputs[2])
    tree.links.new(mix.outputs["Shader"], output.inputs["Surface"])
