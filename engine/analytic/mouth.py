"""What is seen between open lips: teeth, tongue and cavity, or the source's own open mouth."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ..faces.canonical import LIP_LOWER_INNER, LIP_UPPER_INNER, Pose
from ..faces.crop import Crop
from .layer import Layer, Mask, Patch
from .mouth_colours import MouthColours
from .shapes import blurred, curve, filled, half_ellipse_below, smoothstep
from .teeth import SPRITE_ORIGIN, SPRITE_SCALE, Sprites, paint_sprites
from .tone import Tone

_PIXELS_PER_PICTURE_PIXEL = 1.25
_COARSEST, _FINEST = 1.0, 2.5  # patch pixels per crop pixel
_MARGIN, _MARGIN_BELOW = 0.35, 1.2  # of the mouth's width
_BELOW_DEPTH = 0.95  # reach of the lower lip's skin, mouth widths
_MASK_BLUR, _COVERAGE_BLUR = 0.9, 0.7  # crop pixels
# Gaps between the lips, cm: nothing to paint; the source shows something; it may show teeth.
_LEAST_GAP, _PARTED_GAP, _OPEN_GAP = 0.03, 0.06, 0.38
_SLIT_GAP, _WIDE_GAP = 0.4, 0.5  # cm: where a source's open mouth begins to be of use, and room
_CAVITY, _TEETH = 0.55, 0.80  # brightness relative to what is brightest there, to skin
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
    ) -> None:
        """Prepare a mouth.

        picture    (H, W, 4) source pixels
        landmarks  (478, 3) crop pixels, pose in crop pixels
        gap        of the source's lips, cm
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
        self._softness = max(0.7, 0.55 * crop.scale) * scale
        self._middle = (self._upper[5] + self._lower[5]) / 2
        self._gap = gap
        self._source = self.patch.read(picture, crop) if gap > _PARTED_GAP else None
        self._is_all_teeth = gap > _OPEN_GAP and self._shows_only_teeth()
        self._sprites: Sprites = paint_sprites(colours)

    def below(self, state: MouthState) -> Mask:
        """Where the lower lip's skin is."""
        middle = (curve(state.upper) + curve(state.lower)) / 2
        area = filled(self.patch.place(half_ellipse_below(middle, _BELOW_DEPTH)), self.patch.size)
        return Mask(self.patch, blurred(area, _MASK_BLUR * self.patch.scale))

    def opening(self, state: MouthState) -> Layer | None:
        """The inside of the mouth between the moved lips; None where they are shut."""
        upper, lower = curve(state.upper), curve(state.lower)
        down = self._pose.face_to_picture[:, 1]
        apart = (lower - upper) @ (down / np.hypot(*down))
        gap = float(max(apart.max(), 0.0)) / self._pose.scale
        if gap < _LEAST_GAP:
            return None
        outline = self.patch.place(_tapered(upper, lower, apart))
        coverage = filled(outline, self.patch.size)
        inside = self._inside(state, coverage, gap)
        inside = blurred(inside, self._softness)
        edge = blurred(coverage, _COVERAGE_BLUR * self.patch.scale)
        if self._source is not None:
            inside = self._own_inside(inside, upper, lower)
        else:
            # Lips that only begin to part must not show teeth at once.
            edge = edge * float(np.clip((gap - self._gap) / 0.1, 0.0, 1.0))
        return Layer.covering(self.patch, inside, edge)

    def _inside(self, state: MouthState, coverage: np.ndarray, gap: float) -> np.ndarray:
        """(height, width, 3) source values: cavity, tongue and teeth, shaded."""
        down = self._pose.face_to_picture[:, 1]
        drop = float((state.lower[5] - self._lower[5]) @ down / (down @ down))
        image = np.empty((self.patch.height, self.patch.width, 3), np.float32)
        image[:] = self._colours.cavity
        tongue_y = drop - 1.75 + 0.35 * min(1.0, gap / 2.0)
        image = self._put(image, self._sprites.tongue, tongue_y, _TONGUE_DEPTH)
        image = self._put(image, self._sprites.lower, drop + 0.06, _LOWER_DEPTH)
        image = self._put(image, self._sprites.upper, 0.0, _UPPER_DEPTH)

        pixels = gap * self._pose.scale * self.patch.scale
        cm = self._pose.scale * self.patch.scale
        near = blurred(coverage, max(0.8, min(0.22 * cm, 0.22 * pixels)))
        occlusion = np.clip((near - 0.45) / 0.5, 0.0, 1.0) ** 0.8
        fall = int(min(0.18 * cm, 0.22 * pixels))
        from_above = blurred(
            np.roll(coverage, fall, axis=0), max(0.8, min(0.22 * cm, 0.25 * pixels))
        )
        light = (0.30 + 0.70 * occlusion) * (0.55 + 0.45 * np.clip(from_above, 0.0, 1.0))
        image = image * light[..., None] + self._colours.edge * (1.0 - light[..., None])
        return self._tone.from_display(image)

    def _put(self, image: np.ndarray, sprite: np.ndarray, y: float, depth: float) -> np.ndarray:
        """Lay a sprite `y` cm below the lip line and `depth` cm behind it over the image."""
        to_crop = self._pose.face_to_picture
        origin = self._middle + to_crop @ [0.0, y, depth]
        placed = np.zeros((2, 3))
        placed[:, :2] = to_crop[:, :2] / SPRITE_SCALE
        placed[:, 2] = origin - to_crop[:, :2] @ (np.array(SPRITE_ORIGIN) - 0.5 / SPRITE_SCALE)
        placed[:, 2] -= [self.patch.x, self.patch.y]
        seen = cv2.warpAffine(
            sprite, placed * self.patch.scale, self.patch.size, flags=cv2.INTER_LINEAR
        )
        return image * (1.0 - seen[..., 3:]) + seen[..., :3]

    def _own_inside(
        self,
        inside: np.ndarray,
        upper: np.ndarray,
        lower: np.ndarray,
    ) -> np.ndarray:
        """The source's own open mouth over the painted one, which stays where it never showed."""
        assert self._source is not None
        patch = self.patch
        x, y = patch.positions()
        new_upper, new_lower = patch.place(upper), patch.place(lower)
        old_upper, old_lower = patch.place(curve(self._upper)), patch.place(curve(self._lower))
        columns = np.arange(patch.width)
        stretch = (old_upper[-1, 0] - old_upper[0, 0]) / max(
            new_upper[-1, 0] - new_upper[0, 0], 1e-3
        )
        source_columns = old_upper[0, 0] + (columns - new_upper[0, 0]) * stretch
        top = np.interp(source_columns, old_upper[:, 0], old_upper[:, 1])
        bottom = np.interp(source_columns, old_lower[:, 0], old_lower[:, 1])
        new_bottom = np.interp(columns, new_lower[:, 0], new_lower[:, 1])
        source_x = np.broadcast_to(source_columns.astype(np.float32), x.shape)

        new_top = np.interp(columns, new_upper[:, 0], new_upper[:, 1])
        height, new_height = np.maximum(bottom - top, 1.0), np.maximum(new_bottom - new_top, 1.0)
        # A lip that rises bares more teeth than were seen: stretch the seen ones up to it.
        rise = np.maximum(top - new_top, 0.0)
        along = (y - new_top) / np.maximum(0.6 * height, 2.0 * rise + 1.0)
        source_y = y + rise * (1.0 - smoothstep(along))
        soft = 0.10 * self._pose.scale * patch.scale
        if self._is_all_teeth:
            growth = (new_height.max() - height.max()) / soft
            share = smoothstep((bottom - source_y) / soft + 2.0 - 1.7 * smoothstep(growth))
        else:
            # Teeth hang from the skull, the tongue goes with the jaw, what lies between stretches.
            depth = (y - new_top) / new_height
            source_y = source_y - (new_bottom - bottom) * smoothstep((depth - 0.25) / 0.65)
            stretch = new_height.max() / height.max()
            between = smoothstep((depth - 0.2) / 0.2) * smoothstep((0.98 - depth) / 0.1)
            share = 1.0 - smoothstep((stretch - 1.6) / 1.4) * between
            # A mouth that was a mere slit has nothing to show in a wide one.
            slit = 1.0 - smoothstep((self._gap - _SLIT_GAP) / _WIDE_GAP)
            share = share * (1.0 - slit * smoothstep((stretch - 1.3) / 0.7))
        own = cv2.remap(self._source, source_x, source_y.astype(np.float32), cv2.INTER_LINEAR)
        share = share[..., None].astype(np.float32)
        return inside * (1.0 - share) + own * share

    def _shows_only_teeth(self) -> bool:
        """Whether an open mouth is a closed bite: no cavity or tongue between its lips."""
        assert self._source is not None
        upper, lower = (self.patch.place(curve(line)) for line in (self._upper, self._lower))
        middle = slice(len(upper) // 3, len(upper) - len(upper) // 3)
        heights = np.linspace(0.1, 0.85, 16)
        points = upper[middle] + heights[:, None, None] * (lower - upper)[middle]
        x, y = (np.ascontiguousarray(points[..., i], np.float32) for i in (0, 1))
        seen = cv2.remap(self._source, x, y, cv2.INTER_LINEAR).mean(axis=1)
        brightness = seen.mean(axis=1)
        skin = float(self._tone.from_display(self._colours.skin).mean())
        has_cavity = brightness.min() < self._tone.shade(_CAVITY) * brightness.max()
        return bool(not has_cavity and brightness.max() > self._tone.shade(_TEETH) * skin)


def _tapered(upper: np.ndarray, lower: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Outline of the opening, without crossings and running out to nothing at the corners."""
    middle = (upper + lower) / 2
    along = np.linspace(0.0, 1.0, len(upper))
    share = smoothstep(np.minimum(along, 1.0 - along) / _TAPER) * (apart > 0.0)
    top = middle + (upper - middle) * share[:, None]
    bottom = middle + (lower - middle) * share[:, None]
    return np.concatenate([top, bottom[::-1]])
