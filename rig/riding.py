"""Controllers of a moving source ride on the faces of its clip.

The ride is in the delta transforms of the Empty: its own location, rotation and scale stay the
difference from the clip, and what is parented to it, a hat or glasses, goes with the face, in every
viewport and render and without this extension. Drivers hold the deltas. One, on a property of the
Empty, tells the clip's frame as Blender counts it; the curves of the others tell where the face is
in that frame, which a driver's own curve can do.
"""

from __future__ import annotations

import logging
import math

import bpy
import numpy as np
from mathutils import Euler, Matrix

from ..engine.controls import Face
from . import clip_timing, clips, face_tracks
from .controllers import FLIP, face_of, half_crop_px, handle_offset
from .errors import AddonError
from .face_tracks import FaceTrack
from .own_transform import FRAME, deltas_of, rides
from .portraits import Portrait, all_portraits

log = logging.getLogger(__name__)

FRAME_PATH = f'["{FRAME}"]'
CHANNELS = (
    ("delta_location", 0),
    ("delta_location", 1),
    ("delta_rotation_euler", 0),
    ("delta_rotation_euler", 1),
    ("delta_rotation_euler", 2),
    ("delta_scale", 0),
    ("delta_scale", 1),
    ("delta_scale", 2),
)
# Keys are left out where the curve stays this near: shares of the face, and radians.
TOLERANCE = 2e-3


def ride(item: Portrait) -> None:
    """Let the controllers of a portrait follow its clip, as its track says now.

    Those of other files and library overrides stay as they are. Raises AddonError.
    """
    if not clips.is_moving(item.settings):
        return
    track = face_tracks.track_of(item)
    if track is None:
        return
    numbers = clips.numbers_of(item.settings.source, track.frame_count)
    for index, controller in enumerate(item.controllers):
        if _is_own(controller):
            _drive_frame(controller, clip_timing.expression_of(item))
            values = deltas(controller, track, index)
            for (path, axis), column in zip(CHANNELS, values.T, strict=True):
                _drive(controller, path, axis, numbers, column)
    retime(item)


def ride_quietly(item: Portrait) -> None:
    """As ride; what is wrong with the clip the live view tells, too."""
    try:
        ride(item)
    except AddonError as error:
        log.warning("%s", error)


def ride_of(controller: bpy.types.Object) -> Matrix | None:
    """How far a face of a clip has gone since it was found, in the plane's space.

    None for a face that does not ride.
    """
    if not rides(controller):
        return None
    stand = controller.keyportrait.face.rest_matrix @ handle_offset(controller)
    return stand @ Matrix.LocRotScale(*deltas_of(controller)) @ stand.inverted_safe()


def deltas(controller: bpy.types.Object, track: FaceTrack, index: int) -> np.ndarray:
    """(T, 8) float64: the numbers of CHANNELS in each frame; at rest in the found one."""
    found = face_of(controller)
    settings = controller.keyportrait.face
    side = -1.0 if handle_offset(controller).determinant() < 0.0 else 1.0
    boxes = track.box[index].astype(np.float64)
    middles = 0.5 * (boxes[:, :2] + boxes[:, 2:])
    x0, y0, x1, y1 = found.box
    unit = np.array([settings.half_crop, settings.half_crop_y]) / half_crop_px(found)
    moved = (middles - (0.5 * (x0 + x1), 0.5 * (y0 + y1))) * unit * (side, -1.0)
    turned = [_turn(found, pose, side) for pose in track.pose[index].astype(np.float64)]
    sizes = track.scale[index].astype(np.float64)
    at_found = found.frame
    if at_found is None:
        at_found = settings.portrait.keyportrait.portrait.clip.found_frame
    grown = sizes / max(float(sizes[track.clamped(at_found)]), 1e-6)
    return np.column_stack([moved, turned, grown, grown, grown])


def _turn(found: Face, pose: np.ndarray, side: float) -> tuple[float, float, float]:
    """Euler angles of the Empty, radians, for a pose (pitch, yaw, roll in degrees)."""
    own = Euler([math.radians(v) for v in (found.pitch, found.yaw, found.roll)], "XYZ")
    now = Euler([math.radians(float(v)) for v in pose], "XYZ")
    turn = FLIP @ now.to_matrix() @ own.to_matrix().inverted() @ FLIP
    x, y, z = turn.to_euler("XYZ")
    return x, side * y, side * z


def _drive_frame(controller: bpy.types.Object, expression: str) -> None:
    if FRAME in controller:
        controller.driver_remove(FRAME_PATH)
    controller[FRAME] = 0.0
    controller.id_properties_ui(FRAME).update(
        description="Frame of the clip that the face rides on; nothing to set"
    )
    driver = controller.driver_add(FRAME_PATH).driver
    driver.type = "SCRIPTED"
    driver.expression = expression


def retime(item: Portrait) -> None:
    """Let controllers ride by the settings of their clip as they are now, and by their keys.

    Nothing is touched where that is so already.
    """
    expression = clip_timing.expression_of(item)
    points: np.ndarray | None = None
    for controller in item.controllers:
        curve = _frame_curve(controller)
        if curve is None or not _is_own(controller):
            continue
        if curve.driver.expression != expression:
            _drive_frame(controller, expression)
            curve = _frame_curve(controller)
        if expression == clip_timing.BY_CURVE:
            points = clip_timing.points_of(item) if points is None else points
            _take_points(curve, points)


def retime_keyed() -> None:
    """After keys were changed: those of portraits whose clip's settings are, or were, keyed."""
    for item in all_portraits():
        if clips.is_moving(item.settings):
            retime(item)


def stop(item: Portrait) -> None:
    """Let the controllers of a portrait stand where they were found: its source moves no more."""
    for controller in item.controllers:
        if not rides(controller) or not _is_own(controller):
            continue
        controller.driver_remove(FRAME_PATH)
        for path, axis in CHANNELS:
            controller.driver_remove(path, axis)
        del controller[FRAME]
        controller.delta_location = (0.0, 0.0, 0.0)
        controller.delta_rotation_euler = (0.0, 0.0, 0.0)
        controller.delta_scale = (1.0, 1.0, 1.0)


def _is_own(controller: bpy.types.Object) -> bool:
    """Whether a controller is of this file, and no library override."""
    return controller.is_editable and controller.override_library is None


def _frame_curve(controller: bpy.types.Object) -> bpy.types.FCurve | None:
    animation = controller.animation_data
    return None if animation is None else animation.drivers.find(FRAME_PATH)


def _drive(
    controller: bpy.types.Object, path: str, axis: int, numbers: np.ndarray, values: np.ndarray
) -> None:
    controller.driver_remove(path, axis)
    curve = controller.driver_add(path, axis)
    driver = curve.driver
    driver.type = "SUM"
    variable = driver.variables.new()
    variable.targets[0].id = controller
    variable.targets[0].data_path = FRAME_PATH
    rows = needed(values, TOLERANCE)
    _take_points(curve, np.column_stack([numbers[rows], values[rows]]))


def _take_points(curve: bpy.types.FCurve, places: np.ndarray) -> None:
    """Let a driver's curve be straight lines between (N, 2) points; beyond them it holds."""
    points = curve.keyframe_points
    known = np.empty(2 * len(points), np.float32)
    points.foreach_get("co", known)
    wanted = places.astype(np.float32).ravel()
    if not curve.modifiers and np.array_equal(known, wanted):
        return
    for modifier in list(curve.modifiers):
        curve.modifiers.remove(modifier)
    points.clear()
    points.add(len(places))
    points.foreach_set("co", wanted)
    kind = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items["LINEAR"].value
    points.foreach_set("interpolation", [kind] * len(places))
    curve.update()


def needed(values: np.ndarray, tolerance: float) -> list[int]:
    """The rows between which straight lines stay as near to all values as the tolerance."""
    keep = {0, len(values) - 1}
    parts = [(0, len(values) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        line = np.linspace(values[first], values[last], last - first + 1)
        away = np.abs(values[first : last + 1] - line)
        worst = int(away.argmax())
        if away[worst] > tolerance:
            keep.add(first + worst)
            parts += [(first, first + worst), (first + worst, last)]
    return sorted(keep)
