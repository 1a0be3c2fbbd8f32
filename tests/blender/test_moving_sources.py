"""Movies and image sequences as portraits: each frame of the clip is shown, and its face moves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from conftest import PACKAGE, change_box
from mathutils import Vector
from moving import (
    COUNT,
    STEP_PX,
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
from pictures import save_picture
from test_picture_sources import make_movie

__all__ = ["walk"]

OFFSET = "keyportrait.portrait.clip.frame_offset"


def test_each_frame_is_shown_and_its_face_moves(walk, pixels) -> None:
    plane, paths = walk
    (face,) = faces(plane)
    files = [in_file(path, pixels) for path in paths]
    for frame, picture in enumerate(files, 1):
        assert (shown(plane, frame, pixels) == picture).all()
    update(face, smile=1.0)
    boxes = []
    for frame in (1, COUNT):
        boxes.append(change_box(shown(plane, frame, pixels), files[frame - 1]))
    # The smile goes with the face, and stays in it.
    moved = boxes[1][0] - boxes[0][0]
    assert moved == pytest.approx((COUNT - 1) * STEP_PX, abs=4)
    assert boxes[0][2] - boxes[0][0] < 150
    update(face, smile=0.0)
    assert (pixels(output(plane)) == files[-1]).all()


def test_frames_follow_the_image_user(walk, pixels) -> None:
    plane, paths = walk
    files = [in_file(path, pixels) for path in paths]
    clip = plane.keyportrait.portrait.clip
    clip.frame_start, clip.frame_duration, clip.use_cyclic = 11, 3, True
    for frame, number in ((11, 1), (13, 3), (14, 1)):
        assert (shown(plane, frame, pixels) == files[number - 1]).all()
    clip.frame_offset, clip.use_cyclic = 2, False
    for frame, number in ((1, 2), (11, 3), (40, 5)):
        assert (shown(plane, frame, pixels) == files[number - 1]).all()
    clip.use_auto_refresh, clip.held_frame = False, 4
    assert (shown(plane, 12, pixels) == files[3]).all()


def test_an_animated_offset_counts(walk, pixels, capfd) -> None:
    plane, paths = walk
    (face,) = faces(plane)
    places = {}
    for frame in range(1, COUNT + 1):
        bpy.context.scene.frame_set(frame)
        places[frame] = face.matrix_world.translation.x
    clip = plane.keyportrait.portrait.clip
    for frame, offset in ((1, 3), (2, 0)):
        clip.frame_offset = offset
        plane.keyframe_insert(OFFSET, frame=frame)
    bpy.context.view_layer.update()
    for frame, number in ((1, 4), (2, 2), (4, 4), (30, 5)):
        assert (shown(plane, frame, pixels) == in_file(paths[number - 1], pixels)).all()
        assert face.matrix_world.translation.x == pytest.approx(places[number], abs=1e-6)
    plane.keyframe_delete(OFFSET, frame=1)
    plane.keyframe_delete(OFFSET, frame=2)
    clip.frame_offset = 1
    bpy.context.scene.frame_set(1)
    assert face.matrix_world.translation.x == pytest.approx(places[2], abs=1e-6)
    assert "ependency cycle" not in "".join(capfd.readouterr())


def test_a_still_of_the_frame_as_before(module, pixels, tmp_path: Path) -> None:
    paths = frames_of_face(tmp_path, pixels, 2)
    plane, _ = textured_plane(module, as_sequence(paths[0]), 2)
    bpy.context.scene.frame_set(2)
    assert bpy.ops.keyportrait.use_texture(use_still=True) == {"FINISHED"}
    assert plane.keyportrait.portrait.source.name == "walk Frame 2"
    assert (shown(plane, 1, pixels) == in_file(paths[1], pixels)).all()
    assert "silence_lips" not in faces(plane)[0]


def test_a_movie_is_a_portrait_that_moves(module, pixels, tmp_path: Path) -> None:
    clip = make_movie(module, tmp_path, frames_of_face(tmp_path, pixels, 3))
    bpy.context.scene.frame_set(2)
    assert bpy.ops.keyportrait.add_portrait(filepath=clip) == {"FINISHED"}
    plane = bpy.context.active_object
    assert plane.keyportrait.portrait.source.source == "MOVIE"
    first, last = (shown(plane, frame, pixels) for frame in (1, 3))
    shifted = np.roll(first, 2 * STEP_PX, axis=1)
    assert np.abs(shifted - last)[:, 50:-50].mean() < 0.01
    assert np.abs(first - last).mean() > 0.02
    # Beyond its end a movie holds its last frame, as in Blender.
    assert (shown(plane, 50, pixels) == last).all()
    update(faces(plane)[0], mouth_open=1.0)
    assert np.abs(shown(plane, 3, pixels) - last).max() > 0.1


def test_lips_are_silenced_and_unchanged_sliders_change_nothing(walk, pixels, module) -> None:
    plane, paths = walk
    (face,) = faces(plane)
    still = in_file(paths[2], pixels)
    update(face, silence_lips=1.0)
    silent = shown(plane, 3, pixels)
    box = change_box(silent, still)
    assert box is not None
    mouth = module("rig.controllers").face_of(face).keypoints[3]
    assert box[0] < mouth[0] + 2 * STEP_PX < box[2]
    assert box[1] < mouth[1] < box[3]
    update(face, silence_lips=0.0, steady_head=1.0)
    # The face is held in the middle of its way, so that the middle frame stays.
    assert np.abs(shown(plane, 3, pixels) - still).mean() < 0.003
    assert np.abs(shown(plane, 1, pixels) - in_file(paths[0], pixels)).max() > 0.1


def test_a_track_is_made_again_when_it_is_missing(walk, pixels, module) -> None:
    plane, paths = walk
    tracks = module("rig.face_tracks")
    folder = module("preferences").user_folder(tracks.FOLDER)
    for path in folder.glob("*.npz"):
        path.unlink()
    tracks.forget()
    module("rig.live").forget_all()
    update(faces(plane)[0], smile=1.0)
    changed = shown(plane, 2, pixels)
    assert change_box(changed, in_file(paths[1], pixels)) is not None
    assert len(list(folder.glob("*.npz"))) == 1


def test_a_missing_file_is_named_and_stops_a_render(walk, pixels, module, tmp_path: Path) -> None:
    plane, paths = walk
    Path(paths[3]).unlink()
    module("rig.clips").forget()
    bpy.context.scene.frame_set(4)
    problem = module("rig.live").problem_of(plane)
    assert "has no picture for its frame 4" in problem.message
    bpy.context.scene.render.filepath = str(tmp_path / "out")
    with pytest.raises(RuntimeError):
        bpy.ops.render.render(write_still=True)
    Path(tmp_path / "walk").rename(tmp_path / "elsewhere")
    module("rig.clips").forget()
    bpy.context.scene.frame_set(2)
    problem = module("rig.live").problem_of(plane)
    assert f"'{plane.keyportrait.portrait.source.name}'" in problem.message
    assert "Bring it back" in problem.hint


def test_a_replaced_file_is_shown_and_bakes_are_out_of_date(walk, pixels, module) -> None:
    plane, paths = walk
    before = shown(plane, 2, pixels)
    Path(paths[2]).replace(paths[1])
    module("rig.clips").forget()
    assert np.abs(shown(plane, 2, pixels) - before).max() > 0.1


def test_undo_takes_the_portrait_away(module, pixels, tmp_path: Path) -> None:
    paths = frames_of_face(tmp_path, pixels, 2)
    name = textured_plane(module, as_sequence(paths[0]), 2)[0].name
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    bpy.ops.ed.undo_push(message="after")
    bpy.ops.ed.undo()
    assert bpy.data.objects[name].keyportrait.kind == "NONE"
    bpy.ops.ed.redo()
    plane = bpy.data.objects[name]
    assert (shown(plane, 2, pixels) == in_file(paths[1], pixels)).all()


def test_a_saved_file_goes_on(walk, pixels, tmp_path: Path) -> None:
    plane, _ = walk
    update(faces(plane)[0], blink=1.0)
    blinking = shown(plane, 4, pixels)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    plane = next(o for o in bpy.data.objects if o.keyportrait.kind == "PORTRAIT")
    assert (shown(plane, 4, pixels) == blinking).all()


def test_the_live_view_waits_for_nothing_and_scrubs_small(walk, pixels, module) -> None:
    plane, paths = walk
    live, pump = module("rig.live"), module("rig.pump")
    preferences = bpy.context.preferences.addons[PACKAGE].preferences
    preferences.live_megapixels = 0.05
    live._pauses += 1  # handlers of the background would wait
    try:
        live.forget_all()
        for frame in (2, 5, 3):
            bpy.context.scene.frame_set(frame)
            live.refresh(bpy.context.scene, bpy.context.evaluated_depsgraph_get())
        sizes = set()
        deadline = time.monotonic() + 60
        while live.is_pending():
            pump._tick()
            sizes.add(tuple(output(plane).size))
            assert time.monotonic() < deadline, "the picture did not come"
            time.sleep(0.002)
        assert len(sizes) == 2
        assert (pixels(output(plane)) == in_file(paths[2], pixels)).all()
    finally:
        live._pauses = 0
        preferences.property_unset("live_megapixels")


def test_controllers_ride_on_the_face(walk, pixels, module, capfd) -> None:
    plane, paths = walk
    (face,) = faces(plane)
    hat = bpy.data.objects.new("hat", None)
    bpy.context.scene.collection.objects.link(hat)
    hat.parent = face
    still = shown(plane, 1, pixels)
    places = []
    for frame in range(1, COUNT + 1):
        bpy.context.scene.frame_set(frame)
        places.append(tuple(hat.matrix_world.translation))
        assert tuple(face.location) == (0.0, 0.0, 0.0)
    moved = np.diff(np.array(places), axis=0)
    assert moved[:, 0] == pytest.approx(2.0 * STEP_PX / still.shape[1], rel=0.2)
    assert np.abs(moved[:, 1:]).max() < 0.01
    # The Empty's own transform is the difference: it moves the head as in a still picture.
    face.location.x = 0.05
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    motion = module("rig.motions").motion_of(face, depsgraph)
    assert motion.translation[0] == pytest.approx(0.05 / face.keyportrait.face.half_crop, rel=1e-3)
    assert abs(motion.roll) < 1e-6
    assert np.abs(shown(plane, 4, pixels) - in_file(paths[3], pixels)).max() > 0.1
    bpy.ops.keyportrait.reset_handle()
    assert (shown(plane, 4, pixels) == in_file(paths[3], pixels)).all()
    clip = plane.keyportrait.portrait.clip
    clip.frame_start = 3
    bpy.context.scene.frame_set(7)
    assert tuple(hat.matrix_world.translation) == pytest.approx(places[4], abs=1e-6)
    assert "ependency cycle" not in "".join(capfd.readouterr())


@pytest.fixture
def acting(module, add_portrait, pixels, tmp_path: Path) -> tuple[Any, list[str]]:
    """(plane, files) of a face that mostly rests, but speaks, blinks and looks aside once each."""
    still, (face,) = add_portrait()
    acts = {3: {"mouth_open": 0.7}, 5: {"blink": 0.4}, 7: {"gaze_x": 0.8}}
    paths = []
    for frame in range(1, 9):
        bpy.context.scene.frame_set(1)
        update(face, **{"mouth_open": 0.0, "blink": 0.0, "gaze_x": 0.0, **acts.get(frame, {})})
        values = pixels(output(still)).copy()
        paths.append(save_picture(tmp_path / f"act_{frame:03}.png", values))
    bpy.data.objects.remove(still)
    plane, _ = textured_plane(module, as_sequence(paths[0]), 8)
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    return plane, paths


def around(controller: Any, module: Any, keypoints: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the picture around some of a face's keypoints."""
    face = module("rig.controllers").face_of(controller)
    x, y = np.mean([face.keypoints[k] for k in keypoints], axis=0)
    reach = 0.28 * (face.box[2] - face.box[0])
    return slice(int(y - 0.6 * reach), int(y + 0.6 * reach)), slice(int(x - reach), int(x + reach))


def test_what_the_clip_does_can_be_taken_out(acting, pixels, module) -> None:
    plane, paths = acting
    (face,) = faces(plane)
    rest = in_file(paths[0], pixels)
    mouth, eyes = around(face, module, (3,)), around(face, module, (0, 1))

    def off(frame: int, part: tuple[slice, slice]) -> float:
        return float(np.abs(shown(plane, frame, pixels) - rest)[part].mean())

    spoken, shut, aside = off(3, mouth), off(5, eyes), off(7, eyes)
    assert min(spoken, shut, aside) > 0.002
    update(face, keep_own_expression=0.0)
    assert off(3, mouth) < 0.7 * spoken
    # Preview shows little of an eye that the frame hides.
    assert off(5, eyes) < 0.93 * shut
    update(face, keep_own_expression=1.0, keep_own_mouth=0.0)
    assert off(3, mouth) < 0.7 * spoken
    assert off(5, eyes) == pytest.approx(shut, rel=1e-3)
    update(face, keep_own_mouth=1.0, hold_eyes_open=1.0)
    assert off(5, eyes) < 0.93 * shut
    assert off(3, mouth) == pytest.approx(spoken, rel=0.15)
    update(face, hold_eyes_open=0.0)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    camera.location = face.matrix_world @ Vector((0.0, 0.0, 50.0))
    bpy.context.view_layer.objects.active = face
    bpy.context.view_layer.update()
    assert bpy.ops.keyportrait.eye_contact() == {"FINISHED"}
    assert off(7, eyes) < 0.9 * aside


def test_faces_are_found_again_and_in_another_clip(walk, pixels, module, tmp_path: Path) -> None:
    plane, paths = walk
    bpy.context.view_layer.objects.active = faces(plane)[0]
    assert bpy.ops.keyportrait.remove_face() == {"FINISHED"}
    bpy.context.scene.frame_set(2)
    assert "has no face to follow" in module("rig.live").problem_of(plane).message
    bpy.context.view_layer.objects.active = plane
    assert bpy.ops.keyportrait.find_faces() == {"FINISHED"}
    (face,) = faces(plane)
    assert (shown(plane, 4, pixels) == in_file(paths[3], pixels)).all()
    assert face.delta_location.x > 0.02
    still = in_file(paths[0], pixels)
    other = [
        save_picture(tmp_path / f"other_{n}.png", np.roll(still, -9 * n, axis=1)) for n in (1, 2, 3)
    ]
    plane.keyportrait.portrait.source = as_sequence(other[0])
    assert (shown(plane, 3, pixels) == in_file(other[2], pixels)).all()
    update(face, smile=1.0)
    box = change_box(shown(plane, 3, pixels), in_file(other[2], pixels))
    assert box is not None
    assert box[2] - box[0] < 150


def test_losses_are_told_and_shown_as_they_are(module, pixels, tmp_path: Path, capfd) -> None:
    paths = frames_of_face(tmp_path, pixels, 9)
    grey = np.full_like(in_file(paths[0], pixels), 1.0)
    for path in paths[2:8]:
        save_picture(Path(path), grey)
    plane, _ = textured_plane(module, as_sequence(paths[0]), 9)
    bpy.context.scene.frame_set(5)
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    assert not faces(plane)
    bpy.context.scene.frame_set(1)
    assert bpy.ops.keyportrait.find_faces() == {"FINISHED"}
    assert (shown(plane, 5, pixels) == grey).all()
    bpy.data.objects.remove(plane)
    plane, _ = textured_plane(module, as_sequence(paths[0]), 9)
    bpy.context.scene.frame_set(1)
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    assert "the face is not seen in 6, where it stays as it is" in "".join(capfd.readouterr())
    update(faces(plane)[0], smile=1.0)
    assert (shown(plane, 5, pixels) == in_file(paths[4], pixels)).all()
    assert change_box(shown(plane, 1, pixels), in_file(paths[0], pixels)) is not None
