"""Bakes of movies and image sequences: the frames are those of the live view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from baking import bake, frame_path, loaded
from moving import (
    COUNT,
    as_sequence,
    faces,
    frames_of_face,
    in_file,
    output,
    shown,
    textured_plane,
    update,
    walk,
)
from pictures import save_deep, save_picture

__all__ = ["walk"]


@pytest.fixture
def shot(walk: Any, module: Any, tmp_path: Path) -> tuple[Any, list[str]]:
    """The walk in a saved file, with a mouth that opens over its frames."""
    module("rig.frame_cache").clear()
    plane, paths = walk
    (face,) = faces(plane)
    for frame, value in ((2, 0.0), (COUNT, 1.0)):
        face["mouth_open"] = value
        face.keyframe_insert('["mouth_open"]', frame=frame)
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, COUNT
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    return plane, paths


def test_a_bake_equals_the_live_view(shot, pixels, module) -> None:
    plane, paths = shot
    live = [shown(plane, frame, pixels) for frame in range(1, COUNT + 1)]
    assert bake() == {"FINISHED"}
    baked = [loaded(frame_path(plane, n), pixels).copy() for n in range(1, COUNT + 1)]
    for frame in range(COUNT):
        assert (baked[frame] == live[frame]).all()
    assert (baked[0] == in_file(paths[0], pixels)).all()
    assert np.abs(baked[-1] - in_file(paths[-1], pixels)).max() > 0.1
    # Up to date, until another frame of the clip is shown.
    state = module("rig.bake_state")
    bpy.context.scene.frame_set(3)
    module("rig.live").refresh(bpy.context.scene, bpy.context.evaluated_depsgraph_get())
    assert not state.is_stale(plane)
    plane.keyportrait.portrait.clip.frame_offset = 1
    module("rig.live").refresh(bpy.context.scene, bpy.context.evaluated_depsgraph_get())
    assert state.is_stale(plane)


def test_parts_of_a_farm_make_the_same_files(shot, module, tmp_path: Path) -> None:
    plane, _ = shot
    settings = bpy.context.scene.keyportrait_bake
    settings.use_scene_range = False
    whole = {}
    settings.frame_start, settings.frame_end = 1, COUNT
    assert bake() == {"FINISHED"}
    for frame in range(1, COUNT + 1):
        whole[frame] = frame_path(plane, frame).read_bytes()
    tracks = module("rig.face_tracks")
    for path in module("preferences").user_folder(tracks.FOLDER).glob("*.npz"):
        path.unlink()
    for first, last in ((4, COUNT), (1, 3)):
        module("rig.frame_cache").clear()
        settings.folder = str(tmp_path / f"part{first}")
        settings.frame_start, settings.frame_end = first, last
        bpy.ops.keyportrait.show_live()
        assert bake() == {"FINISHED"}
        for frame in range(first, last + 1):
            name = frame_path(plane, frame).name
            part = tmp_path / f"part{first}" / plane.name / name
            assert part.read_bytes() == whole[frame]


def test_an_exposure_shows_one_frame_of_the_clip(shot, pixels) -> None:
    plane, paths = shot
    settings = bpy.context.scene.keyportrait_bake
    settings.use_motion_blur, settings.motion_blur_shutter = True, 1.0
    settings.motion_blur_samples = 3
    settings.use_scene_range, settings.frame_start, settings.frame_end = False, 1, 3
    assert bake() == {"FINISHED"}
    # Nothing moves here but the clip, which is not blurred.
    assert (loaded(frame_path(plane, 1), pixels) == in_file(paths[0], pixels)).all()
    blurred = loaded(frame_path(plane, 3), pixels)
    difference = np.abs(blurred - in_file(paths[2], pixels)).max(axis=2)
    assert difference.max() > 0.05
    assert (difference[:60] < 2 / 255).all()


@pytest.mark.parametrize(("suffix", "save"), [("png", save_deep), ("exr", save_picture)])
def test_deep_sequences_are_baked_as_they_are_seen(
    module, pixels, tmp_path: Path, suffix: str, save: Any
) -> None:
    """Numbers of the file, of the live image and of what the bake's image shows are the same."""
    photo = in_file(frames_of_face(tmp_path, pixels, 1)[0], pixels)[:300, 60:400]
    half_way = (photo[:-1] + photo[1:]) / 2.0  # values that 8 bits do not have
    paths = [save(tmp_path / f"deep_{n}.{suffix}", half_way) for n in (1, 2)]
    plane, _ = textured_plane(module, as_sequence(paths[0]), 2)
    bpy.context.scene.frame_set(1)
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    still = in_file(paths[0], pixels)
    live = shown(plane, 1, pixels)
    assert live == pytest.approx(still, abs=2e-4)
    update(faces(plane)[0], mouth_open=1.0)
    moved = pixels(output(plane)).copy()
    assert np.abs(moved - live).max() > 0.1
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 1
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    settings = scene.keyportrait_bake
    settings.png_depth, settings.exr_depth = "16", "32"
    for kind in ("PNG", "OPEN_EXR"):
        settings.format = kind
        assert bake() == {"FINISHED"}
        shows = plane.keyportrait_baked.image
        image = bpy.data.images.load(str(frame_path(plane, 1, "png" if kind == "PNG" else "exr")))
        image.colorspace_settings.name = shows.colorspace_settings.name
        image.alpha_mode = shows.alpha_mode
        seen = pixels(image)
        # PNG holds no values above 1.
        wanted = np.minimum(moved, 1.0) if kind == "PNG" else moved
        assert np.minimum(seen, 1e3) == pytest.approx(wanted, abs=3e-4)
        bpy.ops.keyportrait.show_live()
