"""What the tests of bakes share: a short performance, where its files lie, what is in them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

FRAMES = 6


@pytest.fixture(autouse=True)
def fresh(new_file: None, module: Any) -> Iterator[None]:
    """Nothing cached from other tests, nothing left running for them."""
    module("rig.frame_cache").clear()
    yield
    module("rig.bake").cancel_active()


@pytest.fixture
def performance(add_portrait: Any, tmp_path: Path) -> Any:
    """(plane, controller) of a saved file in which a smile grows over frames 1 to 6."""
    plane, (face,) = add_portrait()
    key_smile(face)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.frame_set(4)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    return plane, face


def key_smile(face: Any, end: float = 1.0) -> None:
    for frame, value in ((1, 0.0), (FRAMES, end)):
        face["smile"] = value
        face.keyframe_insert('["smile"]', frame=frame)


def bake(**options: Any) -> set[str]:
    return bpy.ops.keyportrait.bake(**options)


def bake_folder(plane: Any) -> Path:
    return Path(bpy.data.filepath).parent / "keyportrait" / plane.name


def frame_path(plane: Any, frame: int, extension: str = "png") -> Path:
    return bake_folder(plane) / f"{plane.name}_{frame:04d}.{extension}"


def image_node(plane: Any) -> Any:
    tree = plane.material_slots[0].material.node_tree
    return next(node for node in tree.nodes if node.type == "TEX_IMAGE")


def loaded(path: Path, pixels: Any) -> np.ndarray:
    image = bpy.data.images.load(str(path))
    try:
        return pixels(image)
    finally:
        bpy.data.images.remove(image)


def live(plane: Any, frame: int, pixels: Any) -> np.ndarray:
    bpy.context.scene.frame_set(frame)
    return pixels(plane.keyportrait.portrait.output)


def summary(module: Any) -> Any:
    return module("rig.bake")._active.summary


def begin(module: Any) -> Any:
    scene = bpy.context.scene
    settings = module("rig.bake_settings").settings_of(scene)
    items = module("rig.portraits").portraits_of(scene)
    return module("rig.bake").begin(scene, items, settings)


def advance(run: Any, until: Any) -> None:
    deadline = time.monotonic() + 60
    while not run.is_done and not until():
        run.step(0.0)
        run._wait(0.05)
        assert time.monotonic() < deadline


def finish(run: Any) -> None:
    advance(run, lambda: False)
