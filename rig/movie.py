"""Encode a picture sequence as an MP4 with Blender's own FFmpeg, in a Blender of its own.

A second Blender without a window does the work: encoding takes a sequence strip, a scene and a
render, which in the artist's Blender would lock the interface and leave traces in the file.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import bpy

from .. import compat
from ..engine.part_files import part_of, remove_left

ROOT = Path(__file__).resolve().parent.parent
# Short groups of pictures scrub well as a texture.
KEYFRAME_INTERVAL = 8
CHILD_PACKAGE = "keyportrait_encoder"
# Builds the package without its register(): the child only needs this module.
CHILD_CODE = """
import importlib, sys, types
package = types.ModuleType({package!r}); package.__path__ = [{root!r}]
sys.modules[{package!r}] = package
importlib.import_module({package!r} + ".rig.movie").encode_job({job!r})
"""
LOG_TAIL_LINES = 4


class MovieError(Exception):
    """The movie could not be encoded; the text is for the user."""


@dataclass(frozen=True)
class MovieJob:
    """What to encode: pictures of one folder, in order, one per frame.

    width, height  pixels; odd sizes lose one column or row, since H.264 wants even ones
    fps, fps_base  as in Blender: frames per second is fps / fps_base
    """

    folder: str
    names: Sequence[str]
    movie: str
    width: int
    height: int
    fps: int
    fps_base: float = 1.0


class MovieEncoder:
    """A running encode. Poll `is_done`; then `finish` moves the movie into place."""

    def __init__(self, job: MovieJob) -> None:
        self.job = job
        self.part = part_of(Path(job.movie))
        remove_left(self.part.parent)
        self._folder = tempfile.TemporaryDirectory(prefix="keyportrait_")
        job_path = Path(self._folder.name) / "job.json"
        self._log_path = Path(self._folder.name) / "log.txt"
        job_path.write_text(json.dumps({**asdict(job), "movie": str(self.part)}), encoding="utf-8")
        with self._log_path.open("wb") as log:
            self._process = _start(_child_command(str(job_path)), log)

    @property
    def is_done(self) -> bool:
        """Whether the child has ended, well or not."""
        return self._process.poll() is not None

    def wait(self, timeout_s: float) -> bool:
        """Block until done, at most this long; whether it is done."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def finish(self) -> Path:
        """Put the finished movie in place of an older one. Raises MovieError."""
        movie = Path(self.job.movie)
        try:
            if self._process.returncode != 0 or not self.part.exists():
                raise MovieError(f"'{movie.name}' could not be encoded: {self._last_words()}")
            self.part.replace(movie)
        except OSError as error:
            reason = error.strerror or str(error)
            raise MovieError(f"'{movie}' could not be written: {reason}") from error
        finally:
            self.close()
        return movie

    def close(self) -> None:
        """End the child if it still runs, and remove what is not finished."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        try:
            self.part.unlink(missing_ok=True)
        finally:
            self._folder.cleanup()

    def _last_words(self) -> str:
        text = self._log_path.read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " / ".join(lines[-LOG_TAIL_LINES:]) or "Blender gave no reason"


def _child_command(job_path: str) -> list[str]:
    code = CHILD_CODE.format(package=CHILD_PACKAGE, root=str(ROOT), job=job_path)
    if bpy.app.binary_path:
        options = ["-b", "--factory-startup", "--python-exit-code", "1", "--python-expr"]
        return [bpy.app.binary_path, *options, code]
    return [sys.executable, "-c", "import bpy\n" + code]  # Blender as a Python module


def _start(command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    flags = subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            creationflags=flags,
        )
    except OSError as error:
        raise MovieError(f"Blender could not be started to encode the movie: {error}") from error


def encode_job(job_path: str) -> None:
    """The child's work: encode the MovieJob in a JSON file, or raise."""
    job = MovieJob(**json.loads(Path(job_path).read_text(encoding="utf-8")))
    scene = _movie_scene(job)
    _add_strip(scene, job)
    bpy.ops.render.render(animation=True, scene=scene.name)
    if not Path(job.movie).exists():
        raise MovieError("Blender rendered, but wrote no movie")


def _movie_scene(job: MovieJob) -> bpy.types.Scene:
    scene = bpy.data.scenes.new("Movie")
    scene.frame_start, scene.frame_end = 1, len(job.names)
    # Pictures are final: no view transform may touch them.
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform = "Standard"
    render = scene.render
    render.resolution_x, render.resolution_y = job.width // 2 * 2, job.height // 2 * 2
    render.resolution_percentage = 100
    render.fps, render.fps_base = job.fps, job.fps_base
    render.filepath = job.movie
    render.use_file_extension = False
    compat.set_video_output(scene)
    render.image_settings.color_mode = "RGB"
    render.ffmpeg.constant_rate_factor = "PERC_LOSSLESS"
    render.ffmpeg.ffmpeg_preset = "GOOD"
    render.ffmpeg.gopsize = KEYFRAME_INTERVAL
    render.ffmpeg.audio_codec = "NONE"
    return scene


def _add_strip(scene: bpy.types.Scene, job: MovieJob) -> None:
    first, *others = job.names
    strip = compat.strips(scene).new_image(
        name="Pictures",
        filepath=str(Path(job.folder) / first),
        channel=1,
        frame_start=1,
        fit_method="ORIGINAL",
    )
    for name in others:
        strip.elements.append(name)
    # An odd size leaves the strip half a pixel off; interpolation would blur the whole picture.
    strip.transform.filter = "NEAREST"
