"""What a capture reads: files, strips of the sequencer with their handles, movie clips."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import pytest
from performing import (  # noqa: F401 - fixtures
    activate,
    at,
    capture,
    curves,
    face,
    frames_of,
    recapture,
    template,
)

CLIP_FPS, CLIP_FRAMES = 30, 90
MAKE = """
import sys
import av
import numpy as np
with av.open(sys.argv[1], "w") as file:
    stream = file.add_stream("mpeg4", rate=30)
    stream.width = stream.height = 64
    for level in range(90):
        picture = np.full((64, 64, 3), level, np.uint8)
        file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
    file.mux(stream.encode(None))
"""


@pytest.fixture
def movie(tmp_path: Path, module: Any) -> str:
    """90 grey frames at 30 per second, in which nobody is seen."""
    path = tmp_path / "clip.mp4"
    folders = os.pathsep.join(module("rig.engine").module_folders())
    environment = {**os.environ, "PYTHONPATH": folders}
    subprocess.run([sys.executable, "-c", MAKE, str(path)], check=True, env=environment)
    return str(path)


def source_of(module: Any, controller: Any, **changes: Any) -> Any:
    choices = module("rig.capture_choices").choices_of(controller.keyportrait_capture)
    return module("rig.clip_sources").source_of(bpy.context, replace(choices, **changes))


def new_strip(module: Any, name: str, *arguments: Any) -> Any:
    strips = module("compat").strips(bpy.context.scene)
    strip = getattr(strips, f"new_{name}")(*arguments)
    bpy.context.scene.sequence_editor.active_strip = strip
    return strip


@pytest.mark.parametrize(("unit", "start", "end"), [("SECONDS", 1.0, 2.0), ("FRAMES", 25, 50)])
def test_in_and_out_in_seconds_and_in_frames(face, movie, module, unit, start, end) -> None:
    source = source_of(
        module, face, filepath=movie, range_unit=unit, range_start=start, range_end=end
    )
    assert (source.start_s, source.end_s, source.start_frame) == (1.0, 2.0, 1.0)
    whole = source_of(module, face, filepath=movie)
    assert (whole.start_s, whole.end_s) == (None, None)
    with pytest.raises(Exception, match="is empty"):
        source_of(module, face, filepath=movie, range_start=2.0, range_end=1.0)


def test_the_chosen_rest_is_where_the_face_stays_as_it_is(face, template) -> None:
    # The head turns by five degrees in each second.
    capture(filepath=template, start_frame=1, reference="FIRST")
    assert [at(face, "head_yaw", frame) for frame in (1, 26, 51)] == pytest.approx(
        [0.0, 5.0, 10.0], abs=0.3
    )
    face.keyportrait_capture.reference = "CHOSEN"
    face.keyportrait_capture.reference_s = 1.0
    recapture()
    assert [at(face, "head_yaw", frame) for frame in (1, 26, 51)] == pytest.approx(
        [-5.0, 0.0, 5.0], abs=0.3
    )
    # Of a part it counts from the part's own beginning.
    capture(
        filepath=template,
        start_frame=1,
        range_start=0.6,
        range_end=2.0,
        reference="CHOSEN",
        reference_s=0.4,
    )
    assert [at(face, "head_yaw", frame) for frame in (1, 11, 31)] == pytest.approx(
        [-2.0, 0.0, 4.0], abs=0.3
    )


def test_a_strip_gives_its_clip_its_range_and_its_place(face, movie, module) -> None:
    bpy.context.scene.render.fps = CLIP_FPS
    strip = new_strip(module, "movie", "talk", movie, 1, 100)
    strip.frame_offset_start, strip.frame_offset_end = 12, 30
    source = source_of(module, face, source="STRIP")
    assert str(source.path) == movie
    assert source.start_frame == 112
    assert source.start_s + source.lead_s == pytest.approx(12 / CLIP_FPS)
    # The last frame that is seen is number 59; number 60 is not.
    assert 59 / CLIP_FPS < source.end_s < 60 / CLIP_FPS
    assert source.stretch == pytest.approx(1.0)


def test_a_strip_that_plays_each_frame_is_as_slow_as_it_looks(face, movie, module) -> None:
    assert bpy.context.scene.render.fps == 25
    strip = new_strip(module, "movie", "talk", movie, 1, 1)
    assert strip.frame_final_duration == CLIP_FRAMES
    source = source_of(module, face, source="STRIP")
    assert source.stretch == pytest.approx(30 / 25)
    assert source.end_s == pytest.approx(89.5 / 30)


def test_a_strip_whose_rate_blender_adjusted_keeps_its_time(face, movie, module) -> None:
    scene = bpy.context.scene
    scene.render.fps = 24
    windows = bpy.context.window_manager.windows
    if not windows:
        pytest.skip("this bpy has no window to add such a strip in")
    area = windows[0].screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    module("compat").strips(scene)
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=windows[0], area=area, region=region):
        if not bpy.ops.sequencer.movie_strip_add.poll():
            pytest.skip("this bpy adds such strips in its interface only")
        bpy.ops.sequencer.movie_strip_add(
            filepath=movie, frame_start=1, channel=1, adjust_playback_rate=True,
            use_framerate=False, sound=False,
        )  # fmt: skip
    strip = module("compat").strips(scene)[0]
    scene.sequence_editor.active_strip = strip
    strip.frame_offset_start = 24
    source = source_of(module, face, source="STRIP")
    assert source.start_frame == 25
    assert source.start_s + source.lead_s == pytest.approx(1.0)
    assert source.stretch == pytest.approx(1.0)


def test_a_named_strip_and_strips_without_a_clip(face, movie, module) -> None:
    new_strip(module, "movie", "talk", movie, 1, 40)
    scene = bpy.context.scene
    scene.sequence_editor.active_strip = None
    with pytest.raises(Exception, match="No strip is active"):
        source_of(module, face, source="STRIP")
    assert source_of(module, face, source="STRIP", strip="talk").start_frame == 40
    with pytest.raises(Exception, match="no strip 'gone'"):
        source_of(module, face, source="STRIP", strip="gone")
    new_strip(module, "scene", "other", scene, 2, 1)
    with pytest.raises(Exception, match="no clip of its own"):
        source_of(module, face, source="STRIP")


def test_pictures_in_a_strip(face, module, tmp_path) -> None:
    for number in (4, 5, 6, 8):
        (tmp_path / f"take_{number:03}.png").write_bytes(b"")
    strip = new_strip(module, "image", "take", str(tmp_path / "take_004.png"), 1, 10)
    for number in (5, 6):
        strip.elements.append(f"take_{number:03}.png")
    strip.frame_offset_start = 1
    source = source_of(module, face, source="STRIP")
    assert source.path == tmp_path / "take_004.png"
    assert source.frame_rate == 25
    assert source.start_s + source.lead_s == pytest.approx(1 / 25)
    assert source.start_frame == 11
    strip.elements.append("take_008.png")
    with pytest.raises(Exception, match="not numbered"):
        source_of(module, face, source="STRIP")


@pytest.mark.parametrize("is_strip", [False, True])
def test_a_movie_clip(face, movie, module, is_strip) -> None:
    bpy.context.scene.render.fps = CLIP_FPS
    clip = bpy.data.movieclips.load(movie)
    clip.frame_start = 50
    if is_strip:
        new_strip(module, "clip", clip.name, clip, 1, 50)
        source = source_of(module, face, source="STRIP")
    else:
        source = source_of(module, face, source="CLIP", clip=clip.name)
    assert str(source.path) == movie
    assert source.start_frame == 50
    assert source.start_s is None
    with pytest.raises(Exception, match="no movie clip 'gone'"):
        source_of(module, face, source="CLIP", clip="gone")


def test_a_strip_is_remembered_for_capturing_again(face, movie, module) -> None:
    new_strip(module, "movie", "talk", movie, 1, 40)
    found = module("rig.capture_run")
    choices = module("rig.capture_choices").choices_of(face.keyportrait_capture)
    (job,) = found.jobs_for(bpy.context, [face], replace(choices, source="STRIP"))
    assert job.choices.strip == job.name == "talk"


def test_a_clip_without_a_face_says_so(face, movie) -> None:
    with pytest.raises(RuntimeError, match=r"(?i)no face.*clip\.mp4"):
        capture(filepath=movie)
    assert face.animation_data is None or face.animation_data.action is None


def test_lost_files_and_empty_fields_say_so(face, tmp_path) -> None:
    with pytest.raises(RuntimeError, match=r"no file.*gone\.mp4"):
        capture(filepath=str(tmp_path / "gone.mp4"))
    with pytest.raises(RuntimeError, match="No file is chosen"):
        capture()


def test_the_path_is_stored_relative_to_the_file(face, template, tmp_path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    capture(filepath=template)
    assert face.keyportrait_capture.filepath == "//nod.pkl"
    capture(filepath=template, relative_path=False)
    assert face.keyportrait_capture.filepath == template


def test_what_the_networks_have_read_of_a_face_goes_along(face, template, module) -> None:
    live, count = module("rig.live"), module("engine.motion").READING_COUNT
    face["smile"] = 0.5
    bpy.context.view_layer.update()
    plane = face.keyportrait.face.portrait
    session = live._sessions[module("rig.portraits").identity_of(plane)]
    assert live.reading_of(face) == ()
    session.readings = [tuple(range(count))]
    choices = module("rig.capture_choices").choices_of(face.keyportrait_capture)
    (job,) = module("rig.capture_run").jobs_for(
        bpy.context, [face], replace(choices, filepath=template)
    )
    assert len(job.fields()["faces"][0]["reading"]) == count


class Listener:
    """Stands for the engine of a renderer, and keeps what it is asked."""

    def __init__(self, renderer: str) -> None:
        self.renderer, self.fields = renderer, {}

    def submit(self, _kind: str, fields: dict[str, Any], **_options: Any) -> None:
        self.fields = fields


@pytest.mark.parametrize(
    ("reader", "renderer", "missing", "name", "wanted"),
    [
        ("AUTO", "analytic", (), "clip.mp4", "LANDMARKS"),
        ("AUTO", "liveportrait", (), "clip.mp4", "NETWORKS"),
        ("AUTO", "liveportrait", ("liveportrait",), "clip.mp4", "LANDMARKS"),
        ("LANDMARKS", "liveportrait", (), "clip.mp4", "LANDMARKS"),
        ("NETWORKS", "analytic", ("liveportrait",), "clip.mp4", "NETWORKS"),
        ("NETWORKS", "analytic", (), "nod.pkl", "LANDMARKS"),
    ],
)
def test_who_reads_the_performer_is_asked_in_its_own_engine(
    face, module, monkeypatch, tmp_path, reader, renderer, missing, name, wanted
) -> None:
    path = tmp_path / name
    path.touch()
    processes = module("rig.engine")
    monkeypatch.setattr(processes, "missing_renderers", lambda: frozenset(missing))
    monkeypatch.setattr(processes, "start_ready", lambda _timeout_s, wants: Listener(wants))
    face.keyportrait.face.portrait.keyportrait.portrait.renderer = renderer
    settings = face.keyportrait_capture
    settings.source, settings.filepath, settings.reader = "FILE", str(path), reader
    capture_run = module("rig.capture_run")
    choices = module("rig.capture_choices").choices_of(settings)
    run = capture_run.CaptureRun(
        capture_run.jobs_for(bpy.context, [face], choices), is_blocking=True
    )
    assert run._client.fields["source"]["reader"] == wanted
    assert run._client.renderer == ("liveportrait" if wanted == "NETWORKS" else "analytic")
    module("engine.take").PerformanceSource.from_json(run._client.fields["source"])
