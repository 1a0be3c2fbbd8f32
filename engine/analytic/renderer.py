"""The renderer that needs no downloaded weights."""

from __future__ import annotations

from ..motion import Face
from ..renderer import SourceImage
from .portrait import AnalyticPortrait


class AnalyticRenderer:
    """Moves faces by deforming the picture itself; implements engine.renderer.Renderer."""

    name = "analytic"

    def open(self, image: SourceImage, face: Face) -> AnalyticPortrait:
        """Fit one face. Raises ReportedError "bad_face" or "no_models"."""
        return AnalyticPortrait(image, face)
