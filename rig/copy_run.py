"""One face's performance onto others: its curves are stored, and captured from there."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

import bpy

from ..engine.take import KEYPORTRAIT
from . import performance_cache
from .capture_choices import Choices
from .capture_run import CaptureRun, Summary, jobs_for
from .errors import AddonError
from .store_run import StoreRun
from .take_choices import FILE

STORE_PART = 0.5  # of the progress bar


class CopyRun:
    """What one face does, onto other faces, as a LongRun of operators.

    The file in between lies among the performances that were read, so that Re-capture finds it.
    choices  how it is carried over; its source is set here
    """

    def __init__(
        self,
        context: bpy.types.Context,
        source: bpy.types.Object,
        targets: Sequence[bpy.types.Object],
        frames: range,
        choices: Choices,
        *,
        is_blocking: bool,
    ) -> None:
        self._choices = choices
        self._targets = [target.name for target in targets]
        self._is_blocking = is_blocking
        folder = performance_cache.folder() / f"face-{uuid.uuid4().hex[:12]}"
        self._path = folder / f"{bpy.path.clean_name(source.name)}.npz"
        self._store = StoreRun(
            context.scene, source, frames, str(self._path), KEYPORTRAIT, 0.0,
            is_blocking=is_blocking,
        )  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        self._capture: CaptureRun | None = None
        self.is_cancelled = False

    @property
    def text(self) -> str:
        """What is done now."""
        return self._store.text if self._capture is None else self._capture.text

    @property
    def fraction(self) -> float:
        """0..1."""
        captured = 0.0 if self._capture is None else self._capture.fraction
        return STORE_PART * self._store.fraction + (1.0 - STORE_PART) * captured

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do but `finish`."""
        if self._capture is not None:
            return self.is_cancelled or self._capture.is_done
        is_failed = self._store.ticket is not None and self._store.ticket.error is not None
        return self.is_cancelled or is_failed

    def step(self) -> None:
        """Go on for a moment. Raises AddonError or EngineError."""
        if self._capture is not None:
            self._capture.step()
        elif self._store.is_done:
            self._go_on()
        else:
            self._store.step()

    def run(self) -> None:
        """Do all of it, blocking. Raises AddonError or EngineError."""
        self._store.run()
        self._go_on()
        if self._capture is not None:
            self._capture.run()

    def cancel(self) -> None:
        """Stop; nothing is written to the faces."""
        if not self.is_done:
            self.is_cancelled = True
            self._store.cancel()
            if self._capture is not None:
                self._capture.cancel()

    def finish(self, context: bpy.types.Context) -> Summary:
        """Write the takes onto the faces. Raises AddonError or EngineError."""
        if self._capture is None:
            self._store.result()
            raise AddonError("The performance was not read.", "Try again.")
        return self._capture.finish(context, is_again=False)

    def _go_on(self) -> None:
        self._store.result()
        found = (bpy.data.objects.get(name) for name in self._targets)
        present = [target for target in found if target is not None]
        if not present:
            raise AddonError("The faces were deleted meanwhile.", "Copy again.")
        jobs = jobs_for(bpy.context, present, _of_file(self._choices, self._path))
        self._capture = CaptureRun(jobs, is_blocking=self._is_blocking)


def _of_file(choices: Choices, path: Path) -> Choices:
    values = {"source": FILE, "filepath": str(path), "range_start": 0.0, "range_end": 0.0}
    return Choices(**{**choices.__dict__, **values})
