"""What the tests of moving sources share: small clips of a face that goes across the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from conftest import ASTRONAUT
from pictures import save_picture

COUNT = 5
STEP_PX = 6


def frames_of_face(folder: Path, pixels: Any, count: int = COUNT, first: int = 1) -> list[str]:
    """walk_0001.png …: the photograph, 6 px further to the right in each frame."""
    folder.mkdir(exist_ok=True)
    photo = bpy.data.images.load(str(ASTRONAUT))
    values = pixels(photo).copy()
    bpy.data.images.remove(photo)
    return [
        save_picture(folder / f"walk_{first + n:04}.png", np.roll(values, STEP_PX * n, axis=1))
        for n in range(count)
    ]


def textured_plane(module: Any, image: Any, duration: int = COUNT) -> tuple[Any, Any]:
    """A plane that shows a movie or sequence, and its texture node."""
    bpy.ops.mesh.primitive_plane_add()
    item = bpy.context.active_object
    item.data.materials.append(module("rig.planes").add_material("m", image, "EMISSION"))
    node = item.active_material.node_tree.nodes.active
    node.image_user.frame_duration = duration
    node.image_user.use_auto_refresh = True
    return item, node


def as_sequence(path: str) -> Any:
    image = bpy.data.images.load(path)
    image.source = "SEQUENCE"
    return image


def output(plane: Any) -> Any:
    return plane.keyportrait.portrait.output


def faces(plane: Any) -> list[Any]:
    return [link.controller for link in plane.keyportrait.portrait.faces]


def shown(plane: Any, frame: int, pixels: Any) -> np.ndarray:
    """(H, W, 4) of the live image at a frame of the scene."""
    bpy.context.scene.frame_set(frame)
    return pixels(output(plane)).copy()


def update(controller: Any, **values: float) -> None:
    for name, value in values.items():
        controller[name] = value
    controller.update_tag()
    bpy.context.view_layer.update()


def in_file(path: str, pixels: Any) -> np.ndarray:
    image = bpy.data.images.load(path)
    found = pixels(image).copy()
    bpy.data.images.remove(image)
    return found


@pytest.fixture
def walk(module: Any, pixels: Any, tmp_path: Path) -> tuple[Any, list[str]]:
    """(plane, files) of a portrait whose source is a sequence of 5 frames, shown from frame 1."""
    paths = frames_of_face(tmp_path / "walk", pixels)
    plane, _ = textured_plane(module, as_sequence(paths[0]))
    bpy.context.scene.frame_set(1)
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    return plane, paths
