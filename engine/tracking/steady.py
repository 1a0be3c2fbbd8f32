"""The view in which a face is looked for in the next frame, and that stays still with the face.

Where a face lies in the network's view decides a little of what the network says. A view that
follows every landmark therefore shakes with them; this one rests until the face has moved away.
Once the head is still it goes to the face's middle, or the same face would be read in two ways.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..faces.canonical import CANONICAL, MESH_COUNT, Pose
from ..faces.mesh import Mesh, View, mesh_in

_LOW, _HIGH = CANONICAL[:MESH_COUNT].min(axis=0), CANONICAL[:MESH_COUNT].max(axis=0)
_CENTRE = (_LOW + _HIGH) / 2
_SIDE = 1.5 * float((_HIGH - _LOW)[:2].max())  # cm, as large as the network expects
# What a face may do without the view: shift in sides, turn in radians, change of size. Of a head
# that is still, the part of it that may stay; the view goes half of the rest in each frame.
_REST_SHIFT, _REST_TURN, _REST_SIZE = 0.03, 0.05, 0.04
_STAYS, _GLIDE = 0.07, 0.5
# From one frame to the next a still head goes less far: shift in sides, radians, change of size.
_STILL_SHIFT, _STILL_TURN, _STILL_SIZE = 0.004, 0.01, 0.004
_ENOUGH = 320.0  # pixels of a view's side; more says nothing to the networks


def view_of(pose: Pose) -> View:
    """The upright view around a face with this pose."""
    centre = pose.to_picture(_CENTRE[None])[0, :2]
    return View(centre, pose.scale * _SIDE, float(np.radians(pose.euler[2])))


def follow(view: View, pose: Pose, before: Pose) -> View:
    """The view moved after a face, no further than it must.

    before  the pose one frame earlier
    """
    wanted = view_of(pose)
    stays = _STAYS if _is_still(pose, before) else 1.0
    shift = wanted.centre - view.centre
    distance = float(np.hypot(*shift))
    share = _step(distance, _REST_SHIFT * view.side, stays) / max(distance, 1e-9)
    # A view that changed its size with the face's would make still heads breathe.
    growth = _step(float(np.log(wanted.side / view.side)), _REST_SIZE, 1.0)
    turn = (wanted.angle - view.angle + np.pi) % (2 * np.pi) - np.pi
    return View(
        view.centre + share * shift,
        view.side * float(np.exp(growth)),
        view.angle + _step(turn, _REST_TURN, stays),
    )


def _is_still(pose: Pose, before: Pose) -> bool:
    shift = np.hypot(*(view_of(pose).centre - view_of(before).centre)) / (pose.scale * _SIDE)
    turned = float(np.trace(pose.rotation @ before.rotation.T))
    turn = float(np.arccos(np.clip((turned - 1.0) / 2.0, -1.0, 1.0)))
    growth = abs(float(np.log(pose.scale / before.scale)))
    return bool(shift < _STILL_SHIFT and turn < _STILL_TURN and growth < _STILL_SIZE)


def _step(offset: float, rest: float, stays: float) -> float:
    """How far the view goes towards a face that is so far off."""
    left = min(rest, max(stays * rest, (1.0 - _GLIDE) * abs(offset)), abs(offset))
    return float(np.sign(offset)) * (abs(offset) - left)


def read_face(rgb: np.ndarray, view: View) -> Mesh:
    """The mesh of the face in a view of an (H, W, 3) frame; large faces are first made smaller."""
    factor = int(view.side // _ENOUGH)
    if factor < 2:
        return mesh_in(rgb, view)
    half = 0.55 * view.side * (abs(np.cos(view.angle)) + abs(np.sin(view.angle)))
    limits = np.array(rgb.shape[1::-1])
    low = np.clip(np.floor(view.centre - half), 0, limits).astype(int)
    high = np.clip(np.ceil(view.centre + half), 0, limits).astype(int)
    size = (high - low) // factor
    if size.min() < 1:
        return mesh_in(rgb, view)
    # By whole factors, for which OpenCV averages fast.
    part = rgb[low[1] : low[1] + factor * size[1], low[0] : low[0] + factor * size[0]]
    small = cv2.resize(part, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
    origin = low + 0.5 * (factor - 1)  # of the small picture's first pixel
    mesh = mesh_in(small, View((view.centre - origin) / factor, view.side / factor, view.angle))
    landmarks = mesh.landmarks * np.float32(factor)
    landmarks[:, :2] += origin.astype(np.float32)
    return mesh._replace(landmarks=landmarks)
