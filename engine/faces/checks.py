"""Which faces a renderer should refuse, and what to tell the user."""

from __future__ import annotations

import numpy as np

from .canonical import OVAL, fit_pose, pose_residual
from .mesh import MINIMUM_PRESENCE, Mesh

MINIMUM_WIDTH = 48.0  # pixels of the face oval along the line of the eyes
MAXIMUM_YAW = 50.0  # degrees; beyond, the far eye and cheek are hidden
MAXIMUM_PITCH = 45.0
# Human faces, paintings, statues and cartoons stay below 0.4 cm, animals are above 0.6 cm.
MAXIMUM_RESIDUAL = 0.5


def find_problem(mesh: Mesh) -> dict[str, str]:
    """{} for a face that can be moved, else {code: "bad_face", message, hint}."""
    pitch, yaw, _ = fit_pose(mesh.landmarks).euler
    if mesh.presence < MINIMUM_PRESENCE or pose_residual(mesh.landmarks) > MAXIMUM_RESIDUAL:
        return _bad_face(
            "This does not look like a human face: the face mesh does not fit it.",
            "Animals are not supported. Use a front view with both eyes and the mouth visible.",
        )
    if face_width(mesh.landmarks) < MINIMUM_WIDTH:
        return _bad_face(
            f"The face is only {face_width(mesh.landmarks):.0f} px wide.",
            f"Use a larger picture: the face needs {MINIMUM_WIDTH:.0f} px, better 200 px.",
        )
    if abs(yaw) > MAXIMUM_YAW:
        return _bad_face(
            f"The face is seen from the side (turned {abs(yaw):.0f}°).",
            f"Use a view turned by less than {MAXIMUM_YAW:.0f}°, with both eyes visible.",
        )
    if abs(pitch) > MAXIMUM_PITCH:
        return _bad_face(
            f"The face is seen from {'above' if pitch > 0 else 'below'} ({abs(pitch):.0f}°).",
            f"Use a view tilted by less than {MAXIMUM_PITCH:.0f}°.",
        )
    return {}


def face_width(landmarks: np.ndarray) -> float:
    """Extent of the face oval across the face, pixels."""
    across = fit_pose(landmarks).rotation[:2, 0]
    length = float(np.linalg.norm(across))
    positions = landmarks[list(OVAL), :2] @ (across / max(length, 1e-9))
    return float(positions.max() - positions.min())


def _bad_face(message: str, hint: str) -> dict[str, str]:
    return {"code": "bad_face", "message": message, "hint": hint}
