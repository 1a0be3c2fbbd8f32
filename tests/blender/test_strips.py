"""Strips of the Video Sequencer: animated, baked back, baked again; through the operators."""

from __future__ import annotations

import re
from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import fresh, loaded  # noqa: F401 - fixtures
from editing import (
    CLIP_FPS,
    FRAMES,
    LEFT,
    animate,
    bake,
    clip,
    edit,
    everything,
    files_of,
    in_sequencer,
    key_smile,
    sound_of,
    still,
    strip,
)

__all__ = ["clip", "edit", "strip"]


def test_a_strip_becomes_a_portrait_and_its_bake_a_strip(strip, module, pixels) -> None:
    strip.transform.offset_x, strip.crop.min_x = 30, 40
    strip.blend_alpha, strip.color_tag = 0.75, "COLOR_03"
    compat = module("compat")
    plane, face = animate(strip)
    assert bpy.context.active_object == plane
    key_smile(face)
    result = bake()
    assert result != strip and result.type == "IMAGE"
    assert compat.strip_place(result) == (LEFT, LEFT + FRAMES, LEFT, LEFT + FRAMES)
    assert (result.channel, strip.channel) == (3, 2)
    assert (result.transform.offset_x, result.crop.min_x) == (30, 40)
    assert result.transform.scale_x == strip.transform.scale_x
    assert (result.blend_alpha, result.color_tag) == (0.75, "COLOR_03")
    assert result.colorspace_settings.name == strip.colorspace_settings.name
    assert strip.mute and not result.mute
    files = files_of(result)
    assert [path.stem[-4:] for path in files] == ["0020", "0021", "0022", "0023"]
    pictures = [loaded(path, pixels) for path in files]
    assert np.array_equal(pictures[0], loaded(Path(bpy.path.abspath("//guest.jpg")), pixels))
    for frame, picture in enumerate(pictures, LEFT):
        bpy.context.scene.frame_set(frame)
        wanted = pixels(plane.keyportrait.portrait.output)
        assert abs(picture - wanted).max() <= 1 / 255 + 1e-6
    assert abs(pictures[3] - pictures[0]).max() > 0.1


def test_baking_again_swaps_in_place_also_after_loading(strip, edit, module, pixels) -> None:
    bpy.context.scene.keyportrait_strips.use_mute = False
    _, face = animate(strip)
    key_smile(face)
    name = bake().name
    before = loaded(files_of(bpy.context.scene.sequence_editor.active_strip)[3], pixels)
    assert not strip.mute
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(edit / "edit.blend"))
    compat, scene = module("compat"), bpy.context.scene
    strip = next(s for s in everything(module) if s.name == "guest")
    face = next(o for o in scene.objects if o.keyportrait.kind == "FACE")
    key_smile(face, -1.0)
    # The bake is active, as an artist who looks at it has it.
    result = scene.sequence_editor.active_strip
    assert result.name == name
    compat.place_strip(strip, compat.StripPlace(LEFT, LEFT + 1, LEFT, LEFT + FRAMES + 2))
    assert bake() == result
    assert len(everything(module)) == 2
    assert compat.strip_place(result).right == LEFT + FRAMES + 2 and len(files_of(result)) == 6
    assert abs(loaded(files_of(result)[3], pixels) - before).max() > 0.1
    compat.place_strip(strip, compat.StripPlace(LEFT, LEFT + 1, LEFT, LEFT + 2))
    assert bake() == result and len(files_of(result)) == 2


def test_a_taken_channel_and_animation_of_the_strip(strip, edit, module) -> None:
    still(module, edit / "guest.jpg", channel=3, left=LEFT + 2)
    still(module, edit / "guest.jpg", channel=4, left=LEFT + 50)
    bpy.context.scene.sequence_editor.active_strip = strip
    for frame, alpha in ((LEFT, 0.0), (LEFT + 3, 1.0)):
        strip.blend_alpha = alpha
        strip.keyframe_insert("blend_alpha", frame=frame)
    strip.transform.keyframe_insert("scale_x", frame=LEFT)
    animate(strip)
    result = bake()
    assert result.channel == 4
    curves = module("compat").fcurves(bpy.context.scene)
    own = {curve.data_path: curve for curve in curves if result.name in curve.data_path}
    names = {re.sub(r'.*"\]\.', "", path) for path in own}
    assert names == {"blend_alpha", "transform.scale_x"}
    bpy.context.scene.frame_set(LEFT + 1)
    assert result.blend_alpha == pytest.approx(strip.blend_alpha) and 0 < result.blend_alpha < 1


def test_both_halves_of_a_cut_strip_have_a_bake(strip, module) -> None:
    animate(strip)
    first = bake()
    first.mute = False
    compat = module("compat")
    second = still(module, Path(bpy.path.abspath("//guest.jpg")), left=LEFT + FRAMES)
    for name in ("keyportrait", "keyportrait_strip"):  # as Blender's Split copies them
        second[name] = strip[name]
    result = bake()
    assert result != first and compat.strip_place(result).left == LEFT + FRAMES
    bpy.context.scene.sequence_editor.active_strip = strip
    assert bake() == first
    bpy.context.scene.sequence_editor.active_strip = second
    assert bake() == result and len(everything(module)) == 4


def test_a_strip_inside_a_meta_strip_is_baked_inside_it(edit, module) -> None:
    compat, scene = module("compat"), bpy.context.scene
    meta = compat.strips(scene).new_meta(name="meta", channel=1, frame_start=1)
    inside = compat.strips_in(meta)
    strip = inside.new_image(
        name="inside", filepath=str(edit / "guest.jpg"), channel=1, frame_start=1, fit_method="FIT"
    )
    scene.sequence_editor.active_strip = strip
    animate(strip)
    result = bake()
    assert result in list(inside) and result.channel == 2


def test_polls_say_what_is_missing(edit, module) -> None:
    with pytest.raises(RuntimeError, match="No strip is active"):
        bpy.ops.keyportrait.animate_strip()
    strip = still(module, edit / "guest.jpg")
    with pytest.raises(RuntimeError, match="has no portrait: press Animate Strip"):
        bpy.ops.keyportrait.bake_strip()
    plane, _ = animate(strip)
    with pytest.raises(RuntimeError, match="has a portrait already"):
        bpy.ops.keyportrait.animate_strip()
    bpy.data.objects.remove(plane)
    with pytest.raises(RuntimeError, match="has no portrait"):
        bpy.ops.keyportrait.bake_strip()
    animate(strip)
    (edit / "guest.jpg").unlink()
    second = still(module, edit / "guest.jpg", channel=5)
    with pytest.raises(RuntimeError, match="no file"):
        bpy.ops.keyportrait.animate_strip()
    assert second.get("keyportrait") is None and len(everything(module)) == 2


def test_the_sidebar_of_the_sequencer_has_the_face_of_the_active_strip(strip, edit, module) -> None:
    first, face = animate(strip)
    other = still(module, edit / "guest.jpg", channel=5)
    second, _ = animate(other)
    portraits = module("rig.portraits")
    assert portraits.active_plane(bpy.context) == second
    with in_sequencer():
        assert portraits.active_plane(bpy.context) == second
        bpy.context.scene.sequence_editor.active_strip = strip
        assert portraits.active_plane(bpy.context) == first
        assert portraits.active_controller(bpy.context) == face
        face["smile"] = 0.5
        assert bpy.ops.keyportrait.key_changed() == {"FINISHED"}
        assert bpy.ops.keyportrait.reset_face() == {"FINISHED"}
        assert face["smile"] == 0.0
        shown = bpy.types.KEYPORTRAIT_PT_strip_face_mouth
        assert shown.bl_space_type == "SEQUENCE_EDITOR" and shown.poll(bpy.context)
    assert not bpy.types.KEYPORTRAIT_PT_strip_face_mouth.poll(bpy.context)


def test_a_strip_drives_the_face_of_another_and_its_sound_goes_along(
    edit, strip, clip, module
) -> None:
    compat, scene = module("compat"), bpy.context.scene
    compat.place_strip(clip, compat.StripPlace(16, 28, 18, 27))
    for other in (strip, clip):
        other.select = False
    with pytest.raises(RuntimeError, match="No face is meant"):
        bpy.ops.keyportrait.drive_with_strip()
    scene.sequence_editor.active_strip = strip
    _, face = animate(strip)
    with pytest.raises(RuntimeError, match="No other strip is selected beside 'guest'"):
        bpy.ops.keyportrait.drive_with_strip()
    clip.select = True
    assert bpy.ops.keyportrait.drive_with_strip() == {"FINISHED"}
    record = face.keyportrait_capture
    assert (record.source, record.strip) == ("STRIP", "performer")
    assert (record.first_frame, record.last_frame) == (18, 26)
    moves = {
        c.data_path: np.ptp([k.co[1] for k in c.keyframe_points]) for c in compat.fcurves(face)
    }
    assert max(moves.values()) > 0.01, moves
    # The strip begins two frames after the performance, and so does the sound.
    scene.keyportrait_strips.format = "MOVIE"
    result = bake()
    heard = sound_of(module, Path(bpy.path.abspath(result.filepath)))
    wanted = sound_of(module, edit / "performer.mov")
    first = round((LEFT - 16) / CLIP_FPS * 48000)
    wanted = wanted[first : first + round(FRAMES / CLIP_FPS * 48000)]
    assert len(heard) == len(wanted) and abs(heard - wanted).max() == 0.0
    assert abs(wanted).max() > 0.1


def test_pictures_become_a_movie_with_the_sound_of_the_performance(strip, edit, module) -> None:
    _, face = animate(strip)
    key_smile(face)
    settings = bpy.context.scene.keyportrait_strips
    first = bake()
    first.mute, first.transform.offset_y = True, 12
    name, channel = first.name, first.channel
    settings.format = "MOVIE"
    bpy.context.scene.sequence_editor.active_strip = strip
    result = bake()
    assert (result.name, result.channel, result.type, result.mute) == (name, channel, "MOVIE", True)
    assert result.transform.offset_y == 12 and len(everything(module)) == 2
    compat = module("compat")
    assert compat.strip_place(result) == (LEFT, LEFT + FRAMES, LEFT, LEFT + FRAMES)
    assert compat.strip_length(result) == FRAMES
    movie = Path(bpy.path.abspath(result.filepath))
    assert movie.suffix == ".mp4" and movie.parent.parent.name == "keyportrait"
    assert not list(movie.parent.parent.glob(".keyportrait_strips/*"))
    settings.sound = "PERFORMANCE"
    with pytest.raises(RuntimeError, match="No face of 'guest' was captured"):
        bpy.ops.keyportrait.bake_strip()
    settings.format = "PICTURES"
    assert bake().type == "IMAGE" and len(everything(module)) == 2
