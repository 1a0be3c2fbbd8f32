"""What the tests of strips share: an edit with a face in a strip, and what is done to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

LEFT, FRAMES = 20, 4


@pytest.fixture
def edit(new_file: None, tmp_path: Path, astronaut: str) -> Path:
    """A saved .blend file; its folder has a picture with a face."""
    shutil.copy(astronaut, tmp_path / "guest.jpg")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "edit.blend"))
    return tmp_path


@pytest.fixture
def strip(edit: Path, module: Any) -> Any:
    """A picture with a face, held for frames 20 to 23 on channel 2."""
    return still(module, edit / "guest.jpg")


def still(module: Any, path: Path, channel: int = 2, left: int = LEFT, count: int = FRAMES) -> Any:
    compat, scene = module("compat"), bpy.context.scene
    strip = compat.strips(scene).new_image(
        name=path.stem, filepath=str(path), channel=channel, frame_start=left, fit_method="FIT"
    )
    compat.place_strip(strip, compat.StripPlace(left, left + 1, left, left + count))
    scene.sequence_editor.active_strip = strip
    return strip


def animate(strip: Any) -> tuple[Any, Any]:
    """(plane, controller) of the active strip."""
    assert bpy.ops.keyportrait.animate_strip() == {"FINISHED"}
    plane = strip["keyportrait"]
    (link,) = plane.keyportrait.portrait.faces
    return plane, link.controller


def key_smile(face: Any, end: float = 1.0) -> None:
    for frame, value in ((LEFT, 0.0), (LEFT + FRAMES - 1, end)):
        face["smile"] = value
        face.keyframe_insert('["smile"]', frame=frame)


def bake() -> Any:
    """The strip of the bake of the active strip."""
    assert bpy.ops.keyportrait.bake_strip() == {"FINISHED"}
    return bpy.context.scene.sequence_editor.active_strip


def files_of(strip: Any) -> list[Path]:
    folder = Path(bpy.path.abspath(strip.directory))
    return [folder / element.filename for element in strip.elements]


def edited(pixels: Any, frame: int = LEFT) -> np.ndarray:
    """(H, W, 4) of a frame of the edit as Blender renders it."""
    scene = bpy.context.scene
    scene.frame_set(frame)
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.filepath = bpy.path.abspath("//edited.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    found = pixels(image).copy()
    bpy.data.images.remove(image)
    return found


def everything(module: Any) -> list[Any]:
    return module("compat").all_strips(bpy.context.scene)


@contextmanager
def in_sequencer() -> Iterator[None]:
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    with bpy.context.temp_override(window=window, area=area, region=area.regions[0]):
        yield


LISTEN = """
import sys
import av
import numpy as np
with av.open(sys.argv[1]) as file:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=48000)
    frames = (*file.decode(audio=0), None)
    pieces = [p.to_ndarray() for frame in frames for p in resampler.resample(frame)]
np.save(sys.argv[2], np.concatenate(pieces, axis=1)[0])
"""


def run_with_av(module: Any, code: str, *arguments: object) -> None:
    folders = os.pathsep.join(module("rig.engine").module_folders())
    command = [sys.executable, "-c", code, *map(str, arguments)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": folders})


def sound_of(module: Any, path: Path) -> np.ndarray:
    """(N,) samples of a movie at 48000 Hz."""
    out = path.with_suffix(".npy")
    run_with_av(module, LISTEN, path, out)
    return np.load(out)


CLIP_FPS = 25
MAKE_CLIP = """
import sys
from fractions import Fraction
import av
import cv2
import numpy as np
face = cv2.cvtColor(cv2.imread(sys.argv[2]), cv2.COLOR_BGR2RGB)
time = np.arange(12 * 48000 // 25) / 48000
tone = (9000 * np.sin(2 * np.pi * 300 * time) * (1 + np.floor(time * 25)) / 12).astype(np.int16)
with av.open(sys.argv[1], "w") as file:
    video = file.add_stream("libx264", rate=25, options={"crf": "10"})
    video.height, video.width, video.pix_fmt = *face.shape[:2], "yuv420p"
    audio = file.add_stream("pcm_s16le", rate=48000, layout="mono")
    for number in range(12):
        frame = av.VideoFrame.from_ndarray(np.roll(face, 2 * number, axis=1), "rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        file.mux(video.encode(frame))
        part = tone[None, number * 1920 : (number + 1) * 1920]
        sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), "s16", "mono")
        sound.sample_rate, sound.pts, sound.time_base = 48000, number * 1920, Fraction(1, 48000)
        file.mux(audio.encode(sound))
    file.mux(video.encode(None))
    file.mux(audio.encode(None))
"""


@pytest.fixture
def clip(edit: Path, module: Any, astronaut: str) -> Any:
    """A strip, frames 16 to 27, of a face that moves to the right; a tone grows by each frame."""
    path = edit / "performer.mov"
    run_with_av(module, MAKE_CLIP, path, astronaut)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = CLIP_FPS, 1.0
    strip = (
        module("compat")
        .strips(scene)
        .new_movie(
            name="performer", filepath=str(path), channel=7, frame_start=16, fit_method="FIT"
        )
    )
    scene.sequence_editor.active_strip = strip
    return strip
