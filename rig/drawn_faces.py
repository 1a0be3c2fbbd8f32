"""Faces drawn by hand whose eye and lip opening nobody has read yet, as in files of 0.1.0.

Their ratios are 0, so that the sliders for the eyes and lips jump. The ratios that the engine has
fitted become theirs, with the properties' defaults. What rests keeps resting: a slider and keys at
the old rest go to the new one, so that no frame with keys looks otherwise. Only values are written;
undo may take them back, and they are simply written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import bpy

from .. import compat
from ..engine.controls import Face
from .controllers import control_defaults, face_of, face_to_text, write_controls
from .errors import PortraitError

RATIOS = ("eyes_open", "lips_open")


def is_unread(controller: bpy.types.Object) -> bool:
    """Whether the ratios of a controller's face are missing and can be written."""
    if not controller.is_editable or controller.override_library is not None:
        return False
    try:
        face = face_of(controller)
    except PortraitError:
        return False
    return not (face.keypoints or face.eyes_open or face.lips_open)


def take_ratios(controller: bpy.types.Object, fitted: Face) -> bool:
    """Give the face of a controller the ratios of the fitted one; whether that changes it.

    One whose curves cannot be brought along stays 0.
    """
    face = face_of(controller)
    before = control_defaults(face)
    after = control_defaults(replace(face, **{name: getattr(fitted, name) for name in RATIOS}))
    taken = {
        name: getattr(fitted, name)
        for name in RATIOS
        if _shift_keys(controller, name, before[name], after[name])
    }
    for name in taken:
        if controller.get(name) == before[name]:
            controller[name] = after[name]
    if not any(taken.values()):
        return False
    face = replace(face, **taken)
    controller.keyportrait.face.data = face_to_text(face)
    write_controls(controller, face)
    return True


def _shift_keys(controller: bpy.types.Object, name: str, old: float, new: float) -> bool:
    """Let keys of a property at the old rest stand at the new one. Whether that is the whole of it.

    Nothing is changed otherwise.
    """
    path = f'["{name}"]'
    if path not in compat.driven_paths(controller):
        return True
    animation = controller.animation_data
    action = animation.action
    if animation.nla_tracks or any(curve.data_path == path for curve in animation.drivers):
        return False
    if action is None or action.users > 1 or not action.is_editable:
        return False
    curves = [curve for curve in compat.fcurves(controller) if curve.data_path == path]
    if any(curve.modifiers or len(curve.sampled_points) for curve in curves):
        return False
    for point in (point for curve in curves for point in curve.keyframe_points):
        if point.co[1] == old:
            for place in (point.handle_left, point.co, point.handle_right):
                place[1] += new - old
    for curve in curves:
        curve.update()
    action.update_tag()
    return True


class FittedFaces:
    """The faces that the engine has fitted for one portrait, by what is stored of each.

    A face stays in here whatever came of it, so that none is asked for twice.
    """

    def __init__(self) -> None:
        self._fitted: dict[str, Face] = {}

    def note(self, faces: Sequence[Face], fitted: Sequence[Face]) -> None:
        """Take in what the engine made of faces that it was given, in the same order."""
        for face, found in zip(faces, fitted, strict=True):
            self._fitted[face_to_text(face)] = found

    def is_waited_for(self, controllers: Sequence[bpy.types.Object]) -> bool:
        """Whether the engine has not been asked yet for one that nobody has read."""
        return any(
            is_unread(controller) and face_to_text(face_of(controller)) not in self._fitted
            for controller in controllers
        )

    def give(self, controllers: Sequence[bpy.types.Object]) -> bool:
        """Write the ratios of faces that nobody has read. Whether there were any."""
        is_given = False
        for controller in controllers:
            if not is_unread(controller):
                continue
            found = self._fitted.get(face_to_text(face_of(controller)))
            if found is not None and take_ratios(controller, found):
                is_given = True
        return is_given
