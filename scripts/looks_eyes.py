"""What a blink looks like: eyeball that still shows, tone of the lid, whether the brow stayed.

Everything is measured in the view of one eye of the source, 80 pixels from corner to corner, as
the head stands still. The lid measure of the landmark network cannot see a shut lid: it reads .2
on drawn and on made-up lids, so eyeball is looked for in the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from looks_views import (
    EYE_WIDTH,
    View,
    colour_in,
    difference,
    difference_between,
    eye_view,
    lab_of,
)

from engine.faces.canonical import EyeIndices

_AROUND = 25  # pixels across, by which drawn eyes may be larger than their landmarks
_LEAST_SKIN = 60  # pixels of skin between lid and brow from which its colour counts
_EDGE = 3  # pixels left out along the lids, where landmarks may be off
_IRIS_MARGIN = 1.12  # of the iris's radius; beyond it an eyeball is white
_CONTRAST = 14.0  # ΔE between sclera and skin below which nothing is said about it
_BROW_APART = 9.0  # the same for brow and skin
_EYEBALL = 10.0  # ΔE from the skin at which a pixel of the source is eyeball
_SAME = 6.0  # ΔE up to which a pixel of the result is the source's
_WHITER = 0.7  # sclera-coloured: this much nearer to the sclera than to the skin
_LID = 0.6  # of the opening from above, where a shut lid has no lashes
_LASHES = 5  # pixels; dark lines up to this height are lashes, not eyeball
_MIDDLE = 0.35  # half of the part of the eye's width in which the opening is measured
_BROW_MARGIN = 13  # pixels across, by which a brow may lie beside its landmarks
_BROW_STRIPES = 5
_BROW_REACH = 20  # pixels searched up and down
_STILL = 2.0  # grey levels of mean change up to which a brow has not moved
_BROW_CONTRAST = 5.0  # grey levels, standard deviation: below it there is no brow to follow


@dataclass(frozen=True)
class EyeLook:
    """One eye of the source, and what is needed to judge a blink of it.

    opening  (H, W) bool between the lids, the edges left out
    lid      (H, W) bool, the part of it that lies on the shut lid above its lashes
    eyeball  (H, W) bool of these, what is not skin-coloured
    skin     the colours above the lid and below the eye
    sclera   its colour; NaN where it is not told from skin
    white    (H, W) bool where a result must show none of it: the opening, and what the source
             shows of it around
    brow     (H, W) bool
    """

    view: View
    rgb: np.ndarray
    lab: np.ndarray
    opening: np.ndarray
    lid: np.ndarray
    eyeball: np.ndarray
    skin: tuple[np.ndarray, np.ndarray]
    sclera: np.ndarray
    white: np.ndarray
    brow: np.ndarray

    @staticmethod
    def of(rgb: np.ndarray, landmarks: np.ndarray, eye: EyeIndices) -> EyeLook:
        """Look at one eye of an (H, W, 3) uint8 picture with (478, 3) landmarks."""
        view = eye_view(landmarks, eye)
        seen = view.extract(rgb)
        lab = lab_of(seen)
        opening = _between(view, landmarks, eye.upper, eye.lower)
        opening = cv2.erode(opening.astype(np.uint8), np.ones((_EDGE, _EDGE))) > 0
        skin = _skin_around(view, lab, landmarks, eye)
        from_skin = difference_between(lab, skin)
        sclera = _colour_of_sclera(view, lab, landmarks[[eye.iris, *eye.iris_ring]], opening, skin)
        around = cv2.dilate(opening.astype(np.uint8), np.ones((_AROUND, _AROUND))) > 0
        white = opening | (around & _is_white(lab, sclera, skin))
        brow = _brow_of(view, lab, landmarks, eye, skin[1])
        eyeball = opening & (from_skin > _EYEBALL)
        lid = _upper(opening)
        return EyeLook(view, seen, lab, opening, lid, eyeball, skin, sclera, white, brow)

    def sclera_share(self, result: np.ndarray) -> float:
        """Sclera-coloured pixels of a result over the opening's; NaN where it is not told."""
        if not np.isfinite(self.sclera).all() or not self.opening.any():
            return float("nan")
        lab = lab_of(self.view.extract(result))
        return float((self._is_white(lab) & self.white).sum() / self.opening.sum())

    def lid_difference(self, result: np.ndarray) -> float:
        """ΔE of the shut lid's median colour from the skin between brow and cheek."""
        lab = lab_of(self.view.extract(result))
        return float(difference_between(colour_in(lab, self.lid), self.skin))

    def opening_left(self, result: np.ndarray) -> float:
        """Height of what still shows of the eyeball over its height in the source.

        Eyeball is what is sclera-coloured, or looks as the source does at its place and not as
        skin. NaN where the source shows no eyeball.
        """
        whole = self._height(self.rgb)
        return self._height(result, self.view) / whole if whole > 1.0 else float("nan")

    def brow_shift(self, result: np.ndarray) -> float:
        """How far the brow has moved up or down, in eye widths; NaN without a brow to follow."""
        after = cv2.cvtColor(self.view.extract(result), cv2.COLOR_RGB2GRAY).astype(np.float32)
        before = cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
        filled = np.flatnonzero(self.brow.any(axis=0))
        if filled.size < _BROW_STRIPES * 6:
            return float("nan")
        shifts = []
        for columns in np.array_split(np.arange(filled[0], filled[-1] + 1), _BROW_STRIPES):
            rows = np.flatnonzero(self.brow[:, columns].mean(axis=1) > 0.3)
            if rows.size < 6 or rows[0] < _BROW_REACH:
                continue
            # The whole brow, and its lower half: a lid pulled down stretches the brow first.
            for top, bottom in ((rows[0] - 2, rows[-1] + 3), (rows.mean(), rows[-1] + 3)):
                place = (int(top), int(bottom)), (int(columns[0]), int(columns[-1]) + 1)
                shifts.append(_shift_of(before, after, *place))
        found = sorted(abs(shift) for shift in shifts if np.isfinite(shift))
        # One stripe alone may have matched a stray lock of hair.
        return float(np.mean(found[-2:])) / EYE_WIDTH if found else float("nan")

    def _is_white(self, lab: np.ndarray) -> np.ndarray:
        return _is_white(lab, self.sclera, self.skin)

    def _height(self, rgb: np.ndarray, view: View | None = None) -> float:
        """Mean height of the eyeball that shows in the middle of the eye, pixels."""
        lab = lab_of(view.extract(rgb) if view else rgb)
        is_same = np.zeros(self.opening.shape, bool)
        for shift_y in (-1, 0, 1):
            for shift_x in (-1, 0, 1):
                source = np.roll(self.lab, (shift_y, shift_x), (0, 1))
                is_same |= np.linalg.norm(lab - source, axis=-1) < _SAME
        shows = self.eyeball & is_same & (difference_between(lab, self.skin) > 0.8 * _EYEBALL)
        lashes = np.ones((_LASHES, 1), np.uint8)
        shows = cv2.morphologyEx(shows.astype(np.uint8), cv2.MORPH_OPEN, lashes) > 0
        shows |= self.white & self._is_white(lab)
        middle = self.view.size[0] // 2
        half = round(_MIDDLE * EYE_WIDTH)
        columns = shows[:, middle - half : middle + half]
        return float(np.mean([_longest_run(column) for column in columns.T]))


def _between(
    view: View, landmarks: np.ndarray, first: tuple[int, ...], second: tuple[int, ...]
) -> np.ndarray:
    """(H, W) bool between two rings of an eye."""
    return view.polygon(landmarks[[*first, *second[::-1]]])


def _skin_around(
    view: View, lab: np.ndarray, landmarks: np.ndarray, eye: EyeIndices
) -> tuple[np.ndarray, np.ndarray]:
    """Colours of the skin above the lid, without the brow, and below the eye."""
    below = colour_in(lab, _between(view, landmarks, eye.lower2, eye.lower3))
    brow = _brow_of(view, lab, landmarks, eye, below)
    above = _between(view, landmarks, eye.upper2, eye.upper3) & ~brow
    return (colour_in(lab, above) if above.sum() >= _LEAST_SKIN else below), below


def _brow_of(
    view: View, lab: np.ndarray, landmarks: np.ndarray, eye: EyeIndices, skin: np.ndarray
) -> np.ndarray:
    """(H, W) bool, the hair of the brow; empty where it is not told from skin."""
    drawn = view.polygon(landmarks[[*eye.brow[:5], *eye.brow[:4:-1]]])
    colour = colour_in(lab, drawn)
    if not difference(colour, skin) > _BROW_APART:
        return np.zeros(drawn.shape, bool)
    around = cv2.dilate(drawn.astype(np.uint8), np.ones((_BROW_MARGIN, _BROW_MARGIN))) > 0
    is_hair = difference(lab, colour) < _WHITER * difference(lab, skin)
    return cv2.medianBlur((around & is_hair).astype(np.uint8), 5) > 0


def _colour_of_sclera(
    view: View,
    lab: np.ndarray,
    iris: np.ndarray,
    opening: np.ndarray,
    skin: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """(3,) of the lighter half of the eyeball beside the iris; NaN where it is like skin."""
    points = view.place(iris)
    radius = np.linalg.norm(points[1:] - points[0], axis=1).mean() * _IRIS_MARGIN
    rows, columns = np.mgrid[: view.size[1], : view.size[0]]
    white = opening & (np.hypot(columns - points[0, 0], rows - points[0, 1]) > radius)
    if white.sum() <= 20:
        return np.full(3, np.nan)
    sclera = colour_in(lab, white & (lab[..., 0] >= np.median(lab[..., 0][white])))
    is_lighter = sclera[0] > min(skin[0][0], skin[1][0])
    is_told = is_lighter and difference_between(sclera, skin) >= _CONTRAST
    return sclera if is_told else np.full(3, np.nan)


def _is_white(
    lab: np.ndarray, sclera: np.ndarray, skin: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """(H, W) bool, nearer to the sclera than to skin."""
    if not np.isfinite(sclera).all():
        return np.zeros(lab.shape[:2], bool)
    return difference(lab, sclera) < _WHITER * difference_between(lab, skin)


def _upper(opening: np.ndarray) -> np.ndarray:
    """(H, W) bool, the upper part of each column of an opening."""
    depth = np.cumsum(opening, axis=0)
    return opening & (depth <= _LID * depth[-1])


def _longest_run(flags: np.ndarray) -> int:
    """Length of the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max()) if edges.size else 0


def _shift_of(
    before: np.ndarray, after: np.ndarray, rows: tuple[int, int], columns: tuple[int, int]
) -> float:
    """By how many pixels a patch has moved down; NaN for a patch without contrast."""
    patch = before[rows[0] : rows[1], columns[0] : columns[1]]
    still = after[rows[0] : rows[1], columns[0] : columns[1]]
    if np.abs(patch - still).mean() <= _STILL:
        return 0.0
    if patch.std() < _BROW_CONTRAST:
        return float("nan")
    low = max(0, rows[0] - _BROW_REACH)
    strip = after[low : rows[1] + _BROW_REACH, columns[0] : columns[1]]
    costs = cv2.matchTemplate(strip, np.ascontiguousarray(patch), cv2.TM_SQDIFF)[:, 0]
    best = int(costs.argmin())
    shift = float(best)
    if 0 < best < len(costs) - 1:
        a, b, c = (float(v) for v in costs[best - 1 : best + 2])
        if a - 2 * b + c > 1e-6:
            shift += 0.5 * (a - c) / (a - 2 * b + c)
    return shift + low - rows[0]
