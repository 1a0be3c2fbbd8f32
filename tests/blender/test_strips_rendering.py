"""Strips that Blender has to render first, transparent ones, and those of another scene."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from baking import fresh, loaded  # noqa: F401 - fixtures
from editing import FRAMES, LEFT, animate, bake, edit, files_of, in_sequencer, still, strip
from pictures import save_picture

__all__ = ["edit", "strip"]


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
    strip.keyframe_insert("blend_alpha", frame=LEFT)
    still(module, edit / "guest.jpg", channel=4)
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
    result = bake()
    assert (result.transform.offset_x, result.blend_alpha) == (200, 0.5)
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
