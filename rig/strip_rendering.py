"""A strip rendered by Blender to numbered pictures, where its files do not tell what it shows.

A second Blender without a window opens a copy of the file and renders the strip alone: sized,
placed, cropped and blended as if nothing was done to it, since its bake gets all that again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from . import strip_reading
from .bake_settings import absolute_folder, safe_name
from .errors import PortraitError
from .strip_reading import SEQUENCE, StripPictures

ROOT = Path(__file__).resolve().parent.parent
CHILD_PACKAGE = "keyportrait_strip_renderer"
# Builds the package without its register(): the child only needs this module.
CHILD_CODE = """
import importlib, sys, types
package = types.ModuleType({package!r}); package.__path__ = [{root!r}]
sys.modules[{package!r}] = package
importlib.import_module({package!r} + ".rig.strip_rendering").render_job({job!r})
"""
LOG_TAIL_LINES = 4
DIGITS = 4
# What a bake's strip gets from its own strip, and which value leaves the picture alone.
_TRANSFORM = {"offset_x": 0, "offset_y": 0, "scale_x": 1.0, "scale_y": 1.0, "rotation": 0.0}
_CROP = ("min_x", "max_x", "min_y", "max_y")
_RESET_PATHS = ("blend_alpha", "transform.", "crop.")


@dataclass(frozen=True)
class RenderJob:
    """What to render: one strip of a scene of a .blend file, alone.

    pattern      path of the pictures without number and suffix
    left, right  scene frames, the right one exclusive
    """

    blend: str
    scene: str
    strip: str
    pattern: str
    left: int
    right: int


class StripRender:
    """A strip that is being rendered, as a LongRun; `pictures` is what it gave.

    Raises AddonError where there is nowhere to put the pictures.
    """

    def __init__(self, scene: bpy.types.Scene, strip: Any) -> None:
        frames = strip_reading.seen_frames(strip)
        if frames.start < 0:
            raise PortraitError(
                f"The strip '{strip.name}' begins at frame {frames.start}, and is to be rendered.",
                "Move it to positive frames.",
            )
        folder = absolute_folder(scene.keyportrait_bake.folder) / f"{safe_name(strip.name)} Source"
        self._name, self._frames = strip.name, frames
        self._pattern = folder / f"{safe_name(strip.name)}_"
        self.is_cancelled = False
        _make_empty(folder)
        self._folder = tempfile.TemporaryDirectory(prefix="keyportrait_")
        blend = Path(self._folder.name) / "strip.blend"
        bpy.ops.wm.save_as_mainfile(filepath=str(blend), copy=True, check_existing=False)
        job = RenderJob(
            str(blend), scene.name, strip.name, str(self._pattern), frames.start, frames.stop
        )
        self._process = _start(job, Path(self._folder.name))

    @property
    def text(self) -> str:
        """What it does now."""
        return f"Blender renders the strip '{self._name}': {self._done} of {len(self._frames)}"

    @property
    def fraction(self) -> float:
        """How far it is, 0..1."""
        return self._done / len(self._frames)

    @property
    def _done(self) -> int:
        return sum(self._path(frame).exists() for frame in self._frames)

    @property
    def is_done(self) -> bool:
        """Whether the other Blender has ended, or was told to."""
        return self.is_cancelled or self._process.poll() is not None

    def step(self) -> None:
        """The other Blender works by itself."""

    def run(self) -> None:
        """Wait for its end."""
        while not self.is_done:
            time.sleep(0.05)

    def cancel(self) -> None:
        """End the other Blender; pictures that are done stay."""
        self.is_cancelled = self.is_cancelled or not self.is_done
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def pictures(self) -> StripPictures:
        """The pictures. Raises PortraitError when they were not made."""
        last_words = _last_words(Path(self._folder.name) / "log.txt")
        self._folder.cleanup()
        if self._process.returncode != 0 or self._done < len(self._frames):
            raise PortraitError(f"Blender could not render the strip '{self._name}': {last_words}")
        first = self._frames.start
        return StripPictures(
            kind=SEQUENCE,
            path=self._path(first),
            first=first,
            left=first,
            right=self._frames.stop,
            count=len(self._frames),
            space="sRGB",
            is_premultiplied=False,
        )

    def _path(self, frame: int) -> Path:
        return Path(f"{self._pattern}{frame:0{DIGITS}}.png")


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.png"):
            path.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise PortraitError(
            f"The folder '{folder}' cannot be written to: {reason}.",
            "Choose another in the Bake panel.",
        ) from error


def _start(job: RenderJob, folder: Path) -> subprocess.Popen[bytes]:
    path = folder / "job.json"
    path.write_text(json.dumps(asdict(job)), encoding="utf-8")
    code = CHILD_CODE.format(package=CHILD_PACKAGE, root=str(ROOT), job=str(path))
    command = [sys.executable, "-c", "import bpy\n" + code]  # Blender as a Python module
    if bpy.app.binary_path:
        # With the user's preferences: scenes may need add-ons.
        options = ["-b", "--python-exit-code", "1", "--python-expr"]
        command = [bpy.app.binary_path, *options, code]
    flags = subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
    with (folder / "log.txt").open("wb") as log:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                creationflags=flags,
            )
        except OSError as error:
            text = f"Blender could not be started to render the strip: {error}"
            raise PortraitError(text) from error


def _last_words(log: Path) -> str:
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-LOG_TAIL_LINES:]) or "it gave no reason"


# --- in the other Blender -------------------------------------------------------------------------


def render_job(job_path: str) -> None:
    """The child's work: render the RenderJob in a JSON file, or raise."""
    job = RenderJob(**json.loads(Path(job_path).read_text(encoding="utf-8")))
    bpy.ops.wm.open_mainfile(filepath=job.blend, load_ui=False)
    scene = bpy.data.scenes[job.scene]
    strip = next(s for s in compat.all_strips(scene) if s.name == job.strip)
    size = _size_of(scene, strip)
    for lonely in _lineage(scene, strip):
        _leave_alone(scene, lonely)
        _reset(scene, lonely)
    _set_up(scene, job, size)
    bpy.ops.render.render(animation=True, scene=scene.name)


def _size_of(scene: bpy.types.Scene, strip: Any) -> tuple[int, int]:
    """(width, height) of a strip's own pictures or its scene; of others that of the edit."""
    element = strip.elements[0] if strip.type in {"MOVIE", "IMAGE"} and strip.elements else None
    if element is not None and element.orig_width and element.orig_height:
        return element.orig_width, element.orig_height
    if strip.type == "SCENE" and strip.scene is not None:
        render = strip.scene.render
        sides = (render.resolution_x, render.resolution_y)
        width, height = (max(side * render.resolution_percentage // 100, 1) for side in sides)
        return width, height
    return scene.render.resolution_x, scene.render.resolution_y


def _lineage(scene: bpy.types.Scene, strip: Any) -> Iterator[Any]:
    """A strip and the meta strips that it lies in, from the inside out."""
    yield strip
    for meta in compat.all_strips(scene):
        if meta.type == "META" and strip in list(compat.strips_in(meta)):
            yield from _lineage(scene, meta)


def _leave_alone(scene: bpy.types.Scene, strip: Any) -> None:
    """Mute what lies beside a strip, but for what it is made from."""
    needed = list(_inputs(strip))
    for other in compat.strips_beside(scene, strip):
        other.mute = other.mute if other in needed else other != strip


def _inputs(strip: Any) -> Iterator[Any]:
    for name in ("input_1", "input_2"):
        source = getattr(strip, name, None)
        if source is not None:
            yield source
            yield from _inputs(source)


def _reset(scene: bpy.types.Scene, strip: Any) -> None:
    """Undo how a strip lies, is cropped and blends."""
    start = f"{strip.path_from_id()}."
    for holder in compat.curve_holders(scene):
        for curve in list(holder.fcurves):
            name = curve.data_path.removeprefix(start)
            if curve.data_path.startswith(start) and name.startswith(_RESET_PATHS):
                holder.fcurves.remove(curve)
    strip.mute, strip.blend_type, strip.blend_alpha = False, "REPLACE", 1.0
    for name, value in _TRANSFORM.items() if hasattr(strip, "transform") else ():
        setattr(strip.transform, name, value)
    for name in _CROP if hasattr(strip, "crop") else ():
        setattr(strip.crop, name, 0)
    if hasattr(strip, "use_proxy"):
        strip.use_proxy = False


def _set_up(scene: bpy.types.Scene, job: RenderJob, size: tuple[int, int]) -> None:
    # The strips that come of it pass the scene's view themselves.
    scene.display_settings.display_device = "sRGB"
    view = scene.view_settings
    view.view_transform, view.look, view.exposure, view.gamma = "Standard", "None", 0.0, 1.0
    view.use_curve_mapping = False
    render = scene.render
    render.resolution_x, render.resolution_y = size
    render.resolution_percentage = 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    render.use_border = render.use_stamp = render.use_multiview = False
    render.use_sequencer = render.use_overwrite = render.use_file_extension = True
    render.dither_intensity = 0.0
    render.filepath = f"{job.pattern}{'#' * DIGITS}"
    compat.set_image_output(scene)
    render.image_settings.color_mode, render.image_settings.color_depth = "RGBA", "8"
    scene.frame_start, scene.frame_end = job.left, job.right - 1
    scene.frame_end, scene.frame_step = job.right - 1, 1
    compat.let_save_output(scene)
