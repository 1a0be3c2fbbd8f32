"""Moving strips: the portrait shows the strip's own frame at each frame, and its bake does, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from baking import fresh, loaded  # noqa: F401 - fixtures
from editing import (
    animate,
    bake,
    clip,
    edit,
    everything,
    files_of,
    in_sequencer,
    run_with_av,
    sound_of,
)
from moving import frames_of_face, in_file, shown

__all__ = ["clip", "edit"]
LEFT = 20


def sequence_strip(module: Any, paths: list[str]) -> Any:
    """Frames 20 to 24 of the scene show the pictures."""
    scene = bpy.context.scene
    strip = (
        module("compat")
        .strips(scene)
        .new_image(name="walk", filepath=paths[0], channel=1, frame_start=LEFT, fit_method="FIT")
    )
    for path in paths[1:]:
        strip.elements.append(Path(path).name)
    scene.sequence_editor.active_strip = strip
    return strip


def test_a_sequence_is_followed_from_its_trim_and_baked_in_place(edit, module, pixels) -> None:
    compat = module("compat")
    paths = frames_of_face(edit / "walk", pixels, first=7)
    strip = sequence_strip(module, paths)
    compat.place_strip(strip, compat.StripPlace(LEFT, LEFT + 5, LEFT + 1, LEFT + 4))
    bpy.context.scene.frame_set(LEFT + 2)
    plane, face = animate(strip)
    for offset in (1, 2, 3):
        assert (shown(plane, LEFT + offset, pixels) == in_file(paths[offset], pixels)).all()
    # What the handles hide is there, too; the ends are held.
    assert (shown(plane, LEFT - 9, pixels) == in_file(paths[0], pixels)).all()
    assert (shown(plane, LEFT + 40, pixels) == in_file(paths[4], pixels)).all()
    for frame, value in ((LEFT + 1, 0.0), (LEFT + 2, 0.0), (LEFT + 3, 1.0)):
        face["smile"] = value
        face.keyframe_insert('["smile"]', frame=frame)
    result = bake()
    assert compat.strip_place(result)[2:] == (LEFT + 1, LEFT + 4)
    pictures = [loaded(path, pixels) for path in files_of(result)]
    for offset, picture in enumerate(pictures[:2], 1):
        assert (picture == in_file(paths[offset], pixels)).all()
    changed = np.abs(pictures[2] - in_file(paths[3], pixels)).max(axis=2)
    assert changed.max() > 0.1 and (changed[-60:] == 0.0).all()
    bpy.context.scene.keyportrait_strips.use_trimmed = True
    assert bake() == result and len(files_of(result)) == 5
    assert compat.strip_place(result) == (LEFT, LEFT + 5, LEFT + 1, LEFT + 4)
    assert (loaded(files_of(result)[0], pixels) == in_file(paths[0], pixels)).all()


def test_pictures_and_keys_follow_a_strip_that_was_moved(edit, module, pixels) -> None:
    compat = module("compat")
    paths = frames_of_face(edit / "walk", pixels, first=7)
    strip = sequence_strip(module, paths)
    plane, face = animate(strip)
    for frame, value in ((LEFT + 1, 0.0), (LEFT + 3, 1.0)):
        face["smile"] = value
        face.keyframe_insert('["smile"]', frame=frame)
    following = module("rig.strip_following")
    assert not following.is_behind(strip)
    compat.place_strip(strip, compat.StripPlace(LEFT + 10, LEFT + 15, LEFT + 11, LEFT + 15))
    assert following.is_behind(strip)
    assert bpy.ops.keyportrait.follow_strip() == {"FINISHED"}
    assert not following.is_behind(strip)
    (curve,) = compat.fcurves(face)
    assert [point.co[0] for point in curve.keyframe_points] == [LEFT + 11, LEFT + 13]
    bpy.context.scene.frame_set(LEFT + 11)
    assert (shown(plane, LEFT + 11, pixels) == in_file(paths[1], pixels)).all()
    changed = np.abs(shown(plane, LEFT + 13, pixels) - in_file(paths[3], pixels))
    assert changed.max() > 0.1 and (changed[-60:] == 0.0).all()


MEAN = """
import sys
import av
with av.open(sys.argv[1]) as file:
    frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
import numpy as np
import pytest
np.save(sys.argv[2], np.stack(frames))
"""


def frames_of(module: Any, path: Path) -> np.ndarray:
    """(T, H, W, 3) of a movie."""
    run_with_av(module, MEAN, path, path.with_suffix(".frames.npy"))
    return np.load(path.with_suffix(".frames.npy"))


def test_a_movie_is_baked_to_a_movie_with_its_own_sound(edit, clip, module, pixels) -> None:
    compat = module("compat")
    compat.place_strip(clip, compat.StripPlace(16, 28, 20, 26))
    bpy.context.scene.frame_set(22)
    _, face = animate(clip)
    face["smile"] = 0.0
    result = bake()
    assert result.type == "MOVIE" and len(everything(module)) == 2
    assert compat.strip_place(result)[2:] == (20, 26)
    movie = Path(bpy.path.abspath(result.filepath))
    wanted = frames_of(module, edit / "performer.mov")[4:10].astype(int)
    found = frames_of(module, movie)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).mean() < 1.5
    # The neighbours are further away: every frame is the strip's own.
    assert np.abs(found[1:] - wanted[:-1]).mean() > 5.0
    sound = sound_of(module, edit / "performer.mov")[4 * 1920 : 10 * 1920]
    heard = sound_of(module, movie)
    assert len(heard) == len(sound) and abs(heard - sound).max() == 0.0


def test_strips_that_blender_renders_keep_the_sound_they_are_heard_with(edit, clip, module) -> None:
    """A mirrored movie has its file's own sound; a reversed one that of the strip beside it."""
    sound = sound_of(module, edit / "performer.mov")
    clip.use_flip_x = True
    compat, scene = module("compat"), bpy.context.scene
    compat.place_strip(clip, compat.StripPlace(16, 28, 18, 21))
    animate(clip)
    heard = sound_of(module, Path(bpy.path.abspath(bake().filepath)))
    assert np.abs(heard - sound[2 * 1920 : 5 * 1920]).max() == 0.0
    scene.sequence_editor.active_strip = clip
    strip_sound, choices = module("rig.strip_sound"), module("rig.strip_settings")
    item = module("rig.portraits").portrait(clip["keyportrait"])
    clip.use_reverse_frames = True
    assert strip_sound.sound_for(scene, item, choices.AUTO, (clip, 18)) is None
    with pytest.raises(module("rig.errors").AddonError, match="nor has a sound strip"):
        strip_sound.sound_for(scene, item, choices.STRIP, (clip, 18))
    if not bpy.app.build_options.audaspace:
        pytest.skip("this bpy has no sound")
    beside = compat.strips(scene).new_sound(
        name="voice", filepath=str(edit / "performer.mov"), channel=8, frame_start=16
    )
    found = strip_sound.sound_for(scene, item, choices.AUTO, (clip, 19))
    assert found.start_s == pytest.approx(1 / 25)
    mixed = sound_of(module, Path(found.path))
    wanted = sound[2 * 1920 : 5 * 1920]
    assert abs(len(mixed) - len(wanted)) < 1920
    assert np.corrcoef(mixed[: len(wanted)], wanted[: len(mixed)])[0, 1] > 0.99
    beside.mute = True
    assert strip_sound.sound_for(scene, item, choices.AUTO, (clip, 19)) is None


def test_a_retimed_movie_is_rendered_at_its_own_speed(edit, clip, module, pixels) -> None:
    # Keys that are added by a script crash Blender 4.5 where there are none.
    clip.select = True
    has_sound = bpy.app.build_options.audaspace
    if has_sound:
        beside = (
            module("compat")
            .strips(bpy.context.scene)
            .new_sound(
                name="voice", filepath=str(edit / "performer.mov"), channel=8, frame_start=16
            )
        )
        beside.select = True
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = bpy.context.scene
    with in_sequencer():
        set_speed = bpy.ops.sequencer.retiming_segment_speed_set
        knows = "keep_retiming" in set_speed.get_rna_type().properties
        set_speed(speed=200.0, **({"keep_retiming": False} if knows else {}))
    assert clip.frame_final_duration < 9
    assert module("rig.strip_reading").why_unreadable(clip) == "is retimed"
    animate(clip)
    folder = edit / "keyportrait" / "performer Source"
    first = loaded(folder / "performer_0016.png", pixels).copy()
    steps = []
    for frame in (17, 18):
        picture = loaded(folder / f"performer_{frame:04}.png", pixels)
        shifts = [np.abs(np.roll(first, 2 * n, axis=1) - picture).mean() for n in range(9)]
        steps.append(int(np.argmin(shifts)))
    assert steps == [2, 4]
    if has_sound:
        heard = sound_of(module, Path(bpy.path.abspath(bake().filepath)))
        loudness = [np.ptp(part) for part in np.array_split(heard, clip.frame_final_duration)]
        # Six frames of two of the clip's, each louder than the last; what comes after them
        # is the last of it.
        assert np.diff(loudness[:6]).min() > 0.02 and len(heard) == clip.frame_final_duration * 1920
