"""The skin of a closing upper lid, and its lashes.

A lid that closes unfolds skin that the picture does not show. Stretching the strip above the lashes
would drag make-up, shadow and brow hair over the eye; this skin is made from the colours between
brow and cheek instead, with the grain of the cheek below, and the source's own lashes go down with
its edge.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..faces.canonical import EyeIndices
from .layer import Patch
from .shapes import blurred, curve, smoothstep
from .tone import Tone

# Rings of the face between which skin is looked at, and how far from the first to the second.
_ABOVE, _BELOW = ("upper2", "upper3", 0.2, 1.0), ("lower2", "lower3", 0.3, 1.3)
_ROWS = 8  # of samples on each side
_FITS = 6  # rounds in which what is not skin gets left out
_DARKEST = 0.82  # display brightness of shaded skin above an eye, relative to that below
_LEAST_SPREAD = 0.03  # display brightness, relative to the skin's
_SLOPE_DAMPING = 0.02
# Eye widths beyond the lids in which eyeball, lashes and shadow are covered too.
_REACH_UP, _REACH_DOWN, _REACH_SIDE = 0.18, 0.15, 0.14
_EYEBALL_UP, _EYEBALL_DOWN, _EYEBALL_SIDE = 0.12, 0.12, 0.24
_RIM = 0.08
_SURE_UP, _SURE_DOWN = 0.06, 0.06
_FADE = 0.035  # of the skin's border, eye widths
_DIFFERENT = (0.10, 0.25)  # least and largest difference from skin that is not skin
_SHADED = 0.13  # eye widths from its border in which made skin takes up the shade around it
_GRAIN = 0.05  # eye widths below which detail is grain
_GRAIN_LIMIT = 0.14
_LASH_REACH, _LASH_STEPS = 0.20, 40  # eye widths above the lid, samples
_LINE_SEARCH = 0.06  # eye widths above the lid in which its lashes begin
_LINE, _LINE_STRENGTH = 0.034, 0.95  # half thickness of the line of lashes, eye widths; opacity
_SHORTEST, _HANGING = 0.2, 0.8  # length of lashes above and below the line of a shut eye
_BULGE = 0.05  # how much brighter the middle of a lid is


class LidSkin:
    """What covers one eye when its lids close, painted in the eye's own patch."""

    def __init__(
        self,
        patch: Patch,
        source: np.ndarray,
        landmarks: np.ndarray,
        eye: EyeIndices,
        tone: Tone,
        *,
        is_blind: bool = False,
    ) -> None:
        """Read skin and lashes.

        source     (height, width, 3) float32 of the patch
        landmarks  (478, 3) crop pixels
        is_blind   the eyeball looks like skin, as that of a statue
        """
        self._is_blind = is_blind
        points = landmarks[:, :2]
        self._patch, self._tone = patch, tone
        self._upper, self._lower = points[list(eye.upper)], points[list(eye.lower)]
        self._unit = float(np.hypot(*(self._upper[-1] - self._upper[0]))) * patch.scale
        self._columns = np.arange(patch.width, dtype=np.float32)
        self._rows = np.arange(patch.height, dtype=np.float32)[:, None]
        skin, spread = self._fit_skin(source, points, eye)
        self._zone = self._find_zone(source / skin, spread, points, eye)
        shaded = self._shade_border(source, skin)
        self.skin = shaded * self._grain(source, skin, points, eye)
        self._lashes = self._read_lashes(source / skin)

    def cover(self, upper: np.ndarray, lower: np.ndarray, blink: float) -> np.ndarray:
        """(height, width) coverage of the skin beyond moved (9, 2) lid edges, crop pixels."""
        above = np.clip(self._row_of(upper) - self._rows + 0.5, 0.0, 1.0)
        below = np.clip(self._rows - self._row_of(lower) + 0.5, 0.0, 1.0)
        below = below * float(smoothstep((blink - 0.55) / 0.4))
        between = np.maximum(above * self.strength(blink), below)
        # Beside the eye nothing moves: corners fade.
        beside = smoothstep(self._beside() / 0.2 + 0.5)
        shut = float(smoothstep((blink - 0.3) / 0.6))
        return self._zone * (between + (shut - between) * beside)

    def lashes(self, upper: np.ndarray, blink: float) -> np.ndarray:
        """(height, width) coverage of the lashes along a moved lid edge."""
        closing = float(np.clip(blink, 0.0, 1.0))
        distance = (self._row_of(upper) - self._rows) / self._unit
        length = np.where(
            distance > 0.0, 1.0 - (1.0 - _SHORTEST) * closing, 0.12 + (_HANGING - 0.12) * closing
        )
        step = np.abs(distance) / length * np.float32((_LASH_STEPS - 1) / _LASH_REACH)
        columns = np.broadcast_to(self._columns, step.shape)
        found = cv2.remap(
            self._lashes, columns, step.astype(np.float32), cv2.INTER_LINEAR, borderValue=0.0
        )
        return np.maximum(found, self._line(distance, closing)) * self.strength(blink)

    @staticmethod
    def strength(blink: float) -> float:
        """How much of the lid is made rather than moved."""
        return float(smoothstep((blink - 0.02) / 0.18))

    def _line(self, distance: np.ndarray, closing: float) -> np.ndarray:
        """(height, width) a thin line along the lid, thinner towards its corners."""
        ends = np.sort(self._patch.place(self._upper[[0, -1]])[:, 0])
        along = np.clip((self._columns - ends[0]) / max(ends[1] - ends[0], 1.0), 0.0, 1.0)
        taper = smoothstep(np.minimum(along, 1.0 - along) / 0.15) + 1e-3
        # Lashes that point at the onlooker are one thick line.
        thickness = _LINE * (0.85 + 0.5 * closing) * taper
        return _LINE_STRENGTH * taper * np.exp(-((distance / thickness) ** 2))

    def _row_of(self, edge: np.ndarray) -> np.ndarray:
        """(width,) float32 row of a lid edge in every column of the patch."""
        line = self._patch.place(curve(edge))
        if line[0, 0] > line[-1, 0]:
            line = line[::-1]
        x = np.maximum.accumulate(line[:, 0] + 1e-6 * np.arange(len(line)))
        return np.interp(self._columns, x, line[:, 1]).astype(np.float32)

    def _fit_skin(
        self, source: np.ndarray, points: np.ndarray, eye: EyeIndices
    ) -> tuple[np.ndarray, float]:
        """(height, width, 3) skin without lashes, brow and shadows; its spread, as displayed."""
        soft = blurred(source, 0.03 * self._unit)
        places = [self._between(points, eye, side) for side in (_ABOVE, _BELOW)]
        colours = np.concatenate([self._read(soft, place) for place in places])
        reference = np.maximum(np.median(self._read(soft, places[1]), axis=0), 1e-9)
        shown = self._tone.shown(colours / reference)
        shown = self._lifted(shown, len(places[0]))
        basis = self._basis(*np.concatenate(places).T)
        damping = np.diag([0.0, 1.0, 1.0, 1.0]) * _SLOPE_DAMPING * len(basis)
        spread, fit, weights = 1.0, np.zeros((basis.shape[1], 3)), np.ones(len(basis))
        for _ in range(_FITS):
            weighted = basis * weights[:, None]
            fit = np.linalg.solve(weighted.T @ basis + damping, weighted.T @ shown)
            off = (shown - basis @ fit).mean(axis=1)
            spread = max(1.48 * float(np.median(np.abs(off))), _LEAST_SPREAD)
            # Lashes, brows and frames are dark; only shine is brighter than skin.
            limit = np.where(off < 0.0, 3.0, 4.0) * spread
            weights = np.clip(1.0 - (off / limit) ** 2, 0.0, 1.0) ** 2 + 1e-4
        # What it varies with across and down adds up.
        rows, zero = self._rows[:, 0], np.zeros(1, np.float32)
        across = self._basis(self._columns, np.zeros_like(self._columns)) @ fit
        down = (self._basis(np.zeros_like(rows), rows) - self._basis(zero, zero)) @ fit
        skin = across.astype(np.float32) + down.astype(np.float32)[:, None]
        lowest, highest = np.percentile(shown, (10, 95), axis=0).astype(np.float32)
        skin = np.clip(skin, lowest * np.float32(0.7), highest)
        skin = self._tone.stored(skin) * reference.astype(np.float32)
        return np.maximum(skin, np.float32(1e-9)), spread

    @staticmethod
    def _lifted(shown: np.ndarray, above_count: int) -> np.ndarray:
        """Colours relative to those below the eye, with hair and deep shadow above it lifted."""
        above, below = shown[:above_count], shown[above_count:]
        usual = np.median(below, axis=0)
        share = above.mean(axis=1, keepdims=True) / max(float(usual.mean()), 1e-6)
        lift = np.maximum(_DARKEST / np.maximum(share, 1e-3), 1.0)
        # The more a colour has to be lifted, the less it is skin's.
        own = np.clip(2.0 - lift, 0.0, 1.0)
        lifted = np.where(lift > 1.0, own * above * lift + (1.0 - own) * usual * _DARKEST, above)
        return np.concatenate([lifted, below])

    def _basis(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(N, 4) what skin may vary with, at patch pixels. Nothing bends from brow to cheek."""
        middle = self._patch.place((self._upper + self._lower) / 2).mean(axis=0)
        x, y = (x - middle[0]) / self._unit, (y - middle[1]) / self._unit
        return np.stack([np.ones_like(x), x, y, x * x], axis=1)

    def _between(
        self, points: np.ndarray, eye: EyeIndices, side: tuple[str, str, float, float]
    ) -> np.ndarray:
        """(N, 2) patch pixels between two rings of an eye."""
        first, second = (curve(points[list(getattr(eye, name))][1:-1]) for name in side[:2])
        shares = np.linspace(side[2], side[3], _ROWS)[:, None, None]
        return self._patch.place((first + shares * (second - first)).reshape(-1, 2))

    def _read(self, image: np.ndarray, places: np.ndarray) -> np.ndarray:
        x, y = (np.ascontiguousarray(places[None, :, i], np.float32) for i in (0, 1))
        return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]

    def _find_zone(
        self, ratio: np.ndarray, spread: float, points: np.ndarray, eye: EyeIndices
    ) -> np.ndarray:
        """(height, width) coverage 0..1: what must not be seen of the source when the eye is shut.

        ratio  (height, width, 3) source over skin
        """
        unit = self._unit
        shown = self._tone.shown(ratio)
        threshold = float(np.clip(3.0 * spread, *_DIFFERENT))
        foreign = blurred(np.abs(shown - 1.0).max(axis=2), 0.5 * self._patch.scale) > threshold
        foreign &= self._filled_brow(points, eye) == 0
        top, bottom, beside = self._eyeball_rows(shown, threshold)
        up, down = (top - self._rows) / unit, (self._rows - bottom) / unit
        inside = (up <= 0.0) & (down <= 0.0) & (beside <= 0.0)
        # A narrow rim of skin between eye and liner, or a carved groove, goes with them.
        gap = np.ones((2 * round(0.5 * _RIM * unit) + 1, 1), np.uint8)
        foreign = cv2.morphologyEx((foreign | inside).astype(np.uint8), cv2.MORPH_CLOSE, gap) > 0
        # Around a carved eyeball nothing shows how far the grooves go.
        sure_up, sure_down = (0.12, 0.15) if self._is_blind else (_SURE_UP, _SURE_DOWN)
        reach_up = self._reach(foreign, up, sure_up, _REACH_UP)
        reach_down = self._reach(foreign, down, sure_down, _REACH_DOWN)
        # Lids taper off beside the eye.
        taper = np.sqrt(np.clip(1.0 - np.maximum(beside, 0.0) / _REACH_SIDE, 0.0, 1.0))
        near = (up < reach_up * taper) & (down < reach_down * taper) & (beside < _REACH_SIDE)
        sure = inside | ((up < sure_up) & (down < sure_down) & (beside < 0.03))
        zone = _connected(foreign & near, sure)
        zone = cv2.morphologyEx(zone, cv2.MORPH_CLOSE, _disc(0.06 * unit))
        zone = cv2.dilate(zone, _disc(1.2 * _FADE * unit)).astype(np.float32)
        return blurred(zone, _FADE * unit)

    def _filled_brow(self, points: np.ndarray, eye: EyeIndices) -> np.ndarray:
        brow = np.zeros((self._patch.height, self._patch.width), np.uint8)
        outline = self._patch.place(points[list(eye.brow[:5] + eye.brow[:4:-1])])
        cv2.fillPoly(brow, [np.rint(outline).astype(np.int32)], 1)
        return brow

    def _eyeball_rows(
        self, shown: np.ndarray, threshold: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(width,) first and last row of the eyeball, and eye widths beyond its nearer end.

        shown      (height, width, 3) source over skin, as displayed
        threshold  difference from skin that counts
        Drawn eyes reach far beyond the lids that the landmark network sees.
        """
        top, bottom, beside = self._row_of(self._upper), self._row_of(self._lower), self._beside()
        up, down = (top - self._rows) / self._unit, (self._rows - bottom) / self._unit
        inside = (up <= 0.0) & (down <= 0.0) & (beside <= 0.0)
        brightness = shown.mean(axis=2)
        tint = np.abs(shown / np.maximum(brightness, 0.05)[..., None] - 1.0).max(axis=2)
        is_eyeball = (brightness > 1.0 + threshold) | ((tint > threshold) & (brightness > 0.5))
        near = np.maximum(up / _EYEBALL_UP, down / _EYEBALL_DOWN) < 1.0
        near &= np.maximum(beside, 0.0) / _EYEBALL_SIDE < 1.0 - 0.7 * np.maximum(
            0.0, np.maximum(up / _EYEBALL_UP, down / _EYEBALL_DOWN)
        )
        eyeball = cv2.morphologyEx(
            (is_eyeball & near | inside).astype(np.uint8), cv2.MORPH_OPEN, _disc(0.02 * self._unit)
        )
        eyeball = _connected(eyeball > 0, inside) > 0
        has = eyeball.any(axis=0)
        if not has.any():
            return top, bottom, beside
        columns = np.flatnonzero(has)
        first = eyeball.argmax(axis=0)[columns].astype(np.float32)
        last = self._patch.height - 1 - eyeball[::-1].argmax(axis=0)[columns].astype(np.float32)
        top = np.minimum(top, np.interp(self._columns, columns, first))
        bottom = np.maximum(bottom, np.interp(self._columns, columns, last))
        ends = np.maximum(columns[0] - self._columns, self._columns - columns[-1]) / self._unit
        return top, bottom, np.minimum(beside, ends)

    def _reach(
        self, foreign: np.ndarray, away: np.ndarray, least: float, most: float
    ) -> np.ndarray:
        """(width,) eye widths from a lid's edge to the skin beyond its lashes.

        foreign  (height, width) bool, what is not skin
        away     (height, width) eye widths beyond the edge
        """
        is_skin = ~foreign & (away > 0.0)
        reach = np.where(is_skin, away, np.inf).min(axis=0)
        # No skin within reach: a low brow, a shaded socket or a frame, which stays as it is.
        reach = np.where(reach > most, least, np.maximum(reach, least)).astype(np.float32)
        size = 2 * round(0.06 * self._unit) + 1
        padded = np.pad(reach, size, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * size + 1)
        return blurred(np.median(windows, axis=1).astype(np.float32)[None], 0.04 * self._unit)[0]

    def _beside(self) -> np.ndarray:
        """(width,) eye widths beyond the nearer corner of the eye, negative inside."""
        ends = np.sort(self._patch.place(self._upper[[0, -1]])[:, 0])
        return np.maximum(ends[0] - self._columns, self._columns - ends[1]) / self._unit

    def _shade_border(self, source: np.ndarray, skin: np.ndarray) -> np.ndarray:
        """The skin, near its border in the shade of what is around it."""
        around = (self._zone < 0.02).astype(np.float32)
        known = np.clip(source / skin, 0.4, 1.5)
        total, norm = np.zeros_like(source), np.zeros_like(around)
        for reach, share in ((0.03, 1.0), (0.08, 0.03), (0.25, 1e-4)):
            total += share * blurred(known * around[..., None], reach * self._unit)
            norm += share * blurred(around, reach * self._unit)
        shade = total / np.maximum(norm, 1e-12)[..., None]
        depth = cv2.distanceTransform((around < 0.5).astype(np.uint8), cv2.DIST_L2, 3)
        nearness = 1.0 - smoothstep(depth / (_SHADED * self._unit))
        return skin * (1.0 + (shade - 1.0) * nearness[..., None])

    def _grain(
        self, source: np.ndarray, skin: np.ndarray, points: np.ndarray, eye: EyeIndices
    ) -> np.ndarray:
        """(height, width, 3) factors: detail of the skin below the eye, mirrored upwards."""
        lid = self._row_of(points[list(eye.lower2)])
        detail = source / np.maximum(blurred(source, _GRAIN * self._unit), 1e-9)
        off = np.abs(self._tone.shown(detail) - 1.0).max(axis=2, keepdims=True)
        detail = 1.0 + (detail - 1.0) * np.clip(2.0 - off / _GRAIN_LIMIT, 0.0, 1.0)
        # Up and down again between the lower lid and the patch's end.
        depth = np.maximum(self._patch.height - 2.0 - lid, 2.0)
        phase = np.mod(np.abs(lid - self._rows), 2.0 * depth)
        row = (lid + np.where(phase < depth, phase, 2.0 * depth - phase)).astype(np.float32)
        columns = np.broadcast_to(self._columns, row.shape)
        grain = cv2.remap(detail, columns, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        middle = self._patch.place((self._upper + self._lower) / 2).mean(axis=0)
        away = np.hypot(self._columns - middle[0], 1.6 * (self._rows - middle[1])) / self._unit
        bulge = 1.0 + _BULGE * (np.exp(-((away / 0.35) ** 2)) - 0.4)
        return (grain * self._tone.shade(bulge)[..., None]).astype(np.float32)

    def _read_lashes(self, ratio: np.ndarray) -> np.ndarray:
        """(steps, width) coverage of lashes by height above the source's upper lid."""
        dark = np.clip(1.0 - self._tone.shown(ratio).mean(axis=2), 0.0, 1.0).astype(np.float32)
        edge = self._row_of(self._upper)
        heights = np.linspace(0.0, _LASH_REACH + _LINE_SEARCH, round(1.3 * _LASH_STEPS))
        rows = edge - (heights * self._unit).astype(np.float32)[:, None]
        columns = np.broadcast_to(self._columns, rows.shape)
        table = cv2.remap(dark, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        beside = self._beside()
        # The lid's own edge is where it is darkest.
        search = round(_LINE_SEARCH / heights[1]) + 1
        start = int(table[:search, beside < -0.2].mean(axis=1).argmax())
        table = table[start : start + _LASH_STEPS]
        # Shade of a deep socket is no lash.
        shade = np.median(table[-_LASH_STEPS // 4 :], axis=0)
        shade = blurred(shade[None], 0.1 * self._unit)[0]
        table = np.clip((table - shade) / np.maximum(1.0 - shade, 0.2), 0.0, 1.0)
        fade = 1.0 - smoothstep((np.linspace(0.0, 1.0, _LASH_STEPS) - 0.4) / 0.45)
        side = 1.0 - smoothstep((beside + 0.11) / 0.14)
        table = cv2.GaussianBlur(table, (0, 0), max(0.012 * self._unit, 0.3), sigmaY=0.3)
        # Lashes are dark all the way from the lid's edge.
        table = np.minimum.accumulate(table, axis=0)
        # What is a third darker than skin is all lash.
        return (np.clip(1.6 * table, 0.0, 1.0) * fade[:, None] * side).astype(np.float32)


def _connected(area: np.ndarray, core: np.ndarray) -> np.ndarray:
    """(height, width) uint8: the core and the parts of the area that touch it."""
    _, labels = cv2.connectedComponents((area | core).astype(np.uint8))
    return np.isin(labels, np.unique(labels[core & (labels > 0)])).astype(np.uint8)


def _disc(radius: float) -> np.ndarray:
    size = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
