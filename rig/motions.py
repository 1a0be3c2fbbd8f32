"""From face controllers to motions: evaluated properties, transforms and gaze targets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import bpy
from mathutils import Euler, Quaternion, Vector

from .. import compat
from ..engine.controls import CONTROLS_BY_NAME, Face, Motion, motion_from_controls
from ..engine.take import AMOUNTS, EXPRESSION, TRANSLATION, weakened, with_take
from . import clips, face_tracks
from .controllers import FLIP, control_defaults, face_of, handle_matrix, is_mirrored
from .errors import PortraitError
from .holds import HOLD_NAMES
from .moving_face import MovingFace
from .portraits import Portrait
from .puppets import Puppet
from .takes import numbers_of
from .wishes import Wish

# Degrees that a gaze control of 1 turns the eyes by.
GAZE_X_DEG = 40.0
GAZE_Y_DEG = 25.0
# Transforms nearer to rest than these are rounding noise, not motion.
ANGLE_NOISE_DEG = 1e-3
LENGTH_NOISE = 1e-5
# The part of a limit up to which the Empty's transform counts as it is.
KNEE = 0.7
# Beyond these, pitch, yaw and roll no longer tell how a head is turned.
WIDEST_TURN_DEG = 75.0
EDGE_ON_DEG = 85.0
_TURNS = ("head_pitch", "head_yaw", "head_roll")


def wish_of(
    item: Portrait,
    depsgraph: bpy.types.Depsgraph,
    frame: int | None = None,
    puppets: Mapping[str, Puppet] | None = None,
) -> Wish:
    """What a portrait is to show now; its faces in the order of its controllers.

    frame    of its clip, where that is not the one that is shown now
    puppets  by controllers' names, what a camera does to them meanwhile
    Raises AddonError where a face is damaged, or the clip gone.
    """
    if frame is None:
        frame = clips.source_frame(item, depsgraph)
    moved = puppets or {}
    track = None if frame is None else face_tracks.track_of(item)
    if track is None or frame is None:
        motions = [motion_of(c, depsgraph, moved.get(c.name)) for c in item.controllers]
        return Wish(tuple(motions), frame)
    frame = track.clamped(frame)
    motions = []
    holds: list[tuple[str, ...]] = []
    for index, controller in enumerate(item.controllers):
        moving = MovingFace(track, index, frame, face_of(controller))
        puppet = moved.get(controller.name)
        motion, _ = motion_and_values(controller, depsgraph, puppet, moving)
        shares = _State(controller, depsgraph).numbers(HOLD_NAMES)
        motion, held = moving.held(moving.replaced(motion, shares), shares)
        motions.append(motion)
        holds.append(held)
    return Wish(tuple(motions), frame, tuple(holds) if any(holds) else ())


def motion_of(
    controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph, puppet: Puppet | None = None
) -> Motion:
    """What one controller asks for: sliders, take, the Empty's own transform, gaze target.

    puppet  what a camera does to it meanwhile, in place of its own sliders and take
    """
    return motion_and_values(controller, depsgraph, puppet)[0]


def motion_and_values(
    controller: bpy.types.Object,
    depsgraph: bpy.types.Depsgraph,
    puppet: Puppet | None = None,
    moving: MovingFace | None = None,
) -> tuple[Motion, dict[str, float]]:
    """motion_of, and the values of the controls in it: after amounts and gaze target.

    moving  the face in a frame of its clip; the Empty turns it as it is there
    """
    face = face_of(controller)
    state = _State(controller, depsgraph)
    added = _handle_amounts(controller, depsgraph, face if moving is None else moving.now)
    if moving is not None:
        for name, amount in moving.steadied(state.numbers(HOLD_NAMES)).items():
            added[name] += amount
    amounts = state.numbers(amount.name for amount in AMOUNTS)
    values = state.numbers(CONTROLS_BY_NAME)
    values = weakened(values, control_defaults(face), amounts)
    if puppet is not None:
        values |= puppet.resting(control_defaults(face))
    own_gaze = (0.0, 0.0) if moving is None else moving.gaze
    _add_gaze(values, controller, depsgraph, own_gaze)
    motion = motion_from_controls(values, eyes_open=face.eyes_open, lips_open=face.lips_open)
    if EXPRESSION in controller or TRANSLATION in controller:
        expression, translation = state.take_numbers()
        if puppet is not None:
            expression, translation = puppet.remaining(expression, translation)
        if any(expression) or any(translation):
            motion = with_take(motion, expression, translation, amounts)
    if puppet is not None:
        motion = puppet.added_to(motion, amounts)
    return _with_handle(motion, added, values), values


def control_values(
    controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph | None = None
) -> dict[str, float]:
    """Control name → value. Missing or damaged properties are left out, which means neutral."""
    return _State(controller, depsgraph).numbers(CONTROLS_BY_NAME)


def take_numbers(
    controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph | None = None
) -> tuple[Sequence[float], Sequence[float]]:
    """(63 offsets of exp, 3 of t): what the face does beyond the sliders, before its amounts."""
    return _State(controller, depsgraph).take_numbers()


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

    def take_numbers(self) -> tuple[Sequence[float], Sequence[float]]:
        """The numbers of expression and translation; zeros where they are missing or damaged."""
        expression, translation = (
            numbers_of(self.holder(name), name) for name in (EXPRESSION, TRANSLATION)
        )
        return expression, translation

    def numbers(self, names: Iterable[str]) -> dict[str, float]:
        """name → value of those that hold a finite number."""
        found = {name: self.holder(name).get(name) for name in names}
        return {
            name: float(value)
            for name, value in found.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }


def beyond_limits(controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> tuple[str, ...]:
    """Labels of the head controls whose range the Empty's own transform leaves. For panels.

    None for a face that is damaged.
    """
    try:
        face = face_of(controller)
    except PortraitError:
        return ()
    amounts = _handle_amounts(controller, depsgraph, face)
    rooms = _rooms(control_values(controller, depsgraph))
    return tuple(
        CONTROLS_BY_NAME[name].label
        for name, amount in amounts.items()
        if not rooms[name][0] <= amount <= rooms[name][1]
    )


def _handle_amounts(
    controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph, face: Face
) -> dict[str, float]:
    """What the Empty's own transform adds to the head controls, in raw units; log of the scale.

    0 for rounding noise.
    """
    location, rotation, scale = handle_matrix(controller, depsgraph).decompose()
    turn = FLIP @ _limited_turn(rotation, face).to_matrix() @ FLIP
    own = Euler([math.radians(v) for v in (face.pitch, face.yaw, face.roll)], "XYZ")
    turned = (turn @ own.to_matrix()).to_euler("XYZ", own)
    degrees = [math.degrees(new - old) for new, old in zip(turned, own, strict=True)]
    half_crop = controller.keyportrait.face.half_crop
    size = max(math.sqrt(abs(scale.x * scale.y)), 1e-3)
    amounts = dict(zip(("head_pitch", "head_yaw", "head_roll"), degrees, strict=True))
    amounts |= {"head_x": location.x / half_crop, "head_y": -location.y / half_crop}
    amounts["head_scale"] = math.log(size)
    noise = dict.fromkeys(amounts, LENGTH_NOISE) | dict.fromkeys(_TURNS, ANGLE_NOISE_DEG)
    return {name: 0.0 if abs(v) < noise[name] else v for name, v in amounts.items()}


def _limited_turn(rotation: Quaternion, face: Face) -> Quaternion:
    """A turn that stays where pitch, yaw and roll can tell it; small ones as they are."""
    axis, angle = rotation.to_axis_angle()
    if angle > math.pi:
        axis, angle = -axis, 2.0 * math.pi - angle
    most = math.radians(min(WIDEST_TURN_DEG, EDGE_ON_DEG - abs(face.yaw)))
    limited = soft_limited(angle, most)
    return rotation if limited == angle else Quaternion(axis, limited)


def _rooms(values: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """How far the Empty may take each head control beyond its slider, in raw units, log of scale.

    The ends are those of the slider.
    """
    rooms: dict[str, tuple[float, float]] = {}
    for name in (*_TURNS, "head_x", "head_y", "head_scale"):
        control = CONTROLS_BY_NAME[name]
        value = min(max(values.get(name, control.default), control.minimum), control.maximum)
        ends = control.minimum, value, control.maximum
        if name == "head_scale":
            low, now, high = (math.log(end) for end in ends)
        else:
            low, now, high = (control.raw(end) for end in ends)
        low, high = min(low, high), max(low, high)
        rooms[name] = low - now, high - now
    return rooms


def soft_limited(amount: float, most: float) -> float:
    """An amount of 0 or more that goes towards `most` and never beyond: itself up to a knee."""
    if most <= 0.0:
        return 0.0
    knee = KNEE * most
    if amount <= knee:
        return amount
    return knee + (most - knee) * math.tanh((amount - knee) / (most - knee))


def _with_handle(
    motion: Motion, amounts: Mapping[str, float], values: Mapping[str, float]
) -> Motion:
    """The Empty's transform on top of the sliders, both together within the sliders' limits."""
    added: dict[str, float] = {}
    for name, (low, high) in _rooms(values).items():
        amount = amounts[name]
        added[name] = soft_limited(amount, high) if amount > 0.0 else -soft_limited(-amount, -low)
    tx, ty, tz = motion.translation
    return replace(
        motion,
        pitch=motion.pitch + added["head_pitch"],
        yaw=motion.yaw + added["head_yaw"],
        roll=motion.roll + added["head_roll"],
        translation=(tx + added["head_x"], ty + added["head_y"], tz),
        scale=motion.scale * math.exp(added["head_scale"]),
    )


def _add_gaze(
    values: dict[str, float],
    controller: bpy.types.Object,
    depsgraph: bpy.types.Depsgraph,
    own: tuple[float, float],
) -> None:
    """Let the eyes look at a target; own: where they look in a frame of a clip by themselves."""
    target = controller.keyportrait.face.gaze_target
    if target is None:
        return
    world = controller.evaluated_get(depsgraph).matrix_world
    place = target.evaluated_get(depsgraph).matrix_world.translation
    # The eyes only make up for what the turned head does not do already.
    direction = world.normalized().inverted_safe() @ place
    x, y = gaze_towards(direction)
    x = -x if is_mirrored(controller, depsgraph) else x
    for name, amount in (("gaze_x", x - own[0]), ("gaze_y", y - own[1])):
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
