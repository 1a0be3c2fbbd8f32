"""Bake portraits: motions of a frame range → files → texture of the plane.

A `BakeRun` works in phases: first it walks the scene through the frame range and notes every
portrait's motion, then it has the pictures made (host.bake), encodes a movie if that is wanted, and
puts the result on the plane. Only the first phase needs the scene; afterwards the artist may go on
working, undo or even delete the portrait. The same run serves the modal operator, which calls
`step`, and the background, which calls `run`.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import bpy

from ..host.bake import OPEN_TIMEOUT_S, SequenceBake
from ..host.cache import FrameCache
from ..host.client import Engine, EngineError, State, Ticket
from ..host.sequence import BakeError
from . import baked, clips, face_tracks, live, movie, portraits, riding
from . import engine as engine_process
from .bake_job import BakeJob, check_folders, job_of
from .bake_settings import BakeSettings
from .errors import AddonError
from .frame_cache import frame_cache
from .motions import wish_of
from .portraits import Portrait
from .requests import Answer, submit_track
from .wishes import Wish

# How the time of a bake is divided for the progress bar; measured on a 250 frame bake.
COLLECT_PART = 0.1

_active: BakeRun | None = None


@dataclass
class Summary:
    """What a bake did, for the report to the user."""

    names: list[str] = field(default_factory=list)
    rendered: int = 0
    cached: int = 0
    kept: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """One line: how many frames of which portraits, and how."""
        total = self.rendered + self.cached + self.kept
        names = ", ".join(f"'{name}'" for name in self.names)
        how = [
            f"{count} {word}"
            for count, word in (
                (self.rendered, "rendered"),
                (self.cached, "from the cache"),
                (self.kept, "unchanged"),
            )
            if count
        ]
        return f"Baked {total} frames of {names}: {', '.join(how) or 'nothing to do'}"


class BakeRun:
    """A bake of some portraits of one scene.

    Raises BakeError for settings, portraits or folders that cannot work.
    """

    def __init__(
        self,
        scene: bpy.types.Scene,
        items: list[Portrait],
        settings: BakeSettings,
        cache: FrameCache,
    ) -> None:
        self.settings = settings
        self.summary = Summary()
        self.text = "Starting"
        self.fraction = 0.0
        self.files: dict[str, baked.BakedFiles] = {}
        self._scene_name = scene.name
        self._engines: dict[str, Engine] = {}
        self._cache = cache
        self._sequence: SequenceBake | None = None
        self._encoder: movie.MovieEncoder | None = None
        if not settings.frames:
            raise BakeError("There are no frames to bake.", "Check the frame range.")
        if not items:
            raise BakeError("No portrait is selected.", "Select one, or set Bake to All.")
        self._jobs = [job_of(item, settings) for item in items]
        check_folders(self._jobs)
        self._steps = self._work(scene.frame_current, scene.frame_subframe)
        self.is_done = False
        self.is_cancelled = False

    # --- for the caller -------------------------------------------------------------------------

    def step(self, budget_s: float = 0.03) -> None:
        """Go on for about this long without waiting. Raises BakeError."""
        end = time.monotonic() + budget_s
        while not self.is_done:
            if self._next() or time.monotonic() > end:
                break

    def run(self, on_progress: Callable[[BakeRun], None] | None = None) -> None:
        """Bake to the end, blocking. Raises BakeError."""
        while not self.is_done:
            if self._next():
                self._wait(0.2)
            if on_progress is not None:
                on_progress(self)

    def cancel(self) -> None:
        """Stop; finished frames stay on disk and the scene's frame is put back."""
        self.is_cancelled = self.is_cancelled or not self.is_done
        self._steps.close()
        self.is_done = True

    def _next(self) -> bool:
        """One move; True when there is nothing to do but to wait."""
        is_waiting, is_over = False, True
        try:
            is_waiting = next(self._steps)
            is_over = False
        except StopIteration:
            pass
        except AddonError as error:
            raise BakeError(error.message, error.hint) from error
        finally:
            self.is_done = is_over
        return is_waiting

    def _wait(self, timeout_s: float) -> None:
        if self._sequence is not None:
            self._sequence.wait(timeout_s)
        elif self._encoder is not None:
            self._encoder.wait(timeout_s)
        else:
            time.sleep(0.02)

    # --- phases ---------------------------------------------------------------------------------

    def _work(self, frame_current: int, subframe: float) -> Iterator[bool]:
        """The whole bake; yields whether the caller should wait before the next move."""
        yield from self._prepare()
        try:
            yield from self._collect()
        finally:
            scene = bpy.data.scenes.get(self._scene_name)
            if scene is not None:
                with live.paused():
                    scene.frame_set(frame_current, subframe=subframe)
        live.refresh_later()
        for number, job in enumerate(self._jobs):
            yield from self._bake(job, number)
            if job.is_movie:
                yield from self._encode(job)
            self.files[job.name] = job.files
            self.summary.names.append(job.name)
        # All at once and last: what a stopped operator has changed is in no undo step.
        for job in self._jobs:
            self._assign(job)
        self.fraction = 1.0

    def _prepare(self) -> Iterator[bool]:
        """Learn from the engine what decides the pictures of each renderer in use."""
        known: dict[str, dict[str, str]] = {}
        for job in self._jobs:
            if job.renderer not in known:
                known[job.renderer] = yield from self._probe(job)
            job.prepare(known[job.renderer], self._engines[job.renderer].launch.version)
            yield from self._track(job)

    def _probe(self, job: BakeJob) -> Generator[bool, None, dict[str, str]]:
        engine = engine_process.start(job.renderer)
        if engine.state is State.FAILED:
            engine = engine_process.restart(job.renderer)
        self._engines[job.renderer] = engine
        ticket = engine.submit("probe", {"renderer": job.renderer}, use_drain=False)
        return (yield from self._await(job, engine, ticket))["facts"]

    def _await(
        self, job: BakeJob, engine: Engine, ticket: Ticket
    ) -> Generator[bool, None, Mapping[str, Any]]:
        """The fields of an answer, as soon as it is there."""
        try:
            while not ticket.is_done:
                self.text = ticket.progress.text or "Waiting for the engine"
                if engine.idle_s(ticket) > OPEN_TIMEOUT_S:
                    text = f"'{job.name}' cannot be baked: the engine does not answer."
                    raise BakeError(text, f"See the log: {engine.log_path}")
                yield True
            return ticket.result().fields
        except EngineError as error:
            text = f"'{job.name}' cannot be baked: {error.message}"
            raise BakeError(text, error.hint or "Choose another one under Bake With.") from error
        finally:
            engine.cancel(ticket)

    def _collect(self) -> Iterator[bool]:
        """Note the motions of all portraits at every evaluated frame."""
        frames = self.settings.evaluated_frames
        shutter = self.settings.shutter
        for number, frame in enumerate(frames):
            moments = [] if shutter is None else shutter.moments(frame)
            read: list[list[Wish]] = []
            for time_frames in (float(frame), *moments):
                # The exposure of a frame shows one frame of the clip.
                sources = [wish.frame for wish in read[0]] if read else None
                read.append(self._read(time_frames, sources))
                self.text = f"Reading frame {frame}"
                done = number + len(read) / (len(moments) + 1)
                self.fraction = COLLECT_PART * done / len(frames)
                yield False
            for job, wish, *samples in zip(self._jobs, *read, strict=True):
                job.note(frame, wish, samples)
        for job in self._jobs:
            job.make_tasks()

    def _read(self, time_frames: float, sources: list[int | None] | None) -> list[Wish]:
        """What every job is to show at a moment of the scene.

        sources  the frame of each clip; None for the ones that are shown then
        """
        scene = bpy.data.scenes.get(self._scene_name)
        if scene is None:
            raise BakeError(f"The scene '{self._scene_name}' was deleted during the bake.")
        frame = math.floor(time_frames)
        with live.paused():
            scene.frame_set(frame, subframe=time_frames - frame)
            depsgraph = evaluated_depsgraph(scene)
            items = [_find(job) for job in self._jobs]
            return [
                wish_of(item, depsgraph, source)
                for item, source in zip(items, sources or [None] * len(items), strict=True)
            ]

    def _track(self, job: BakeJob) -> Iterator[bool]:
        """Follow the faces of a clip where nobody has, or their track was removed."""
        item = _find(job)
        if not clips.is_moving(item.settings) or face_tracks.is_there(item):
            return
        engine = self._engines[job.renderer]
        ticket = submit_track(engine, item, Answer(None), use_drain=False)
        yield from self._await(job, engine, ticket)
        riding.ride_quietly(_find(job))

    def _bake(self, job: BakeJob, number: int) -> Iterator[bool]:
        if job.is_movie and job.is_movie_current:
            self.summary.kept += len(job.tasks)
            return
        self._sequence = SequenceBake(
            self._engines[job.renderer],
            lambda: job.open_request,
            job.tasks,
            job.output,
            self._cache,
            use_existing=self.settings.use_existing,
            facts=job.facts,
        )
        sequence = self._sequence
        try:
            while not sequence.is_done:
                before = sequence.counts.total
                sequence.step()
                done = sequence.counts.total
                self.text = f"'{job.name}': {done} of {sequence.frame_count} frames"
                whole = (number + sequence.fraction) / len(self._jobs)
                self.fraction = COLLECT_PART + (1.0 - COLLECT_PART) * whole
                yield done == before
        finally:
            sequence.close()
            self._sequence = None
            self.summary.rendered += sequence.counts.rendered
            self.summary.cached += sequence.counts.cached
            self.summary.kept += sequence.counts.kept
            known = self.summary.warnings
            known += [text for text in sequence.warnings if text not in known]

    def _encode(self, job: BakeJob) -> Iterator[bool]:
        if job.is_movie_current:
            return
        self.text = f"'{job.name}': encoding the movie"
        width, height = job.size
        names = [job.output.path(task.frame).name for task in job.tasks]
        fps, fps_base = self.settings.fps
        try:
            self._encoder = movie.MovieEncoder(
                movie.MovieJob(
                    str(job.output.folder), names, str(job.movie_path), width, height, fps, fps_base
                )
            )
            while not self._encoder.is_done:
                yield True
            self._encoder.finish()
        except movie.MovieError as error:
            raise BakeError(f"{error}.", "The pictures are kept; bake again to go on.") from error
        finally:
            if self._encoder is not None:
                self._encoder.close()
                self._encoder = None
        try:
            job.note_movie()
        except OSError as error:
            reason = error.strerror or str(error)
            text = (
                f"'{job.name}': the movie is finished, but its log could not be written: {reason}"
            )
            self.summary.warnings.append(f"{text}. The next bake makes it again")
        shutil.rmtree(job.output.folder, ignore_errors=True)

    def _assign(self, job: BakeJob) -> None:
        if not self.settings.use_assign:
            return
        item = portraits.find(job.uid)
        if item is None:
            text = f"'{job.name}' was deleted during the bake; its files are in"
            self.summary.warnings.append(f"{text} '{job.files.path.parent}'")
            return
        try:
            baked.show_baked(item.plane, job.files)
        except AddonError as error:
            self.summary.warnings.append(str(error))


def chosen(context: bpy.types.Context, scope: str) -> list[Portrait]:
    """The portraits to bake: "ALL" of the scene, or of "SELECTED" planes and controllers."""
    items = portraits.portraits_of(context.scene)
    if scope == "ALL":
        return items
    picked = [*context.selected_objects, context.active_object]
    planes = [portraits.plane_of(item) for item in picked if item is not None]
    return [item for item in items if item.plane in planes]


def begin(scene: bpy.types.Scene, items: list[Portrait], settings: BakeSettings) -> BakeRun:
    """Start the one bake that may run in this Blender. Raises BakeError."""
    global _active
    if active() is not None:
        raise BakeError("Another bake is running.", "Wait for it or press Esc.")
    _active = BakeRun(scene, items, settings, frame_cache())
    return _active


def active() -> BakeRun | None:
    """The running bake, None when there is none."""
    return None if _active is None or _active.is_done else _active


def cancel_active() -> None:
    """Stop the running bake, if any."""
    global _active
    if _active is not None and not _active.is_done:
        _active.cancel()
    _active = None


def evaluated_depsgraph(scene: bpy.types.Scene) -> bpy.types.Depsgraph:
    """The dependency graph that scene.frame_set has just evaluated."""
    depsgraph = None if bpy.context.scene == scene else scene.view_layers[0].depsgraph
    return depsgraph or bpy.context.evaluated_depsgraph_get()


def _find(job: BakeJob) -> Portrait:
    item = portraits.find(job.uid)
    if item is None:
        raise BakeError(f"'{job.name}' was deleted during the bake.", "Undo, and bake again.")
    if len(item.controllers) != job.face_count:
        raise BakeError(f"The faces of '{job.name}' were changed during the bake.", "Bake again.")
    return item
