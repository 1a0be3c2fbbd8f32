"""What of a live image Cycles tells pictures apart by, and what of that can change unseen.

Until 5.2 Cycles loads a picture once per image, alpha mode and extension and interpolation of its
texture nodes, and keeps it while these stay. Which of them come to the same:

* in an opaque picture all alpha modes; in a transparent one straight and premultiplied;
* Channel Packed and None have the same colours, and differ only where a node's alpha is used;
* there the nodes change. Inside the picture all extensions come to the same, except for half a
  pixel at its border; what repeats outside is another one until the picture stands still.
  Environment textures have no extension; they are a little softer meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import bpy

OPAQUE_MODES = ("STRAIGHT", "PREMUL", "CHANNEL_PACKED", "NONE")
ASSOCIATED_MODES = ("STRAIGHT", "PREMUL")
COLOUR_MODES = ("CHANNEL_PACKED", "NONE")
OWN = "keyportrait_own"  # custom property of a node that has another value than its own
# Mirrored, a picture's outermost pixels go on as they do when extended.
_OTHER_EXTENSION = {"EXTEND": "MIRROR", "MIRROR": "EXTEND", "CLIP": "EXTEND", "REPEAT": "MIRROR"}
# To Cycles Cubic and Smart are the same.
_OTHER_INTERPOLATION = {"Linear": "Cubic", "Closest": "Linear", "Cubic": "Smart", "Smart": "Cubic"}
_OTHERS = {
    "TEX_IMAGE": ("extension", _OTHER_EXTENSION),
    "TEX_ENVIRONMENT": ("interpolation", _OTHER_INTERPOLATION),
}


class Key(NamedTuple):
    """What Cycles tells a picture by.

    alpha_mode  the image's
    is_other    whether its texture nodes have other values than their own
    """

    alpha_mode: str
    is_other: bool = False


def equal_keys(image: bpy.types.Image, home: str, *, is_transparent: bool) -> tuple[Key, ...]:
    """Keys that go round while pictures come.

    home  the image's own alpha mode
    """
    if not is_transparent:
        return tuple(map(Key, OPAQUE_MODES))
    if home in ASSOCIATED_MODES:
        return tuple(map(Key, ASSOCIATED_MODES))
    if any(output.is_linked for node in _nodes_of(image) for output in node.outputs[1:]):
        return Key(home), Key(home, is_other=True)
    return tuple(map(Key, COLOUR_MODES))


class Nodes:
    """Gives the nodes that show one live image other values, and their own back.

    A node keeps its own beside, so that undo steps and files that hold the other one tell it.
    """

    def __init__(self) -> None:
        self._may_be_other = True

    def note_undo(self) -> None:
        """Undo may bring back nodes with other values."""
        self._may_be_other = True

    def turn(self, image: bpy.types.Image, *, is_other: bool) -> None:
        """Give the image's nodes other values, or their own back."""
        if not is_other and not self._may_be_other:
            return
        self._may_be_other = is_other
        for node in _nodes_of(image):
            _turn_node(node, is_other=is_other)


def _turn_node(node: bpy.types.Node, *, is_other: bool) -> None:
    name, others = _OTHERS[node.type]
    now = getattr(node, name)
    own = node.get(OWN, now)
    if now not in (own, others.get(own)):
        own = now  # the artist has chosen anew
    wanted = others[own] if is_other else own
    if is_other:
        node[OWN] = own
    elif OWN in node:
        del node[OWN]
    if now != wanted:
        setattr(node, name, wanted)


def _nodes_of(image: bpy.types.Image) -> Iterator[bpy.types.Node]:
    """The texture nodes of all shaders that show an image."""
    for user in bpy.data.user_map(subset={image}).get(image, ()):
        tree = user if isinstance(user, bpy.types.NodeTree) else getattr(user, "node_tree", None)
        if tree is None or tree.type != "SHADER":
            continue
        for node in tree.nodes:
            if node.type in _OTHERS and node.image == image:
                yield node
