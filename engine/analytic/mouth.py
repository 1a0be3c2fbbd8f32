"""What is seen between open lips: teeth, tongue and cavity, or the source's own open mouth."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ..faces.canonical import LIP_LOWER_INNER, LIP_LOWER_OUTER, LIP_UPPER_INNER, Pose
from ..faces.crop import Crop
from ..srgb import linear_from_srgb, srgb_from_linear
from .layer import Layer, Mask, Patch
from .mouth_colours import MouthColours, lift_for, matched_teeth
from .own_mouth import OwnMouth
from .shapes import blurred, curve, filled, half_ellipse_below, smoothstep
from .teeth import SPRITE_ORIGIN, SPRITE_SCALE, Sprites, paint_sprites
from .texture import grain_of
from .tone import Tone, weighted

_PIXELS_PER_PICTURE_PIXEL = 1.25
_COARSEST, _FINEST = 1.0, 2.5  # patch pixels per crop pixel
_MARGIN, _MARGIN_BELOW = 0.35, 1.2  # of the mouth's width
_BELOW_DEPTH = 0.95  # reach of the lower lip's skin, mouth widths
_BEYOND = 0.1  # of the mouth's width, to which it reaches beyond each corner
_AROUND_BLUR = 0.22  # cm
_CREASE, _CREASE_STRENGTH = 0.035, 0.45  # cm, coverage
_COVERAGE_BLUR = 0.7  # crop pixels
_LEAST_GAP, _PARTED_GAP = 0.03, 0.06  # cm between the lips: nothing to paint; something is seen
_ROWS_AROUND = 6
_TAPER = 0.10  # share of the mouth's width over which its opening ends
_TONGUE_DEPTH, _LOWER_DEPTH, _UPPER_DEPTH = 2.0, 1.0, 0.9  # cm behind the lips


class MouthState(NamedTuple):
    """The lips in a frame: (11, 2) inner edges as moved, crop pixels."""

    upper: np.ndarray
    lower: np.ndarray


class Mouth:
    """One mouth of the source, ready to be painted."""

    def __init__(
        self,
        picture: np.ndarray,
        crop: Crop,
        landmarks: np.ndarray,
        pose: Pose,
        gap: float,
        colours: MouthColours,
        tone: Tone,
        edge_width: float = 0.0,
    ) -> None:
        """Prepare a mouth.

        picture    (H, W, 4) source pixels
        landmarks  (478, 3) crop pixels, pose in crop pixels
        gap        of the source's lips, cm
        edge_width  of the picture, see texture.edge_width
        """
        self._tone, self._colours, self._pose = tone, colours, pose
        self._upper = landmarks[list(LIP_UPPER_INNER), :2]
        self._lower = landmarks[list(LIP_LOWER_INNER), :2]
        self._width = float(np.hypot(*(self._upper[-1] - self._upper[0])))
        low = np.minimum(self._upper.min(axis=0), self._lower.min(axis=0))
        high = np.maximum(self._upper.max(axis=0), self._lower.max(axis=0))
        scale = float(np.clip(_PIXELS_PER_PICTURE_PIXEL / crop.scale, _COARSEST, _FINEST))
        margin = max(_MARGIN * self._width, 1.2 * pose.scale)
        below = max(_MARGIN_BELOW * self._width, 4.5 * pose.scale)
        self.patch = Patch.around(low - margin, high + np.array([margin, below]), scale)
        self._softness = max(0.7, 0.55 * crop.scale, edge_width) * scale
        self._grain = grain_of(picture, crop, landmarks, pose, self.patch)
        self._middle = (self._upper[5] + self._lower[5]) / 2
        self._gap = gap
        self._own = self._read_own(picture, crop, landmarks) if gap > _PARTED_GAP else None
        if self._own is not None and self._own.teeth_colour is not None:
            own = tone.to_display(self._own.teeth_colour)
            colours = colours._replace(teeth=matched_teeth(own, colours.teeth))
        self._sprites: Sprites = paint_sprites(colours)

    def below(self, state: MouthState) -> Mask:
        """Where the lower lip's skin is."""
        middle = (curve(state.upper) + curve(state.lower)) / 2
        patch = self.patch
        width = float(np.hypot(*(middle[-1] - middle[0])))
        across = (middle[-1] - middle[0]) / max(width, 1e-6)
        ends = [middle[0] - _BEYOND * width * across, middle[-1] + _BEYOND * width * across]
        line = np.concatenate([ends[:1], middle, ends[1:]])
        under = filled(patch.place(half_ellipse_below(line, 2.0 * _BELOW_DEPTH)), patch.size)
        # Beyond the corners and towards the chin both lips move alike: no edge there.
        up = np.array([across[1], -across[0]]) * (1.0 if across[0] > 0 else -1.0)
        raised = np.concatenate([line[:1] + width * up, line[-1:] + width * up])
        around = half_ellipse_below(line, _BELOW_DEPTH)
        around = np.concatenate([raised, around[len(line) :]])
        soft = _AROUND_BLUR * self._pose.scale * patch.scale
        area = blurred(filled(patch.place(around), patch.size), soft)
        return Mask(patch, cv2.merge([area, under]))

    def opening(self, state: MouthState) -> Layer | None:
        """The inside of the mouth between the moved lips; None where they are shut."""
        upper, lower = curve(state.upper), curve(state.lower)
        down = self._pose.face_to_picture[:, 1]
        apart = (lower - upper) @ (down / np.hypot(*down))
        gap = float(max(apart.max(), 0.0)) / self._pose.scale
        if gap < _LEAST_GAP:
            return self._crease((upper + lower) / 2) if self._own is not None else None
        outline = _tapered(upper, lower, apart)
        first, patch = self._rows_around(outline)
        coverage = filled(patch.place(outline), patch.size)
        inside = self._inside(state, patch, coverage, gap)
        inside = blurred(inside * self._grain[first : first + patch.height], self._softness)
        edge = blurred(coverage, _COVERAGE_BLUR * patch.scale)
        if self._own is not None:
            inside = self._own.over(inside, upper, lower, first)
        else:
            # Lips that only begin to part must not show teeth at once.
            edge = edge * float(np.clip((gap - self._gap) / 0.1, 0.0, 1.0))
        return Layer.covering(patch, inside, edge)

    def _rows_around(self, outline: np.ndarray) -> tuple[int, Patch]:
        """The first row of the patch that an outline in crop pixels needs, and the part of it."""
        whole = self.patch
        y = whole.place(outline)[:, 1]
        first = int(np.clip(np.floor(y.min()) - _ROWS_AROUND, 0, whole.height - 1))
        last = int(np.clip(np.ceil(y.max()) + _ROWS_AROUND + 1, first + 1, whole.height))
        y0 = whole.y + first / whole.scale
        return first, Patch(whole.x, y0, whole.scale, whole.width, last - first)

    def _crease(self, line: np.ndarray) -> Layer:
        """The shadow between lips that were apart and have met."""
        scale = self._pose.scale * self.patch.scale
        drawn = np.zeros((self.patch.height, self.patch.width), np.uint8)
        points = np.round(self.patch.place(line) * 256).astype(np.int32)
        cv2.polylines(drawn, [points], False, 255, 1, cv2.LINE_AA, 8)
        sigma = max(0.8, _CREASE * scale)
        # A line one pixel wide, spread so that its middle keeps the strength.
        shade = blurred(drawn.astype(np.float32) / 255.0, sigma) * (2.5 * sigma)
        along = np.interp(
            np.arange(self.patch.width), np.sort(self.patch.place(line)[:, 0]), _ends(len(line))
        )
        coverage = _CREASE_STRENGTH * np.clip(shade, 0.0, 1.0) * along
        colour = self._tone.from_display(self._colours.edge)
        return Layer.covering(self.patch, np.broadcast_to(colour, (*drawn.shape, 3)), coverage)

    def _read_own(self, picture: np.ndarray, crop: Crop, landmarks: np.ndarray) -> OwnMouth:
        """What the source shows between its lips."""
        source = self.patch.read(picture, crop)
        lift = lift_for(self._colours.skin)
        shown, skin_shown = self._tone.to_display(source), self._colours.skin
        if lift > 1.0:
            shown, skin_shown = (
                srgb_from_linear(linear_from_srgb(c) * lift) for c in (shown, skin_shown)
            )
        shown = np.clip(shown, 0.0, 1.0)
        view = cv2.cvtColor(np.rint(shown * 255.0).astype(np.uint8), cv2.COLOR_RGB2LAB)
        view = view.astype(np.float32)
        lip = np.concatenate(
            [landmarks[list(LIP_LOWER_OUTER), :2], landmarks[list(LIP_LOWER_INNER), :2][::-1]]
        )
        is_lip = filled(self.patch.place(lip), self.patch.size) > 0.9
        rgb = np.rint(np.clip(skin_shown, 0.0, 1.0) * 255.0).astype(np.uint8)[None, None]
        skin = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0, 0].astype(np.float32)
        lips = np.median(view[is_lip], axis=0) if is_lip.sum() > 12 else skin
        return OwnMouth(
            source,
            view,
            self.patch,
            self._upper,
            self._lower,
            self._pose.scale,
            skin,
            lips,
        )

    def _inside(
        self, state: MouthState, patch: Patch, coverage: np.ndarray, gap: float
    ) -> np.ndarray:
        """(height, width, 3) source values: cavity, tongue and teeth, shaded."""
        down = self._pose.face_to_picture[:, 1]
        drop = float((state.lower[5] - self._lower[5]) @ down / (down @ down))
        image = np.empty((patch.height, patch.width, 3), np.float32)
        image[:] = self._colours.cavity
        tongue_y = drop - 1.75 + 0.35 * min(1.0, gap / 2.0)
        # Little light falls on a tongue behind lips that only part.
        depth = np.float32(0.3 + 0.7 * smoothstep((gap - 0.3) / 1.3))
        tongue = self._sprites.tongue * np.array([depth, depth, depth, 1.0], np.float32)
        image = self._put(image, patch, tongue, tongue_y, _TONGUE_DEPTH)
        pixels = gap * self._pose.scale * patch.scale
        cm = self._pose.scale * patch.scale
        near = blurred(coverage, max(0.8, min(0.22 * cm, 0.22 * pixels)))
        occlusion = np.clip((near - 0.45) / 0.5, 0.0, 1.0) ** 0.8
        fall = int(min(0.18 * cm, 0.22 * pixels))
        from_above = blurred(
            np.roll(coverage, fall, axis=0), max(0.8, min(0.22 * cm, 0.25 * pixels))
        )
        from_above = np.clip(from_above, 0.0, 1.0)
        light = (0.30 + 0.70 * occlusion) * (0.55 + 0.45 * from_above)
        image = weighted(image, light) + self._colours.edge * (1.0 - light[..., None])
        # Teeth stand in front and catch more of the light.
        light = (0.55 + 0.45 * occlusion) * (0.78 + 0.22 * from_above)
        if self._own is None or not self._own.has_lower_teeth:
            image = self._put(image, patch, self._sprites.lower, drop + 0.06, _LOWER_DEPTH, light)
        if self._own is None or not self._own.has_teeth:
            image = self._put(image, patch, self._sprites.upper, 0.0, _UPPER_DEPTH, light)
        return self._tone.from_display(image)

    def _put(
        self,
        image: np.ndarray,
        patch: Patch,
        sprite: np.ndarray,
        y: float,
        depth: float,
        light: np.ndarray | None = None,
    ) -> np.ndarray:
        """Lay a sprite `y` cm below the lip line and `depth` cm behind it over the image.

        light  (height, width) 0..1, what falls on it; shadows take the edge's colour
        """
        to_crop = self._pose.face_to_picture
        origin = self._middle + to_crop @ [0.0, y, depth]
        placed = np.zeros((2, 3))
        placed[:, :2] = to_crop[:, :2] / SPRITE_SCALE
        placed[:, 2] = origin - to_crop[:, :2] @ (np.array(SPRITE_ORIGIN) - 0.5 / SPRITE_SCALE)
        placed[:, 2] -= [patch.x, patch.y]
        seen = cv2.warpAffine(sprite, placed * patch.scale, patch.size, flags=cv2.INTER_LINEAR)
        colour, coverage = cv2.cvtColor(seen, cv2.COLOR_RGBA2RGB), cv2.extractChannel(seen, 3)
        if light is not None:
            shaded = (coverage * (0.6 * (1.0 - light)))[..., None]
            colour = weighted(colour, light) + self._colours.edge * shaded
        return weighted(image, 1.0 - coverage) + colour


def _ends(count: int) -> np.ndarray:
    """(count,) from 0.3 at the corners of the mouth to 1 between them."""
    along = np.linspace(0.0, 1.0, count)
    return 0.3 + 0.7 * smoothstep(np.minimum(along, 1.0 - along) / 0.2)


def _tapered(upper: np.ndarray, lower: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Outline of the opening, without crossings and running out to nothing at the corners."""
    middle = (upper + lower) / 2
    along = np.linspace(0.0, 1.0, len(upper))
    share = smoothstep(np.minimum(along, 1.0 - along) / _TAPER) * (apart > 0.0)
    top = middle + (upper - middle) * share[:, None]
    bottom = middle + (lower - middle) * share[:, None]
    return np.concatenate([top, bottom[::-1]])
