"""One performance for some faces: what is asked of the engine, and who remembers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import bpy

from ..engine.protocol import Message
from ..engine.take import LANDMARKS, PerformanceSource, TakeOptions
from ..host.client import Ticket
from . import live
from .clip_sources import ClipSource
from .controllers import face_of
from .take_choices import TakeChoices
from .takes import FaceTake


@dataclass
class TakeJob:
    """One performance for some faces; a subclass says which kind.

    faces   names of their controllers, each with the frames that it begins later
    """

    source: ClipSource
    faces: list[tuple[str, float]]
    ticket: Ticket | None = None

    # Cuts and losses of the face get markers.
    has_markers: ClassVar[bool] = False
    # Made again, it goes over takes of another kind that were made later.
    is_on_top: ClassVar[bool] = False
    done_text: ClassVar[str] = "Captured"

    @property
    def reader(self) -> str:
        """Who reads the performance: LANDMARKS or NETWORKS."""
        return LANDMARKS

    @property
    def written(self) -> TakeChoices:
        """How its takes are written."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """What the performance is called."""
        return self.written.name

    def record_of(self, controller: bpy.types.Object) -> Any:
        """What a face remembers of takes of this kind, a take_records.TakeRecord."""
        raise NotImplementedError

    def remember(self, controller: bpy.types.Object) -> None:
        """Let a face know the choices for another time."""
        raise NotImplementedError

    def fields(self) -> dict[str, object]:
        """The fields of the request."""
        raise NotImplementedError

    def check(self, answer: Message, found: Sequence[FaceTake]) -> None:
        """Look at the engine's answer before anything is written. Raises AddonError."""

    def described(self, take: FaceTake) -> str:
        """What was read, in words."""
        return f"{len(take.times)} frames of '{self.written.name}'"

    def _request(self, source: PerformanceSource, options: TakeOptions) -> dict[str, object]:
        controllers = [bpy.data.objects[name] for name, _ in self.faces]
        faces = [replace(face_of(c), reading=live.reading_of(c)).to_json() for c in controllers]
        return {"source": source.to_json(), "faces": faces, "options": options.to_json()}
