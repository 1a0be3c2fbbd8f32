"""How the time of a scene that plays lies to the clock, and frames that Blender must leave out.

A window that is drawn slowly shows a frame long after it came: only the moment of its change tells
when it was due.
"""

from __future__ import annotations

import time

import bpy

MOST_LATE = 2.0  # frames that the scene may be behind the clock
# Frames that come one by one although the scene is behind the clock: no sound leads it.
UNLED_STEPS, UNLED_LATE = 2, 6.0


class SceneClock:
    """Follows one scene while it plays, from `begin` to `end`.

    ahead_s  what the scene's time is ahead of time.monotonic(); None before a frame came
    frame    the newest frame
    is_over  whether it went back: it plays from its start again
    is_led   whether sound leads it, which Blender follows by itself
    """

    def __init__(self, scene: bpy.types.Scene, *, is_led: bool) -> None:
        self.ahead_s: float | None = None
        self.frame = scene.frame_current_final
        self.is_over = False
        self.is_led = is_led
        self._name, self._fps = scene.name, scene.render.fps / scene.render.fps_base
        self._late = 0.0
        self._step_count = 0  # frames that came one by one
        self._corrected: float | None = None

    def begin(self) -> None:
        """Notice each change of the frame."""
        bpy.app.handlers.frame_change_post.append(self._note)

    def end(self) -> None:
        """Notice nothing more; may be called twice."""
        if self._note in bpy.app.handlers.frame_change_post:
            bpy.app.handlers.frame_change_post.remove(self._note)

    def due(self, now_s: float) -> float:
        """The frame that is due at a moment of time.monotonic(); the newest before one came."""
        return self.frame if self.ahead_s is None else (now_s + self.ahead_s) * self._fps

    def correct(self, scene: bpy.types.Scene) -> None:
        """Leave out frames where the scene has fallen behind.

        Blender forgets parts of frames when it leaves some out, and leaves none out where a sound
        should lead the scene but no device plays it.
        """
        if self.is_led:
            if self._step_count < UNLED_STEPS or self._late < UNLED_LATE:
                return
            self.is_led, scene.sync_mode = False, "FRAME_DROP"
        if self._late >= MOST_LATE:
            self._corrected = float(int(self.frame + self._late))
            self._late = 0.0
            scene.frame_current = int(self._corrected)

    def _note(self, scene: bpy.types.Scene, _depsgraph: object) -> None:
        frame = scene.frame_current_final
        if scene.name != self._name or frame == self.frame:
            return
        if frame == self._corrected:
            # It is where it should have been at the last change.
            self.frame, self._corrected = frame, None
            return
        now_s = time.monotonic()
        if frame < self.frame:
            self.is_over = True
            return
        # A frame comes no earlier than it is due: the earliest tells how the clocks lie.
        ahead_s = frame / self._fps - now_s
        self.ahead_s = ahead_s if self.ahead_s is None else max(self.ahead_s, ahead_s)
        self._late = self.due(now_s) - frame
        self._step_count = self._step_count + 1 if frame - self.frame <= 1 else 0
        self.frame = frame
