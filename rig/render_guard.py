"""While rendering every frame waits for its own picture; without it the render stops.

A handler cannot stop a render by raising. What works in every Blender from 4.2 to 5.2: pointing
the output at a place that cannot exist. Blender fails to write, ends the animation, and reports the
error, so that bpy.ops.render.render raises. An animation's output is read after each frame, a
still's right after render_init: there the background checks the current frame first. A movie is
open already, so its format is changed to a still picture as well. Where Save Output is off (5.2)
only File Output nodes write: there the scene also loses its camera. All is put back when the render
is over. A Blender started with -b would still exit with status 0; there the process also gets
Blender's own break signal, and ends with status 1. Viewport Render Animation is guarded alike.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import bpy

from .. import compat
from ..host.client import EngineError
from . import bake_state, compositing, live, main_thread, portraits, rest
from .errors import AddonError

log = logging.getLogger(__name__)

EXIT_STATUS = 1
VIEWPORT_RENDER = "RENDER_OT_opengl"
CHECK_S = 0.2
COMPOSITOR_ALONE = (
    "The compositor shows a live image, but no Render Layers node lets Blender move it. "
    "Add one, render with 'blender -b', or bake."
)


class _Output(NamedTuple):
    scene_name: str
    filepath: str
    file_format: str
    camera_uid: int


_stopped: _Output | None = None
_persistent_scenes: list[str] = []
_is_exit_set = False
_first_frame = 0
last_error = ""


def begin(scene: bpy.types.Scene) -> None:
    """A render starts.

    With Persistent Data Cycles keeps a picture that it has once loaded, and would show the first
    frame's in every frame; so the option is off while portraits are rendered.
    """
    global last_error, _first_frame
    last_error = ""
    original = bpy.data.scenes[scene.name]
    _first_frame = original.frame_current
    if original.render.use_persistent_data and portraits.portraits_of(original):
        main_thread.do(lambda: _set_persistent(original, is_on=False))
        _persistent_scenes.append(original.name)
    # In the interface this is another thread, where the viewport's depsgraph must not be touched.
    if bpy.app.background and original.view_layers:
        bake_state.fall_back()
        view_layer = original.view_layers[0]
        view_layer.update()
        if rest.settle():
            view_layer.update()
        prepare_frame(original, view_layer.depsgraph)


def _set_persistent(scene: bpy.types.Scene, *, is_on: bool) -> None:
    scene.render.use_persistent_data = is_on


def prepare_frame(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """Bring every portrait up to date for the frame of a render's depsgraph, or stop the render."""
    if _stopped is not None:
        return
    try:
        live.refresh_now(scene, depsgraph)
    except (AddonError, EngineError) as error:
        _stop(scene, f"Frame {scene.frame_current} was not rendered. {error}")


def prepare_composite(scene: bpy.types.Scene) -> None:
    """Before a frame: what prepare_frame does, where only the compositor runs.

    No depsgraph of the render's own exists then. In the background the scene's is brought to the
    frame; in the interface this is another thread, which may not, and the render is stopped.
    """
    original = bpy.data.scenes[scene.name]
    if _stopped is not None or not compositing.is_all_of_render(original):
        return
    if bpy.app.background:
        original.frame_set(original.frame_current, subframe=original.frame_subframe)
        prepare_frame(original, original.view_layers[0].depsgraph)
    elif original.frame_current != _first_frame:
        _stop(scene, f"Frame {scene.frame_current} was not rendered. {COMPOSITOR_ALONE}")


def is_viewport_render() -> bool:
    """Whether Viewport Render Animation runs: a modal operator that calls no render handler."""
    if bpy.app.background:
        return False
    for window in bpy.context.window_manager.windows:
        if any(item.bl_idname == VIEWPORT_RENDER for item in window.modal_operators):
            return True
    return False


def prepare_viewport_frame(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """As prepare_frame, for a frame of Viewport Render Animation."""
    prepare_frame(scene, depsgraph)
    if _stopped is not None and not bpy.app.timers.is_registered(_end_viewport_render):
        bpy.app.timers.register(_end_viewport_render, first_interval=CHECK_S)


def _end_viewport_render() -> float | None:
    if is_viewport_render():
        return CHECK_S
    end(bpy.context.scene)
    return None


def end(scene: bpy.types.Scene) -> None:
    """A render is over: put the settings back."""
    if _persistent_scenes or _stopped is not None:
        main_thread.do(lambda: _put_back(scene))


def _put_back(scene: bpy.types.Scene) -> None:
    global _stopped
    while _persistent_scenes:
        name = _persistent_scenes.pop()
        if name in bpy.data.scenes:
            _set_persistent(bpy.data.scenes[name], is_on=True)
    if _stopped is None:
        return
    original = bpy.data.scenes.get(_stopped.scene_name) or scene
    _set_format(original, _stopped.file_format)
    original.render.filepath = _stopped.filepath
    if _stopped.camera_uid:
        found = [o for o in bpy.data.objects if o.session_uid == _stopped.camera_uid]
        original.camera = found[0] if found else None
    _stopped = None


def _stop(scene: bpy.types.Scene, message: str) -> None:
    global last_error
    last_error = message
    log.error("%s", message)
    main_thread.do(lambda: _spoil_output(scene))
    if bpy.app.background and bpy.app.binary_path:
        _fail_process()


def _spoil_output(scene: bpy.types.Scene) -> None:
    global _stopped
    original = bpy.data.scenes[scene.name]
    render = original.render
    camera_uid = 0
    if not compat.saves_output(original) and original.camera is not None:
        # Only File Output nodes write; without a camera the next frame is refused.
        camera_uid = original.camera.session_uid
        original.camera = None
    file_format = render.image_settings.file_format
    _stopped = _Output(original.name, render.filepath, file_format, camera_uid)
    # A path below a file cannot be made; the text is what Blender prints.
    render.filepath = str(Path(sys.executable, "KeyPortrait stopped this render", "frame_"))
    if render.is_movie_format:
        compat.set_image_output(original)


def unregister() -> None:
    """Put the output settings back and end the timer, if any."""
    if bpy.app.timers.is_registered(_end_viewport_render):
        bpy.app.timers.unregister(_end_viewport_render)
        end(bpy.context.scene)


def _set_format(scene: bpy.types.Scene, file_format: str) -> None:
    if scene.render.image_settings.file_format == file_format:
        return
    if file_format in {"FFMPEG", "AVI_JPEG", "AVI_RAW"}:
        compat.set_movie_format(scene, file_format)
    else:
        compat.set_image_output(scene, file_format)


def _fail_process() -> None:
    global _is_exit_set
    if not _is_exit_set:
        _is_exit_set = True
        atexit.register(os._exit, EXIT_STATUS)
    # On Windows os.kill would end the process at once, with another status.
    signal.raise_signal(signal.SIGINT)
