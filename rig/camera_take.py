"""A take from the camera: the scene plays, the engine keeps what it sees, keys are written."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from enum import Enum
from pathlib import Path

import bpy

from .. import compat
from ..engine.take import AUTO
from ..host.client import Engine, Ticket
from ..preferences import preferences, user_folder
from . import camera, image_files, pump, take_placing
from .capture_choices import Choices, choices_of
from .capture_command import PropertyDefaults
from .capture_run import CaptureRun, Summary, jobs_for
from .clip_sources import scene_fps
from .errors import AddonError
from .scene_clock import SceneClock
from .take_choices import FILE

TAKE = "Take"
SOUND_TYPES = {"SOUND", "SCENE"}
_NUMBERED = re.compile(rf"{TAKE} (\d+)")


class Phase(Enum):
    """What a take is at."""

    COUNTDOWN = "countdown"
    RECORDING = "recording"
    WRITING = "writing"
    KEYS = "keys"


class TakeRun:
    """One take, as a LongRun of operators.

    use_play  let the scene play, with its sound; the take ends where the scene ends, when somebody
              stops it, or by `end`. Off, it lasts for `seconds`
    """

    def __init__(
        self, context: bpy.types.Context, *, seconds: float, countdown_s: float, use_play: bool
    ) -> None:
        """Raises AddonError where the camera is off or a face cannot take keys."""
        global _running
        self._client: Engine = camera.client_of_running()
        scene = context.scene
        self._scene_name = scene.name
        self._names = camera.faces()
        for controller in self._controllers():
            take_placing.check_free(controller)
        self.path = _new_path(scene, self._controllers())
        self.video = self.path.with_suffix(".mp4") if settings_of(scene).use_video else None
        self._seconds, self._use_play = seconds, use_play
        self._fps, self._first_frame = scene_fps(scene), scene.frame_current_final
        self._last_frame = scene.frame_preview_end if scene.use_preview_range else scene.frame_end
        if use_play and self._first_frame >= self._last_frame:
            raise AddonError(
                f"The scene ends at frame {self._last_frame}, nothing is left to perform to.",
                "Go to an earlier frame, or let the scene end later.",
            )
        self.is_cancelled = False
        self.phase = Phase.COUNTDOWN
        self._due_s = time.monotonic() + countdown_s
        self._start_s = self._end_s = 0.0
        self._clock: SceneClock | None = None
        self._is_ended = self._is_playing = False
        self._sync_mode = ""
        self._ticket: Ticket | None = None
        self._capture: CaptureRun | None = None
        self._notices: list[str] = []
        self.left_s = countdown_s
        _running = self

    # --- as a LongRun ---------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """What it does now."""
        if self.phase is Phase.COUNTDOWN:
            return f"{self.path.stem} in {self._due_s - time.monotonic():.0f}"
        if self.phase is Phase.RECORDING:
            return f"Recording {self.path.stem}: {self.length_s:.1f} s"
        return f"Writing {self.path.stem}" if self._capture is None else self._capture.text

    @property
    def fraction(self) -> float:
        """How far it is, 0..1."""
        if self._capture is not None:
            return self._capture.fraction
        reach = max((self._last_frame - self._first_frame) / self._fps, 0.1)
        return min(self.length_s / (reach if self._use_play else max(self._seconds, 0.1)), 1.0)

    @property
    def length_s(self) -> float:
        """Seconds that were recorded so far."""
        return max(time.monotonic() - self._start_s, 0.0) if self._start_s else 0.0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do but to write the keys."""
        return self.is_cancelled or (self._capture is not None and self._capture.is_done)

    def step(self) -> None:
        """Go on for a moment without waiting. Raises AddonError or EngineError."""
        if self.phase is Phase.COUNTDOWN and time.monotonic() >= self._due_s:
            self._begin()
        elif self.phase is Phase.RECORDING:
            self._watch()
        elif self.phase is Phase.WRITING and self._ticket is not None and self._ticket.is_done:
            self._read()
        elif self._capture is not None and not self._capture.is_done:
            self._capture.step()

    def run(self) -> None:
        """Go on to the end, waiting. Raises AddonError or EngineError."""
        limit_s = preferences().open_timeout_s
        while self._capture is None and not self.is_cancelled:
            camera.tick()
            pump.drain()
            self.step()
            ticket = self._ticket
            if ticket is not None and self._client.idle_s(ticket) > limit_s:
                self._client.wait(ticket, 0.0)
            time.sleep(camera.INTERVAL_S)
        if self._capture is not None:
            self._capture.run()

    def end(self) -> None:
        """Enough was performed: write the take."""
        self._is_ended = True

    def cancel(self) -> None:
        """Throw the take away; safe to call at any time, and twice."""
        global _running
        if _running is self:
            _running = None
        if self.is_done:
            return
        self.is_cancelled = True
        self._stop_playing()
        if self._capture is not None:
            self._capture.cancel()
        elif self.phase is Phase.RECORDING and self._client.is_running:
            self._client.submit("camera_take", {"path": "", "smooth": 0.0}, use_drain=False)

    def finish(self, context: bpy.types.Context) -> Summary:
        """Write the keys: an NLA strip of its own. Raises AddonError or EngineError."""
        global _running
        _running = None
        if self._capture is None:
            raise AddonError("Nothing was recorded.", "Press Record again.")
        summary = self._capture.finish(context, is_again=False)
        summary.warnings += self._notices
        return summary

    # --- recording ------------------------------------------------------------------------------

    def _controllers(self) -> list[bpy.types.Object]:
        found = (bpy.data.objects.get(name) for name in self._names)
        return [controller for controller in found if controller is not None]

    def _scene(self) -> bpy.types.Scene:
        return bpy.data.scenes[self._scene_name]

    def _begin(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._use_play:
            self._play()
        self.phase, self._start_s = Phase.RECORDING, time.monotonic()
        fields: dict[str, object] = {"start_s": self._start_s}
        if self.video is not None:
            fields["video"] = str(self.video)
        self._ticket = self._client.submit("camera_record", fields, use_drain=False)

    def _play(self) -> None:
        """Play in real time: frames are dropped, and follow the sound where there is one."""
        scene = self._scene()
        self._sync_mode = scene.sync_mode
        is_led = has_sound(scene)
        scene.sync_mode = "AUDIO_SYNC" if is_led else "FRAME_DROP"
        self._clock = SceneClock(scene, is_led=is_led)
        self._clock.begin()
        screen = bpy.context.screen
        if screen is not None and not screen.is_animation_playing:
            bpy.ops.screen.animation_play()
        self._is_playing = True

    def _stop_playing(self) -> None:
        if not self._is_playing:
            return
        self._is_playing = False
        if self._clock is not None:
            self._clock.end()
        scene = self._scene()
        scene.sync_mode = self._sync_mode
        screen = bpy.context.screen
        if screen is not None and screen.is_animation_playing:
            bpy.ops.screen.animation_cancel(restore_frame=False)
        scene.frame_set(round(self._first_frame))

    def _watch(self) -> None:
        """Note where the scene is, and see whether the take is over."""
        if self._ticket is not None and self._ticket.error is not None:
            raise self._ticket.error
        if not camera.is_on() or not self._client.is_running:
            self._is_ended = True
        now_s = time.monotonic()
        if not self._use_play:
            self._is_ended = self._is_ended or now_s - self._start_s >= self._seconds
        elif self._clock is not None:
            self._is_ended = self._is_ended or self._has_played(self._clock, now_s)
        if self._is_ended:
            self._end_s = now_s
            if self._ahead_s is not None:
                # Noticed late where Blender draws slowly.
                self._end_s = min(now_s, self._last_frame / self._fps - self._ahead_s)
            self._stop_playing()
            fields = {
                "path": str(self.path),
                "smooth": round(settings_of(self._scene()).smooth, 4),
                "end_s": self._end_s,
            }
            self._ticket = self._client.submit("camera_take", fields, use_drain=False)
            self.phase = Phase.WRITING

    def _has_played(self, clock: SceneClock, now_s: float) -> bool:
        """Whether the scene has come to its end, or somebody has stopped it."""
        screen = bpy.context.screen
        if clock.is_over or (screen is not None and not screen.is_animation_playing):
            return True
        clock.correct(self._scene())
        return (clock.frame if clock.is_led else clock.due(now_s)) >= self._last_frame

    @property
    def _ahead_s(self) -> float | None:
        return None if self._clock is None else self._clock.ahead_s

    def _read(self) -> None:
        """The take is a file: capture it."""
        ticket, self._ticket = self._ticket, None
        if ticket is None:
            return
        told = ticket.result().fields
        self._notices = list(told["notices"])
        ahead_s = self._ahead_s
        if ahead_s is None:
            ahead_s = self._first_frame / self._fps - self._start_s
        start_frame = (self._start_s + told["first_s"] + ahead_s) * self._fps
        # What was done before the scene began to play is not part of the take.
        early_s = max((self._first_frame - start_frame) / self._fps, 0.0)
        choices = replace(
            self._choices(start_frame + early_s * self._fps),
            range_start=early_s,
        )
        jobs = jobs_for(bpy.context, self._controllers(), choices)
        self._capture = CaptureRun(jobs, is_blocking=bpy.app.background)
        self.phase = Phase.KEYS

    def _choices(self, start_frame: float) -> Choices:
        chosen = settings_of(self._scene())
        controllers = self._controllers()
        if not controllers:
            raise AddonError("The faces were deleted meanwhile.", "Select others and start again.")
        return replace(
            choices_of(PropertyDefaults(controllers[0].keyportrait_capture)),
            source=FILE,
            filepath=image_files.stored_path(str(self.path), self.path, None),
            start_frame=start_frame,
            region=chosen.region,
            multiplier=chosen.multiplier,
            use_mirror=chosen.use_mirror,
            reference=AUTO,
            use_track=True,
        )


_running: TakeRun | None = None


def running() -> TakeRun | None:
    """The take that is recorded now."""
    return _running


def settings_of(scene: bpy.types.Scene) -> bpy.types.PropertyGroup:
    """The camera's settings of a scene."""
    return scene.keyportrait_camera


def has_sound(scene: bpy.types.Scene) -> bool:
    """Whether a scene has a strip in its Sequencer that may be heard."""
    return any(s.type in SOUND_TYPES and not s.mute for s in compat.all_strips(scene))


def _new_path(scene: bpy.types.Scene, controllers: list[bpy.types.Object]) -> Path:
    """Where the next take goes, numbered after all that there are."""
    folder = Path(bpy.path.abspath(settings_of(scene).folder))
    if not bpy.data.is_saved and settings_of(scene).folder.startswith("//"):
        folder = user_folder("takes")
    names = [path.stem for path in folder.glob(f"{TAKE} *.npz")] if folder.is_dir() else []
    for controller in controllers:
        animation = controller.animation_data
        names += [] if animation is None else [track.name for track in animation.nla_tracks]
    numbers = [int(match[1]) for match in map(_NUMBERED.match, names) if match is not None]
    return folder / f"{TAKE} {max(numbers, default=0) + 1:02d}.npz"
