"""LivePortrait's networks as a renderer of the engine."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np

from ..faces.find import view_8bit
from ..motion import Face, Motion
from ..renderer import FacePortrait, SourceImage, Step, no_step
from .analysis import BoxAnalysis, FaceAnalysis, MeshAnalysis
from .model_set import ModelSet
from .portrait import Portrait, PortraitOptions

ANIMALS = "animal"


class LivePortraitRenderer:
    """Implements engine.renderer.Renderer on one model set.

    analysis  crop and ratios of people; the face mesh unless the user has other models. Animals
              are always cropped by their box.
    """

    name = "liveportrait"
    is_parallel = False

    def __init__(
        self,
        models: ModelSet,
        analysis: FaceAnalysis | None = None,
        options: PortraitOptions | None = None,
    ) -> None:
        self.models = models
        is_animal = models.name == ANIMALS
        self._analysis = BoxAnalysis() if is_animal else analysis or MeshAnalysis()
        self._options = options or PortraitOptions(use_stitching=not is_animal)
        self._view: tuple[weakref.ref[SourceImage], np.ndarray] | None = None

    @property
    def description(self) -> dict[str, str]:
        """See Renderer.description."""
        return {**self.models.placed, "model_set": self.models.name}

    @property
    def batch_size(self) -> int:
        """Frames that the networks make at once; less after memory was short."""
        return self.models.batch_size

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should hear about, each once: a frame redone, a smaller batch."""
        return tuple(self.models.notices)

    def open(self, image: SourceImage, face: Face, step: Step = no_step) -> Portrait:
        """Fit one face: crop, F, M. Raises ReportedError (bad_image, bad_face, out_of_memory)."""
        analysed = self._analysis.analyse(self._view_of(image, step), face)
        step()
        return Portrait(self.models, image, face, analysed, self._options, step)

    def reopen(
        self,
        image: SourceImage,
        face: Face,
        reference: FacePortrait,
        landmarks: np.ndarray | None = None,
        step: Step = no_step,
    ) -> Portrait:
        """See Renderer.reopen: F and M read every frame, crop and ratios follow the landmarks."""
        if landmarks is None:
            return self.open(image, face, step)
        analysed = self._analysis.of_frame(face, landmarks)
        return Portrait(self.models, image, face, analysed, self._options, step)

    def prepare(self, moves: Sequence[tuple[FacePortrait, Motion]]) -> None:
        """See Renderer.prepare. Raises ReportedError (out_of_memory)."""
        own = [(portrait, motion) for portrait, motion in moves if isinstance(portrait, Portrait)]
        Portrait.prepare_together(self.models, own)

    def _view_of(self, image: SourceImage, step: Step) -> np.ndarray:
        """view_8bit of the picture, which the faces of one picture share."""
        if self._view is not None and self._view[0]() is image:
            return self._view[1]
        view = view_8bit(image, step)
        self._view = weakref.ref(image, self._forget), view
        return view

    def _forget(self, reference: weakref.ref[SourceImage]) -> None:
        if self._view is not None and self._view[0] is reference:
            self._view = None
