"""The faces of a source image, each with its pose, outline, opening ratios, and any problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

import cv2
import numpy as np

from ..motion import Face
from ..renderer import ReportedError, SourceImage, Step, no_step
from ..srgb import srgb_from_linear
from .candidates import (
    detect_turned,
    fit_detection,
    keypoints_of,
    pairs,
    rough_face,
    stretched_along,
)
from .canonical import MESH_COUNT, OVAL, fit_pose
from .checks import check_fit, find_problem, is_human, stretched_problem
from .detector import MUCH_SMALLER, SMALLEST_FACE, Detection, Fraction, smallest_beside
from .measures import measure
from .mesh import Mesh, fit_landmarks, fit_mesh, second_looks

MAXIMUM_SIDE = 16384  # pixels, exclusive
MAXIMUM_PIXELS = 100_000_000
_GREY = 127.0  # what transparent pixels look like to the networks
FACE_LIMIT = 64  # of a crowd, those that the detector is surest of
_FAILURE_LIMIT = 24  # so many detections in a row that are no face: the rest are none either
_STRANGER_LIMIT = 3
_QUARTERS = (0, 2, 1, 3)  # quarter turns in which a picture is searched
_DETECT_SHARE = 0.7  # of the time; the rest goes into fitting
Report = Callable[[float, str], None]

_EXPOSURE_SAMPLES = 1 << 16  # pixels looked at
_USUAL_BRIGHTNESS = 0.04  # that three quarters of the picture may lie below, linear
_STRIP_PIXELS = 1 << 21  # float pictures are converted in strips, to bound memory


class Part:
    """Part of a longer work: passes on how far it is."""

    def __init__(self, report: Report | None, start: float, size: float) -> None:
        self._report, self._start, self._size = report, start, size

    def share(self, low: float, high: float) -> Fraction:
        """A listener for the work from `low` to `high` of this part, 0..1."""

        def tell(fraction: float) -> None:
            if self._report is not None:
                done = self._start + self._size * (low + (high - low) * fraction)
                self._report(done, "Looking for faces")

        return tell


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


def view_8bit(image: SourceImage, step: Step = no_step) -> np.ndarray:
    """(H, W, 3) uint8 sRGB view of an image, for the networks and for reading colours.

    Scene-linear pictures are exposed so that their brightest parts are white: a picture and the
    same one a hundred times darker look alike. Values beyond 0..1 are clipped, NaN becomes black,
    transparent pixels fade to mid grey. Raises ReportedError "bad_image".
    """
    check_image(image)
    exposure = exposure_of(image)
    height, width = image.pixels.shape[:2]
    view = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = image.pixels[top : top + rows]
        view[top : top + rows] = strip_8bit(strip, image.encoding, exposure)
        step()
    return view


def exposure_of(image: SourceImage) -> float:
    """The factor that makes white of the brightest parts of scene-linear float pixels, else 1."""
    pixels = image.pixels
    if image.encoding != "linear" or pixels.dtype != np.float32:
        return 1.0
    step = max(1, int(np.sqrt(pixels.shape[0] * pixels.shape[1] / _EXPOSURE_SAMPLES)))
    seen = pixels[::step, ::step]
    seen = seen[seen[..., 3] > 0.5, :3].max(axis=1)
    seen = seen[np.isfinite(seen) & (seen > 0.0)]
    if not len(seen):
        return 1.0
    white = float(np.percentile(seen, 99.8))
    usual = float(np.percentile(seen[seen >= 1e-3 * white], 75))
    # A lamp or the sun in the picture must not leave the face in the dark.
    return max(1.0 / white, _USUAL_BRIGHTNESS / usual)


def strip_8bit(strip: np.ndarray, encoding: str, exposure: float) -> np.ndarray:
    """(h, w, 3) uint8 sRGB of some (h, w, 4) pixels of an image, see view_8bit."""
    if strip.dtype == np.uint8:
        if cv2.extractChannel(strip, 3).min() == 255:
            return cv2.cvtColor(strip, cv2.COLOR_RGBA2RGB)
        colour = strip[..., :3].astype(np.float32)
        alpha = strip[..., 3:].astype(np.float32) / 255.0
    else:
        finite = np.nan_to_num(strip, nan=0.0, posinf=1.0 / exposure, neginf=0.0)
        colour = np.clip(finite[..., :3], 0.0, 1.0 / exposure) * np.float32(exposure)
        alpha = np.clip(finite[..., 3:], 0.0, 1.0)
        if encoding == "linear":
            colour = srgb_from_linear(colour)
        colour = colour * 255.0
    mixed = colour * alpha + _GREY * (1.0 - alpha)
    return np.rint(np.clip(mixed, 0.0, 255.0)).astype(np.uint8)


def find_faces(image: SourceImage, report: Report | None = None) -> list[Face]:
    """The faces of an image, largest first; empty when there are none.

    report  is told (0..1, text) and may raise to stop the search
    At most FACE_LIMIT faces, turned in any direction; beside a large one
    none that are much smaller. A face that no renderer should move carries
    a `problem` instead of raising; animals are only reported where there is no human face.
    Raises ReportedError "bad_image", "no_models".
    """
    begin = Part(report, 0.0, 0.0).share(0.0, 1.0)
    rgb = view_8bit(image, partial(begin, 0.0))
    smallest = smallest_beside(rgb)
    if smallest > SMALLEST_FACE:
        part = Part(report, 0.0, 1 / len(_QUARTERS))
        seen = detect_turned(rgb, 0, part.share(0.0, _DETECT_SHARE), smallest)
        faces = _fit_all(rgb, seen, part.share(_DETECT_SHARE, 1.0))
        # What was seen at a glance may have been no face.
        if faces and faces[0].box[2] - faces[0].box[0] >= 0.5 * MUCH_SMALLER * smallest:
            return faces
    upright: list[Detection] = []
    # The detector knows heads that are tilted, but not all that are upside down.
    for number, quarters in enumerate(_QUARTERS):
        part = Part(report, number / len(_QUARTERS), 1 / len(_QUARTERS))
        seen = detect_turned(rgb, quarters, part.share(0.0, _DETECT_SHARE))
        faces = _fit_all(rgb, seen, part.share(_DETECT_SHARE, 1.0))
        if faces:
            return faces
        upright = upright if quarters else seen
    strangers = [_stranger(rgb, detection) for detection in upright[:_STRANGER_LIMIT]]
    return [face for face in strangers if face.problem][:1]


def fit_drawn(image: SourceImage, box: tuple[float, float, float, float]) -> Face:
    """The face that an artist has drawn a box around, with pose, keypoints and ratios.

    box  (x0, y0, x1, y1) pixels; the face keeps it
    What is readable is taken, however small or turned. Raises ReportedError "bad_face" with what
    is wrong, "bad_image", "no_models".
    """
    rgb = view_8bit(image)
    mesh = Mesh(fit_landmarks(rgb, Face(box)), 1.0)
    check_fit(mesh.landmarks)
    return replace(describe(mesh, _size(rgb)), box=box, problem={})


def _fit_all(rgb: np.ndarray, detections: list[Detection], report: Fraction) -> list[Face]:
    """The human faces among the detections, largest first, each once."""
    faces: list[Face] = []
    failed = 0
    for number, detection in enumerate(sorted(detections, key=lambda d: -d.score)):
        report(number / len(detections))
        mesh = fit_detection(rgb, detection)
        if is_human(mesh):
            mesh = second_looks(rgb, mesh)
        if is_human(mesh):
            faces.append(describe(mesh, _size(rgb), detection.score))
        failed = 0 if is_human(mesh) else failed + 1
        if len(faces) == FACE_LIMIT or failed == _FAILURE_LIMIT:
            break
    return _each_once(faces)


def _each_once(faces: list[Face]) -> list[Face]:
    """The faces, largest first, without those that sit on a larger one."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: face.box[0] - face.box[2]):
        if not any(_is_inside(face, other) for other in kept):
            kept.append(face)
    return kept


def _is_inside(face: Face, other: Face) -> bool:
    """Whether a face's nose lies on another face."""
    x, y = face.keypoints[2]
    x0, y0, x1, y1 = other.box
    return x0 < x < x1 and y0 < y < y1


def _stranger(rgb: np.ndarray, detection: Detection) -> Face:
    """A detection that no mesh fits, with its problem; none where nothing sure can be said."""
    face = rough_face(detection, 0)
    direction = stretched_along(rgb, detection)
    if direction:
        return replace(face, problem=stretched_problem(direction))
    if not detection.is_whole_view:
        return face
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
        keypoints=pairs(keypoints_of(landmarks)),
        outline=pairs(landmarks[list(OVAL)]),
        pitch=pitch,
        yaw=yaw,
        roll=roll,
        eyes_open=measures.eyes_open,
        lips_open=measures.lips_open,
        measures={name: round(value, 4) for name, value in asdict(measures).items()},
        problem=find_problem(mesh, picture_size),
    )


def _size(rgb: np.ndarray) -> tuple[int, int]:
    return rgb.shape[1], rgb.shape[0]
