"""A source's own open mouth: its upper teeth stay with the skull, the rest goes with the jaw.

Columns of the patch run from lip to lip. In each one a seam parts the upper teeth from what is
below them: cavity, tongue, lower teeth, or the lower row of a closed bite.
"""

from __future__ import annotations

import cv2
import numpy as np

from .layer import Patch
from .shapes import blurred, curve, smoothstep

_ARCH_COLUMNS = 48  # of which the seam's arch is scored
_SAMPLES = 48  # heights at which a column is looked at
_SIGMA = 28.0  # 8-bit Lab: colours this far apart are told apart fully
_BRIGHT, _PALE = 0.45, 0.75  # teeth against skin, teeth's redness against lips'
_CLEAR_OF_CAVITY = 18.0  # 8-bit lightness by which teeth are brighter than the darkest inside
_LEAST_TEETH = 0.28  # cm: less of them is not worth keeping
_LONGEST_TEETH = 1.25  # cm from the lip to the biting edge, gums included
_STRIP = 0.75  # cm of teeth that are too few when the lips open
_CUT, _RIM = 0.12, 0.12  # cm under the teeth that are nothing of their own
_BITE = 0.74  # share of the upper row where both rows are seen together
_VALLEY, _CLEAR_VALLEY = 0.10, 5.0  # cm, 8-bit lightness
_EDGE, _EDGE_FADE = 0.06, 0.06  # cm from the seam in which a biting edge is looked for
_KEPT, _STRETCH = 0.55, 2.2  # share of the lower part that never stretches; of the rest, most
_HIDDEN = 1.7  # the same for lower teeth
_SOFT = 0.09  # cm over which the lower part's torn edge fades
_WIDE = 0.6  # share of the mouth's half width that never stretches


class OwnMouth:
    """What one source shows between its lips."""

    def __init__(
        self,
        source: np.ndarray,
        view: np.ndarray,
        patch: Patch,
        upper: np.ndarray,
        lower: np.ndarray,
        per_cm: float,
        skin: np.ndarray,
        lips: np.ndarray,
    ) -> None:
        """Find the teeth.

        source        (height, width, 3) source values on the patch
        view          (height, width, 3) float32 8-bit Lab of the same, evenly exposed
        upper, lower  (11, 2) inner edges of the lips, crop pixels
        per_cm        crop pixels
        skin, lips    (3,) 8-bit Lab in the view
        """
        self._source, self._patch = source, patch
        self._per_cm = per_cm * patch.scale
        self._upper, self._lower = patch.place(curve(upper)), patch.place(curve(lower))
        columns = np.arange(patch.width, dtype=np.float64)
        self._top, self._bottom = (_heights(line, columns) for line in (self._upper, self._lower))
        self._teeth, self._seam, self._is_bite = self._find_teeth(view, skin, lips)
        self.teeth_colour = self._colour_of_teeth()
        self._is_slit = self._hides_teeth()
        if self._is_slit:
            self._teeth, self._seam = None, self._top

    @property
    def has_lower_teeth(self) -> bool:
        """Whether lower teeth of its own are seen under the upper ones."""
        return self._is_bite

    @property
    def has_teeth(self) -> bool:
        """Whether upper teeth of its own are seen."""
        return self._teeth is not None

    def over(
        self, inside: np.ndarray, upper: np.ndarray, lower: np.ndarray, first: int
    ) -> np.ndarray:
        """The source's mouth over a painted one.

        inside        (rows, width, 3) source values, some rows of the patch
        upper, lower  (N, 2) curves along the moved lips, crop pixels
        first         the first of the rows
        """
        patch, per_cm = self._patch, self._per_cm
        new_upper, new_lower = patch.place(upper), patch.place(lower)
        columns = np.arange(patch.width, dtype=np.float64)
        x = self._source_columns(columns, new_upper)
        jaw = float(new_lower[len(new_lower) // 2, 0] - self._lower[len(self._lower) // 2, 0])
        new_top, new_bottom = (_heights(line, columns) for line in (new_upper, new_lower))
        rows = np.arange(first, first + len(inside), dtype=np.float32)[:, None]

        # What goes with the jaw keeps its distance from the lower lip.
        below_x = x - jaw
        seam, bottom = (np.interp(below_x, columns, line) for line in (self._seam, self._bottom))
        height = np.maximum(bottom - seam, 0.0)
        kept = height * _KEPT
        room = np.maximum(new_bottom - np.interp(x, columns, self._seam), 0.0)
        stretch = np.clip((room - kept) / np.maximum(height - kept, 0.02 * per_cm), 1.0, _STRETCH)
        if self._is_bite:
            # Lower teeth hide a little of themselves behind the upper ones.
            stretch = np.minimum(stretch, _HIDDEN)
        up = new_bottom - rows
        source_up = np.where(up < kept, up, kept + (up - kept) / stretch)
        soft = _SOFT * per_cm
        reach = kept + (height - kept) * stretch
        # At rest nothing is torn; the edge fades in as the gap opens.
        torn = smoothstep((room - reach) / soft)
        share = 1.0 - torn * smoothstep((up - reach + soft) / soft)
        # Torn apart, nothing of the teeth above the seam stays with what is below it.
        source_y = np.maximum(bottom - source_up, seam + _RIM * per_cm * torn * (not self._is_bite))
        share = share * (1.0 - torn * (1.0 - smoothstep(height / (_RIM * per_cm) - 0.5)))
        if self._teeth is None:
            # A mouth that was a mere slit has nothing to show in a wide one.
            slit = 1.0 - smoothstep((float(height.max()) / per_cm - 0.4) / 0.5)
            slit = 1.0 if self._is_slit else slit
            growth = float((new_bottom - new_top).max()) / max(float(height.max()), 1.0)
            share = share * (1.0 - slit * smoothstep((growth - 1.3) / 0.7))
        share = share * np.clip(source_y - np.interp(below_x, columns, self._top) + 0.5, 0.0, 1.0)
        own = _look(self._source, np.broadcast_to(below_x, share.shape), source_y)
        result = inside + (own - inside) * share[..., None].astype(np.float32)
        if self._teeth is None:
            return result

        # A lip that rises bares more of the teeth than was seen: stretch them up to it.
        top, teeth_seam = (np.interp(x, columns, line) for line in (self._top, self._seam))
        rise = np.maximum(top - new_top, 0.0)
        length = np.maximum(teeth_seam - top, 1.0)
        source_y = np.where(
            (rows < teeth_seam) & (rise > 0.0),
            teeth_seam - (teeth_seam - rows) * length / (length + rise),
            rows,
        )
        teeth = _look(self._teeth, np.broadcast_to(x, source_y.shape), source_y)
        return result * (1.0 - teeth[..., 3:]) + teeth[..., :3]

    def _source_columns(self, columns: np.ndarray, new_upper: np.ndarray) -> np.ndarray:
        """Where each column comes from: the same place, but a mouth grown wider stretches."""
        x = columns.copy()
        middle = float(self._upper[:, 0].mean())
        for old, new in (
            (self._upper[0, 0], new_upper[0, 0]),
            (self._upper[-1, 0], new_upper[-1, 0]),
        ):
            begin = middle + _WIDE * (old - middle)
            if abs(new - middle) > abs(old - middle):
                beyond = (columns - begin) * np.sign(old - middle) > 0.0
                x[beyond] = begin + (columns[beyond] - begin) * (old - begin) / (new - begin)
        return x

    def _find_teeth(
        self, view: np.ndarray, skin: np.ndarray, lips: np.ndarray
    ) -> tuple[np.ndarray | None, np.ndarray, bool]:
        """The upper teeth, (height, width, 4) premultiplied, the seam, and if it parts two rows."""
        per_cm = self._per_cm
        left, right = sorted((self._upper[0, 0], self._upper[-1, 0]))
        inner = np.arange(int(np.ceil(left)) + 1, int(right))
        if len(inner) < 8:
            return None, self._top.copy(), False
        top, bottom = self._top[inner], self._bottom[inner]
        height = np.maximum(bottom - top, 1.0)
        shares = (np.arange(_SAMPLES) + 0.5)[:, None] / _SAMPLES
        strip = _look(view, np.broadcast_to(inner, (_SAMPLES, len(inner))), top + shares * height)
        middle = slice(len(inner) // 4, len(inner) - len(inner) // 4)
        tooth, cavity = self._colours(strip[:, middle], height[middle])
        is_teeth = (
            tooth[0] > _BRIGHT * skin[0]
            and tooth[0] > cavity[0] + _CLEAR_OF_CAVITY
            and _redness(tooth)
            < _redness(skin) + _PALE * max(_redness(lips) - _redness(skin), 0.0) + 3.0
        )
        if not is_teeth:
            return None, self._top.copy(), False
        likeness = _likeness(_evened(strip, tooth), tooth, cavity, lips)
        # The lip's shadow and the gums lie above them.
        begun = np.maximum.accumulate(likeness > 0.2, axis=0)
        likeness = np.where(begun, likeness, np.maximum(likeness, -0.1))
        cm = height / _SAMPLES / per_cm
        gain = np.cumsum(likeness * cm, axis=0)
        valley = _valley(strip[..., 0], height / _SAMPLES, _VALLEY * per_cm)
        valley[(shares[:, 0] < 0.4) | (shares[:, 0] > 0.96)] = 0.0
        score = gain + 0.12 * np.minimum(valley / 12.0, 1.5)
        score -= np.maximum(shares * height / per_cm - _LONGEST_TEETH, 0.0)
        all_teeth = float((likeness[:, middle] > 0.0).mean()) > 0.8
        if all_teeth and float(np.max(height)) > 1.1 * per_cm:
            score -= np.maximum(np.abs(shares - _BITE) - 0.12, 0.0)
        seam_inner = _arch(score, top, height, per_cm)
        found = float(np.median((seam_inner - top)[middle])) / per_cm
        if found < _LEAST_TEETH:
            return None, self._top.copy(), False
        left_over = bottom - seam_inner
        if float(np.median(left_over[middle])) < _CUT * per_cm:
            seam_inner = bottom  # the lower lip hides the biting edge
        seam_inner = seam_inner + left_over * (1.0 - smoothstep(left_over / per_cm / _RIM - 0.5))
        seam_inner = np.minimum(seam_inner, bottom)
        seam = self._top.copy()
        seam[inner] = seam_inner
        depth = np.rint((seam_inner - top) / height * _SAMPLES).astype(int)
        under = np.stack(
            [
                likeness[np.clip(depth + k, 0, _SAMPLES - 1), np.arange(len(inner))][middle]
                for k in (4, 6, 8)
            ]
        )
        left_over = float(np.median((bottom - seam_inner)[middle])) / per_cm
        is_bite = left_over > 0.1 and float(np.median(under)) > 0.0
        is_bounded = is_bite or float(np.median((bottom - seam_inner)[middle])) < _RIM * per_cm
        teeth = self._cut(view, seam, inner, tooth, cavity, lips, is_bounded=is_bounded)
        return teeth, seam, is_bite

    def _colours(self, strip: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(3,) Lab each of the teeth under the upper lip, and of the darkest inside."""
        light = strip[..., 0]
        band = strip[1 : _SAMPLES // 2].reshape(-1, 3)
        bright = band[band[:, 0] >= np.percentile(band[:, 0], 60)]
        dark = strip.reshape(-1, 3)
        dark = dark[dark[:, 0] <= np.percentile(light, 6)]
        return np.median(bright, axis=0), np.median(dark, axis=0)

    def _cut(
        self,
        view: np.ndarray,
        seam: np.ndarray,
        inner: np.ndarray,
        tooth: np.ndarray,
        cavity: np.ndarray,
        lips: np.ndarray,
        *,
        is_bounded: bool,
    ) -> np.ndarray:
        """The upper teeth with soft edges.

        is_bounded  what looks like teeth below the seam is not theirs
        """
        patch, per_cm = self._patch, self._per_cm
        rows = np.arange(patch.height, dtype=np.float64)[:, None]
        coverage = np.clip(seam - rows + 0.5, 0.0, 1.0)
        # The biting edge follows the teeth themselves.
        reach = _EDGE + _EDGE_FADE
        first = max(int(seam[inner].min() - reach * per_cm), 0)
        edge = slice(first, max(int(seam[inner].max() + reach * per_cm) + 2, first)), inner
        matte = 0.5 + 0.5 * _likeness(view[edge], tooth, cavity, lips)
        near = np.abs(rows[edge[0]] - seam[inner]) / per_cm
        near = 1.0 - smoothstep((near - _EDGE) / _EDGE_FADE)
        if is_bounded:
            matte = np.minimum(matte, coverage[edge])
        coverage[edge] += near * (matte - coverage[edge])
        across = np.zeros(patch.width)
        across[inner] = 1.0
        coverage = blurred((coverage * across).astype(np.float32), 0.6)
        return cv2.merge([*cv2.split(self._source * coverage[..., None]), coverage])

    def _hides_teeth(self) -> bool:
        """Whether only a strip of the upper teeth is seen, cut off by the lower lip."""
        if self._teeth is None:
            return False
        middle = int(self._upper[:, 0].mean())
        around = slice(middle - int(0.6 * self._per_cm), middle + int(0.6 * self._per_cm) + 1)
        left_over = float(np.median((self._bottom - self._seam)[around])) / self._per_cm
        seen = float(np.median((self._seam - self._top)[around])) / self._per_cm
        return left_over < _CUT and seen < _STRIP

    def _colour_of_teeth(self) -> np.ndarray | None:
        """(3,) source values of the brighter part of the teeth."""
        if self._teeth is None:
            return None
        whole = self._teeth[..., 3] > 0.95
        rows = np.arange(self._patch.height)[:, None]
        whole &= (rows > self._top + 1.0) & (rows < self._seam)
        seen = self._source[whole]
        if len(seen) < 12:
            return None
        brightness = seen.mean(axis=1)
        return np.median(seen[brightness >= np.percentile(brightness, 60)], axis=0)


def _heights(line: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """y of a curve at every column."""
    order = np.argsort(line[:, 0], kind="stable")
    return np.interp(columns, line[order, 0], line[order, 1])


def _look(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return cv2.remap(
        image,
        np.ascontiguousarray(x, np.float32),
        np.ascontiguousarray(y, np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _redness(colour: np.ndarray) -> float:
    return float(colour[1] - 128.0)


def _likeness(
    colours: np.ndarray, tooth: np.ndarray, cavity: np.ndarray, lips: np.ndarray
) -> np.ndarray:
    """How much colours (…, 3) look like teeth, -1..1, rather than like cavity or flesh."""
    weight = np.array([0.8, 1.6, 1.0])
    flesh = 0.5 * (lips + cavity)
    to_tooth = np.linalg.norm((colours - tooth) * weight, axis=-1)
    # Teeth may be brighter than the typical one.
    to_tooth = np.where(colours[..., 0] > tooth[0], 0.5 * to_tooth, to_tooth)
    others = [
        np.linalg.norm((colours - other) * weight, axis=-1) for other in (cavity, lips, flesh)
    ]
    return np.clip((np.minimum.reduce(others) - to_tooth) / _SIGMA, -1.0, 1.0)


def _valley(light: np.ndarray, step: np.ndarray, reach: float) -> np.ndarray:
    """(H, W) how much darker a height is than what is `reach` pixels above and below it."""
    offset = max(1, round(reach / float(np.median(step))))
    padded = np.pad(light, ((offset, offset), (0, 0)), mode="edge")
    return np.maximum(np.minimum(padded[: -2 * offset], padded[2 * offset :]) - light, 0.0)


def _evened(strip: np.ndarray, tooth: np.ndarray) -> np.ndarray:
    """Lab colours (H, W, 3) with the shade of the cheeks taken off the teeth at the sides."""
    brightest = np.percentile(strip[..., 0], 85, axis=0)[None].astype(np.float32)
    brightest = cv2.GaussianBlur(brightest, (0, 0), 0.05 * strip.shape[1])[0]
    factor = np.clip(tooth[0] / np.maximum(brightest, 1.0), 1.0, 2.5)
    result = strip.copy()
    result[..., 0] *= factor
    return result


def _arch(score: np.ndarray, top: np.ndarray, height: np.ndarray, per_cm: float) -> np.ndarray:
    """(W,) y of the arch between lips that gathers the highest score.

    score        (H, W) of ending the teeth at each height of a column
    top, height  (W,) of the columns, pixels
    """
    samples, columns = score.shape
    whole = top, height
    step = max(1, columns // _ARCH_COLUMNS)
    score, top, height = score[:, ::step], top[::step], height[::step]
    columns = len(top)
    t = np.linspace(-1.0, 1.0, columns)
    chord = np.linspace(top[0] + height[0] / 2, top[-1] + height[-1] / 2, columns)
    bottom = top + height
    middle = columns // 2
    low, high = top[middle] - chord[middle], bottom[middle] - chord[middle]
    depths = np.linspace(low + 0.1 * (high - low), high, 28)
    bends = per_cm * np.linspace(-0.15, 1.3, 16)
    tilts = per_cm * np.linspace(-0.24, 0.24, 9)
    a, b, c = (v.ravel()[:, None] for v in np.meshgrid(depths, bends, tilts, indexing="ij"))
    arches = chord + a - b * t**2 + c * t
    rows = np.clip((arches - top) / height * samples - 0.5, 0, samples - 1).astype(np.int32)
    total = score[rows, np.arange(columns)].sum(axis=1)
    best = arches[int(total.argmax())]
    top, height = whole
    y = np.interp(np.arange(len(top)), step * np.arange(columns), best)
    return np.clip(y, top, top + height)
