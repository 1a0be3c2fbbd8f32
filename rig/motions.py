"""From face controllers to motions: evaluated properties, transforms and gaze targets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import bpy
from mathutils import Euler, Matrix, Vector

from .. import compat
from ..engine.controls import CONTROLS_BY_NAME, Face, Motion, motion_from_controls
from ..engine.take import AMOUNTS, EXPRESSION, TRANSLATION, weakened, with_take
from .controllers import control_defaults, face_of, rest_matrix
from .portraits import Portrait
from .takes import numbers_of

# Degrees that a gaze control of 1 turns the eyes by.
GAZE_X_DEG = 40.0
GAZE_Y_DEG = 25.0
# Transforms nearer to rest than these are rounding noise, not motion.
ANGLE_NOISE_DEG = 1e-3
LENGTH_NOISE = 1e-5
# LivePortrait's frame is x right, y down, z away from the viewer; Blender's is x right, y up and
# z towards the viewer.
_FLIP = Matrix.Diagonal((1.0, -1.0, -1.0))

NEUTRAL = Motion()


def motions_of(item: Portrait, depsgraph: bpy.types.Depsgraph) -> tuple[Motion, ...]:
    """What every face of a portrait is asked to do now, in the order of its controllers."""
    return tuple(motion_of(controller, depsgraph) for controller in item.controllers)


def motion_of(controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> Motion:
    """What one controller asks for: sliders, take, the Empty's own transform, gaze target."""
    face = face_of(controller)
    relative = handle_matrix(controller, depsgraph)
    state = _State(controller, depsgraph)
    amounts = state.numbers(amount.name for amount in AMOUNTS)
    values = state.numbers(CONTROLS_BY_NAME)
    values = weakened(values, control_defaults(face), amounts)
    _add_gaze(values, controller, depsgraph)
    motion = motion_from_controls(values, eyes_open=face.eyes_open, lips_open=face.lips_open)
    if EXPRESSION in controller or TRANSLATION in controller:
        expression, translation = (
            numbers_of(state.holder(name), name) for name in (EXPRESSION, TRANSLATION)
        )
        motion = with_take(motion, expression, translation, amounts)
    return _with_handle(motion, relative, controller.keyportrait.face.half_crop, face)


def control_values(
    controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph | None = None
) -> dict[str, float]:
    """Control name → value. Missing or damaged properties are left out, which means neutral."""
    return _State(controller, depsgraph).numbers(CONTROLS_BY_NAME)


class _State:
    """A controller's properties as they are now.

    Animated values come from the depsgraph, the others from the object itself, so that a value set
    by a script counts without tagging the object.
    """

    def __init__(self, controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph | None) -> None:
        self._original = self._evaluated = controller
        self._animated: set[str] = set()
        if depsgraph is not None and controller.animation_data is not None:
            self._animated = compat.driven_paths(controller)
            self._evaluated = controller.evaluated_get(depsgraph)

    def holder(self, name: str) -> bpy.types.Object:
        """The object whose property of this name counts."""
        return self._evaluated if f'["{name}"]' in self._animated else self._original

    def numbers(self, names: Iterable[str]) -> dict[str, float]:
        """name → value of those that hold a finite number."""
        found = {name: self.holder(name).get(name) for name in names}
        return {
            name: float(value)
            for name, value in found.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }


def handle_matrix(controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> Matrix:
    """The Empty's evaluated transform relative to rest, in its own rest frame."""
    plane = controller.keyportrait.face.portrait.evaluated_get(depsgraph)
    world = controller.evaluated_get(depsgraph).matrix_world
    in_plane = plane.matrix_world.inverted_safe() @ world
    return rest_matrix(controller).inverted_safe() @ in_plane


def _with_handle(motion: Motion, relative: Matrix, half_crop: float, face: Face) -> Motion:
    location, rotation, scale = relative.decompose()
    turn = _FLIP @ rotation.to_matrix() @ _FLIP
    own = Euler([math.radians(v) for v in (face.pitch, face.yaw, face.roll)], "XYZ")
    turned = (turn @ own.to_matrix()).to_euler("XYZ", own)
    degrees = [math.degrees(new - old) for new, old in zip(turned, own, strict=True)]
    pitch, yaw, roll = (0.0 if abs(v) < ANGLE_NOISE_DEG else v for v in degrees)
    shift = [location.x / half_crop, -location.y / half_crop]
    x, y = (0.0 if abs(v) < LENGTH_NOISE else v for v in shift)
    size = math.sqrt(abs(scale.x * scale.y))
    if abs(size - 1.0) < LENGTH_NOISE:
        size = 1.0
    tx, ty, tz = motion.translation
    return replace(
        motion,
        pitch=motion.pitch + pitch,
        yaw=motion.yaw + yaw,
        roll=motion.roll + roll,
        translation=(tx + x, ty + y, tz),
        scale=motion.scale * max(size, 1e-3),
    )


def _add_gaze(
    values: dict[str, float],
    controller: bpy.types.Object,
    depsgraph: bpy.types.Depsgraph,
) -> None:
    target = controller.keyportrait.face.gaze_target
    if target is None:
        return
    world = controller.evaluated_get(depsgraph).matrix_world
    place = target.evaluated_get(depsgraph).matrix_world.translation
    # The eyes only make up for what the turned head does not do already.
    direction = world.normalized().inverted_safe() @ place
    x, y = gaze_towards(direction)
    for name, amount in (("gaze_x", x), ("gaze_y", y)):
        values[name] = min(max(values.get(name, 0.0) + amount, -1.0), 1.0)


def gaze_towards(direction: Vector) -> tuple[float, float]:
    """Gaze controls for looking along a direction in the head's frame (x right, y up, z out)."""
    if direction.length < 1e-9:
        return 0.0, 0.0
    yaw = math.degrees(math.atan2(direction.x, max(direction.z, 0.0)))
    level = math.hypot(direction.x, max(direction.z, 0.0))
    pitch = math.degrees(math.atan2(direction.y, level))
    return _clamp(yaw / GAZE_X_DEG), _clamp(pitch / GAZE_Y_DEG)


def _clamp(value: float) -> float:
    return min(max(value, -1.0), 1.0)
