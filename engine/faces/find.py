"""The faces of a source image, each with its pose, outline, opening ratios, and any problem."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..motion import Face
from ..renderer import ReportedError, SourceImage
from ..srgb import srgb_from_linear
from .canonical import (
    LEFT_EYE,
    MESH_COUNT,
    NOSE_TIP,
    OVAL,
    RIGHT_EYE,
    fit_pose,
    pose_residual,
)
from .checks import find_problem, is_human
from .detector import Detection, detect
from .measures import measure
from .mesh import Mesh, fit_mesh, second_looks

MAXIMUM_SIDE = 16384  # pixels, exclusive
MAXIMUM_PIXELS = 100_000_000
_GREY = 127.0  # what transparent pixels look like to the networks
FACE_LIMIT = 64  # of a crowd, the largest are taken
# Detector and mesh agree within this on a face that both see well, cm.
_AGREEMENT = 0.9
_STRIP_PIXELS = 1 << 21  # float pictures are converted in strips, to bound memory


def check_image(image: SourceImage) -> None:
    """Raise ReportedError "bad_image" unless the image is one that the engine can use."""
    pixels = image.pixels
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        raise ReportedError("bad_image", f"The image has shape {pixels.shape}, not (H, W, 4) RGBA.")
    height, width = pixels.shape[:2]
    if not height or not width:
        raise ReportedError(
            "bad_image", "The image has no pixels.", "Reload it, or check that its file exists."
        )
    if max(height, width) >= MAXIMUM_SIDE or height * width > MAXIMUM_PIXELS:
        raise ReportedError(
            "bad_image",
            f"The image of {width} × {height} px is too large.",
            f"Scale it down below {MAXIMUM_SIDE} px a side and "
            f"{MAXIMUM_PIXELS // 1_000_000} megapixels.",
        )
    if pixels.dtype not in (np.uint8, np.float32):
        raise ReportedError("bad_image", f"The image holds {pixels.dtype}, not uint8 or float32.")
    if image.encoding not in ("srgb", "linear"):
        raise ReportedError("bad_image", f"Unknown image encoding '{image.encoding}'.")


def view_8bit(image: SourceImage) -> np.ndarray:
    """(H, W, 3) uint8 sRGB view of an image, for the networks and for reading colours.

    Values beyond 0..1 are clipped, NaN becomes black, transparent pixels fade to mid grey.
    Raises ReportedError "bad_image".
    """
    check_image(image)
    height, width = image.pixels.shape[:2]
    view = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = image.pixels[top : top + rows]
        view[top : top + rows] = _strip_8bit(strip, image.encoding)
    return view


def _strip_8bit(strip: np.ndarray, encoding: str) -> np.ndarray:
    if strip.dtype == np.uint8:
        if (strip[..., 3] == 255).all():
            return strip[..., :3]
        colour = strip[..., :3].astype(np.float32)
        alpha = strip[..., 3:].astype(np.float32) / 255.0
    else:
        finite = np.clip(np.nan_to_num(strip, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
        colour, alpha = finite[..., :3], finite[..., 3:]
        if encoding == "linear":
            colour = srgb_from_linear(colour)
        colour = colour * 255.0
    mixed = colour * alpha + _GREY * (1.0 - alpha)
    return np.rint(np.clip(mixed, 0.0, 255.0)).astype(np.uint8)


def find_faces(image: SourceImage) -> list[Face]:
    """The faces of an image, largest first; empty when there are none.

    At most FACE_LIMIT faces, turned in any direction. A face that no renderer should move carries
    a `problem` instead of raising; animals are only reported where there is no human face.
    Raises ReportedError "bad_image", "no_models".
    """
    rgb = view_8bit(image)
    detections = detect(rgb)
    faces = _fit_all(rgb, detections)
    if not faces:
        # The detector knows heads that are tilted, but not all that are upside down.
        for quarters in (2, 1, 3):
            faces = faces or _fit_all(rgb, _detect_turned(rgb, quarters))
    if not faces:
        strangers = [_stranger(rgb, d) for d in detections if d.is_whole_view]
        return [face for face in strangers if face.problem][:1]
    return faces


def _fit_all(rgb: np.ndarray, detections: list[Detection]) -> list[Face]:
    """The human faces among the detections, largest first, each once."""
    faces: list[Face] = []
    for detection in detections[:FACE_LIMIT]:
        mesh = _fit_detection(rgb, detection)
        if not is_human(mesh) or any(_is_inside(mesh, face) for face in faces):
            continue
        mesh = second_looks(rgb, mesh)
        if is_human(mesh):
            faces.append(describe(mesh, _size(rgb), detection.score))
    return sorted(faces, key=lambda face: face.box[0] - face.box[2])


def _is_inside(mesh: Mesh, face: Face) -> bool:
    """Whether a mesh sits on a face that was found already."""
    x, y = mesh.landmarks[NOSE_TIP, :2]
    x0, y0, x1, y1 = face.box
    return bool(x0 < x < x1 and y0 < y < y1)


def _fit_detection(rgb: np.ndarray, detection: Detection) -> Mesh:
    """The best mesh for a detection, trying other directions where the first does not agree."""
    mesh = fit_mesh(rgb, _rough_face(detection, 0))
    if is_human(mesh) and _disagreement(mesh, detection) < _AGREEMENT:
        return mesh
    others = [fit_mesh(rgb, _rough_face(detection, quarters)) for quarters in (1, 2, 3)]
    return min([mesh, *others], key=lambda m: (not is_human(m), pose_residual(m.landmarks)))


def _rough_face(detection: Detection, quarters: int) -> Face:
    """The detection as a face, its keypoints turned about the box's centre by quarter turns."""
    centre = (detection.box[:2] + detection.box[2:]) / 2
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    turn = np.array([[cosine, sine], [-sine, cosine]])
    keypoints = (detection.keypoints - centre) @ turn + centre
    return Face(tuple(detection.box.tolist()), detection.score, _pairs(keypoints))


def _disagreement(mesh: Mesh, detection: Detection) -> float:
    """Mean distance between eyes, nose and mouth of mesh and detector, cm."""
    offsets = keypoints_of(mesh.landmarks)[:4] - detection.keypoints[:4]
    return float(np.hypot(*offsets.T).mean() / fit_pose(mesh.landmarks).scale)


def _detect_turned(rgb: np.ndarray, quarters: int) -> list[Detection]:
    """Detections in the picture turned by quarter turns, in the unturned picture's pixels."""
    height, width = rgb.shape[:2]
    turned = detect(np.ascontiguousarray(np.rot90(rgb, quarters)))
    result: list[Detection] = []
    for detection in turned:
        corners = _turn_back(detection.box.reshape(2, 2), quarters, height, width)
        box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        keypoints = _turn_back(detection.keypoints, quarters, height, width)
        result.append(replace(detection, box=box, keypoints=keypoints))
    return result


def _turn_back(points: np.ndarray, quarters: int, height: int, width: int) -> np.ndarray:
    """(N, 2) pixels of np.rot90(picture, quarters) → pixels of the (height, width) picture."""
    x, y = points.T
    if quarters == 1:
        return np.column_stack([width - 1 - y, x])
    if quarters == 2:
        return np.column_stack([width - 1 - x, height - 1 - y])
    return np.column_stack([y, height - 1 - x])


def _stranger(rgb: np.ndarray, detection: Detection) -> Face:
    """A detection that no mesh fits, with its problem."""
    face = _rough_face(detection, 0)
    mesh = second_looks(rgb, fit_mesh(rgb, face))
    return replace(face, problem=find_problem(mesh, _size(rgb)))


def describe(mesh: Mesh, picture_size: tuple[int, int], score: float = 1.0) -> Face:
    """The face of a fitted mesh, with pose, outline, opening ratios and any problem.

    picture_size  (width, height) in pixels
    """
    landmarks = mesh.landmarks
    pose = fit_pose(landmarks)
    measures = measure(landmarks, pose)
    pitch, yaw, roll = (float(v) for v in pose.euler)
    low, high = landmarks[:MESH_COUNT, :2].min(axis=0), landmarks[:MESH_COUNT, :2].max(axis=0)
    return Face(
        box=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
        score=score,
        keypoints=_pairs(keypoints_of(landmarks)),
        outline=_pairs(landmarks[list(OVAL)]),
        pitch=pitch,
        yaw=yaw,
        roll=roll,
        eyes_open=measures.eyes_open,
        lips_open=measures.lips_open,
        problem=find_problem(mesh, picture_size),
    )


def keypoints_of(landmarks: np.ndarray) -> np.ndarray:
    """(6, 2) pixels: the detector's keypoints, see Detection, taken from (478, 3) landmarks."""
    groups = [LEFT_EYE.corners, RIGHT_EYE.corners, (NOSE_TIP,), (13, 14), (234,), (454,)]
    return np.array([landmarks[list(group), :2].mean(axis=0) for group in groups], np.float64)


def _size(rgb: np.ndarray) -> tuple[int, int]:
    return rgb.shape[1], rgb.shape[0]


def _pairs(points: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((float(point[0]), float(point[1])) for point in points)
