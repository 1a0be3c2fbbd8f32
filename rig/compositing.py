"""Live images that the compositor shows by itself, without rendering the scene."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

from .. import compat
from . import portraits


def is_all_of_render(scene: bpy.types.Scene) -> bool:
    """Whether a render of this scene runs the compositor alone, and a live image is part of it.

    Without a Render Layers node Blender evaluates no frame: no handler is told, nothing moves.
    """
    tree = compat.compositor_tree(scene) if scene.render.use_compositing else None
    if tree is None:
        return False
    nodes = list(_nodes(tree, set()))
    if any(node.type == "R_LAYERS" and not node.mute for node in nodes):
        return False
    live = {item.settings.output for item in portraits.all_portraits()} - {None}
    return any(node.type == "IMAGE" and node.image in live for node in nodes)


def _nodes(tree: bpy.types.NodeTree, seen: set[int]) -> Iterator[bpy.types.Node]:
    """The nodes of a tree and of the groups in it."""
    if tree.session_uid in seen:
        return
    seen.add(tree.session_uid)
    for node in tree.nodes:
        if node.type == "GROUP":
            if node.node_tree is not None:
                yield from _nodes(node.node_tree, seen)
        else:
            yield node
