"""Captured curves are edited as all curves are: modifiers, NLA, keys of another face."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest
from performing import (  # noqa: F401 - fixtures
    activate,
    at,
    capture,
    curves,
    face,
    template,
)

YAW = ('["head_yaw"]', 0)


def picture(controller: Any, frame: int, pixels: Any) -> np.ndarray:
    bpy.context.scene.frame_set(frame)
    return pixels(controller.keyportrait.face.portrait.keyportrait.portrait.output).copy()


def test_a_curve_modifier_moves_the_picture(face, template, module, pixels) -> None:
    capture(filepath=template, start_frame=1)
    said, shown = at(face, "head_yaw", 30), picture(face, 30, pixels)
    modifier = curves(module, face)[YAW].modifiers.new("GENERATOR")
    modifier.use_additive = True
    modifier.coefficients = (-20.0, 0.0)
    face.animation_data.action.update_tag()
    assert at(face, "head_yaw", 30) == pytest.approx(said - 20.0, abs=1e-3)
    assert np.abs(picture(face, 30, pixels) - shown).max() > 0.1


def test_a_cycled_performance_goes_on(face, template, module) -> None:
    capture(filepath=template, start_frame=1)
    for curve in curves(module, face).values():
        curve.modifiers.new("CYCLES")
    face.animation_data.action.update_tag()
    for name in ("head_yaw", "mouth_open"):
        assert at(face, name, 21 + 50) == pytest.approx(at(face, name, 21), abs=1e-4)


def test_a_muted_and_a_weaker_strip_move_the_picture_less(face, template, pixels) -> None:
    capture(filepath=template, start_frame=1, use_track=True)
    whole = picture(face, 45, pixels)
    strip = face.animation_data.nla_tracks[0].strips[0]
    strip.mute = True
    rest = picture(face, 45, pixels)
    strip.mute = False
    strip.use_animated_influence = True
    strip.influence = 0.5
    strip.keyframe_insert("influence", frame=1)
    assert at(face, "head_yaw", 45) == pytest.approx(0.5 * 0.2 * 44, abs=0.3)
    half = picture(face, 45, pixels)
    for one, other in ((whole, rest), (whole, half), (half, rest)):
        assert np.abs(one - other).max() > 0.1


def test_keys_are_copied_to_another_face_in_the_dope_sheet(face, template, module) -> None:
    windows = bpy.context.window_manager.windows
    if not windows:
        pytest.skip("this bpy has no window")
    other = face.copy()
    face.users_collection[0].objects.link(other)
    plane = face.keyportrait.face.portrait
    plane.keyportrait.portrait.faces.add().controller = other
    module("rig.portraits").forget()
    module("rig.controllers").complete(other)
    module("rig.controllers").link_evaluation(plane)
    activate(face)
    capture(filepath=template, start_frame=1, region="pose")
    said = {frame: at(face, "head_yaw", frame) for frame in (1, 20, 51)}
    for axis in range(3):
        other.keyframe_insert('["translation"]', index=axis, frame=1)
    for name in ("head_pitch", "head_yaw", "head_roll", "head_scale"):
        other.keyframe_insert(f'["{name}"]', frame=1)
    area = windows[0].screen.areas[0]
    area.type = "DOPESHEET_EDITOR"
    area.spaces.active.mode = "DOPESHEET"
    area.spaces.active.dopesheet.show_only_selected = True
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=windows[0], area=area, region=region):
        if not bpy.ops.action.copy.poll():
            pytest.skip("this bpy copies keys in its interface only")
        bpy.ops.action.select_all(action="SELECT")
        assert bpy.ops.action.copy() == {"FINISHED"}
        other.select_set(True)
        face.select_set(False)
        bpy.context.view_layer.objects.active = other
        bpy.context.view_layer.update()
        for item in (face, other):
            for curve in curves(module, item).values():
                curve.select = item == other
        bpy.context.scene.frame_set(11)
        assert bpy.ops.action.paste() == {"FINISHED"}
    for frame, value in said.items():
        assert at(other, "head_yaw", frame + 10) == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize("use_track", [False, True])
def test_a_library_override_is_captured(face, template, module, tmp_path, use_track) -> None:
    plane = face.keyportrait.face.portrait
    collection = bpy.data.collections.new("Cast")
    for item in (plane, face):
        collection.objects.link(item)
    bpy.context.scene.collection.children.link(collection)
    path = str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.context.scene.render.fps = 25
    with bpy.data.libraries.load(path, link=True) as (_there, here):
        here.collections = ["Cast"]
    override = here.collections[0].override_hierarchy_create(
        bpy.context.scene, bpy.context.view_layer, do_fully_editable=True
    )
    mine = next(o for o in override.all_objects if o.keyportrait.kind == "FACE")
    activate(mine)
    capture(filepath=template, start_frame=1, use_track=use_track)
    assert at(mine, "head_yaw", 51) == pytest.approx(10.0, abs=0.3)
