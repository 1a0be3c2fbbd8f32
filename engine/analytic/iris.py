"""Where an iris really is: the landmark network draws those of painted eyes too small."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from .shapes import blurred

_RADII = np.linspace(0.8, 1.8, 21)  # tried, relative to the landmarks' radius
_SHIFTS = np.linspace(-0.4, 0.4, 9)  # of the centre tried, the same unit
_ANGLES = 48
_STEP = 0.12  # between the two circles that are compared, iris radii
_LEAST_SEEN = 14  # angles at which a rim must be seen
_HABIT = 0.3  # how much worse the farthest circles are taken to fit
_BETTER = 1.15  # times as sharp a rim as the landmarks', to be believed
_LEAST_CONTRAST = 0.06  # of an iris to the white around it, relative to the eye's brightness


class Rim(NamedTuple):
    """A circle in patch pixels, and how far it stands out: brightness steps over the eye's own."""

    x: float
    y: float
    radius: float
    contrast: float

    @property
    def is_visible(self) -> bool:
        """Whether there is an iris; blind eyes of statues have none."""
        return self.contrast >= _LEAST_CONTRAST


def find_rim(shown: np.ndarray, opening: np.ndarray, centre: np.ndarray, radius: float) -> Rim:
    """The circle around which the eyeball gets brighter the most.

    shown    (height, width, 3) float32 as displayed, any exposure
    opening  (height, width) coverage of the eyeball
    centre, radius  of the landmarks' iris, patch pixels
    """
    brightness = blurred(shown.max(axis=2).astype(np.float32), 0.06 * radius)
    inside = cv2.erode(opening, np.ones((3, 3), np.uint8))
    usual = float(np.mean(brightness[opening > 0.5])) if (opening > 0.5).any() else 1.0
    both = cv2.merge([brightness / max(usual, 1e-9), inside])
    angles = np.linspace(0.0, 2.0 * np.pi, _ANGLES, endpoint=False)
    # Lids hide what lies above and below: the sides tell more.
    trust = (0.3 + 0.7 * np.abs(np.cos(angles))).astype(np.float32)
    shift_y, shift_x, radii = np.meshgrid(_SHIFTS, _SHIFTS, _RADII, indexing="ij")
    circles = np.stack([shift_x.ravel(), shift_y.ravel(), radii.ravel()], axis=1)
    inner = _around(both, centre, radius, circles, angles, -_STEP / 2)
    outer = _around(both, centre, radius, circles, angles, _STEP / 2)
    seen = np.minimum(inner[..., 1], outer[..., 1]) * trust
    steps = ((outer[..., 0] - inner[..., 0]) * seen).sum(axis=1) / np.maximum(
        seen.sum(axis=1), 1e-6
    )
    is_known = (seen > 0.15).sum(axis=1) >= _LEAST_SEEN
    if not is_known.any():  # too narrow an eye to tell
        return Rim(float(centre[0]), float(centre[1]), radius, np.inf)
    steps[~is_known] = 0.0
    off = np.abs(circles[:, :2]).sum(axis=1) / 0.8 + np.abs(np.log(circles[:, 2])) / 0.6
    worth = steps * (1.0 - _HABIT * np.clip(off / 2.0, 0.0, 1.0))
    best = int(worth.argmax())
    own = int(np.argmin(np.abs(circles - [0.0, 0.0, 1.0]).sum(axis=1)))
    chosen = best if worth[best] > _BETTER * max(worth[own], 0.0) else own
    x, y, r = circles[chosen]
    return Rim(
        float(centre[0] + x * radius),
        float(centre[1] + y * radius),
        float(r * radius),
        float(steps[best]),
    )


def _around(
    both: np.ndarray,
    centre: np.ndarray,
    radius: float,
    circles: np.ndarray,
    angles: np.ndarray,
    step: float,
) -> np.ndarray:
    """(circles, angles, 2) brightness and coverage just inside or outside of circles."""
    reach = ((circles[:, 2:] + step) * radius).astype(np.float32)
    x, y = ((centre + circles[:, :2] * radius)[:, i : i + 1].astype(np.float32) for i in (0, 1))
    x, y = (
        x + reach * np.cos(angles, dtype=np.float32),
        y + reach * np.sin(angles, dtype=np.float32),
    )
    return cv2.remap(both, x, y, cv2.INTER_LINEAR)
