"""A still picture as a performance of one moment: the pose and expression of a face in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .analytic.encoder import RESTING, encode
from .clips.clip import open_clip
from .clips.errors import ClipError
from .faces.find import find_faces
from .faces.measures import LID_RATIO_PER_EYES_OPEN, MEASURE_NAMES, Measures
from .motion import NO_FACE_HINT, Face
from .performance.geometry import rotation_matrix
from .performance.performance import Performance
from .performance.ratios import OpeningRatios
from .renderer import ReportedError, SourceImage
from .take import PerformanceSource

Report = Callable[[float, str], None]

MAX_SIDE = 2048  # pixels; larger pictures are read smaller
# Eyes that are less open are taken to be closing, not to be narrow: lid gap over eye width.
_NARROWEST_LIDS = 0.24
# The more a head is turned, the less the mesh knows of what goes sideways and of the side that is
# hidden: degrees of yaw up to which it is believed, and from which on it is not.
_SURE_YAW_DEG, _BLIND_YAW_DEG = 6.0, 22.0
_SIDEWAYS = ("mouth_x", "chin_x")
_PAIRED = ("lift", "brow", "brow_inner", "brow_outer", "cheek")


def read_still(source: PerformanceSource, report: Report) -> Performance:
    """What a face in a picture does. Raises ReportedError (bad_performance, no_models)."""
    name = Path(source.path).name
    report(0.0, f"Looking at '{name}'")
    image = SourceImage(_opaque(_picture(source)), "srgb")
    faces = find_faces(image, lambda part, text: report(0.9 * part, text))
    faces = [face for face in faces if face.measures]
    if not faces:
        raise ReportedError("bad_performance", f"No face found in '{name}'.", NO_FACE_HINT)
    if source.performer >= len(faces):
        text = f"'{name}' shows {len(faces)} faces, no number {source.performer + 1}."
        raise ReportedError("bad_performance", text, "Choose another: 1 is the largest face.")
    return performance_of_face(faces[source.performer])


def performance_of_face(face: Face) -> Performance:
    """One moment of a face whose measures are known."""
    lids = (face.measures["lid_left"], face.measures["lid_right"])
    gap = max(face.measures["lip_gap"], 0.0)
    return Performance(
        times=np.zeros(1),
        rotation=rotation_matrix(*np.array([[face.pitch], [face.yaw], [face.roll]])),
        translation=np.zeros((1, 3), np.float32),
        scale=np.ones(1, np.float32),
        expression=expression_of_face(face)[None],
        ratios=OpeningRatios(
            np.array([lids], np.float32) / np.float32(LID_RATIO_PER_EYES_OPEN),
            np.array([[gap / max(face.measures["mouth_width"], 1e-3)]], np.float32),
        ),
        is_seen=np.ones(1, bool),
        neutral=RESTING,
    )


def expression_of_face(face: Face) -> np.ndarray:
    """(21, 3) float32 expression of a face whose measures are known; a resting one has zeros."""
    measures = np.array([_measures(face).as_array()])
    widest = max(face.measures["lid_left"], face.measures["lid_right"], _NARROWEST_LIDS)
    return encode(measures, np.array([widest, widest]))[0]


def _measures(face: Face) -> Measures:
    """The face's measures, without what a turned head only seems to do."""
    found = {name: face.measures[name] for name in MEASURE_NAMES}
    trust = np.interp(abs(face.yaw), (_SURE_YAW_DEG, _BLIND_YAW_DEG), (1.0, 0.0))
    for name in _SIDEWAYS:
        found[name] *= trust
    for name in _PAIRED:
        left, right = f"{name}_left", f"{name}_right"
        middle, half = (found[left] + found[right]) / 2, trust * (found[left] - found[right]) / 2
        found[left], found[right] = middle + half, middle - half
    return Measures(**found)


def _picture(source: PerformanceSource) -> np.ndarray:
    """(H, W, 3) uint8 sRGB. Raises ReportedError."""
    path = Path(source.path)
    try:
        with open_clip(path) as clip:
            return next(iter(clip.frames(max_side=MAX_SIDE))).image
    except ClipError as error:
        raise ReportedError(error.code, str(error), error.hint) from error
    except OSError as error:
        text = f"'{path.name}' cannot be read: {error.strerror or error}."
        raise ReportedError("bad_performance", text, "Choose another file.") from error


def _opaque(rgb: np.ndarray) -> np.ndarray:
    alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
    return np.concatenate([rgb, alpha], axis=2)
