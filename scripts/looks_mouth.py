"""What a mouth looks like that was opened or closed: its teeth and the gap between the lips."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from looks_views import MOUTH_CM, View, colour_in, difference, lab_of, mouth_view

from engine.faces.canonical import (
    LIP_LOWER_INNER,
    LIP_LOWER_OUTER,
    LIP_UPPER_INNER,
    LIP_UPPER_OUTER,
)

_OPEN = 0.15  # cm between the lips from which there is something to see
_LIGHTEST = 85.0  # percentile of the opening above which teeth are looked for
_CONTRAST = 12.0  # ΔE between teeth and lips below which nothing is said about teeth
_LIGHTER = 4.0  # L of teeth over lips
# Tongues are lighter than lips, too. Teeth are less red than skin by so much, or hardly redder and
# less red than this share of the lips: a* of L*a*b*.
_PALER, _REDDER, _SHARE_OF_LIPS = 3.0, 2.0, 0.55
_GREY = 4.0  # a* of the skin under which a picture is taken for grey, and lightness decides
_DARK = 0.62  # of the teeth's L; darker is the cavity
_SPREAD = 24.0  # ΔE from the teeth's colour within which a pixel is tooth
_TINT = 16.0  # the same for a* and b* alone: grey teeth are teeth
_HALF_WIDTH = 1.1  # cm to each side of the middle in which heights of teeth are measured
_COLUMNS = 9
_BESIDE = 0.15  # cm beyond the edges of the lips in which teeth of a shut mouth are looked for
_LEAST_HEIGHT = 0.22  # cm of upper teeth that a source must show
_ABOVE, _BELOW = 0.5, 1.2  # cm around the upper lip's edge in which the teeth must begin
_GAP = 0.07  # cm; smaller gaps do not end a tooth
_DIP = 5.0  # L; a darker line this deep parts the upper from the lower teeth


@dataclass(frozen=True)
class MouthLook:
    """The source's mouth: where its lips are, and the colour of its teeth (NaN without teeth)."""

    view: View
    rgb: np.ndarray
    between: np.ndarray
    edge: np.ndarray
    teeth: np.ndarray
    around: tuple[np.ndarray, ...]

    @staticmethod
    def of(rgb: np.ndarray, landmarks: np.ndarray, pixels_per_cm: float) -> MouthLook:
        """Look at the mouth of an (H, W, 3) uint8 picture with (478, 3) landmarks."""
        view = mouth_view(landmarks, pixels_per_cm)
        seen = view.extract(rgb)
        lab = lab_of(seen)
        inner = view.polygon(landmarks[[*LIP_UPPER_INNER, *LIP_LOWER_INNER[::-1]]])
        outer = view.polygon(landmarks[[*LIP_UPPER_OUTER, *LIP_LOWER_OUTER[::-1]]])
        wide = cv2.dilate(outer.astype(np.uint8), np.ones((25, 25))) > 0
        lips, skin = colour_in(lab, outer & ~inner), colour_in(lab, wide & ~outer)
        edge = view.place(landmarks[list(LIP_UPPER_INNER)])
        gap = view.place(landmarks[[LIP_UPPER_INNER[5], LIP_LOWER_INNER[5]]])
        teeth = np.full(3, np.nan)
        if gap[1, 1] - gap[0, 1] > _OPEN * MOUTH_CM:
            teeth = _colour_of_teeth(lab, inner, lips, skin)
        return MouthLook(view, seen, _between(view, landmarks), edge, teeth, (lips, skin))

    @property
    def has_teeth(self) -> bool:
        """Whether the source shows teeth that can be told from its lips."""
        return bool(np.isfinite(self.teeth).all())

    def tooth_share(self, result: np.ndarray, landmarks: np.ndarray) -> float:
        """Tooth-coloured pixels between the lips and right beside them, over the source's.

        landmarks  (478, 3) of the result; shine on its lips and pale skin around are no teeth
        NaN where the source shows none.
        """
        before = int((self._is_tooth(lab_of(self.rgb)) & self.between).sum())
        if not self.has_teeth or before < 50:
            return float("nan")
        after = self._is_tooth(lab_of(self.view.extract(result)))
        return float((after & _between(self.view, landmarks)).sum() / before)

    def teeth_height(self, rgb: np.ndarray | None = None) -> float:
        """Height of the upper teeth that show, cm; of the source, or of an (H, W, 3) result.

        NaN where the source shows too little of its upper teeth.
        """
        own = self._height(self.rgb) if self.has_teeth else 0.0
        if own < _LEAST_HEIGHT:
            return float("nan")
        return own if rgb is None else self._height(self.view.extract(rgb))

    def _is_tooth(self, lab: np.ndarray) -> np.ndarray:
        """(H, W) bool, light and nearer to the teeth than to lips and skin."""
        if not self.has_teeth:
            return np.zeros(lab.shape[:2], bool)
        from_teeth = difference(lab, self.teeth)
        is_tooth = (from_teeth < _SPREAD) & (lab[..., 0] > _DARK * self.teeth[0])
        for colour in self.around:
            is_tooth &= from_teeth < difference(lab, colour)
        return is_tooth

    def _height(self, seen: np.ndarray) -> float:
        """Median height of the first run of teeth below the upper lip, cm."""
        lab = lab_of(seen)
        tint = np.linalg.norm(lab[..., 1:] - self.teeth[1:], axis=-1)
        is_tooth = (tint < _TINT) & (lab[..., 0] > _DARK * self.teeth[0])
        # Grey teeth are allowed to be like skin, but where all is grey that would be skin itself.
        others = self.around[:1] if self.around[1][1] >= _GREY else self.around
        for colour in others:
            is_tooth &= difference(lab, self.teeth) < difference(lab, colour)
        is_tooth = cv2.medianBlur(is_tooth.astype(np.uint8), 5) > 0
        middle = float(self.edge[5, 0])
        half = _HALF_WIDTH * MOUTH_CM
        edges = np.linspace(middle - half, middle + half, _COLUMNS + 1)
        heights = []
        for left, right in pairwise(edges):
            columns = slice(max(0, round(left)), max(1, round(right)))
            teeth = is_tooth[:, columns].mean(axis=1) > 0.5
            light = np.median(lab[:, columns, 0], axis=1)
            lip = float(np.interp((left + right) / 2, self.edge[:, 0], self.edge[:, 1]))
            heights.append(_first_run(teeth, light, lip) / MOUTH_CM)
        return float(np.median(heights))


def _between(view: View, landmarks: np.ndarray) -> np.ndarray:
    """(H, W) bool, between the lips of (478, 3) landmarks and `_BESIDE` beyond their edges."""
    inner = view.polygon(landmarks[[*LIP_UPPER_INNER, *LIP_LOWER_INNER[::-1]]]).astype(np.uint8)
    line = np.rint(view.place(landmarks[[*LIP_UPPER_INNER, *LIP_LOWER_INNER[::-1]]]))
    # Lips that have met leave no pixel between them.
    cv2.polylines(inner, [line.astype(np.int32)], True, 1)
    side = 2 * round(_BESIDE * MOUTH_CM) + 1
    return cv2.dilate(inner, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0


def _colour_of_teeth(
    lab: np.ndarray, inner: np.ndarray, lips: np.ndarray, skin: np.ndarray
) -> np.ndarray:
    """(3,) of the lightest and least red of an opening; NaN when it is no tooth."""
    score = lab[..., 0] - 0.7 * lab[..., 1]
    if inner.sum() < 50:
        return np.full(3, np.nan)
    teeth = colour_in(lab, inner & (score >= np.percentile(score[inner], _LIGHTEST)))
    is_seen = difference(teeth, lips) > _CONTRAST and teeth[0] > lips[0] + _LIGHTER
    if skin[1] < _GREY:
        is_seen = is_seen and teeth[0] > skin[0] + _LIGHTER
    else:
        is_pale = teeth[1] < skin[1] - _PALER
        is_pale |= teeth[1] < min(skin[1] + _REDDER, _SHARE_OF_LIPS * lips[1])
        is_seen = is_seen and is_pale
    return teeth if is_seen else np.full(3, np.nan)


def _first_run(teeth: np.ndarray, light: np.ndarray, lip: float) -> int:
    """Rows of the upper teeth in one column.

    teeth  (H,) bool; light  (H,) L; lip  row of the upper lip's edge in the source
    """
    start = max(0, round(lip - _ABOVE * MOUTH_CM))
    stop = min(len(teeth), round(lip + _BELOW * MOUTH_CM))
    found = np.flatnonzero(teeth[start:stop])
    if not found.size:
        return 0
    first = start + int(found[0])
    last, gap = first, 0
    for row in range(first, len(teeth)):
        gap = 0 if teeth[row] else gap + 1
        if gap > _GAP * MOUTH_CM:
            break
        last = row if teeth[row] else last
    return _up_to_dip(light[first : last + 1])


def _up_to_dip(light: np.ndarray) -> int:
    """Rows above the dark line between upper and lower teeth; all rows where there is none."""
    third = len(light) // 3
    if third < 4:
        return len(light)
    smooth = cv2.GaussianBlur(light[None].astype(np.float32), (0, 0), 1.5)[0]
    lowest = third + int(smooth[third:-third].argmin())
    depth = min(smooth[:lowest].max(), smooth[lowest:].max()) - smooth[lowest]
    return lowest if depth > _DIP else len(light)
