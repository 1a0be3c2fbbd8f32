"""One face of a picture, moved by LivePortrait's networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from ..alpha import glow_of, without_glow
from ..motion import Face, Motion
from ..performance.geometry import KeypointMotion
from ..renderer import NOTHING, Rectangle, SourceImage, Step, no_step
from ..srgb import linear_from_srgb
from .analysis import AnalysedFace
from .carrying import carried, flow_of
from .colour import CropLayers, split_layers
from .crop import CROP_SIZE, crop_layers, network_input
from .model_set import ModelSet
from .paste_back import PasteArea, paste
from .sliders import moved_points, retargeted_points

# Keypoint offset, in half crop widths, from which on only the networks' picture is shown. Below
# it the source fades in, so that an animation does not jump when it leaves the neutral pose.
FADE_IN_DISTANCE = 0.005
REMEMBERED_FRAMES = 4


@dataclass(frozen=True)
class PortraitOptions:
    """use_stitching  keep shoulders and hair joined to the picture (trained on people only)."""

    use_stitching: bool = True


@dataclass(frozen=True)
class MovedCrop:
    """colour (S, S, 3), alpha (S, S), glow (S, S, 3) in the picture's encoding; strength 0..1.

    alpha and glow are None where the crop has none.
    """

    colour: np.ndarray
    alpha: np.ndarray | None
    strength: float
    glow: np.ndarray | None = None


class Portrait:
    """Implements engine.renderer.FacePortrait; F and M have run once, in `open`."""

    notices = ()

    def __init__(
        self,
        models: ModelSet,
        image: SourceImage,
        face: Face,
        analysed: AnalysedFace,
        options: PortraitOptions,
        step: Step = no_step,
    ) -> None:
        self._models = models
        self._image = image
        self._options = options
        self._ratios = analysed.ratios
        pixels = without_glow(image.pixels) if image.has_emission else image.pixels
        crop, crop_to_image = crop_layers(pixels, analysed.square)
        self._glow = _glow(image, analysed)
        self._area = PasteArea(crop_to_image, image.pixels.shape[:2])
        self._layers: CropLayers = split_layers(crop, image.encoding)
        picture = np.ascontiguousarray(network_input(self._layers.display))[None]
        step()
        self._source = KeypointMotion.from_heads(models.extract_motion(picture))
        step()
        self._features = models.extract_features(picture)
        self._frames: OrderedDict[Motion, MovedCrop] = OrderedDict()
        self.face = _as_read(face, analysed, self._source)

    def render(self, motion: Motion, canvas: np.ndarray) -> Rectangle:
        """See FacePortrait.render. Raises ReportedError (out_of_memory)."""
        motion = replace(motion, lid_offset=0.0)
        if motion == Motion():
            return NOTHING
        if motion not in self._frames:
            self.prepare([motion])
        moved = self._frames[motion]
        if self._area.rectangle == NOTHING or moved.strength <= 0.0:
            return NOTHING
        paste(
            moved.colour, moved.alpha, self._area, canvas, self._image.pixels, moved.strength,
            moved.glow,
        )  # fmt: skip
        return self._area.rectangle

    def resized(self, image: SourceImage) -> Portrait:
        """See FacePortrait.resized: the networks' frames are the same, only pasted smaller."""
        other = copy(self)
        height, width = image.pixels.shape[:2]
        old_height, old_width = self._image.pixels.shape[:2]
        to_small = np.diag([width / old_width, height / old_height, 1.0])
        to_small[:2, 2] = 0.5 * to_small.diagonal()[:2] - 0.5
        other._image = image
        other._area = PasteArea(to_small @ self._area.crop_to_image, (height, width))
        return other

    def prepare(self, motions: Sequence[Motion]) -> None:
        """Compute frames in one batch, for `render` calls that follow (bakes).

        Remembers exactly these frames, or a few where fewer are asked for. Does nothing while the
        first one is remembered: the batch before has made it, and the next one can be whole.
        """
        neutral = Motion()
        cleaned = (replace(motion, lid_offset=0.0) for motion in motions)
        wanted = [m for m in dict.fromkeys(cleaned) if m != neutral]
        if wanted and wanted[0] in self._frames:
            return
        missing = [motion for motion in wanted if motion not in self._frames]
        if missing:
            x_source, x_driving = self._source.points, self._driving_points(missing)
            decoded = self._models.decode(self._features, x_source, x_driving)
            strengths = self._strengths(missing)
            for i, motion in enumerate(missing):
                self._frames[motion] = self._finished(
                    decoded.images[i], decoded.deformation[i], float(strengths[i])
                )
        for motion in wanted:
            self._frames.move_to_end(motion)
        while len(self._frames) > max(REMEMBERED_FRAMES, len(wanted)):
            self._frames.popitem(last=False)

    @staticmethod
    def prepare_together(models: ModelSet, moves: Sequence[tuple[Portrait, Motion]]) -> None:
        """As `prepare`, a frame each of several portraits; see Renderer.prepare."""
        cleaned = [(portrait, replace(motion, lid_offset=0.0)) for portrait, motion in moves]
        missing = [
            (portrait, motion)
            for portrait, motion in cleaned
            if motion != Motion() and motion not in portrait._frames
        ]
        if not missing or missing[0] != cleaned[0]:
            return
        # Batches are always whole: what a card computes may hang on their size by a rounding, and
        # the tasks of a farm write the same bytes wherever they begin.
        driving = [portrait._driving_points([motion]) for portrait, motion in missing]
        spare = -len(missing) % models.batch_size
        portraits = [portrait for portrait, _ in [*missing, *missing[-1:] * spare]]
        features = models.gathered([portrait._features for portrait in portraits])
        x_source = np.concatenate([portrait._source.points for portrait in portraits])
        x_driving = np.concatenate([*driving, *driving[-1:] * spare])
        decoded = models.decode(features, x_source, x_driving)
        for number, (portrait, motion) in enumerate(missing):
            portrait._remember(motion, decoded.images[number], decoded.deformation[number])

    def _remember(self, motion: Motion, picture: np.ndarray, deformation: np.ndarray) -> None:
        strength = float(self._strengths([motion])[0])
        self._frames[motion] = self._finished(picture, deformation, strength)
        while len(self._frames) > REMEMBERED_FRAMES:
            self._frames.popitem(last=False)

    def _driving_points(self, motions: list[Motion]) -> np.ndarray:
        return retargeted_points(
            self._source,
            self._ratios,
            motions,
            self._models,
            use_stitching=self._options.use_stitching,
        )

    def _strengths(self, motions: list[Motion]) -> np.ndarray:
        """(N,) how much of the networks' picture shows: 0 at the neutral pose, then soon 1."""
        offsets = moved_points(self._source, motions) - self._source.points
        distance = np.linalg.norm(offsets, axis=2).max(axis=1)
        for i, motion in enumerate(motions):
            if self._ratios is None:
                break
            own = (float(self._ratios.eyes.mean()), float(self._ratios.lips[0, 0]))
            for ratio, rest in zip((motion.eyes_open, motion.lips_open), own, strict=True):
                if ratio is not None:
                    # A ratio's full range of 0.8 moves lids and lips by a few hundredths.
                    distance[i] += 0.1 * abs(ratio - rest)
        fraction = np.clip(distance / FADE_IN_DISTANCE, 0.0, 1.0)
        return fraction * fraction * (3.0 - 2.0 * fraction)

    def _finished(self, picture: np.ndarray, deformation: np.ndarray, strength: float) -> MovedCrop:
        """The generator's picture in the source's encoding, with alpha and remainder carried."""
        colour = linear_from_srgb(picture) if self._image.encoding == "linear" else picture
        alpha, glow = self._layers.alpha, self._glow
        if alpha is not None or self._layers.remainder is not None:
            flow = flow_of(deformation, CROP_SIZE)
            if alpha is not None:
                alpha = carried(alpha, flow)
            if self._layers.remainder is not None:
                colour = colour + carried(self._layers.remainder, flow)
            if glow is not None:
                glow = carried(glow, flow)
        return MovedCrop(colour, alpha, strength, glow)


def _glow(image: SourceImage, analysed: AnalysedFace) -> np.ndarray | None:
    """(S, S, 3) crop of what glows in clear pixels, or None."""
    if not image.has_emission:
        return None
    crop, _ = crop_layers(glow_of(image.pixels), analysed.square)
    return np.ascontiguousarray(crop[..., :3]) if crop[..., :3].any() else None


def _as_read(face: Face, analysed: AnalysedFace, source: KeypointMotion) -> Face:
    """The face with what the networks take as its own: opening ratios, pose, expression."""
    angles = (source.pitch[0], source.yaw[0], source.roll[0])
    parts = (angles, source.translation[0], source.expression[0], source.keypoints[0])
    reading = np.concatenate([np.ravel(part) for part in parts])
    face = replace(face, reading=tuple(map(float, reading)))
    if analysed.ratios is None:
        return face
    eyes, lips = float(analysed.ratios.eyes.mean()), float(analysed.ratios.lips[0, 0])
    return replace(face, eyes_open=eyes, lips_open=lips)
