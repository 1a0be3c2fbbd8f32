"""A live image in a compositor Image node shows each frame's own picture."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from pictures import read_picture


@pytest.fixture
def scene(add_portrait):
    """A scene whose mouth opens over three frames, with a camera."""
    _plane, (controller,) = add_portrait()
    for frame, value in ((1, 0.0), (3, 1.0)):
        controller["mouth_open"] = value
        controller.keyframe_insert('["mouth_open"]', frame=frame)
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(scene.camera)
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.resolution_x, scene.render.resolution_y = _output().size
    scene.view_settings.view_transform = "Standard"
    scene.frame_start, scene.frame_end = 1, 3
    return scene


def _output() -> bpy.types.Image:
    plane = next(o for o in bpy.data.objects if o.keyportrait.kind == "PORTRAIT")
    return plane.keyportrait.portrait.output


def composite(module, scene: bpy.types.Scene, *, use_render_layers: bool, use_group: bool) -> None:
    """Let the compositor show the live image; with Render Layers mixed in by nothing."""
    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
        scene.compositing_node_group = tree
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        output = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        output = tree.nodes.new("CompositorNodeComposite")
    assert module("compat").compositor_tree(scene) == tree
    picture = _group(tree) if use_group else _image_node(tree)
    tree.links.new(picture.outputs[0], output.inputs[0])
    if use_render_layers:
        tree.nodes.new("CompositorNodeRLayers")


def _image_node(tree: bpy.types.NodeTree) -> bpy.types.Node:
    node = tree.nodes.new("CompositorNodeImage")
    node.image = _output()
    return node


def _group(tree: bpy.types.NodeTree) -> bpy.types.Node:
    inner = bpy.data.node_groups.new("Inner", "CompositorNodeTree")
    inner.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    output = inner.nodes.new("NodeGroupOutput")
    inner.links.new(_image_node(inner).outputs[0], output.inputs[0])
    group = tree.nodes.new("CompositorNodeGroup")
    group.node_tree = inner
    return group


@pytest.mark.parametrize(
    ("use_render_layers", "use_group"), [(False, False), (False, True), (True, False)]
)
def test_each_frame_is_composited_with_its_own_picture(
    scene, module, pixels, tmp_path: Path, use_render_layers, use_group
) -> None:
    composite(module, scene, use_render_layers=use_render_layers, use_group=use_group)
    scene.render.filepath = str(tmp_path / "frame_")
    bpy.ops.render.render(animation=True)
    rendered = [read_picture(str(path), pixels) for path in sorted(tmp_path.iterdir())]
    for frame, picture in enumerate(rendered, 1):
        scene.frame_set(frame)
        difference = np.abs(picture - pixels(_output()))[..., :3].max()
        assert difference < 3 / 255, f"frame {frame}"
    assert np.abs(rendered[0] - rendered[2]).max() > 0.2


def test_the_interface_stops_what_it_cannot_bring_up_to_date(
    scene, module, monkeypatch, tmp_path: Path
) -> None:
    guard = module("rig.render_guard")
    composite(module, scene, use_render_layers=False, use_group=False)
    target = scene.render.filepath = str(tmp_path / "frame_")
    handlers = [h for h in bpy.app.handlers.render_pre if h.__module__.endswith("rig.handlers")]
    assert len(handlers) == 1
    monkeypatch.setattr(guard, "_first_frame", 2)
    monkeypatch.setattr(guard, "bpy", _Interface())
    scene.frame_current = 3
    handlers[0](scene)
    monkeypatch.undo()
    assert "Render Layers" in guard.last_error and "Frame 3" in guard.last_error
    assert scene.render.filepath != target
    guard.end(scene)
    assert scene.render.filepath == target


class _Interface:
    """bpy as it is in a window."""

    data = bpy.data
    types = bpy.types

    class app:
        background = False
        binary_path = ""
