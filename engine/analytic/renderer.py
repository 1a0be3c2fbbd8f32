"""The renderer that needs no downloaded weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..motion import Face, Motion
from ..renderer import FacePortrait, SourceImage, Step, no_step
from .portrait import AnalyticPortrait

FACTS = {
    "device": "CPU",
    "device_class": "cpu",
    "precision": "float32",
    "model_set": "mediapipe 0.10.21",
}


def probe() -> dict[str, str]:
    """What decides its pictures; it works wherever this module can be imported."""
    return dict(FACTS)


class AnalyticRenderer:
    """Moves faces by deforming the picture itself; implements engine.renderer.Renderer."""

    name = "analytic"
    notices = ()
    batch_size = 1
    is_parallel = True

    @property
    def description(self) -> Mapping[str, str]:
        """See Renderer.description: always the same."""
        return FACTS

    def open(self, image: SourceImage, face: Face, step: Step = no_step) -> AnalyticPortrait:
        """Fit one face. Raises ReportedError "bad_face" or "no_models"."""
        return AnalyticPortrait(image, face, step)

    def reopen(
        self,
        image: SourceImage,
        face: Face,
        reference: FacePortrait,
        landmarks: np.ndarray | None = None,
        step: Step = no_step,
    ) -> AnalyticPortrait:
        """See Renderer.reopen."""
        if not isinstance(reference, AnalyticPortrait):
            return self.open(image, face, step)
        return reference.reopened(image, face, landmarks, step)

    def prepare(self, moves: Sequence[tuple[FacePortrait, Motion]]) -> None:
        """Nothing: frames do not get faster by being made together."""
