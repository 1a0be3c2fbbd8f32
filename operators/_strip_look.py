"""Finding faces in a strip that Blender has to render before."""

from __future__ import annotations

from collections.abc import Callable

from ..rig.strip_rendering import StripRender
from ._detect import Look, LooksRun


class RenderThenLook:
    """A strip rendered, then looked at for faces, as a LongRun.

    begin  begins to look, when the pictures are there; may raise AddonError or EngineError
    """

    def __init__(self, render: StripRender, begin: Callable[[], LooksRun]) -> None:
        self._render, self._begin = render, begin
        self._looks: LooksRun | None = None

    @property
    def looks(self) -> list[Look]:
        """As of LooksRun."""
        return [] if self._looks is None else self._looks.looks

    @property
    def _current(self) -> LooksRun | StripRender:
        return self._looks or self._render

    @property
    def text(self) -> str:
        """What it does now."""
        return self._current.text

    @property
    def fraction(self) -> float:
        """How far both are, 0..1."""
        return 0.5 * self._current.fraction + (0.0 if self._looks is None else 0.5)

    @property
    def is_done(self) -> bool:
        """Whether the pictures were looked at, or it was cancelled."""
        return self.is_cancelled or (self._looks is not None and self._looks.is_done)

    @property
    def is_cancelled(self) -> bool:
        """Whether it was ended by `cancel`."""
        return self._current.is_cancelled

    def step(self) -> None:
        """Go on with the faces when the pictures are rendered."""
        if self._looks is not None:
            self._looks.step()
        elif self._render.is_done and not self._render.is_cancelled:
            self._looks = self._begin()

    def run(self) -> None:
        """Render and look, waiting."""
        self._render.run()
        self.step()
        if self._looks is not None:
            self._looks.run()

    def cancel(self) -> None:
        """End what runs."""
        self._current.cancel()
