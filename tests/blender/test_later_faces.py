"""Faces that come into a clip later than in the frame where faces were looked for."""

from __future__ import annotations

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
)
from pictures import save_picture


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
