"""A capture under way: requests to the engine, then takes, markers and records on the faces."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import bpy

from ..engine.protocol import Message
from ..engine.renderer_table import PREVIEW
from ..engine.take import AUTO, LANDMARKS, MOTION_SUFFIXES, NETWORKS, PerformanceSource
from ..host.client import EngineError, Ticket
from ..preferences import preferences
from . import (
    arkit_tables,
    engine,
    keying,
    live,
    markers,
    own_expression,
    performance_cache,
    performer_list,
    take_channels,
    take_placing,
    take_records,
    takes,
)
from .capture_choices import Choices, choices_of, store
from .clip_sources import active_strip_name, scene_fps, source_of
from .controllers import complete, control_defaults, face_of
from .errors import AddonError
from .take_channels import Sampling, Timing, channels_of, loss_spans
from .take_choices import ADD, REPLACE, STRIP, TakeChoices
from .take_job import TakeJob


@dataclass(kw_only=True)
class Job(TakeJob):
    """One performance for some faces, seen in a clip or read from a file.

    fps  of the scene, frames per second
    """

    choices: Choices
    fps: float

    has_markers: ClassVar[bool] = True

    @property
    def reader(self) -> str:
        """Who reads the performer: LANDMARKS or NETWORKS."""
        if self.source.path.suffix.lower() in MOTION_SUFFIXES:
            return LANDMARKS
        if self.choices.reader != AUTO:
            return self.choices.reader
        planes = (bpy.data.objects[name].keyportrait.face.portrait for name, _ in self.faces)
        is_final = any(p and p.keyportrait.portrait.renderer == engine.NETWORKS for p in planes)
        is_ready = is_final and engine.NETWORKS not in engine.missing_renderers()
        return NETWORKS if is_ready else LANDMARKS

    @property
    def written(self) -> TakeChoices:
        """How its takes are written."""
        return self.choices

    def record_of(self, controller: bpy.types.Object) -> Any:
        """The record of captures."""
        return controller.keyportrait_capture

    def remember(self, controller: bpy.types.Object) -> None:
        """Let a face know the choices for Re-capture."""
        store(self.choices, controller.keyportrait_capture)

    def check(self, answer: Message, found: Sequence[takes.FaceTake]) -> None:
        """Somebody must have been seen; who, the panel lists. Raises AddonError."""
        if not found[0].is_seen.any():
            raise AddonError(
                f"No face was seen in '{self.choices.name}'.", "Choose another part or performer."
            )
        if performers := answer.fields.get("performers"):
            performer_list.remember(self.choices, performers, answer.arrays.get("pictures"))

    def fields(self) -> dict[str, object]:
        """The fields of the request."""
        source = PerformanceSource(
            path=str(self.source.path),
            start_s=self.source.start_s,
            end_s=self.source.end_s,
            performer=self.choices.performer - 1,
            smooth=round(self.choices.smooth, 4),
            cache_dir=str(performance_cache.folder()),
            frame_rate=self.source.frame_rate,
            arkit_table=str(arkit_tables.user_table() or ""),
            reader=self.reader,
        )
        options = self.choices.options
        if self.choices.use_whole_frames:
            timing = Timing(
                self.source.start_frame, self.fps, self.source.lead_s, self.source.stretch
            )
            first_s = timing.moment(math.ceil(self.source.start_frame))
            options = replace(options, fps=timing.frames_per_second, first_frame_s=first_s)
        return self._request(source, options)


@dataclass
class Summary:
    """What a capture has done.

    text      one sentence without its full stop
    warnings  what the artist should look at
    first, last  scene frames of all that was captured
    """

    text: str = ""
    warnings: list[str] = field(default_factory=list)
    first: float = float("inf")
    last: float = float("-inf")


def jobs_for(
    context: bpy.types.Context, controllers: Sequence[bpy.types.Object], choices: Choices
) -> list[Job]:
    """The capture of one performance on faces, in this order. Raises AddonError."""
    for controller in controllers:
        take_placing.check_free(controller)
    if choices.source == STRIP and not choices.strip:
        choices = replace(choices, strip=active_strip_name(context))
    offsets = [_offset(index * choices.face_offset, choices) for index in range(len(controllers))]
    faces = [(c.name, offset) for c, offset in zip(controllers, offsets, strict=True)]
    fps = scene_fps(context.scene)
    return [Job(choices=choices, source=source_of(context, choices), faces=faces, fps=fps)]


def jobs_again(context: bpy.types.Context, controllers: Iterable[bpy.types.Object]) -> list[Job]:
    """The captures of faces made again, each by its own settings. Raises AddonError."""
    jobs: list[Job] = []
    for controller in controllers:
        take_placing.check_free(controller)
        choices = choices_of(controller.keyportrait_capture)
        offset = _offset(controller.keyportrait_capture.frame_offset, choices)
        same = next((job for job in jobs if job.choices == choices), None)
        if same is None:
            source, fps = source_of(context, choices), scene_fps(context.scene)
            same = Job(choices=choices, source=source, faces=[], fps=fps)
            jobs.append(same)
        same.faces.append((controller.name, offset))
    return jobs


def _offset(frames: float, choices: Choices) -> float:
    """By how much a face begins later: the takes of all of them have moments at the same frames."""
    return float(math.floor(frames + 0.5)) if choices.use_whole_frames else frames


class CaptureRun:
    """Some jobs one after the other, as a LongRun of operators."""

    def __init__(self, jobs: Sequence[TakeJob], *, is_blocking: bool) -> None:
        self.jobs = list(jobs)
        self.is_cancelled = False
        self._is_blocking = is_blocking
        self._index = 0
        self._ask()

    def _ask(self) -> None:
        job = self.jobs[self._index]
        # Networks are loaded in their own engine alone.
        renderer = engine.NETWORKS if job.reader == NETWORKS else PREVIEW
        self._client = performer_list.client_of(renderer, is_blocking=self._is_blocking)
        job.ticket = self._client.submit("capture", job.fields(), use_drain=False)

    @property
    def _ticket(self) -> Ticket:
        ticket = self.jobs[self._index].ticket
        if ticket is None:
            raise ValueError("the request was not made")
        return ticket

    @property
    def text(self) -> str:
        """What the engine says, else what was asked."""
        return self._ticket.progress.text or f"Reading '{self.jobs[self._index].source.path.name}'"

    @property
    def fraction(self) -> float:
        """How far all of them are, 0..1."""
        return (self._index + self._ticket.progress.fraction) / len(self.jobs)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to ask for."""
        is_last = self._index + 1 == len(self.jobs)
        is_failed = self._ticket.error is not None
        return self.is_cancelled or (self._ticket.is_done and (is_last or is_failed))

    def step(self) -> None:
        """Ask for the next when the engine has answered."""
        if self._ticket.is_done and not self.is_done:
            self._index += 1
            self._ask()

    def run(self, tell: Callable[[CaptureRun], None] | None = None) -> None:
        """Wait for all answers. The time-out counts from the engine's last sign of work.

        tell  is called now and then with this run
        """
        timeout_s = preferences().open_timeout_s
        while not self.is_done:
            while tell is not None and not self._ticket.wait(0.1):
                tell(self)
                if self._client.idle_s(self._ticket) > timeout_s:
                    break
            with suppress(EngineError):  # which the ticket keeps
                self._client.wait(self._ticket, timeout_s)
            self.step()

    def cancel(self) -> None:
        """Tell the engine to drop the work."""
        if not self.is_done:
            self.is_cancelled = True
            self._client.cancel(self._ticket)

    def finish(self, context: bpy.types.Context, *, is_again: bool) -> Summary:
        """Write what was read onto the faces. Raises AddonError or EngineError."""
        messages = [job.ticket.result() for job in self.jobs if job.ticket]
        answers = [takes.FaceTake.read(message) for message in messages]
        summary = Summary()
        for job, message, found in zip(self.jobs, messages, answers, strict=True):
            job.check(message, found)
            summary.warnings += message.fields.get("notices", ())
        # Markers that several faces share go before the first of them gets new ones.
        if is_again:
            for job in self.jobs if self.jobs[0].has_markers else ():
                for controller in _present(job):
                    markers.remove_markers(context.scene, controller)
        for job, found in zip(self.jobs, answers, strict=True):
            _write(context, job, found, summary, is_again=is_again)
        if summary.last < summary.first:
            raise AddonError("The faces were deleted meanwhile.", "Capture again.")
        _note_range(context.scene, self.jobs[0].written, summary)
        performance_cache.measure()
        live.refresh_later()
        return summary


def _present(job: TakeJob) -> list[bpy.types.Object]:
    found = (bpy.data.objects.get(name) for name, _ in job.faces)
    return [controller for controller in found if controller is not None]


def _write(
    context: bpy.types.Context,
    job: TakeJob,
    found: Sequence[takes.FaceTake],
    summary: Summary,
    *,
    is_again: bool,
) -> None:
    written = []
    for (name, offset), take in zip(job.faces, found, strict=True):
        controller = bpy.data.objects.get(name)
        if controller is None:
            summary.warnings.append(f"'{name}' was deleted meanwhile")
            continue
        timing = Timing(
            job.source.start_frame + offset,
            scene_fps(context.scene),
            job.source.lead_s,
            job.source.stretch,
            job.source.start_s or 0.0,
        )
        summary.warnings += _write_face(
            context.scene, controller, take, timing, job, is_again=is_again
        )
        job.record_of(controller).frame_offset = offset
        written.append((controller, take, timing))
    if not written:
        return
    if job.written.use_markers:
        _write_markers(context.scene, written)
    records = [job.record_of(controller) for controller, _, _ in written]
    summary.first = min(summary.first, *(record.first_frame for record in records))
    summary.last = max(summary.last, *(record.last_frame for record in records))
    _describe(job, written, summary)


def _write_face(
    scene: bpy.types.Scene,
    controller: bpy.types.Object,
    take: takes.FaceTake,
    timing: Timing,
    job: TakeJob,
    *,
    is_again: bool,
) -> list[str]:
    """Put a take on a face; what the artist should look at."""
    choices, name = job.written, controller.name
    complete(controller)
    sampling = Sampling(take, timing, use_whole_frames=choices.use_whole_frames)
    channels = channels_of(take, sampling, choices.region, use_detail=choices.use_detail)
    if choices.mode == REPLACE:
        span = take_placing.span_of(channels)
        channels += own_expression.channels_for(controller, choices.region, *span)
    if not choices.is_whole_pose:
        channels = take_channels.with_still_ones(channels, control_defaults(face_of(controller)))
    put = take_placing.place_again if is_again else take_placing.place
    record = job.record_of(controller)
    if job.is_on_top or not is_again:
        take_records.raise_above(controller, record)
    record.action = put(controller, record, channels, choices, choices.name)
    job.remember(controller)
    record.first_frame, record.last_frame = take_placing.covered(channels, choices)
    record.captured_region = choices.region
    if job.has_markers and not is_again:
        is_kept = choices.mode == ADD or choices.use_track
        first, last = (round(frame) for frame in timing.frames(take.times[[0, -1]]))
        markers.remove_markers(scene, controller, first, -1 if is_kept else last)
    controller.update_tag()
    driven = keying.driven_paths(controller) & {channel.path for channel in channels}
    return [f"Drivers hold {', '.join(sorted(driven))} of '{name}'"] if driven else []


def _write_markers(
    scene: bpy.types.Scene, written: Sequence[tuple[bpy.types.Object, takes.FaceTake, Timing]]
) -> None:
    """One set of markers for all faces that begin at the same frame."""
    starts: dict[float, list[tuple[bpy.types.Object, takes.FaceTake, Timing]]] = {}
    for item in written:
        starts.setdefault(item[2].start_frame, []).append(item)
    for same in starts.values():
        suffix = f" ({same[0][0].name})" if len(starts) > 1 else ""
        found = markers.markers_of(same[0][1], same[0][2], suffix)
        markers.write_markers(scene, [item[0] for item in same], found)


def _describe(
    job: TakeJob,
    written: Sequence[tuple[bpy.types.Object, takes.FaceTake, Timing]],
    summary: Summary,
) -> None:
    controller, take, _ = written[0]
    what = f"'{controller.name}'" if len(written) == 1 else f"{len(written)} faces"
    begin = job.described(take)
    parts = []
    cuts, losses = len(take.cuts), len(loss_spans(take.is_seen))
    if cuts:
        parts.append(f"{cuts} cut{'s' if cuts > 1 else ''}")
    if losses:
        unseen = int((~take.is_seen).sum())
        parts.append(f"face lost {losses}×, {unseen} frame{'s' if unseen > 1 else ''} without keys")
    for item, _, _ in written:
        job.record_of(item).captured = ", ".join([begin, *parts])
    text = ", ".join([f"{begin} on {what}", *parts])
    summary.text = f"{summary.text}; {text}" if summary.text else f"{job.done_text} {text}"


def _note_range(scene: bpy.types.Scene, choices: TakeChoices, summary: Summary) -> None:
    first, last = round(summary.first), round(summary.last)
    summary.text += f", frames {first} to {last}"
    if choices.use_scene_range:
        set_scene_range(scene, summary.first, summary.last)
    elif last > scene.frame_end or first < scene.frame_start:
        summary.warnings.append(
            f"The scene's range, {scene.frame_start} to {scene.frame_end}, is shorter: "
            "press Set Scene Range in the Performance panel"
        )


def set_scene_range(scene: bpy.types.Scene, first: float, last: float) -> None:
    """Let a scene begin and end with a performance."""
    scene.frame_start = max(round(first), 0)
    scene.frame_end = round(last)
