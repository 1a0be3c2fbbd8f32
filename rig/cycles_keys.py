"""What of a live image Cycles tells pictures apart by, and what of that can change unseen.

Until 5.2 Cycles loads a picture once per image, alpha mode and extension of its texture nodes (how
it goes on outside itself), and keeps it while these stay. Which of them come to the same:

* in an opaque picture all alpha modes; in a transparent one straight and premultiplied;
* Channel Packed and None have the same colours, and differ only where a node's alpha is used;
* there the extension changes. Inside the picture all of them come to the same, except for half a
  pixel at its border; what repeats outside is another one until the picture stands still.

Environment textures have no extension.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import bpy

OPAQUE_MODES = ("STRAIGHT", "PREMUL", "CHANNEL_PACKED", "NONE")
ASSOCIATED_MODES = ("STRAIGHT", "PREMUL")
COLOUR_MODES = ("CHANNEL_PACKED", "NONE")
OWN = "keyportrait_extension"  # custom property of a node that has another extension than its own
# Mirrored, a picture's outermost pixels go on as they do when extended.
_OTHER_EXTENSION = {"EXTEND": "MIRROR", "MIRROR": "EXTEND", "CLIP": "EXTEND", "REPEAT": "MIRROR"}


class Key(NamedTuple):
    """What Cycles tells a picture by.

    alpha_mode          the image's
    is_other_extension  whether its texture nodes have another extension than their own
    """

    alpha_mode: str
    is_other_extension: bool = False


def equal_keys(image: bpy.types.Image, home: str, *, is_transparent: bool) -> tuple[Key, ...]:
    """Keys that go round while pictures come; none where nothing can change unseen.

    home  the image's own alpha mode
    """
    if not is_transparent:
        return tuple(map(Key, OPAQUE_MODES))
    if home in ASSOCIATED_MODES:
        return tuple(map(Key, ASSOCIATED_MODES))
    nodes = list(_nodes_of(image))
    if not any(output.is_linked for node in nodes for output in node.outputs[1:]):
        return tuple(map(Key, COLOUR_MODES))
    if any(node.type != "TEX_IMAGE" for node in nodes):
        return ()
    return Key(home), Key(home, is_other_extension=True)


class Extensions:
    """Gives the nodes that show one live image other extensions, and their own back.

    A node keeps its own beside, so that undo steps and files that hold the other one tell it.
    """

    def __init__(self) -> None:
        self._may_be_other = True

    def note_undo(self) -> None:
        """Undo may bring back nodes with other extensions."""
        self._may_be_other = True

    def turn(self, image: bpy.types.Image, *, is_other: bool) -> None:
        """Give the image's nodes other extensions, or their own back."""
        if not is_other and not self._may_be_other:
            return
        self._may_be_other = is_other
        for node in _nodes_of(image):
            if node.type == "TEX_IMAGE":
                _turn_node(node, is_other=is_other)


def _turn_node(node: bpy.types.ShaderNodeTexImage, *, is_other: bool) -> None:
    now = node.extension
    own = node.get(OWN, now)
    if now not in (own, _OTHER_EXTENSION.get(own)):
        own = now  # the artist has chosen anew
    wanted = _OTHER_EXTENSION[own] if is_other else own
    if is_other:
        node[OWN] = own
    elif OWN in node:
        del node[OWN]
    if now != wanted:
        node.extension = wanted


def _nodes_of(image: bpy.types.Image) -> Iterator[bpy.types.Node]:
    """The texture nodes of all shaders that show an image."""
    for user in bpy.data.user_map(subset={image}).get(image, ()):
        tree = user if isinstance(user, bpy.types.NodeTree) else getattr(user, "node_tree", None)
        if tree is None or tree.type != "SHADER":
            continue
        for node in tree.nodes:
            if node.type in {"TEX_IMAGE", "TEX_ENVIRONMENT"} and node.image == image:
                yield node
