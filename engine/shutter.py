"""What a camera sees while its shutter is open: the mean of several pictures of moving faces.

Light adds up, display values do not: pictures are averaged scene-linear and with associated alpha.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .alpha import premultiplied, straight
from .compose import Composition
from .motion import Motion
from .renderer import NOTHING, Rectangle, ReportedError, SourceImage
from .srgb import linear_from_srgb, srgb_from_linear

MAX_SAMPLES = 64
_STRIP_PIXELS = 1 << 20  # pictures are converted in strips, to bound memory
_MAX_LIGHT = 65504.0  # what OpenEXR's halves hold; infinite light would swallow the mean
# Coverage below which a colour is not seen and cannot be known.
_THINNEST = 1e-4

ReadMotions = Callable[[object, int], list[Motion]]


@dataclass(frozen=True)
class Shutter:
    """Moments of one exposure, and what the picture's values mean.

    samples    motions of all faces (sample, face), evenly spread over the time
    color      of display-referred pictures: "srgb" values, or "linear" ones such as data
    alpha      "coverage": colours count as much as they cover; "channel": alpha is only a fourth
               channel
    """

    samples: tuple[tuple[Motion, ...], ...]
    color: str = "srgb"
    alpha: str = "coverage"

    @classmethod
    def read(cls, options: object, count: int, read_motions: ReadMotions) -> Shutter | None:
        """The option `shutter` of a render of `count` faces; None where there is none.

        Raises ReportedError "bad_request".
        """
        values = options.get("shutter") if isinstance(options, dict) else None
        if values is None:
            return None
        fields: dict[str, Any] = values if isinstance(values, dict) else {}
        samples = fields.get("samples")
        if not isinstance(samples, list | tuple) or not 1 <= len(samples) <= MAX_SAMPLES:
            text = f"The option 'shutter' needs 1 to {MAX_SAMPLES} samples."
            raise ReportedError("bad_request", text)
        color, alpha = fields.get("color", "srgb"), fields.get("alpha", "coverage")
        if color not in ("srgb", "linear") or alpha not in ("coverage", "channel"):
            raise ReportedError("bad_request", f"No shutter has color '{color}', alpha '{alpha}'.")
        return cls(tuple(tuple(read_motions(item, count)) for item in samples), color, alpha)


class Exposure:
    """The light of several pictures that differ from one source in places.

    rectangle  everything that any of them may have changed
    """

    def __init__(self, source: SourceImage, shutter: Shutter) -> None:
        self._source = source
        self._is_curved = source.encoding == "srgb" and shutter.color == "srgb"
        self._is_coverage = shutter.alpha == "coverage"
        self._table = np.arange(256, dtype=np.float32) / np.float32(255.0)
        if self._is_curved:
            self._table = linear_from_srgb(self._table)
        self._total = 0
        self.rectangle = NOTHING
        self._sum = np.zeros((0, 0, 4), np.float32)
        self._seen = np.zeros((0, 0), np.uint8)
        self._is_moved = np.zeros((0, 0), bool)

    def add(self, canvas: np.ndarray, changed: Rectangle, count: int = 1) -> None:
        """Take in a picture that is shown for `count` samples.

        canvas   (H, W, 4) like the source, differs from it inside `changed` only
        """
        self._total += count
        self._grow(changed)
        if changed == NOTHING:
            return
        pixels, source = canvas[changed.slices], self._source.pixels[changed.slices]
        inside = self._inside(changed)
        light, seen, moved = self._sum[inside], self._seen[inside], self._is_moved[inside]
        for rows in _strips(*pixels.shape[:2]):
            moved[rows] |= (pixels[rows] != source[rows]).any(axis=2)
            light[rows] += self._light(pixels[rows]) * np.float32(count)
            seen[rows] += np.uint8(count)

    def developed(self) -> np.ndarray:
        """(height, width, 4) float32 of the rectangle: the mean in the source's encoding, straight.

        Display values are 0..1. What moved in no picture has the source's own value.
        """
        result = self._sum
        source = self._source.pixels[self.rectangle.slices]
        for rows in _strips(*source.shape[:2]):
            unseen = (self._total - self._seen[rows].astype(np.float32))[..., None]
            result[rows] += unseen * self._light(source[rows])
            result[rows] /= np.float32(self._total)
            self._encode(result[rows], _as_float(source[rows]), self._is_moved[rows])
        return result

    def _encode(self, light: np.ndarray, source: np.ndarray, is_moved: np.ndarray) -> None:
        if self._is_coverage:
            straight(light, self._source.has_emission)
        if self._is_curved:
            light[..., :3] = srgb_from_linear(light[..., :3])
        if self._is_coverage and not self._source.has_emission:
            is_clear = light[..., 3:] < _THINNEST
            np.copyto(light[..., :3], source[..., :3], where=is_clear)
        np.copyto(light, source, where=~is_moved[..., None])

    def _light(self, pixels: np.ndarray) -> np.ndarray:
        """Scene-linear, associated float32."""
        if pixels.dtype == np.uint8:
            values = self._table[pixels]
            values[..., 3] = _as_float(pixels[..., 3])
        else:
            values = np.nan_to_num(pixels, nan=0.0, posinf=_MAX_LIGHT, neginf=-_MAX_LIGHT)
            if self._is_curved:
                values[..., :3] = linear_from_srgb(values[..., :3])
        if self._is_coverage:
            values = premultiplied(values, self._source.has_emission)
        return values

    def _inside(self, changed: Rectangle) -> tuple[slice, slice]:
        x, y = changed.x - self.rectangle.x, changed.y - self.rectangle.y
        return Rectangle(x, y, changed.width, changed.height).slices

    def _grow(self, changed: Rectangle) -> None:
        """Make room for what a picture has changed; nothing was seen there before."""
        before = self.rectangle
        self.rectangle = before.union(changed)
        if self.rectangle == before:
            return
        shape = self.rectangle.height, self.rectangle.width
        grown = np.zeros((*shape, 4), np.float32), np.zeros(shape, np.uint8), np.zeros(shape, bool)
        if before != NOTHING:
            for new, old in zip(grown, (self._sum, self._seen, self._is_moved), strict=True):
                new[self._inside(before)] = old
        self._sum, self._seen, self._is_moved = grown


def expose(
    composition: Composition,
    shutter: Shutter,
    upcoming: Sequence[Sequence[Motion]],
    batch_size: int,
    report: Callable[[float, str], None],
) -> Exposure:
    """Render the samples of one exposure, equal ones once.

    upcoming    frames that are asked for next, for renderers that make batch_size at once
    report      called before each picture; what it raises ends the exposure
    """
    counts: dict[tuple[Motion, ...], int] = {}
    for sample in shutter.samples:
        counts[sample] = counts.get(sample, 0) + 1
    queue = [*counts, *(tuple(motions) for motions in upcoming)]
    exposure = Exposure(composition.image, shutter)
    for number, (sample, count) in enumerate(counts.items()):
        report(number / len(counts), f"Sample {number + 1} of {len(counts)}")
        composition.prepare(queue[number : number + max(1, batch_size)])
        changed = composition.render(sample)
        exposure.add(composition.canvas, changed, count)
    return exposure


def _as_float(pixels: np.ndarray) -> np.ndarray:
    is_byte = pixels.dtype == np.uint8
    return pixels.astype(np.float32) / np.float32(255.0) if is_byte else pixels


def _strips(height: int, width: int) -> list[slice]:
    rows = max(1, _STRIP_PIXELS // max(1, width))
    return [slice(top, top + rows) for top in range(0, height, rows)]
