"""Eyeballs and lids: the iris that looks around, and the skin that covers a closed eye."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ..faces.canonical import EyeIndices
from ..faces.crop import Crop
from .iris import Rim, find_rim
from .late import late
from .layer import Layer, Mask, Patch
from .lid_skin import LidSkin
from .lids import across_lids
from .shapes import blurred, curve, filled, half_ellipse_below, smoothstep
from .tone import Tone, weighted

_PIXELS_PER_PICTURE_PIXEL = 1.6  # eyes are small: paint them finer than the picture
_FINEST = 4.0  # patch pixels per crop pixel
_MARGIN, _MARGIN_BELOW = 0.35, 0.45  # around the eyeball's patch, eye widths
_MASK_SCALE = 1.5  # mask pixels per crop pixel
_MASK_MARGIN, _MASK_MARGIN_BELOW = 0.30, 0.75  # around the lower lid's mask, eye widths
_BELOW_DEPTH = 0.62  # reach of the lower lid's skin, eye widths
_MASK_BLUR = 0.8  # crop pixels
_COVERAGE_BLUR = 0.6  # crop pixels
_IRIS_EDGE = 1.13  # radius at which the iris sprite is half transparent, iris radii
_PROFILE_BINS, _PROFILE_REACH = 24, 1.25  # of the iris's colour by radius
_GAZE_X, _GAZE_UP, _GAZE_DOWN = 0.95, 0.80, 0.65  # iris radii at the end of the sliders
_CATCH_LIGHT = 0.22  # brightness over the ring's, relative to the eyeball's brightest parts
_CATCH_LIGHT_MOVE = 0.3  # of the iris's move
_MEETING = 0.75  # blink from which lashes leave the upper lid for the line where both lids meet
_LID_SHADOW = 0.38  # darkening at the edge of a half-closed eye
_WIDE_BLINK, _REBUILT_GAZE = 0.12, 0.30  # amounts at which the eyeball is all rebuilt
_NOT_LOOKING = 1e-3  # gaze amounts that move nothing
_LASH_BRIGHTNESS = 0.60  # at the most, relative to the skin around the eye
_LASH_SHARE = 0.035  # eye widths at the lids that are lash and shadow


class EyeState(NamedTuple):
    """What one eye does in a frame.

    upper, lower   (9, 2) lid edges as moved, crop pixels
    blink          1 closed … 0 as in the source, negative wider
    gaze           (x, y), -1..1, right and up
    """

    upper: np.ndarray
    lower: np.ndarray
    blink: float
    gaze: tuple[float, float]


class _Iris(NamedTuple):
    """Sprite and background of an eyeball, (height, width, …) float32 in source values.

    sprite      the iris, its hidden parts completed, times its coverage; then the coverage
    white       the eyeball without its iris
    white_wide  the same for wide eyes: more of the source's own pixels, none near the lids
    light       reflections on the iris, to be added
    """

    sprite: np.ndarray
    white: np.ndarray
    white_wide: np.ndarray
    light: np.ndarray


class Eye:
    """One eye of the source, ready to be painted."""

    def __init__(
        self,
        picture: np.ndarray,
        crop: Crop,
        landmarks: np.ndarray,
        eye: EyeIndices,
        tone: Tone,
    ) -> None:
        """Read the eye out of the picture.

        picture    (H, W, 4) source pixels
        landmarks  (478, 3) crop pixels
        """
        self._tone = tone
        self._upper = landmarks[list(eye.upper), :2]
        self._lower = landmarks[list(eye.lower), :2]
        self.width = float(np.hypot(*(self._upper[-1] - self._upper[0])))
        self._centre = landmarks[eye.iris, :2]
        rim = landmarks[list(eye.iris_ring), :2]
        self._radius = float(np.hypot(*(rim - self._centre).T).mean())
        low = np.minimum(self._upper.min(axis=0), self._lower.min(axis=0))
        high = np.maximum(self._upper.max(axis=0), self._lower.max(axis=0))
        scale = float(np.clip(_PIXELS_PER_PICTURE_PIXEL / crop.scale, 1.0, _FINEST))
        margin = _MARGIN * self.width
        below = np.array([margin, _MARGIN_BELOW * self.width])
        self.patch = Patch.around(low - margin, high + below, scale)
        margin, below = _MASK_MARGIN * self.width, _MASK_MARGIN_BELOW * self.width
        self._mask_patch = Patch.around(low - margin, high + np.array([margin, below]), _MASK_SCALE)
        self._picture, self._crop, self._landmarks, self._indices = picture, crop, landmarks, eye

    # What follows waits for an eye that looks around or shuts.

    @late
    def _source(self) -> np.ndarray:
        return self.patch.read(self._picture, self._crop)

    @late
    def _opening(self) -> np.ndarray:
        return self._coverage(self._upper, self._lower)

    @late
    def _rim(self) -> Rim:
        centre, radius = self.patch.place(self._centre[None])[0], self._radius * self.patch.scale
        return find_rim(self._tone.shown(self._source), self._opening, centre, radius)

    @late
    def _skin(self) -> LidSkin:
        return LidSkin(
            self.patch,
            self._source,
            self._landmarks,
            self._indices,
            self._tone,
            is_blind=not self.has_iris,
        )

    @property
    def has_iris(self) -> bool:
        """Whether there is an iris that can look around; carved eyes have none."""
        return self._rim.is_visible

    def below(self, state: EyeState) -> Mask:
        """Where the lower lid's skin is."""
        patch = self._mask_patch
        outline = half_ellipse_below(_meeting_line(state), _BELOW_DEPTH)
        area = filled(patch.place(outline), patch.size)
        return Mask(patch, blurred(area, _MASK_BLUR * patch.scale))

    def layer(self, state: EyeState) -> Layer | None:
        """Lid skin, eyeball and lashes of this state; None leaves the source's."""
        if self._gaze(state) == (0.0, 0.0) and abs(state.blink) < 0.02:
            return None
        colours, coverage = self._eyeball(state)
        if LidSkin.strength(state.blink) <= 0.0:
            return Layer.covering(self.patch, colours, coverage)
        lid = self._skin.cover(state.upper, state.lower, state.blink)
        # Shut lids have passed each other; their lashes lie where they meet.
        meeting = float(smoothstep((state.blink - _MEETING) / (1.0 - _MEETING)))
        edge = state.upper + (0.5 * meeting) * (state.lower - state.upper)
        lashes = self._skin.lashes(edge, state.blink)
        painted = weighted(self._skin.skin, lid * (1.0 - coverage))
        painted += weighted(colours, coverage)
        total = lid + coverage - lid * coverage
        painted = weighted(painted, 1.0 - lashes) + self._lash_colour * lashes[..., None]
        total = total + lashes - total * lashes
        return Layer(self.patch, np.dstack([painted, total]).astype(np.float32, copy=False))

    def _gaze(self, state: EyeState) -> tuple[float, float]:
        """Where the iris goes, (0, 0) where there is none or nothing would be seen."""
        gaze_x, gaze_y = state.gaze
        if abs(gaze_x) + abs(gaze_y) <= _NOT_LOOKING or not self.has_iris:
            return 0.0, 0.0
        return gaze_x, gaze_y

    def _eyeball(self, state: EyeState) -> tuple[np.ndarray, np.ndarray]:
        """(height, width, 3) colours and coverage of the eyeball between the moved lids."""
        gaze_x, gaze_y = self._gaze(state)
        scale = self.patch.scale
        coverage = self._coverage(state.upper, state.lower)
        wide = float(np.clip(-state.blink / _WIDE_BLINK, 0.0, 1.0))
        # The rebuilt eyeball comes in gradually: it never quite equals the source's.
        rebuilt = float(smoothstep(max(wide, np.hypot(gaze_x, gaze_y) / _REBUILT_GAZE)))
        colours = self._source
        if rebuilt > 0.0:
            colours = colours + (self._look(gaze_x, gaze_y, wide) - colours) * np.float32(rebuilt)
        near = blurred(coverage, max(1.0, 0.05 * self.width * scale))
        depth = np.clip((near - 0.5) * 2.0, 0.0, 1.0) ** 0.6
        lid_shadow = max(_LID_SHADOW * float(smoothstep(state.blink / 0.35)), 0.15 * rebuilt)
        shade = self._tone.shade(1.0 - lid_shadow * (1.0 - depth))
        coverage = blurred(coverage, _COVERAGE_BLUR * scale)
        # The last sliver between the lids would only show as a bright line.
        coverage = coverage * float(1.0 - smoothstep((state.blink - 0.88) / 0.12))
        return weighted(colours, shade), coverage

    @late
    def _lash_colour(self) -> np.ndarray:
        """(3,) colour of the darker pixels along the edge of the upper lid."""
        scale = self.width * self.patch.scale
        reach = max(1, int(0.07 * scale))
        grown = cv2.dilate(self._opening, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        _, y = self.patch.positions()
        above = y < self.patch.place((self._upper + self._lower) / 2)[:, 1].mean()
        edge = self._source[(grown > 0.5) & (self._opening < 0.5) & above]
        if len(edge) < 8:
            return self._source.mean(axis=(0, 1))
        brightness = edge.mean(axis=1)
        lashes = edge[brightness <= np.percentile(brightness, 30)].mean(axis=0)
        # Fair lashes still cast a shadow on the skin below them.
        skin = float(np.median(self._source[self._opening < 0.5].mean(axis=1)))
        brightest = self._tone.shade(_LASH_BRIGHTNESS) * skin
        return lashes * min(1.0, brightest / max(float(lashes.mean()), 1e-4))

    def _coverage(self, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
        top, bottom = curve(upper), curve(lower)
        # Lids that have passed each other leave no opening.
        met = (bottom - top) @ across_lids(upper) < 0.0
        top[met] = bottom[met] = (0.5 * (top + bottom))[met]
        outline = np.concatenate([top, bottom[::-1]])
        return filled(self.patch.place(outline), self.patch.size)

    def _look(self, gaze_x: float, gaze_y: float, wide: float) -> np.ndarray:
        """(height, width, 3) eyeball with the iris moved."""
        iris, reach = self._iris, self._radius * self.patch.scale
        shift_x = gaze_x * _GAZE_X * reach
        shift_y = -gaze_y * (_GAZE_UP if gaze_y > 0.0 else _GAZE_DOWN) * reach
        shift = np.array([[1, 0, shift_x], [0, 1, shift_y]], np.float64)
        moved = cv2.warpAffine(iris.sprite, shift, self.patch.size, flags=cv2.INTER_LINEAR)
        white = iris.white + (iris.white_wide - iris.white) * np.float32(wide)
        own = cv2.extractChannel(moved, 3)
        looking = weighted(white, 1.0 - own) + moved[..., :3]
        # The light stays where it is: its reflections slide over the iris.
        shift[:, 2] *= _CATCH_LIGHT_MOVE
        light = cv2.warpAffine(iris.light, shift, self.patch.size, flags=cv2.INTER_LINEAR)
        return looking + weighted(light, np.float32(0.25) + np.float32(0.75) * own)

    @late
    def _iris(self) -> _Iris:
        """Split the eyeball into its white and its iris, and complete what each hides."""
        patch, source = self.patch, self._source
        scale, width, radius = patch.scale, self.width * patch.scale, self._rim.radius
        lashes = max(1, int(_LASH_SHARE * width))
        inner = cv2.erode(self._opening, np.ones((2 * lashes + 1, 2 * lashes + 1), np.uint8))
        x, y = patch.positions()
        distance = np.hypot(x - self._rim.x, y - self._rim.y).astype(np.float32)

        filled_white = self._fill_white(inner, distance)
        deep = np.clip((blurred(self._opening, 0.10 * width) - 0.35) / 0.4, 0.0, 1.0)
        shaded_white = filled_white * self._tone.shade(0.75 + 0.25 * deep)[..., None]
        soft = 0.5 * lashes + 0.3 * scale
        seen = blurred(((inner > 0.5) & (distance > 1.22 * radius)).astype(np.float32), soft)
        away = blurred((distance > 1.32 * radius).astype(np.float32), 0.06 * width)
        white_wide = source * seen[..., None] + filled_white * (1.0 - seen[..., None])
        white = source * away[..., None] + shaded_white * (1.0 - away[..., None])

        completed = self._radial_profile(inner, distance, radius)
        visible = blurred(inner, soft)[..., None]
        shine = self._find_shine(completed, inner, distance)
        light = (source - completed) * shine * visible
        visible = visible * (1.0 - shine)
        sprite = source * visible + completed * (1.0 - visible)
        coverage = smoothstep((_IRIS_EDGE * radius - distance) / (0.16 * radius) + 0.5)
        coverage = coverage[..., None]
        sprite = np.dstack([sprite * coverage, coverage]).astype(np.float32)
        return _Iris(sprite, white, white_wide, light.astype(np.float32))

    def _find_shine(
        self, completed: np.ndarray, inner: np.ndarray, distance: np.ndarray
    ) -> np.ndarray:
        """(height, width, 1) share of catch-lights: what is far brighter than its ring."""
        radius = self._rim.radius
        seen = self._source[inner > 0.5]
        if not len(seen):  # all but shut
            return np.zeros((*inner.shape, 1), np.float32)
        white = float(np.percentile(self._tone.shown(seen), 95, axis=0).mean())
        own, usual = (self._tone.shown(c).min(axis=2) for c in (self._source, completed))
        shine = smoothstep((own - usual - _CATCH_LIGHT * white) / (0.5 * _CATCH_LIGHT * white))
        grown = cv2.dilate(shine.astype(np.float32), np.ones((3, 3), np.uint8))
        soft = blurred(grown, 0.05 * radius + 0.3 * self.patch.scale)
        return (soft * smoothstep((0.95 - distance / radius) / 0.15))[..., None]

    def _fill_white(self, inner: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """The eyeball's white everywhere: its brighter visible pixels, spread at four scales."""
        width, radius = self.width * self.patch.scale, self._rim.radius
        white = (inner > 0.5) & (distance > 1.16 * radius)
        if white.sum() < 12:
            white = (inner > 0.5) & (distance > radius)
        if white.sum() < 6:
            white = self._opening > 0.5
        brightness = self._source.mean(axis=2)
        if white.any():
            white &= brightness >= np.percentile(brightness[white], 50)
        else:
            white = np.ones_like(white)
        weight = white.astype(np.float32)
        total, norm = np.zeros_like(self._source), np.zeros_like(weight)
        for reach, share in ((0.06, 1.0), (0.15, 0.05), (0.5, 0.002), (2.0, 1e-5)):
            total += share * blurred(self._source * weight[..., None], reach * width)
            norm += share * blurred(weight, reach * width)
        return total / np.maximum(norm, 1e-12)[..., None]

    def _radial_profile(self, inner: np.ndarray, distance: np.ndarray, radius: float) -> np.ndarray:
        """(height, width, 3): the iris's median colour by distance from its centre."""
        ring = (inner > 0.5) & (distance < 1.1 * radius)
        position = distance / (_PROFILE_REACH * radius) * _PROFILE_BINS
        bins = np.clip(position.astype(int), 0, _PROFILE_BINS - 1)
        known, colours = [], []
        for index in range(_PROFILE_BINS):
            pixels = self._source[ring & (bins == index)]
            if len(pixels) > 2:
                known.append(index + 0.5)
                colours.append(np.median(pixels, axis=0))
        if not known:
            return self._source.copy()
        table = np.stack(colours, axis=1)
        flat = position.ravel()
        completed = np.stack([np.interp(flat, known, row) for row in table], axis=-1)
        return blurred(
            completed.reshape(self._source.shape).astype(np.float32), 0.4 * self.patch.scale
        )


def _meeting_line(state: EyeState) -> np.ndarray:
    """(N, 2) crop pixels between the lids; the closed line once they have met."""
    return (curve(state.upper) + curve(state.lower)) / 2
