"""The faces of a source image, each with its pose, outline, opening ratios, and any problem."""

from __future__ import annotations

import numpy as np

from ..motion import Face
from ..renderer import EngineError, SourceImage
from .canonical import OVAL, fit_pose
from .checks import find_problem
from .detector import Detection, detect
from .measures import measure
from .mesh import MINIMUM_PRESENCE, Mesh, fit_mesh

MAXIMUM_SIDE = 16384
_GREY = 127.0  # what transparent pixels look like to the networks
_STRIP_PIXELS = 1 << 21  # float pictures are converted in strips, to bound memory


def check_image(image: SourceImage) -> None:
    """Raise EngineError "bad_image" unless the image is one that the engine can use."""
    pixels = image.pixels
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        raise EngineError("bad_image", f"The image has shape {pixels.shape}, not (H, W, 4) RGBA.")
    height, width = pixels.shape[:2]
    if not height or not width:
        raise EngineError(
            "bad_image", "The image has no pixels.", "Reload it, or check that its file exists."
        )
    if max(height, width) >= MAXIMUM_SIDE:
        raise EngineError(
            "bad_image",
            f"The image of {width} × {height} px is too large.",
            f"Scale it down: each side must be less than {MAXIMUM_SIDE} px.",
        )
    if pixels.dtype not in (np.uint8, np.float32):
        raise EngineError("bad_image", f"The image holds {pixels.dtype}, not uint8 or float32.")
    if image.encoding not in ("srgb", "linear"):
        raise EngineError("bad_image", f"Unknown image encoding '{image.encoding}'.")


def view_8bit(image: SourceImage) -> np.ndarray:
    """(H, W, 3) uint8 sRGB view of an image, for the networks and for reading colours.

    Values beyond 0..1 are clipped, NaN becomes black, transparent pixels fade to mid grey.
    Raises EngineError "bad_image".
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
            low = colour * 12.92
            high = 1.055 * np.power(colour, 1 / 2.4) - 0.055
            colour = np.where(colour <= 0.0031308, low, high)
        colour = colour * 255.0
    mixed = colour * alpha + _GREY * (1.0 - alpha)
    return np.rint(np.clip(mixed, 0.0, 255.0)).astype(np.uint8)


def find_faces(image: SourceImage) -> list[Face]:
    """The faces of an image, largest first; empty when there are none.

    A face that no renderer should move carries a `problem` instead of raising.
    Raises EngineError "bad_image", "no_models".
    """
    rgb = view_8bit(image)
    faces = [_describe(rgb, detection) for detection in detect(rgb)]
    found = [face for face in faces if face is not None]
    return sorted(found, key=lambda face: face.box[0] - face.box[2])


def _describe(rgb: np.ndarray, detection: Detection) -> Face | None:
    """The face of a detection, None for a false alarm."""
    x0, y0, x1, y1 = (float(v) for v in detection.box)
    keypoints = tuple((float(x), float(y)) for x, y in detection.keypoints)
    rough = Face((x0, y0, x1, y1), detection.score, keypoints)
    mesh = fit_mesh(rgb, rough)
    # Tiles raise false alarms; in the whole view a bad mesh is an animal or a hopeless face.
    if mesh.presence < MINIMUM_PRESENCE and not detection.is_whole_view:
        return None
    return fitted_face(rough, mesh)


def fitted_face(face: Face, mesh: Mesh) -> Face:
    """The face with pose, outline, ratios and problem of its mesh."""
    landmarks = mesh.landmarks
    pose = fit_pose(landmarks)
    measures = measure(landmarks, pose)
    pitch, yaw, roll = (float(v) for v in pose.euler)
    return Face(
        box=face.box,
        score=face.score,
        keypoints=face.keypoints,
        outline=tuple((float(x), float(y)) for x, y in landmarks[list(OVAL), :2]),
        pitch=pitch,
        yaw=yaw,
        roll=roll,
        eyes_open=measures.eyes_open,
        lips_open=measures.lips_open,
        problem=find_problem(mesh),
    )
