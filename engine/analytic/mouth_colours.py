"""Colours for the inside of a mouth, chosen to belong to the picture."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ..faces.canonical import EYES, LIP_LOWER_INNER, LIP_LOWER_OUTER, LIP_UPPER_INNER, Pose
from ..srgb import linear_from_srgb, srgb_from_linear
from .shapes import curve, filled, smoothstep

SKIN_POINTS = (50, 280, 101, 330, 205, 425, 4, 151, 9)
_OPEN_GAP = 0.38  # cm: own teeth may show
_LEAST_LIGHT = 0.15  # linear light of skin below which a picture counts as dark
_LEAST_OWN = 0.88  # of the brightness that teeth of such a face have
_LEAST_WHITE = 30  # crop pixels
_NEUTRAL = 128.0  # of 8-bit Lab


class MouthColours(NamedTuple):
    """Display RGB, (3,) float32 0..1 each."""

    skin: np.ndarray
    teeth: np.ndarray
    cavity: np.ndarray
    tongue: np.ndarray
    edge: np.ndarray


def choose_colours(view: np.ndarray, landmarks: np.ndarray, pose: Pose, gap: float) -> MouthColours:
    """Colours that fit the face's own skin and lips.

    view       (size, size, 3) uint8 sRGB crop
    landmarks  (478, 3) crop pixels
    gap        of the source's lips, cm
    """
    size = (view.shape[1], view.shape[0])
    points = landmarks[:, :2]
    skin_mask = np.zeros(view.shape[:2], np.uint8)
    for index in SKIN_POINTS:
        _dot(skin_mask, points[index], 0.35 * pose.scale)
    view, lift = _lifted(view, skin_mask)
    lab = cv2.cvtColor(view, cv2.COLOR_RGB2LAB).astype(np.float32)
    lip = np.concatenate([points[list(LIP_LOWER_OUTER)], points[list(LIP_LOWER_INNER)][::-1]])
    lip_mask = filled(lip, size) > 0.5
    skin = np.median(lab[skin_mask > 0], axis=0) if skin_mask.any() else np.array([150.0, 138, 142])
    lips = np.median(lab[lip_mask], axis=0) if lip_mask.sum() > 5 else skin
    around_mask = np.zeros(view.shape[:2], np.uint8)
    _dot(around_mask, (points[13] + points[14]) / 2, 2.6 * pose.scale)
    around = float(np.median(lab[..., 0][around_mask > 0])) if around_mask.any() else skin[0]

    bright = float(np.clip(skin[0], 40, 235))
    red, yellow = skin[1] - _NEUTRAL, skin[2] - _NEUTRAL
    lip_red, lip_yellow = lips[1] - _NEUTRAL, lips[2] - _NEUTRAL
    # Black-and-white and toned pictures have no reds to add.
    chroma = float(np.clip(np.hypot(red, yellow) / 22.0, 0.0, 1.2))
    lightness = min(222.0, 0.60 * bright + 0.38 * around + 8.0)
    white = _eye_white(lab, points)
    if white is None:
        teeth = _rgb(lightness, 0.15 * red, 0.55 * yellow + 2.0 * chroma)
    else:
        # The whites of the eyes show the light's colour; teeth are a little warmer.
        teeth = _rgb(
            max(lightness, 0.3 * lightness + 0.7 * white[0]),
            0.7 * (white[1] - _NEUTRAL),
            max(0.85 * (white[2] - _NEUTRAL) + 3.0 * chroma, 0.35 * yellow),
        )
    if gap > _OPEN_GAP:
        teeth = _own_teeth(view, points, skin[0] / 255.0, teeth)
    colours = MouthColours(
        skin=_rgb(skin[0], red, yellow),
        teeth=teeth,
        cavity=_rgb(np.clip(0.16 * lips[0], 8, 30), 5 * chroma, 3 * chroma),
        tongue=_rgb(
            np.clip(0.75 * lips[0], 30, 130),
            max(0.8 * lip_red + 4 * chroma, 16 * chroma),
            max(0.6 * lip_yellow, 6 * chroma),
        ),
        edge=_rgb(
            np.clip(0.3 * lips[0], 14, 70), 0.7 * lip_red + 3 * chroma, 0.6 * lip_yellow + chroma
        ),
    )
    tints, share = _tints(lab)
    toned = (_toned(colour, tints, share) for colour in colours[1:])
    darkened = (srgb_from_linear(linear_from_srgb(c) / lift) for c in (colours.skin, *toned))
    return MouthColours(*darkened)


def _lifted(view: np.ndarray, skin_mask: np.ndarray) -> tuple[np.ndarray, float]:
    """A dark view brought up to where colours can be told, and the factor in linear light."""
    if not skin_mask.any():
        return view, 1.0
    lift = lift_for(np.median(view[skin_mask > 0], axis=0) / 255.0)
    if lift <= 1.0:
        return view, 1.0
    levels = srgb_from_linear(linear_from_srgb(np.arange(256) / 255.0) * lift)
    table = np.rint(np.clip(levels, 0.0, 1.0) * 255.0).astype(np.uint8)
    return cv2.LUT(view, table), lift


def lift_for(skin: np.ndarray) -> float:
    """How much more light, as a factor, shows dark skin of (3,) display RGB well; at least 1."""
    light = float(linear_from_srgb(skin).mean())
    return float(np.clip(_LEAST_LIGHT / max(light, 1e-5), 1.0, 400.0))


def _tints(lab: np.ndarray) -> tuple[np.ndarray, float]:
    """(N, 3) 8-bit Lab, dark to light, of a picture with one colour for each lightness.

    And how surely, 0..1, it is such a one: sepia, duotone or black and white.
    """
    seen = lab[::6, ::6].reshape(-1, 3)
    steps = np.clip(seen[:, 0] / 16.0, 0, 15).astype(int)
    levels = [k for k in range(16) if (steps == k).sum() >= 12]
    if len(levels) < 3:
        return np.zeros((0, 3)), 0.0
    tints = np.array([np.median(seen[steps == k], axis=0) for k in levels])
    light = seen[:, 0]
    scatter = np.hypot(*(seen[:, i] - np.interp(light, tints[:, 0], tints[:, i]) for i in (1, 2)))
    return tints, 1.0 - float(smoothstep((float(np.percentile(scatter, 75)) - 2.0) / 3.0))


def _toned(colour: np.ndarray, tints: np.ndarray, share: float) -> np.ndarray:
    """A colour as a picture of these tints would show it, by a share."""
    if share <= 0.0:
        return colour
    rgb = np.rint(colour * 255.0).astype(np.uint8)[None, None]
    own = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0, 0].astype(np.float32)
    a, b = (np.interp(own[0], tints[:, 0], tints[:, i]) - _NEUTRAL for i in (1, 2))
    return colour + share * (_rgb(float(own[0]), float(a), float(b)) - colour)


def _eye_white(lab: np.ndarray, points: np.ndarray) -> np.ndarray | None:
    """(3,) 8-bit Lab of the whites of both eyes; None where too little of them shows."""
    size = (lab.shape[1], lab.shape[0])
    found = []
    for eye in EYES:
        outline = np.concatenate([points[list(eye.upper)], points[list(eye.lower)][::-1]])
        inside = cv2.erode(filled(outline, size), np.ones((3, 3), np.uint8)) > 0.9
        rim = points[list(eye.iris_ring)] - points[eye.iris]
        y, x = np.nonzero(inside)
        beyond = (
            np.hypot(x - points[eye.iris, 0], y - points[eye.iris, 1])
            > 1.2 * np.hypot(*rim.T).mean()
        )
        found.append(lab[y[beyond], x[beyond]])
    pixels = np.concatenate(found)
    if len(pixels) < _LEAST_WHITE:
        return None
    return np.median(pixels[pixels[:, 0] >= np.median(pixels[:, 0])], axis=0)


def _own_teeth(
    view: np.ndarray, points: np.ndarray, skin_brightness: float, otherwise: np.ndarray
) -> np.ndarray:
    """Colour of the brighter part of an open mouth, where it is bright enough to be teeth."""
    upper, lower = points[list(LIP_UPPER_INNER)], points[list(LIP_LOWER_INNER)]
    outline = np.concatenate([curve(upper), curve(lower)[::-1]])
    inside = view[filled(outline, (view.shape[1], view.shape[0])) > 0.9].astype(np.float32) / 255.0
    if len(inside) <= 20:
        return otherwise
    brightness = inside.mean(axis=1)
    teeth = inside[brightness >= np.percentile(brightness, 65)].mean(axis=0)
    return matched_teeth(teeth, otherwise) if teeth.mean() > 0.45 * skin_brightness else otherwise


def matched_teeth(own: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """(3,) display RGB for painted teeth: the source's own, but not as dim as in a lip's shadow."""
    least = _LEAST_OWN * float(otherwise.mean())
    if own.mean() >= least:
        return own
    return 0.3 * own * (least / max(float(own.mean()), 1e-4)) + 0.7 * _LEAST_OWN * otherwise


def _dot(mask: np.ndarray, centre: np.ndarray, radius: float) -> None:
    cv2.circle(mask, (int(centre[0]), int(centre[1])), max(2, int(radius)), 255, -1)


def _rgb(lightness: float, a: float, b: float) -> np.ndarray:
    """(3,) display RGB 0..1 of 8-bit Lab; a and b relative to neutral."""
    lab = np.array([[[lightness, _NEUTRAL + a, _NEUTRAL + b]]])
    rgb = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    return rgb[0, 0].astype(np.float32) / 255.0
