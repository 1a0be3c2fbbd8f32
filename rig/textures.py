"""The image textures of a material, those inside node groups included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import bpy

from .. import compat
from .errors import PortraitError


class Texture(NamedTuple):
    """An image texture node, and the group nodes that lead to it from the material's own tree."""

    groups: tuple[bpy.types.Node, ...]
    node: bpy.types.ShaderNodeTexImage


def textures_of(material: bpy.types.Material | None) -> Iterator[Texture]:
    """Every image texture of a material, its own first.

    A group that is used twice is walked twice, so a node may come more than once.
    """
    if material is not None and material.node_tree is not None:
        yield from _textures_in(material.node_tree, ())


def _textures_in(tree: bpy.types.NodeTree, groups: tuple[bpy.types.Node, ...]) -> Iterator[Texture]:
    for node in tree.nodes:
        if node.type == "TEX_IMAGE":
            yield Texture(groups, node)
    for node in tree.nodes:
        if node.type == "GROUP" and node.node_tree is not None:
            yield from _textures_in(node.node_tree, (*groups, node))


def texture_nodes(item: bpy.types.Object) -> Iterator[bpy.types.ShaderNodeTexImage]:
    """The image texture nodes of an object's materials, each once."""
    seen: set[int] = set()
    for slot in item.material_slots:
        for texture in textures_of(slot.material):
            pointer = texture.node.as_pointer()
            if pointer not in seen:
                seen.add(pointer)
                yield texture.node


def active_texture(item: bpy.types.Object) -> Texture:
    """The image texture that an object shows: the active one, else the first of its material.

    Raises PortraitError, saying what is missing.
    """
    material = item.active_material
    if material is None:
        raise PortraitError(f"'{item.name}' has no material.", "Give it one with an image texture.")
    if not compat.has_nodes(material) or material.node_tree is None:
        raise PortraitError(f"'{material.name}' has no nodes.", "Switch Use Nodes on.")
    textures = [found for found in textures_of(material) if found.node.image is not None]
    if not textures:
        raise PortraitError(
            f"'{material.name}' has no image texture.", "Add an Image Texture node with a picture."
        )
    return max(textures, key=lambda found: _active_steps(material.node_tree, found))


def _active_steps(tree: bpy.types.NodeTree, texture: Texture) -> int:
    """How many nodes of the way to a texture are the active ones of their trees."""
    trees = [tree, *(group.node_tree for group in texture.groups)]
    way = [*texture.groups, texture.node]
    are_active = [tree.nodes.active == node for tree, node in zip(trees, way, strict=True)]
    return [*are_active, False].index(False)


def can_use_texture(item: bpy.types.Object | None) -> bool:
    """Whether an object is no portrait yet and shows an image texture that could be driven."""
    if item is None or item.type != "MESH" or item.keyportrait.kind != "NONE":
        return False
    try:
        active_texture(item)
    except PortraitError:
        return False
    return True


def own_node(slot: bpy.types.MaterialSlot, texture: Texture) -> bpy.types.ShaderNodeTexImage:
    """The texture's node in a material and groups that nothing else uses; shared ones are copied.

    slot  the one that holds the texture's material
    """
    material = slot.material
    if material.users > 1 or not material.is_editable:
        slot.material = material = material.copy()
    tree = material.node_tree
    for group in texture.groups:
        node = tree.nodes[group.name]
        if node.node_tree.users > 1 or not node.node_tree.is_editable:
            node.node_tree = node.node_tree.copy()
        tree = node.node_tree
    return tree.nodes[texture.node.name]
