"""What the tests of captures share: templates that say known things, and what curves say."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest


@pytest.fixture
def template(tmp_path: Path) -> str:
    """51 frames at 25 per second: the head turns, the eyes blink once and the mouth opens."""
    return write_template(tmp_path / "nod.pkl")


@pytest.fixture
def face(add_portrait: Any) -> Any:
    """The active face controller of a new portrait, in a scene of 25 frames per second."""
    _, (controller,) = add_portrait()
    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = 25, 1.0
    activate(controller)
    return controller


def activate(*controllers: Any) -> None:
    """Select face controllers; the last is the active one."""
    bpy.ops.object.select_all(action="DESELECT")
    for controller in controllers:
        controller.select_set(True)
        bpy.context.view_layer.objects.active = controller


def write_template(
    path: Path, count: int = 51, fps: float = 25, turns: Sequence[float] | None = None
) -> str:
    """A motion template whose head turns by 0.2° a frame, or to some degrees in each."""
    frames = []
    for index in range(count):
        turn = np.radians(index / 5.0 % 20.0 if turns is None else turns[index])
        blink = max(0.0, 1.0 - abs(index - 25) / 5.0)
        expression = np.zeros((1, 21, 3), np.float32)
        expression[0, [11, 15], 1], expression[0, [13, 16], 1] = 0.012 * blink, -0.011 * blink
        expression[0, [0, 4, 6, 8], 0] = 0.002 * index / 50
        expression[0, 19, 1] = 0.05 * (index % 51) / 50
        cosine, sine = np.cos(turn), np.sin(turn)
        rotation = np.array([[[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]]], np.float32)
        frames.append(
            {
                "scale": np.ones((1, 1), np.float32),
                "R": rotation,
                "exp": expression,
                "t": np.array([[0.001 * index, 0.0, 0.0]], np.float32),
            }
        )
    data = {"n_frames": count, "output_fps": fps, "motion": frames}
    path.write_bytes(pickle.dumps(data, protocol=4))
    return str(path)


def capture(**options: Any) -> None:
    assert bpy.ops.keyportrait.capture(**options) == {"FINISHED"}


def recapture() -> None:
    assert bpy.ops.keyportrait.recapture() == {"FINISHED"}


def curves(module: Any, controller: Any) -> dict[tuple[str, int], Any]:
    found = module("compat").fcurves(controller)
    return {(curve.data_path, curve.array_index): curve for curve in found}


def frames_of(curve: Any) -> list[float]:
    return [point.co[0] for point in curve.keyframe_points]


def at(controller: Any, name: str, frame: float) -> Any:
    """The evaluated value of a property at a frame."""
    bpy.context.scene.frame_set(int(frame), subframe=frame % 1.0)
    return controller.evaluated_get(bpy.context.evaluated_depsgraph_get())[name]
