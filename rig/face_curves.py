"""What a face does over a range of frames, frame by frame, for files and for other faces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import bpy
import numpy as np

from .. import compat
from ..engine.controls import CONTROLS_BY_NAME
from ..engine.motion import Motion
from ..engine.protocol import Array
from .controllers import SIZES, control_defaults, face_of
from .keying import control_path, transform_paths
from .motions import control_values, motion_and_values
from .takes import numbers_of

# Controls that are part of an expression; the others are fields of the Motion.
SLIDERS = tuple(name for name, control in CONTROLS_BY_NAME.items() if control.terms)


def key_range(controller: bpy.types.Object) -> tuple[int, int] | None:
    """The first and the last whole frame of a face's action and NLA strips; None without keys."""
    ends: list[float] = []
    for curve in compat.fcurves(controller):
        if len(curve.keyframe_points):
            ends += list(curve.range())
    animation = controller.animation_data
    for track in () if animation is None else animation.nla_tracks:
        for strip in track.strips:
            ends += [strip.frame_start, strip.frame_end]
    if not ends:
        return None
    return math.floor(min(ends) + 1e-3), math.ceil(max(ends) - 1e-3)


def pose_of(
    controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph
) -> dict[str, tuple[float, ...]]:
    """Data path → numbers of all that a face controller does now: properties and transform."""
    evaluated = controller.evaluated_get(depsgraph)
    values = control_values(controller, depsgraph)
    pose = {control_path(name): (value,) for name, value in values.items()}
    for name in SIZES:
        if name in controller:
            pose[control_path(name)] = tuple(numbers_of(evaluated, name))
    for path in transform_paths(controller):
        pose[path] = tuple(getattr(evaluated, path))
    return pose


class FaceRecording:
    """The motions of one face at some frames of a scene, in order."""

    def __init__(self, controller: bpy.types.Object) -> None:
        face = face_of(controller)
        self._face = face.to_json()
        self._rest = control_defaults(face)
        self._frames: list[float] = []
        self._motions: list[Motion] = []
        self._values: list[list[float]] = []

    def note(
        self, frame: float, controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph
    ) -> None:
        """Add what the face does now."""
        motion, values = motion_and_values(controller, depsgraph)
        self._frames.append(frame)
        self._motions.append(motion)
        self._values.append([self._change(name, values) for name in SLIDERS])

    def _change(self, name: str, values: Mapping[str, float]) -> float:
        control, rest = CONTROLS_BY_NAME[name], self._rest[name]
        return min(max(values.get(name, rest), control.minimum), control.maximum) - rest

    def request(self, path: str, kind: str, fps: float, scene_fps: float) -> dict[str, Any]:
        """Fields and arrays of a `store` request.

        kind, fps  as in engine.take.STORE_ITEMS, fps of a template
        scene_fps  frames of the scene per second
        """
        motions = self._motions
        values = np.array(self._values, np.float64).reshape(len(motions), len(SLIDERS))
        used = [index for index in range(len(SLIDERS)) if np.any(values[:, index])]
        ratios = [(m.eyes_open, m.lips_open) for m in motions]
        arrays = {
            "times": [(frame - self._frames[0]) / scene_fps for frame in self._frames],
            "pose": [(m.pitch, m.yaw, m.roll) for m in motions],
            "translation": [m.translation for m in motions],
            "scale": [m.scale for m in motions],
            "expression": [m.expression for m in motions],
            "openings": [[math.nan if r is None else r for r in row] for row in ratios],
            "sliders": values[:, used],
        }
        fields = {
            "path": path,
            "format": kind,
            "fps": fps,
            "face": self._face,
            "columns": [SLIDERS[index] for index in used],
        }
        return {"fields": fields, "arrays": {n: to_wire(rows) for n, rows in arrays.items()}}


def to_wire(rows: Sequence[Any] | np.ndarray) -> Array:
    """Numbers as a float64 array of the protocol."""
    values = np.ascontiguousarray(rows, np.float64)
    return Array("float64", values.shape, values.tobytes())
