"""Speech: a job of CaptureRun with a record of its own on the faces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import bpy

from ..engine.speech_options import AUDIO2FACE
from ..engine.take import (
    AUTO,
    LANDMARKS,
    MOTION_SUFFIXES,
    NETWORKS,
    PerformanceSource,
    TakeOptions,
)
from . import arkit_tables, performance_cache, take_placing
from .errors import AddonError
from .speech_choices import Speech, speech_of, store
from .speech_methods import method_problem
from .speech_sources import SpeechSource, active_strip_name, source_of
from .take_choices import STRIP, TakeChoices
from .take_job import TakeJob
from .takes import FaceTake


@dataclass(kw_only=True)
class SpeechJob(TakeJob):
    """One sound that some faces speak."""

    speech: Speech
    source: SpeechSource

    is_on_top: ClassVar[bool] = True
    done_text: ClassVar[str] = "Spoke"

    @property
    def is_written(self) -> bool:
        """Whether the mouth's shapes come from another program: they are performances already."""
        return self.source.path.suffix.lower() in MOTION_SUFFIXES

    @property
    def reader(self) -> str:
        """Whose engine reads it: NETWORKS where Audio2Face-3D does, else LANDMARKS."""
        is_network = self.speech.method == AUDIO2FACE and not self.is_written
        return NETWORKS if is_network else LANDMARKS

    @property
    def written(self) -> TakeChoices:
        """How its takes are written."""
        return self.speech

    def record_of(self, controller: bpy.types.Object) -> Any:
        """The record of speech."""
        return controller.keyportrait_speech

    def remember(self, controller: bpy.types.Object) -> None:
        """Let a face know the choices for Speak Again."""
        store(self.speech, controller.keyportrait_speech)

    def described(self, take: FaceTake) -> str:
        """What was heard, in words."""
        return f"{take.times[-1] - take.times[0]:.1f} s of '{self.speech.name}'"

    def fields(self) -> dict[str, object]:
        """The fields of the request."""
        source = PerformanceSource(
            path=str(self.source.path),
            start_s=self.source.start_s,
            end_s=self.source.end_s,
            cache_dir=str(performance_cache.folder()),
            frame_rate=self.source.frame_rate,
            arkit_table=str(arkit_tables.user_table() or ""),
            speech=None if self.is_written else self.speech.options(self.source.stream),
        )
        multiplier = round(self.speech.strength, 4) if self.is_written else 1.0
        return self._request(source, TakeOptions(reference=AUTO, multiplier=multiplier))


def jobs_for(
    context: bpy.types.Context, controllers: Sequence[bpy.types.Object], speech: Speech
) -> list[SpeechJob]:
    """One sound for faces, in this order. Raises AddonError."""
    for controller in controllers:
        take_placing.check_free(controller)
    if speech.source == STRIP and not speech.strip:
        speech = replace(speech, strip=active_strip_name(context))
    offsets = [index * speech.face_offset for index in range(len(controllers))]
    if speech.use_whole_frames:
        offsets = [float(round(offset)) for offset in offsets]
    faces = [(face.name, offset) for face, offset in zip(controllers, offsets, strict=True)]
    return [_job(context, speech, faces)]


def _job(context: bpy.types.Context, speech: Speech, faces: list[tuple[str, float]]) -> SpeechJob:
    job = SpeechJob(speech=speech, source=source_of(context, speech), faces=faces)
    if job.reader == NETWORKS and (problem := method_problem(speech.method)):
        text, hint = problem
        raise AddonError(text, f"{hint} The method Phones needs nothing.")
    return job


def jobs_again(
    context: bpy.types.Context, controllers: Iterable[bpy.types.Object]
) -> list[SpeechJob]:
    """What faces have spoken last, by the settings that each has now. Raises AddonError."""
    jobs: list[SpeechJob] = []
    for controller in controllers:
        take_placing.check_free(controller)
        record = controller.keyportrait_speech
        speech = speech_of(record)
        same = next((job for job in jobs if job.speech == speech), None)
        if same is None:
            same = _job(context, speech, [])
            jobs.append(same)
        same.faces.append((controller.name, record.frame_offset))
    return jobs
