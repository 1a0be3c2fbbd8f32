"""478 landmarks of a face: MediaPipe's face mesh, with lids and irises from its iris model."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ..motion import Face
from ..renderer import ReportedError
from .canonical import EYES, LANDMARK_COUNT, MESH_COUNT, EyeIndices, fit_pose, pose_residual
from .crop import sample
from .models import load

_MESH_SIDE = 192
_IRIS_SIDE = 64
_MARGIN = 1.5  # side of the network's view over the side of the face
_EYE_MARGIN = 2.3
# Order of the first 16 eye contour points of the iris model: lower lid, then upper lid.
_EYE_CONTOUR = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398),
)
_OUTER_CORNERS = (33, 263)
MINIMUM_PRESENCE = 0.3
_GOOD_FIT = 0.5
# Shift in sides, scale, and turn in radians of each second look.
_SECOND_LOOKS = (
    (0.05, 0.0, 1.0, 0.0), (-0.05, 0.0, 1.0, 0.0), (0.0, 0.05, 1.0, 0.0), (0.0, -0.05, 1.0, 0.0),
    (0.0, 0.0, 1.2, 0.0), (0.0, 0.0, 0.85, 0.0), (0.0, 0.0, 1.0, 0.2), (0.0, 0.0, 1.0, -0.2),
)  # fmt: skip


class Mesh(NamedTuple):
    """A fitted mesh.

    landmarks  (478, 3) float32, picture pixels, z in the same scale and negative towards the camera
    presence   the network's confidence that its view showed a face, 0..1; of second_looks the
               least of several views
    spread     how far the views of second_looks disagree, root mean square, cm; 0 before
    """

    landmarks: np.ndarray
    presence: float
    spread: float = 0.0


class View(NamedTuple):
    """A turned square of the picture: centre (2,) and side in pixels, angle in radians."""

    centre: np.ndarray
    side: float
    angle: float


def fit_landmarks(rgb: np.ndarray, face: Face) -> np.ndarray:
    """(478, 3) float32 landmarks of a detected or hand-drawn face.

    rgb  (H, W, 3) uint8 sRGB picture
    Raises ReportedError "bad_face" when the mesh network sees no face there, "no_models".
    """
    return _checked(fit_mesh(rgb, face))


def track(rgb: np.ndarray, previous: np.ndarray) -> np.ndarray:
    """(478, 3) float32 landmarks near those of the frame before; raises as fit_landmarks."""
    return _checked(track_mesh(rgb, previous))


def fit_mesh(rgb: np.ndarray, face: Face) -> Mesh:
    """As fit_landmarks, with the presence score instead of the error."""
    if len(face.keypoints) >= 2:
        eyes = np.asarray(face.keypoints[:2], np.float64)
        return _fit_from(rgb, face, float(np.arctan2(*(eyes[1] - eyes[0])[::-1])))
    # A hand-drawn box does not say which way is up.
    upright = _fit_from(rgb, face, 0.0)
    if _misfit(upright) < _GOOD_FIT:
        return upright
    turned = [_fit_from(rgb, face, quarters * np.pi / 2) for quarters in (1, 2, 3)]
    return min([upright, *turned], key=_misfit)


def _misfit(mesh: Mesh) -> float:
    """How little a mesh looks like a face that was seen; above _GOOD_FIT one doubts it."""
    return pose_residual(mesh.landmarks) + (1.0 - mesh.presence)


def _fit_from(rgb: np.ndarray, face: Face, angle: float) -> Mesh:
    """Fit in the face's box; `angle` is the direction of the eye line, radians."""
    x0, y0, x1, y1 = face.box
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    view = View(centre, max(x1 - x0, y1 - y0) * _MARGIN, angle)
    points, _ = _run_mesh(rgb, view)
    points, _ = _run_mesh(rgb, view_around(points))
    return track_mesh(rgb, points)


def track_mesh(rgb: np.ndarray, previous: np.ndarray) -> Mesh:
    """As track, with the presence score instead of the error."""
    return mesh_in(rgb, view_around(previous))


def mesh_in(rgb: np.ndarray, view: View) -> Mesh:
    """The mesh of the face that a view shows, lids and irises with it."""
    points, presence = _run_mesh(rgb, view)
    landmarks = np.zeros((LANDMARK_COUNT, 3), np.float32)
    landmarks[:MESH_COUNT] = points
    for eye, contour in zip(EYES, _EYE_CONTOUR, strict=True):
        _refine_eye(rgb, landmarks, eye, contour)
    return Mesh(landmarks, presence)


def second_looks(rgb: np.ndarray, mesh: Mesh) -> Mesh:
    """Look again from shifted, scaled and turned views: only a human face looks the same in all."""
    base = view_around(mesh.landmarks)
    looks = [
        _run_mesh(
            rgb,
            View(base.centre + base.side * np.array([x, y]), base.side * scale, base.angle + turn),
        )
        for x, y, scale, turn in _SECOND_LOOKS
    ]
    points = np.array([look[0] for look in looks])[..., :2]
    offsets = (points - points.mean(axis=0)) / fit_pose(mesh.landmarks).scale
    spread = float(np.sqrt((offsets**2).sum(axis=-1).mean()))
    return Mesh(mesh.landmarks, min(mesh.presence, *(look[1] for look in looks)), spread)


def _checked(mesh: Mesh) -> np.ndarray:
    if mesh.presence < MINIMUM_PRESENCE:
        raise ReportedError(
            "bad_face",
            "The face cannot be read: its features do not show clearly.",
            "Use a picture where both eyes and the mouth are visible.",
        )
    return mesh.landmarks


def view_around(points: np.ndarray) -> View:
    """The upright view of (N, 3) mesh points, in which the network looks for them again."""
    face = np.asarray(points, np.float64)[:MESH_COUNT, :2]
    eyes = face[_OUTER_CORNERS[1]] - face[_OUTER_CORNERS[0]]
    angle = float(np.arctan2(eyes[1], eyes[0]))
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.array([[cosine, sine], [-sine, cosine]])
    turned = face @ rotation.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    return View((low + high) / 2 @ rotation, float((high - low).max()) * _MARGIN, angle)


def _sample_view(rgb: np.ndarray, view: View, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The view as (side, side, 3) uint8, and the (2, 3) matrix from view to picture.

    The networks give coordinates in which a pixel is a unit square, the picture's have pixel
    centres at whole numbers: the matrix takes the first to the second.
    """
    step = max(view.side, 1e-3) / side
    cosine, sine = step * np.cos(view.angle), step * np.sin(view.angle)
    view_to_picture = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0]])
    half = np.array([side / 2, side / 2])
    view_to_picture[:, 2] = view.centre - view_to_picture[:, :2] @ half
    centres_to_picture = view_to_picture.copy()
    centres_to_picture[:, 2] += view_to_picture[:, :2] @ [0.5, 0.5]
    picture_to_centres = cv2.invertAffineTransform(centres_to_picture)
    return sample(rgb, picture_to_centres, (side, side)), view_to_picture


def _run(name: str, view: np.ndarray, outputs: tuple[str, ...]) -> list[np.ndarray]:
    net = load(name)
    net.setInput(cv2.dnn.blobFromImage(view, 1 / 255.0))
    return [np.asarray(output, np.float64) for output in net.forward(list(outputs))]


def _run_mesh(rgb: np.ndarray, view: View) -> tuple[np.ndarray, float]:
    """(468, 3) points in picture pixels, and the presence score."""
    image, view_to_picture = _sample_view(rgb, view, _MESH_SIDE)
    raw, logit = _run("face_landmark", image, ("conv2d_21", "conv2d_31"))
    points = raw.reshape(MESH_COUNT, 3)
    points[:, :2] = points[:, :2] @ view_to_picture[:, :2].T + view_to_picture[:, 2]
    points[:, 2] *= view.side / _MESH_SIDE
    return points, float(1 / (1 + np.exp(-np.clip(logit.ravel()[0], -60, 60))))


def _refine_eye(
    rgb: np.ndarray, landmarks: np.ndarray, eye: EyeIndices, contour: tuple[int, ...]
) -> None:
    """Replace the lid edge of one eye, and fill in its iris."""
    is_mirrored = eye is EYES[1]  # the model knows one side only
    left, right = (landmarks[i, :2].astype(np.float64) for i in _corners_by_side(eye))
    line = right - left
    side = float(np.hypot(*line)) * _EYE_MARGIN
    view = View((left + right) / 2, side, float(np.arctan2(line[1], line[0])))
    image, view_to_picture = _sample_view(rgb, view, _IRIS_SIDE)
    if is_mirrored:
        image = np.ascontiguousarray(image[:, ::-1])
    outputs = _run("iris_landmark", image, ("output_eyes_contours_and_brows", "output_iris"))
    lids, iris = (output.reshape(-1, 3)[:, :2] for output in outputs)
    if is_mirrored:
        lids[:, 0], iris[:, 0] = _IRIS_SIDE - lids[:, 0], _IRIS_SIDE - iris[:, 0]
    rotation, offset = view_to_picture[:, :2].T, view_to_picture[:, 2]
    landmarks[list(contour), :2] = lids[: len(contour)] @ rotation + offset
    ring = eye.iris_ring
    if is_mirrored:  # the points of the rim begin on the picture's right in both eyes
        ring = (ring[2], ring[1], ring[0], ring[3])
    rim = [eye.iris, *ring]
    landmarks[rim, :2] = iris @ rotation + offset
    landmarks[rim, 2] = landmarks[list(contour), 2].mean()


def _corners_by_side(eye: EyeIndices) -> tuple[int, int]:
    """The eye's corners, the one on the picture's left first."""
    outer, inner = eye.corners
    return (outer, inner) if eye is EYES[0] else (inner, outer)
