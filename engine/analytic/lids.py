"""Fitting lid edges to the picture.

The landmark network draws lids a little inside the eye, and far inside on drawn and painted faces.
A closing lid that started from there would leave a sliver of eyeball above itself, and an iris
that looks around would be cut off before it reaches the lid.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..faces.canonical import EYES, EyeIndices

# Eye widths by which shut lids pass the line where they meet, so that wet edges are covered too.
UPPER_OVERLAP, LOWER_OVERLAP = 0.05, 0.05
# Eye widths that a lid or a corner is moved at the most: shadows above an eye look like eyeball.
_MOST = {"upper": 0.05, "lower": 0.14, "corner": 0.16}
_TRUSTED = 0.02  # eye widths by which the landmark network may be off
_INSIDE, _OUTSIDE = 0.08, 0.30  # eye widths from the lid at which its ray is eyeball, skin
_FARTHEST, _STEPS = 0.20, 28  # eye widths, samples along a ray
_LEAST_CONTRAST = 18.0  # grey levels between eyeball and skin
_LEAST_RAYS = 3
_LEAST_GROOVE = 12.0  # grey levels by which a carved groove is darker than what is beside it
# How far the rings beyond a lid follow it.
_FOLLOWING = {"upper2": 0.7, "upper3": 0.25, "lower2": 0.7, "lower3": 0.25}


def fit_lids(view: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Landmarks with the lids of both eyes moved out to where the eyeball ends.

    view       (size, size, 3) uint8 sRGB crop
    landmarks  (478, 3) crop pixels
    Returns a (478, 3) float64 copy.
    """
    colours = cv2.GaussianBlur(view, (0, 0), 0.8).astype(np.float32)
    fitted = np.array(landmarks, np.float64)
    for eye in EYES:
        _fit_eye(colours, fitted, eye)
    return fitted


def across_lids(line: np.ndarray) -> np.ndarray:
    """(2,) unit vector across a lid from corner to corner, towards the cheek."""
    x, y = line[-1] - line[0]
    down = np.array([-y, x]) / max(float(np.hypot(x, y)), 1e-6)
    return down if down[1] > 0 else -down


def _fit_eye(colours: np.ndarray, landmarks: np.ndarray, eye: EyeIndices) -> None:
    upper, lower = landmarks[list(eye.upper), :2], landmarks[list(eye.lower), :2]
    width = float(np.hypot(*(upper[-1] - upper[0])))
    down = across_lids(upper) * width
    _fit_corners(colours, landmarks, eye)
    # Strongest in the middle of the eye, nothing at its corners.
    bulge = np.sin(np.linspace(0.0, np.pi, len(upper)))[:, None] ** 0.7
    for name, edge, outwards in (("upper", upper, -down), ("lower", lower, down)):
        # Above an eye the crease of its lid is such a line, too.
        reach = _reach(colours, edge[1:-1], outwards, has_grooves=name == "lower")
        reach = min(reach, _MOST[name])
        move = max(0.0, reach - _TRUSTED) * outwards * bulge
        landmarks[list(getattr(eye, name)), :2] += move
        for number in (2, 3):
            ring = f"{name}{number}"
            landmarks[list(getattr(eye, ring)), :2] += _FOLLOWING[ring] * move


def _fit_corners(colours: np.ndarray, landmarks: np.ndarray, eye: EyeIndices) -> None:
    """Move the corners of over-sized eyes outwards, and the lids next to them along."""
    upper, lower = landmarks[list(eye.upper), :2], landmarks[list(eye.lower), :2]
    axis = upper[-1] - upper[0]
    along = np.linspace(0.0, 1.0, len(upper))[:, None]
    middle = (upper + lower) / 2
    for corner, inner, outwards, share in (
        (0, slice(0, 3), -axis, (1.0 - along) ** 2),
        (-1, slice(-3, None), axis, along**2),
    ):
        starts = (
            middle[inner]
            + (middle[corner] - middle[inner]).dot(axis)[:, None] / (axis @ axis) * axis
        )
        reach = min(_reach(colours, starts, outwards), _MOST["corner"])
        move = max(0.0, reach - 2.0 * _TRUSTED) * outwards * share
        for name, follow in (("upper", 1.0), ("lower", 1.0), ("upper2", 0.8), ("lower2", 0.8)):
            landmarks[list(getattr(eye, name)), :2] += follow * move
        landmarks[list(eye.corners), :2] -= move[[0, -1]]  # counted twice: both lids end there


def _reach(
    colours: np.ndarray, edge: np.ndarray, outwards: np.ndarray, *, has_grooves: bool = False
) -> float:
    """How far beyond an edge the colours are still the eyeball's, in lengths of `outwards`.

    has_grooves  eyeballs as light as skin, as carved ones are, may end at a dark line
    """
    distances = np.linspace(0.0, _FARTHEST, _STEPS)
    found = []
    for point in edge:
        eyeball, skin = _read(colours, point + np.array([[-_INSIDE], [_OUTSIDE]]) * outwards)
        seen = _read(colours, point + distances[:, None] * outwards)
        if np.linalg.norm(skin - eyeball) < _LEAST_CONTRAST:
            if has_grooves:
                found += _groove(distances, seen.mean(axis=1), min(eyeball.mean(), skin.mean()))
            continue
        to_skin = np.linalg.norm(seen - skin, axis=1)
        is_skin = to_skin < np.linalg.norm(seen - eyeball, axis=1)
        if is_skin.any():
            found.append(distances[int(is_skin.argmax())])
    return float(np.median(found)) if len(found) >= _LEAST_RAYS else 0.0


def _groove(distances: np.ndarray, light: np.ndarray, beside: float) -> list[float]:
    """Where on a ray its darkest point is, if it is clearly darker than what lies beside it."""
    darkest = int(light.argmin())
    is_groove = light[darkest] < beside - _LEAST_GROOVE and 0 < darkest < len(light) - 1
    return [float(distances[darkest])] if is_groove else []


def _read(colours: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 3) colours at (N, 2) positions."""
    x, y = (np.ascontiguousarray(points[None, :, i], np.float32) for i in (0, 1))
    return cv2.remap(colours, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
