"""While rendering every frame gets its own picture, or the render stops."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import bpy
import numpy as np
import pytest


@pytest.fixture
def scene(add_portrait):
    """A scene that sees the portrait from the front, 64 x 64, Cycles."""
    _plane, (controller,) = add_portrait()
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    camera.data.type = "ORTHO"
    # The face alone.
    camera.data.ortho_scale = 3.0 * controller.empty_display_size
    bpy.context.view_layer.update()
    camera.matrix_world = controller.matrix_world.copy()
    camera.location += controller.matrix_world.to_3x3().col[2]
    scene.camera = camera
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.view_settings.view_transform = "Standard"
    scene.frame_start, scene.frame_end = 1, 3
    for frame, value in ((1, 0.0), (2, 0.5), (3, 1.0)):
        controller["mouth_open"] = value
        controller.keyframe_insert('["mouth_open"]', frame=frame)
    return scene


@pytest.fixture
def controller(scene):
    return next(o for o in bpy.data.objects if o.keyportrait.kind == "FACE")


@pytest.fixture
def broken_engine(module, tmp_path: Path):
    """break_engine() → the engine dies and cannot be started again."""

    def break_engine() -> None:
        engine = module("rig.engine").engine()
        module("preferences").preferences().python_path = str(tmp_path / "nothing")
        if engine.pid is not None:
            os.kill(engine.pid, signal.SIGKILL)

    return break_engine


def frames(folder: Path, pixels) -> list[np.ndarray]:
    return [pixels(bpy.data.images.load(str(path))) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("hidden", [False, True])
def test_every_frame_shows_its_own_picture(
    scene, controller, pixels, tmp_path: Path, hidden
) -> None:
    controller.hide_render = controller.hide_viewport = hidden
    scene.render.filepath = str(tmp_path / "frame_")
    bpy.ops.render.render(animation=True)
    first, second, third = frames(tmp_path, pixels)
    # The mouth opens further from frame to frame.
    near = np.abs(first - second).mean()
    far = np.abs(first - third).mean()
    assert near > 0.002
    assert far > 1.2 * near
    still = tmp_path / "still.png"
    scene.frame_set(3)
    scene.render.filepath = str(still)
    bpy.ops.render.render(write_still=True)
    assert np.abs(pixels(bpy.data.images.load(str(still))) - third).mean() < 0.001


@pytest.mark.parametrize("kind", ["animation", "still", "movie"])
def test_a_frame_that_cannot_be_made_stops_the_render(
    scene, broken_engine, module, tmp_path: Path, kind
) -> None:
    target = str(tmp_path / "frame_")
    scene.render.filepath = target
    if kind == "movie":
        module("compat").set_video_output(scene)
    file_format = scene.render.image_settings.file_format
    scene.frame_set(2)
    broken_engine()
    with pytest.raises(RuntimeError, match="KeyPortrait stopped this render"):
        if kind == "still":
            scene.frame_set(3)
            bpy.ops.render.render(write_still=True)
        else:
            bpy.ops.render.render(animation=True)
    written = {path.name for path in tmp_path.iterdir()}
    # Frame 1 shows the picture itself, which needs no engine; a movie's file stays, cut short.
    assert written <= {"frame_0001.png", "frame_0001-0003.mp4"}
    assert scene.render.filepath == target
    assert scene.render.image_settings.file_format == file_format
    assert "was not rendered" in module("rig.render_guard").last_error


def test_after_a_stopped_render_the_next_one_works(
    scene, broken_engine, module, pixels, tmp_path: Path
) -> None:
    scene.render.filepath = str(tmp_path / "frame_")
    broken_engine()
    with pytest.raises(RuntimeError):
        bpy.ops.render.render(animation=True)
    module("preferences").preferences().python_path = ""
    bpy.ops.render.render(animation=True)
    assert len(frames(tmp_path, pixels)) == 3


def test_live_off_still_renders(scene, pixels, tmp_path: Path) -> None:
    plane = next(o for o in bpy.data.objects if o.keyportrait.kind == "PORTRAIT")
    plane.keyportrait.portrait.use_live = False
    scene.render.filepath = str(tmp_path / "frame_")
    bpy.ops.render.render(animation=True)
    first, _, third = frames(tmp_path, pixels)
    assert np.abs(first - third).mean() > 0.002


@pytest.mark.skipif(
    "save_output" not in bpy.types.RenderSettings.bl_rna.properties, reason="always saves"
)
def test_a_render_that_saves_by_nodes_only_is_stopped_too(
    scene, broken_engine, module, tmp_path: Path
) -> None:
    scene.render.save_output = False
    tree = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
    scene.compositing_node_group = tree
    layers, file = (tree.nodes.new(f"CompositorNode{n}") for n in ("RLayers", "OutputFile"))
    file.directory, file.file_name = str(tmp_path), "node_"
    file.file_output_items.new("RGBA", "Image")
    tree.links.new(layers.outputs[0], file.inputs[0])
    camera = scene.camera
    broken_engine()
    with pytest.raises(RuntimeError, match="no camera"):
        bpy.ops.render.render(animation=True)
    # The node wrote the frame that failed; the ones after it were not rendered.
    assert not [path.name for path in tmp_path.iterdir() if "0003" in path.name]
    assert scene.camera == camera
    assert "was not rendered" in module("rig.render_guard").last_error
