"""From a clip to curves and back: a bake of our own, captured, says what was keyed."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from performing import activate, at, capture, curves, frames_of, recapture

FRAMES = 40
KEYS = {
    "head_yaw": {1: 0.0, 12: 10.0, 28: -10.0, 40: 0.0},
    "mouth_open": {1: 0.0, 10: 0.8, 20: 0.0, 30: 0.7, 40: 0.0},
}


@pytest.fixture(scope="module")
def clip(installed: None, tmp_path_factory: Any) -> str:
    """A face that turns and speaks for 40 frames, baked to a movie at 25 per second."""
    from conftest import ASTRONAUT

    folder = tmp_path_factory.mktemp("clip")
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.keyportrait.add_portrait(filepath=str(ASTRONAUT))
    plane = bpy.context.active_object
    face = plane.keyportrait.portrait.faces[0].controller
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = 25, 1, FRAMES
    for name, values in KEYS.items():
        for frame, value in values.items():
            face[name] = value
            face.keyframe_insert(f'["{name}"]', frame=frame)
    scene.keyportrait_bake.format = "MP4"
    scene.keyportrait_bake.folder = str(folder)
    bpy.ops.keyportrait.bake(scope="ALL")
    (path,) = folder.rglob("*.mp4")
    return str(path)


@pytest.fixture
def face(clip: str, add_portrait: Any) -> Any:
    _, (controller,) = add_portrait()
    scene = bpy.context.scene
    scene.render.fps, scene.frame_end = 25, FRAMES
    activate(controller)
    return controller


def keyed(name: str, frames: np.ndarray) -> np.ndarray:
    """What was keyed, straight between its keys."""
    return np.interp(frames, list(KEYS[name]), list(KEYS[name].values()))


def test_a_clip_becomes_curves_that_say_what_was_keyed(face, clip, module, pixels) -> None:
    capture(filepath=clip, start_frame=1)
    frames = np.arange(1, FRAMES + 1)
    for name in KEYS:
        said = np.array([at(face, name, frame) for frame in frames])
        assert np.corrcoef(said, keyed(name, frames))[0, 1] > 0.9, name
    assert max(frames_of(curves(module, face)['["head_yaw"]', 0])) == pytest.approx(FRAMES, abs=1)
    plane = face.keyportrait.face.portrait
    bpy.context.scene.frame_set(10)
    spoken = pixels(plane.keyportrait.portrait.output).copy()
    bpy.context.scene.frame_set(20)
    assert np.abs(pixels(plane.keyportrait.portrait.output) - spoken).max() > 0.1


def test_a_part_of_a_clip_keeps_its_time(face, clip, module) -> None:
    capture(filepath=clip, start_frame=101, range_unit="FRAMES", range_start=10, range_end=30)
    frames = frames_of(curves(module, face)['["head_yaw"]', 0])
    assert (frames[0], frames[-1]) == (101, pytest.approx(120, abs=1))
    turned = [at(face, "head_yaw", frame) for frame in (102, 118)]
    assert turned[0] - turned[1] > 12.0


def test_capturing_again_does_not_read_the_clip(face, clip, module) -> None:
    cache = module("rig.performance_cache")
    cache.clear()
    capture(filepath=clip, start_frame=1)
    size = cache.size_bytes()
    assert size > 1000
    texts: list[str] = []

    def label(text: str) -> None:
        texts.append(text)

    row = SimpleNamespace(label=label, operator=lambda *_a, **_k: None)
    module("panels.performance").draw_cache(SimpleNamespace(row=lambda align: row))
    assert texts == [f"Cache: {size / 1e3:.0f} kB"]
    peak = max(abs(at(face, "mouth_open", frame)) for frame in range(1, FRAMES))
    stamps = {path: path.stat().st_mtime_ns for path in cache.folder().rglob("*.npz")}
    face.keyportrait_capture.multiplier = 0.5
    began = time.perf_counter()
    recapture()
    print(f"captured again in {time.perf_counter() - began:.2f} s")
    assert {path: path.stat().st_mtime_ns for path in cache.folder().rglob("*.npz")} == stamps
    half = max(abs(at(face, "mouth_open", frame)) for frame in range(1, FRAMES))
    assert half == pytest.approx(0.5 * peak, rel=0.15)
    assert bpy.ops.keyportrait.clear_performances() == {"FINISHED"}
    assert cache.size_bytes() == 0
    assert not list(Path(cache.folder()).rglob("*.npz"))


def test_a_strip_of_a_clip_lies_where_the_strip_lies(face, clip, module) -> None:
    scene = bpy.context.scene
    strip = module("compat").strips(scene).new_movie("talk", clip, 1, 51)
    strip.frame_offset_start = 9
    scene.sequence_editor.active_strip = strip
    capture(source="STRIP")
    frames = frames_of(curves(module, face)['["head_yaw"]', 0])
    assert (frames[0], frames[-1]) == (60, pytest.approx(90, abs=1))
    first = curves(module, face)['["head_yaw"]', 0]
    # Frame 12 of the clip, where the head was turned most, is frame 62 of the scene.
    peak = max(frames_of(first), key=lambda frame: abs(first.evaluate(frame)))
    assert peak in range(60, 66) or peak in range(74, 82)


def test_capture_takes_the_active_strip_and_again_the_same(face, clip, module) -> None:
    scene = bpy.context.scene
    strips = module("compat").strips(scene)
    first = strips.new_movie("first", clip, 1, 51)
    second = strips.new_movie("second", clip, 2, 201)
    scene.sequence_editor.active_strip = first
    capture(source="STRIP")
    scene.sequence_editor.active_strip = second
    face.keyportrait_capture.multiplier = 0.5
    recapture()
    assert frames_of(curves(module, face)['["head_yaw"]', 0])[0] == 51
    capture(source="STRIP")
    frames = frames_of(curves(module, face)['["head_yaw"]', 0])
    assert frames[0] == 51 and frames[-1] == pytest.approx(240, abs=1)
    assert face.keyportrait_capture.strip == "second"


def test_performers_are_listed_for_choosing(face, clip, module) -> None:
    settings = face.keyportrait_capture
    assert not bpy.ops.keyportrait.list_performers.poll()
    settings.filepath = clip
    assert bpy.ops.keyportrait.list_performers() == {"FINISHED"}
    listing = module("rig.performer_list")
    (only,) = listing.known(listing.choices_in(bpy.context, settings))
    assert only.number == 1 and only.start_s == 0.0 and only.seen_share == 1.0
    assert only.text.startswith("0.0\u20131.6 s, middle, ") and "seen 100 %" in only.text
    icon = listing._icons._icons[only.picture]
    face_px = np.array(icon.image_pixels[:], np.int32).view(np.uint8).reshape(96, 96, 4)
    assert (face_px[..., 3] == 255).all() and face_px[..., :3].std() > 30.0
    settings.performer = 5
    assert bpy.ops.keyportrait.choose_performer(number=only.number) == {"FINISHED"}
    assert settings.performer == 1
    settings.range_start = 0.4
    assert not listing.known(listing.choices_in(bpy.context, settings)), "another part"
    settings.range_start, settings.filepath = 0.0, "//take.npz"
    assert not bpy.ops.keyportrait.list_performers.poll()


def test_a_captured_clip_shows_its_performers_at_once(face, clip, module) -> None:
    capture(filepath=clip, start_frame=1, range_end=1.0)
    listing = module("rig.performer_list")
    (only,) = listing.known(listing.choices_in(bpy.context, face.keyportrait_capture))
    assert only.number == 1
