"""Which faces a renderer should refuse, and what to tell the user."""

from __future__ import annotations

import numpy as np

from ..motion import MINIMUM_FACE_PX
from ..renderer import ReportedError
from .canonical import OVAL, fit_pose, pose_residual
from .mesh import Mesh

WORST_RESIDUAL = 1.6  # cm from the canonical face; beyond, nothing can be moved
MAXIMUM_YAW = 50.0  # degrees; beyond, the far eye and cheek are hidden
MAXIMUM_PITCH = 45.0
MAXIMUM_OUTSIDE = 0.3  # share of the mesh that may lie outside the picture
# People, paintings, statues and cartoons have a presence of 1.0, a residual below 0.4 cm, 0.53 cm
# when they pull faces, and a spread below 0.28 cm. Animals have a presence that changes with the
# view, or a spread above 0.49 cm. Faces from the side have a larger residual.
HUMAN_PRESENCE, HUMAN_RESIDUAL, HUMAN_SPREAD = 0.6, 0.6, 0.38
SIDE_YAW, SIDE_RESIDUAL = 35.0, 0.75
# People in squeezed pictures have 1.00, a cat up to 0.97.
SURE_PRESENCE = 0.985


def is_human(mesh: Mesh) -> bool:
    """Whether a mesh sits well on a human face, however small, or seen from the side."""
    is_side = abs(fit_pose(mesh.landmarks).euler[1]) > SIDE_YAW
    return (
        mesh.presence >= HUMAN_PRESENCE
        and pose_residual(mesh.landmarks) < (SIDE_RESIDUAL if is_side else HUMAN_RESIDUAL)
        and mesh.spread < HUMAN_SPREAD
    )


def is_surely_human(mesh: Mesh) -> bool:
    """is_human for second looks at squeezed pictures, in which some animals come near to people."""
    return (
        mesh.presence >= SURE_PRESENCE
        and pose_residual(mesh.landmarks) < HUMAN_RESIDUAL
        and mesh.spread < HUMAN_SPREAD
    )


def stretched_problem(axis: str) -> dict[str, str]:
    """The problem of a face in a picture that is stretched along "x" or "y"."""
    return _bad_face(
        f"The picture is stretched {'sideways' if axis == 'x' else 'upwards'}: its face is too "
        f"{'wide' if axis == 'x' else 'long'} to be read.",
        "Give the picture its own proportions (Image > Resize in the Image Editor), then add it.",
    )


def find_problem(mesh: Mesh, picture_size: tuple[int, int]) -> dict[str, str]:
    """{} for a face that can be moved, else {code: "bad_face", message, hint}.

    picture_size  (width, height) in pixels
    """
    pitch, yaw, _ = fit_pose(mesh.landmarks).euler
    if not is_human(mesh):
        return _bad_face(
            "This does not look like a human face: the face mesh does not fit it.",
            "Animals are not supported. Use a front view with both eyes and the mouth visible.",
        )
    if face_width(mesh.landmarks) < MINIMUM_FACE_PX:
        return _bad_face(
            f"The face is only {face_width(mesh.landmarks):.0f} px wide.",
            f"Use a larger picture: the face needs {MINIMUM_FACE_PX} px from side to side.",
        )
    if _outside_share(mesh.landmarks, picture_size) > MAXIMUM_OUTSIDE:
        return _bad_face(
            "The face is cut off by the picture's edge.",
            "Use a picture that shows the whole face.",
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


def check_fit(landmarks: np.ndarray) -> None:
    """Raise ReportedError "bad_face" for landmarks that lie as in no human face."""
    residual = pose_residual(landmarks)
    if not np.isfinite(residual) or residual > WORST_RESIDUAL:
        raise ReportedError(
            "bad_face",
            "The face cannot be fitted: its features do not lie like those of a human face.",
            "Use a front or three-quarter view of a human face.",
        )


def face_width(landmarks: np.ndarray) -> float:
    """Extent of the face oval across the face, pixels."""
    across = fit_pose(landmarks).rotation[:2, 0]
    length = float(np.linalg.norm(across))
    positions = landmarks[list(OVAL), :2] @ (across / max(length, 1e-9))
    return float(positions.max() - positions.min())


def _outside_share(landmarks: np.ndarray, picture_size: tuple[int, int]) -> float:
    points = landmarks[:, :2]
    is_outside = (points < 0).any(axis=1) | (points > np.array(picture_size) - 1).any(axis=1)
    return float(is_outside.mean())


def _bad_face(message: str, hint: str) -> dict[str, str]:
    return {"code": "bad_face", "message": message, "hint": hint}
