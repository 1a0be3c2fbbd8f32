"""What Cycles' rendered viewport tells pictures apart by goes round, and comes back."""

from __future__ import annotations

from typing import Any

import bpy
import pytest


@pytest.fixture
def turns(add_portrait: Any, module: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """turn(), put_back() and the nodes of a transparent picture in Channel Packed."""
    plane, _ = add_portrait()
    view = module("rig.cycles_view")
    monkeypatch.setattr(view, "SPACING_S", 0.0)
    image = plane.keyportrait.portrait.output
    image.alpha_mode = "CHANNEL_PACKED"
    material = plane.active_material
    nodes = material.node_tree.nodes
    node = next(node for node in nodes if node.type == "TEX_IMAGE")
    world = bpy.data.worlds.new("World")
    module("compat").use_nodes(world)
    around = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    around.image = image

    class Transparent:
        is_transparent = True

    class Turner:
        def __init__(self) -> None:
            self.turns = view.Turns()
            self.image, self.node, self.around = image, node, around

        def key(self) -> tuple[str, str, str]:
            return image.alpha_mode, node.extension, around.interpolation

        def turn(self) -> tuple[str, str, str]:
            monkeypatch.setattr(view, "is_shown", lambda: True)
            self.turns.begin(image, Transparent())
            return self.key()

        def put_back(self) -> tuple[str, str, str]:
            monkeypatch.setattr(view, "is_shown", lambda: False)
            self.turns.begin(image, Transparent())
            return self.key()

    yield Turner()
    bpy.data.worlds.remove(world)


OWN = ("CHANNEL_PACKED", "CLIP", "Linear")
OTHER = ("CHANNEL_PACKED", "EXTEND", "Cubic")


def test_where_alpha_is_used_nodes_go_round_and_come_back(turns: Any) -> None:
    assert turns.turn() == OTHER
    assert turns.turn() == OWN
    assert turns.turn() == OTHER
    assert turns.put_back() == OWN
    assert not dict(turns.node) and not dict(turns.around)


def test_where_colours_alone_are_used_the_alpha_mode_goes_round(turns: Any) -> None:
    tree = turns.node.id_data
    for link in list(turns.node.outputs["Alpha"].links):
        tree.links.remove(link)
    assert turns.turn() == ("NONE", *OWN[1:])
    assert turns.turn() == OWN
    turns.turn()
    assert turns.put_back() == OWN


def test_undo_may_bring_other_values_back(turns: Any) -> None:
    """A node tells by itself what its own value is."""
    turns.turn()
    stored = turns.node.extension, dict(turns.node)
    turns.turn()
    turns.node.extension = stored[0]
    for name, value in stored[1].items():
        turns.node[name] = value
    turns.turns.note_undo()
    assert turns.put_back() == OWN


def test_what_the_artist_chooses_meanwhile_is_kept(turns: Any) -> None:
    turns.turn()
    turns.node.extension = "REPEAT"
    assert turns.put_back()[1] == "REPEAT"
