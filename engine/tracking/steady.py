"""The view in which a face is looked for in the next frame, and that stays still with the face.

Where a face lies in the network's view decides a little of what the network says. A view that
follows every landmark therefore shakes with them; this one rests until the face has moved away.
"""

from __future__ import annotations

import numpy as np

from ..faces.canonical import CANONICAL, MESH_COUNT, Pose
from ..faces.mesh import View

_LOW, _HIGH = CANONICAL[:MESH_COUNT].min(axis=0), CANONICAL[:MESH_COUNT].max(axis=0)
_CENTRE = (_LOW + _HIGH) / 2
_SIDE = 1.5 * float((_HIGH - _LOW)[:2].max())  # cm, as large as the network expects
# What a face may do without the view: shift in sides, turn in radians, change of size.
_REST_SHIFT, _REST_TURN, _REST_SIZE = 0.03, 0.05, 0.04


def view_of(pose: Pose) -> View:
    """The upright view around a face with this pose."""
    centre = pose.to_picture(_CENTRE[None])[0, :2]
    return View(centre, pose.scale * _SIDE, float(np.radians(pose.euler[2])))


def follow(view: View, pose: Pose) -> View:
    """The view moved after a face, no further than it must."""
    wanted = view_of(pose)
    shift = wanted.centre - view.centre
    distance = float(np.hypot(*shift))
    share = max(0.0, 1.0 - _REST_SHIFT * view.side / max(distance, 1e-9))
    growth = _beyond(float(np.log(wanted.side / view.side)), _REST_SIZE)
    turn = (wanted.angle - view.angle + np.pi) % (2 * np.pi) - np.pi
    return View(
        view.centre + share * shift,
        view.side * float(np.exp(growth)),
        view.angle + _beyond(turn, _REST_TURN),
    )


def _beyond(value: float, rest: float) -> float:
    return float(np.sign(value)) * max(0.0, abs(value) - rest)
