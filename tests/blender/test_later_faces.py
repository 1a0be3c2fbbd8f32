"""Faces of a clip: those that come later, and captures in place of what a face does by itself."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from conftest import change_box
from moving import (
    STEP_PX,
    as_sequence,
    faces,
    frames_of_face,
    in_file,
    shown,
    textured_plane,
    update,
    walk,
)
from performing import curves, write_template
from pictures import save_picture

__all__ = ["walk"]

SPOKEN = str(Path(__file__).resolve().parents[1] / "data" / "spoken.ogg")
OWN = '["keep_own_expression"]', 0


def test_a_face_that_comes_later_is_found_where_it_is(module, pixels, tmp_path, capfd) -> None:
    photo = in_file(frames_of_face(tmp_path, pixels, 1)[0], pixels)[:300, 60:400]
    second = np.ascontiguousarray(photo[:, ::-1] * [0.8, 0.9, 1.0, 1.0])
    empty = np.full_like(photo, 0.4)
    empty[..., 3] = 1.0
    others = (empty, empty, empty, second, np.roll(second, STEP_PX, axis=1))
    paths = [
        save_picture(tmp_path / f"pair_{n}.png", np.concatenate([photo, other], axis=1))
        for n, other in enumerate(others, 1)
    ]
    files = [in_file(path, pixels) for path in paths]
    plane, _ = textured_plane(module, as_sequence(paths[0]))
    bpy.context.scene.frame_set(1)
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    (early,) = faces(plane)
    update(early, smile=0.5)
    smiling = shown(plane, 1, pixels)
    bpy.context.scene.frame_set(4)
    assert bpy.ops.keyportrait.find_faces() == {"FINISHED"}
    told = "".join(capfd.readouterr())
    assert "kept 'Plane Face': 2 faces, 5 frames" in told
    assert "face 2 is not seen in 3, where it stays as it is" in told
    first, late = faces(plane)
    assert first == early and early["smile"] == 0.5
    assert tuple(late.delta_location) == pytest.approx((0.0, 0.0, 0.0), abs=3e-3)
    assert late.matrix_world.translation.x > early.matrix_world.translation.x + 0.5
    late_face = module("rig.controllers").face_of(late)
    assert late_face.frame == 3
    update(late, blink=1.0)
    for frame in (1, 3):
        assert (shown(plane, frame, pixels)[:, 340:] == files[frame - 1][:, 340:]).all()
    assert np.abs(shown(plane, 1, pixels) - smiling).max() < 0.02
    for frame in (4, 5):
        assert change_box(shown(plane, frame, pixels)[:, 340:], files[frame - 1][:, 340:])
    assert late.delta_location.x > 0.01
    # Where both are known, nothing is added; a drawn face is one of the shown frame.
    assert bpy.ops.keyportrait.find_faces() == {"FINISHED"}
    assert faces(plane) == [early, late]
    bpy.context.view_layer.objects.active = late
    assert bpy.ops.keyportrait.remove_face() == {"FINISHED"}
    box = np.add(late_face.box, STEP_PX * np.array([1, 0, 1, 0]))
    assert bpy.ops.keyportrait.add_face(box=box.tolist()) == {"FINISHED"}
    assert module("rig.controllers").face_of(faces(plane)[1]).frame == 4
    update(faces(plane)[1], blink=1.0)
    assert change_box(shown(plane, 5, pixels)[:, 340:], files[4][:, 340:])


def test_a_capture_replaces_what_the_face_does_or_is_added(walk, module, tmp_path) -> None:
    plane, _ = walk
    (face,) = faces(plane)
    bpy.context.view_layer.objects.active = face
    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = 25, 1.0
    path = write_template(tmp_path / "nod.pkl", 3)

    def kept(name: str = "keep_own_expression") -> list[float]:
        found = []
        for frame in (1, 2, 4, 5):
            bpy.context.scene.frame_set(frame)
            found.append(face[name])
        return found

    options = {"filepath": path, "start_frame": 2, "mode": "REPLACE", "use_track": False}
    assert bpy.ops.keyportrait.capture(**options) == {"FINISHED"}
    assert kept() == [1.0, 0.0, 0.0, 1.0]
    assert face.keyportrait_capture.first_frame == 2 and face.keyportrait_capture.last_frame == 4
    face.keyportrait_capture.mode = "ADD"
    assert bpy.ops.keyportrait.recapture() == {"FINISHED"}
    assert OWN not in curves(module, face) and kept() == [1.0, 1.0, 1.0, 1.0]
    face.keyportrait_capture.mode, face.keyportrait_capture.use_track = "REPLACE", True
    assert bpy.ops.keyportrait.recapture() == {"FINISHED"}
    assert kept() == [1.0, 0.0, 0.0, 1.0]
    face.animation_data_clear()
    riding = module("rig.riding")
    riding.ride(module("rig.portraits").portrait(plane))
    face["keep_own_mouth"] = 0.5
    assert bpy.ops.keyportrait.capture(**options, region="lip") == {"FINISHED"}
    assert kept("keep_own_mouth") == [0.5, 0.0, 0.0, 0.5]
    assert OWN not in curves(module, face)
    face.animation_data_clear()
    face["keep_own_mouth"] = 1.0
    assert bpy.ops.keyportrait.speak(filepath=SPOKEN, start_frame=2) == {"FINISHED"}
    assert kept("keep_own_mouth") == [1.0, 0.0, 0.0, 0.0]
    assert OWN not in curves(module, face)
