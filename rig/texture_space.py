"""How a texture node finds its pixels on a mesh: its UV map, and what transforms that on the way.

Followed back from the node's Vector: Mapping, Vector Math with constants, UV Map, Attribute,
Texture Coordinate, reroutes, node groups, and the texture node's own mapping. What bends (noise,
curves, other projections) is looked through as far as it can be, else taken as the plain UV map.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import bpy
from mathutils import Euler, Matrix, Vector

from .errors import PortraitError
from .textures import Texture, active_texture, textures_of

GENERATED = "GENERATED"
MAX_STEPS = 64
_AXES = {"X": 0, "Y": 1, "Z": 2}


class TextureSpace(NamedTuple):
    """Where a texture takes its coordinates from; equal spaces place a picture alike.

    source      "UV" or GENERATED
    layer       name of the UV map, "" for the one that is rendered
    rows        4 x 4: (u, v, w, 1) of the source → coordinates of the picture, (0, 0) bottom left
    is_repeated whether the picture goes on beyond its borders
    """

    source: str = "UV"
    layer: str = ""
    rows: tuple[tuple[float, ...], ...] = tuple(tuple(row) for row in Matrix.Identity(4))
    is_repeated: bool = False


def texture_space(item: bpy.types.Object) -> TextureSpace:
    """The space of the texture that shows a portrait's live image or bake, or will show it."""
    texture = _own_texture(item)
    if texture is None:
        return TextureSpace()
    own = _texture_mapping(texture.node.texture_mapping)
    source, layer, matrix = _Way(texture).follow(own)
    rows = tuple(tuple(row) for row in matrix)
    return TextureSpace(source, layer, rows, texture.node.extension == "REPEAT")


def _own_texture(item: bpy.types.Object) -> Texture | None:
    own = (item.keyportrait.portrait.output, item.keyportrait_baked.image)
    shown = [image for image in own if image is not None]
    for slot in item.material_slots:
        for texture in textures_of(slot.material):
            if texture.node.image in shown:
                return texture
    try:
        return active_texture(item)
    except PortraitError:
        return None


class _Way:
    """The nodes before a texture, followed backwards from its Vector."""

    def __init__(self, texture: Texture) -> None:
        self._groups = list(texture.groups)
        self._socket: bpy.types.NodeSocket | None = _named(texture.node.inputs, "Vector")

    def follow(self, matrix: Matrix) -> tuple[str, str, Matrix]:
        """(source, layer, matrix) with all transforms on the way, the given one last."""
        for _ in range(MAX_STEPS):
            link = _link_to(self._socket)
            if link is None:
                break
            node = link.from_node
            if node.type == "UVMAP":
                return "UV", node.uv_map, matrix
            if node.type == "ATTRIBUTE" and node.attribute_type == "GEOMETRY":
                return "UV", node.attribute_name, matrix
            if node.type == "TEX_COORD":
                is_generated = _is_from(link, "Generated")
                return GENERATED if is_generated else "UV", "", matrix
            if not node.mute:
                matrix = matrix @ self._transform(node)
            self._step(link)
        return "UV", "", matrix

    def _transform(self, node: bpy.types.Node) -> Matrix:
        if node.type == "MAPPING":
            return _mapping(node, self._value)
        if node.type == "VECT_MATH":
            return _vector_math(node, self._value)
        return Matrix.Identity(4)

    def _step(self, link: bpy.types.NodeLink) -> None:
        """Go on to the socket that a link's node takes its coordinates from."""
        node = link.from_node
        if node.type == "GROUP_INPUT":
            self._socket = self._outside(link.from_socket)
            if self._groups:
                self._groups.pop()
        elif node.type == "GROUP" and node.node_tree is not None and not node.mute:
            self._groups.append(node)
            ends = [n for n in node.node_tree.nodes if n.type == "GROUP_OUTPUT"]
            end = next((n for n in ends if n.is_active_output), None)
            self._socket = None if end is None else _named(end.inputs, link.from_socket.identifier)
        elif node.type == "VECT_MATH" and _link_to(node.inputs[0]) is None:
            self._socket = node.inputs[1]
        else:
            vectors = [s for s in node.inputs if s.type == "VECTOR" or node.type == "REROUTE"]
            self._socket = vectors[0] if vectors else None

    def _outside(self, socket: bpy.types.NodeSocket) -> bpy.types.NodeSocket | None:
        """The group node's socket that feeds a Group Input's."""
        return _named(self._groups[-1].inputs, socket.identifier) if self._groups else None

    def _value(self, socket: bpy.types.NodeSocket) -> Vector:
        """What a vector or number socket holds, where that is a constant."""
        link = _link_to(socket)
        node = None if link is None else link.from_node
        if node is not None and node.type == "GROUP_INPUT":
            socket = self._outside(link.from_socket) or socket
        elif node is not None and node.type == "VALUE":
            socket = node.outputs[0]
        elif node is not None and node.type == "COMBXYZ":
            parts = [_named(node.inputs, axis) for axis in "XYZ"]
            return Vector([part.default_value for part in parts if part is not None])
        value: Any = socket.default_value
        return Vector((value,) * 3) if isinstance(value, float) else Vector(value)


def _link_to(socket: bpy.types.NodeSocket | None) -> bpy.types.NodeLink | None:
    links = socket.links if socket is not None else None
    return next((link for link in links or () if not link.is_muted), None)


def _is_from(link: bpy.types.NodeLink, name: str) -> bool:
    return link.from_socket is not None and link.from_socket.name == name


def _named(sockets: bpy.types.bpy_prop_collection, identifier: str) -> bpy.types.NodeSocket | None:
    return next((socket for socket in sockets if socket.identifier == identifier), None)


def _mapping(node: bpy.types.Node, value: Callable[[bpy.types.NodeSocket], Vector]) -> Matrix:
    location = value(node.inputs["Location"]) if node.vector_type in {"POINT", "TEXTURE"} else None
    rotation, scale = value(node.inputs["Rotation"]), value(node.inputs["Scale"])
    return _transform(node.vector_type, location, rotation, scale)


def _texture_mapping(mapping: bpy.types.TexMapping) -> Matrix:
    """The mapping that a texture node has of its own, in the sidebar."""
    projection = Matrix.Diagonal((0.0, 0.0, 0.0, 1.0))
    for row, name in enumerate((mapping.mapping_x, mapping.mapping_y, mapping.mapping_z)):
        if name in _AXES:
            projection[row][_AXES[name]] = 1.0
    location = mapping.translation if mapping.vector_type in {"POINT", "TEXTURE"} else None
    own = _transform(mapping.vector_type, location, mapping.rotation, mapping.scale)
    return own @ projection


def _transform(
    kind: str, location: Vector | None, rotation: Euler | Vector, scale: Vector
) -> Matrix:
    """kind "POINT", "TEXTURE" (its inverse), "VECTOR" or "NORMAL" (the inverse scale)."""
    moved = Matrix.Translation(location if location is not None else (0.0, 0.0, 0.0))
    turned = Euler(tuple(rotation), "XYZ").to_matrix().to_4x4()
    inverse_scale = Matrix.Diagonal((*(1.0 / s if s else 0.0 for s in scale), 1.0))
    if kind == "TEXTURE":
        return inverse_scale @ turned.transposed() @ moved.inverted()
    if kind == "NORMAL":
        return turned @ inverse_scale
    return moved @ turned @ Matrix.Diagonal((*scale, 1.0))


def _vector_math(node: bpy.types.Node, value: Callable[[bpy.types.NodeSocket], Vector]) -> Matrix:
    is_second = _link_to(node.inputs[0]) is None
    other = value(node.inputs[0 if is_second else 1])
    operation = node.operation
    if operation == "ADD":
        return Matrix.Translation(other)
    if operation == "SUBTRACT":
        mirrored = Matrix.Diagonal((-1.0, -1.0, -1.0, 1.0))
        return Matrix.Translation(other) @ mirrored if is_second else Matrix.Translation(-other)
    if operation == "MULTIPLY":
        return Matrix.Diagonal((*other, 1.0))
    if operation == "DIVIDE" and not is_second:
        return Matrix.Diagonal((*(1.0 / part if part else 0.0 for part in other), 1.0))
    if operation == "SCALE":
        factor = value(node.inputs["Scale"])[0]
        return Matrix.Diagonal((factor, factor, factor, 1.0))
    if operation == "MULTIPLY_ADD":
        return Matrix.Translation(value(node.inputs[2])) @ Matrix.Diagonal((*other, 1.0))
    return Matrix.Identity(4)
