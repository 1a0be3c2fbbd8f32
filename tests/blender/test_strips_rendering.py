"""Strips that Blender has to render first, transparent ones, and those of another scene."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import fresh, loaded  # noqa: F401 - fixtures
from editing import (
    FRAMES,
    LEFT,
    animate,
    bake,
    clip,
    edit,
    edited,
    files_of,
    in_sequencer,
    sound_of,
    still,
    strip,
)
from pictures import save_picture

__all__ = ["clip", "edit", "strip"]


def test_a_transparent_picture_becomes_prores_with_alpha(edit, module, pixels) -> None:
    picture = bpy.data.images.load(str(edit / "guest.jpg"))
    values = pixels(picture).copy()
    values[:20, :, 3] = 0.0
    save_picture(edit / "cutout.png", values)
    animate(still(module, edit / "cutout.png", count=2))
    bpy.context.scene.keyportrait_strips.format = "MOVIE"
    result = bake()
    movie = bpy.data.images.load(bpy.path.abspath(result.filepath))
    assert movie.filepath.endswith(".mov") and result.alpha_mode == "STRAIGHT"
    alpha = pixels(movie)[..., 3]
    assert alpha[:18].max() < 0.02 and alpha[22:].min() > 0.98


def test_a_strip_that_is_changed_is_rendered_by_blender_first(strip, edit, module, pixels) -> None:
    """Its changes are in the pictures, where it lies is not; the bake lies as it does."""
    strip.use_flip_x, strip.color_saturation = True, 0.0
    strip.transform.offset_x, strip.blend_alpha = 200, 0.5
    strip.transform.rotation, strip.transform.origin[0] = 0.4, 0.25
    strip.transform.scale_x, strip.transform.scale_y, strip.crop.min_x = 0.3, 0.4, 80
    strip.keyframe_insert("blend_alpha", frame=LEFT)
    strip.transform.keyframe_insert("offset_x", frame=LEFT)
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 640, 360
    before = edited(pixels)
    still(module, edit / "guest.jpg", channel=4).mute = True
    bpy.context.scene.sequence_editor.active_strip = strip
    animate(strip)
    assert strip.transform.offset_x == 200
    folder = edit / "keyportrait" / "guest Source"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"guest_{frame:04}.png" for frame in range(LEFT, LEFT + FRAMES)]
    flipped = loaded(edit / "guest.jpg", pixels)[:, ::-1, :3]
    shown = loaded(folder / names[0], pixels)
    assert shown.shape[:2] == flipped.shape[:2] and shown[..., 3].min() == 1.0
    grey = shown[..., :3]
    assert np.ptp(grey, axis=2).max() < 0.02
    # Without saturation a colour is as light as its lightest channel.
    assert abs(grey.mean(axis=2) - flipped.max(axis=2)).mean() < 0.01
    # Where the live picture is drawn in the preview.
    quad = module("rig.strip_preview").quad_of(strip, shown.shape[1::-1])
    up, across = np.nonzero(before[::-1, :, 3] > 0.1)
    corners = np.add(quad.corners, (320, 180))
    assert abs(corners.min(axis=0) - (across.min(), up.min())).max() < 4
    assert abs(corners.max(axis=0) - (across.max(), up.max())).max() < 4
    result = bake()
    assert abs(edited(pixels) - before).mean() < 0.002
    # Blender mirrors the frame, and with it where the strip lies.
    assert (result.transform.offset_x, result.blend_alpha) == (-200, 0.5)
    assert not result.use_flip_x and result.color_saturation == 1.0


def test_a_meta_strip_is_rendered_whole(edit, module, pixels) -> None:
    compat, scene = module("compat"), bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 320, 400
    scene.render.resolution_percentage = 50
    meta = compat.strips(scene).new_meta(name="meta", channel=1, frame_start=LEFT)
    inside = compat.strips_in(meta).new_image(
        name="inside",
        filepath=str(edit / "guest.jpg"),
        channel=1,
        frame_start=LEFT,
        fit_method="FIT",
    )
    compat.place_strip(inside, compat.StripPlace(LEFT, LEFT + 1, LEFT, LEFT + 2))
    compat.place_strip(meta, compat.StripPlace(LEFT, LEFT + 2, LEFT, LEFT + 2))
    scene.sequence_editor.active_strip = meta
    animate(meta)
    picture = loaded(edit / "keyportrait" / "meta Source" / f"meta_{LEFT:04}.png", pixels)
    # The picture is square: fitted into 320 x 400 px, with nothing above and below it.
    assert picture.shape[:2] == (400, 320)
    assert picture[0, 160, 3] == 0.0 and picture[200, 160, 3] == 1.0
    result = bake()
    assert result.transform.scale_x == 1.0 and compat.strip_place(result).right == LEFT + 2


def test_a_scene_strip_keeps_its_size_its_place_and_its_sound(edit, clip, module, pixels) -> None:
    """A scene of another size and rate; what is heard in it goes into the movie."""
    compat, scene = module("compat"), bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 640, 500
    compat.strips(scene).remove(clip)
    inner = bpy.data.scenes.new("Inner")
    inner.render.resolution_x, inner.render.resolution_y = 720, 960
    inner.render.resolution_percentage, inner.render.fps = 50, 12
    inner.view_settings.view_transform = "Standard"
    strips = compat.strips(inner)
    strips.new_movie(
        name="m", filepath=str(edit / "performer.mov"), channel=1, frame_start=1, fit_method="FIT"
    )
    has_sound = bpy.app.build_options.audaspace
    if has_sound:
        strips.new_sound(name="s", filepath=str(edit / "performer.mov"), channel=2, frame_start=1)
    inner.frame_start, inner.frame_end = 1, 4
    strip = compat.strips(scene).new_scene(name="scene", scene=inner, channel=1, frame_start=LEFT)
    strip.scene_input = "SEQUENCER"
    compat.place_strip(strip, compat.StripPlace(LEFT, LEFT + 4, LEFT + 1, LEFT + 4))
    scene.sequence_editor.active_strip = strip
    before = [edited(pixels, frame) for frame in (LEFT + 1, LEFT + 3)]
    if has_sound:
        scene.frame_end, scene.frame_start = LEFT + 3, LEFT + 1
        bpy.ops.sound.mixdown(filepath=str(edit / "heard.wav"), container="WAV", codec="PCM")
    plane, _ = animate(strip)
    assert module("rig.portraits").picture_size(plane) == (360, 480)
    scene.keyportrait_strips.format = "MOVIE"
    result = bake()
    assert compat.strip_place(result)[2:] == (LEFT + 1, LEFT + 4)
    for frame, picture in zip((LEFT + 1, LEFT + 3), before, strict=True):
        assert abs(edited(pixels, frame)[..., :3] - picture[..., :3]).mean() < 0.01
    if has_sound:
        heard = sound_of(module, Path(bpy.path.abspath(result.filepath)))
        wanted = sound_of(module, edit / "heard.wav")
        # Blender mixes a little more than it was asked for.
        assert len(heard) == 3 * 1920 <= len(wanted)
        assert abs(heard - wanted[: len(heard)]).max() < 1e-4 and abs(heard).max() > 0.05


def test_a_meta_strip_has_the_sound_that_is_heard_in_it(edit, clip, module) -> None:
    if not bpy.app.build_options.audaspace:
        pytest.skip("this bpy has no sound")
    compat, scene = module("compat"), bpy.context.scene
    path = str(edit / "performer.mov")
    compat.strips(scene).remove(clip)
    compat.strips(scene).new_sound(name="other", filepath=path, channel=5, frame_start=LEFT)
    meta = compat.strips(scene).new_meta(name="meta", channel=1, frame_start=LEFT)
    strips = compat.strips_in(meta)
    strips.new_movie(name="m", filepath=path, channel=1, frame_start=LEFT)
    strips.new_sound(name="s", filepath=path, channel=2, frame_start=LEFT)
    compat.place_strip(meta, compat.StripPlace(LEFT, LEFT + 12, LEFT + 3, LEFT + 6))
    scene.sequence_editor.active_strip = meta
    animate(meta)
    scene.keyportrait_strips.format = "MOVIE"
    result = bake()
    heard = sound_of(module, Path(bpy.path.abspath(result.filepath)))
    wanted = sound_of(module, edit / "performer.mov")[3 * 1920 : 6 * 1920]
    assert len(heard) == len(wanted) and abs(heard - wanted).max() < 1e-4


def test_the_sequencer_may_show_another_scene_than_the_window(edit, module, pixels) -> None:
    """Since 5.0: planes, keys and the bake are those of the Sequencer's scene."""
    workspace = bpy.context.workspace
    if not hasattr(workspace, "sequencer_scene"):
        pytest.skip("the Sequencer shows the window's scene here")
    compat, scene = module("compat"), bpy.data.scenes.new("Edit")
    workspace.sequencer_scene = scene
    strip = compat.strips(scene).new_image(
        name="guest", filepath=str(edit / "guest.jpg"), channel=1, frame_start=5, fit_method="FIT"
    )
    compat.place_strip(strip, compat.StripPlace(5, 6, 5, 7))
    scene.sequence_editor.active_strip = strip
    plane, face = animate(strip)
    assert plane.users_scene == (scene,)
    for frame, value in ((5, 0.0), (6, 1.0)):
        face["smile"] = value
        face.keyframe_insert('["smile"]', frame=frame)
    with in_sequencer():
        assert module("rig.portraits").active_controller(bpy.context) == face
        assert bpy.ops.keyportrait.select_face(index=0) == {"FINISHED"}
        assert scene.view_layers[0].objects.active == face
    assert bpy.ops.keyportrait.bake_strip() == {"FINISHED"}
    first, second = (loaded(p, pixels) for p in files_of(scene.sequence_editor.active_strip))
    assert abs(second - first).max() > 0.1
