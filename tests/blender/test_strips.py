"""Strips of the Video Sequencer: animated, baked back, baked again; through the operators."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from baking import fresh, loaded  # noqa: F401 - fixtures
from pictures import save_picture

LEFT, FRAMES = 20, 4


@pytest.fixture
def edit(new_file: None, tmp_path: Path, astronaut: str) -> Path:
    """A saved .blend file; its folder has a picture with a face."""
    shutil.copy(astronaut, tmp_path / "guest.jpg")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "edit.blend"))
    return tmp_path


@pytest.fixture
def strip(edit: Path, module: Any) -> Any:
    """A picture with a face, held for frames 20 to 23 on channel 2."""
    return still(module, edit / "guest.jpg")


def still(module: Any, path: Path, channel: int = 2, left: int = LEFT, count: int = FRAMES) -> Any:
    compat, scene = module("compat"), bpy.context.scene
    strip = compat.strips(scene).new_image(
        name=path.stem, filepath=str(path), channel=channel, frame_start=left, fit_method="FIT"
    )
    compat.place_strip(strip, compat.StripPlace(left, left + 1, left, left + count))
    scene.sequence_editor.active_strip = strip
    return strip


def animate(strip: Any) -> tuple[Any, Any]:
    """(plane, controller) of the active strip."""
    assert bpy.ops.keyportrait.animate_strip() == {"FINISHED"}
    plane = strip["keyportrait"]
    (link,) = plane.keyportrait.portrait.faces
    return plane, link.controller


def key_smile(face: Any, end: float = 1.0) -> None:
    for frame, value in ((LEFT, 0.0), (LEFT + FRAMES - 1, end)):
        face["smile"] = value
        face.keyframe_insert('["smile"]', frame=frame)


def bake() -> Any:
    """The strip of the bake of the active strip."""
    assert bpy.ops.keyportrait.bake_strip() == {"FINISHED"}
    return bpy.context.scene.sequence_editor.active_strip


def files_of(strip: Any) -> list[Path]:
    folder = Path(bpy.path.abspath(strip.directory))
    return [folder / element.filename for element in strip.elements]


def everything(module: Any) -> list[Any]:
    return module("compat").all_strips(bpy.context.scene)


@contextmanager
def in_sequencer() -> Iterator[None]:
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    with bpy.context.temp_override(window=window, area=area, region=area.regions[0]):
        yield


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


LISTEN = """
import sys
import av
import numpy as np
with av.open(sys.argv[1]) as file:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=48000)
    frames = (*file.decode(audio=0), None)
    pieces = [p.to_ndarray() for frame in frames for p in resampler.resample(frame)]
np.save(sys.argv[2], np.concatenate(pieces, axis=1)[0])
"""


def run_with_av(module: Any, code: str, *arguments: object) -> None:
    folders = os.pathsep.join(module("rig.engine").module_folders())
    command = [sys.executable, "-c", code, *map(str, arguments)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": folders})


def sound_of(module: Any, path: Path) -> np.ndarray:
    """(N,) samples of a movie at 48000 Hz."""
    out = path.with_suffix(".npy")
    run_with_av(module, LISTEN, path, out)
    return np.load(out)


CLIP_FPS = 25
MAKE_CLIP = """
import sys
from fractions import Fraction
import av
import cv2
import numpy as np
face = cv2.cvtColor(cv2.imread(sys.argv[2]), cv2.COLOR_BGR2RGB)
time = np.arange(12 * 48000 // 25) / 48000
tone = (9000 * np.sin(2 * np.pi * 300 * time) * (1 + np.floor(time * 25)) / 12).astype(np.int16)
with av.open(sys.argv[1], "w") as file:
    video = file.add_stream("libx264", rate=25, options={"crf": "10"})
    video.height, video.width, video.pix_fmt = *face.shape[:2], "yuv420p"
    audio = file.add_stream("pcm_s16le", rate=48000, layout="mono")
    for number in range(12):
        frame = av.VideoFrame.from_ndarray(np.roll(face, 2 * number, axis=1), "rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        file.mux(video.encode(frame))
        part = tone[None, number * 1920 : (number + 1) * 1920]
        sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), "s16", "mono")
        sound.sample_rate, sound.pts, sound.time_base = 48000, number * 1920, Fraction(1, 48000)
        file.mux(audio.encode(sound))
    file.mux(video.encode(None))
    file.mux(audio.encode(None))
"""


@pytest.fixture
def clip(edit: Path, module: Any, astronaut: str) -> Any:
    """A strip, frames 16 to 27, of a face that moves to the right; a tone grows by each frame."""
    path = edit / "performer.mov"
    run_with_av(module, MAKE_CLIP, path, astronaut)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = CLIP_FPS, 1.0
    strip = (
        module("compat")
        .strips(scene)
        .new_movie(
            name="performer", filepath=str(path), channel=7, frame_start=16, fit_method="FIT"
        )
    )
    scene.sequence_editor.active_strip = strip
    return strip


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
