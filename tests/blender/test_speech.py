"""Speak: what is written to faces, from which sound, again and beside captures."""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path
from typing import Any

import bpy
import pytest
from performing import (  # noqa: F401 - fixtures
    activate,
    at,
    capture,
    curves,
    face,
    frames_of,
    recapture,
    template,
)

OPEN, YAW, SMILE = ('["mouth_open"]', 0), ('["head_yaw"]', 0), ('["smile"]', 0)


def write_tone(path: Path, seconds: float = 2.0, rate: int = 16000, channels: int = 1) -> str:
    """A hum that swells and fades."""
    count = int(seconds * rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        samples = (
            int(9000 * math.sin(880 * i / rate) * math.sin(math.pi * i / count))
            for i in range(count)
        )
        file.writeframes(b"".join(struct.pack("<h", s) * channels for s in samples))
    return str(path)


@pytest.fixture
def talk(face: Any, tmp_path: Path) -> str:
    """Mouth shapes in a file: the mouth opens once within 40 frames, while the head turns."""
    for frame, value in ((1, 0.0), (21, 0.8), (41, 0.0)):
        face["mouth_open"], face["head_yaw"] = value, 10.0 * value
        face.keyframe_insert('["mouth_open"]', frame=frame)
        face.keyframe_insert('["head_yaw"]', frame=frame)
    path = str(tmp_path / "talk.npz")
    assert bpy.ops.keyportrait.export_performance(filepath=path) == {"FINISHED"}
    action = face.animation_data.action
    face.animation_data_clear()
    bpy.data.actions.remove(action)
    face["mouth_open"] = face["head_yaw"] = 0.0
    return path


def speak(**options: Any) -> None:
    assert bpy.ops.keyportrait.speak(**options) == {"FINISHED"}


def test_the_mouth_alone_gets_few_keys(face, talk, module) -> None:
    face["smile"] = 0.3
    speak(filepath=talk, start_frame=11)
    found = curves(module, face)
    assert OPEN in found and YAW not in found and SMILE not in found
    assert found[OPEN].group.name == "Mouth"
    assert (frames_of(found[OPEN])[0], frames_of(found[OPEN])[-1]) == (11, 51)
    assert len(frames_of(found[OPEN])) <= 12
    assert at(face, "mouth_open", 31) == pytest.approx(0.8, abs=0.05)
    assert at(face, "smile", 31) == pytest.approx(0.3)  # the artist's own, as it was


def test_the_head_of_a_capture_stays(face, talk, template, module) -> None:
    capture(filepath=template, start_frame=1)
    before = [at(face, "head_yaw", frame) for frame in (5, 20, 45)]
    opened = at(face, "mouth_open", 51)
    speak(filepath=talk, start_frame=11)
    assert [at(face, "head_yaw", frame) for frame in (5, 20, 45)] == pytest.approx(before)
    assert at(face, "mouth_open", 31) == pytest.approx(0.8, abs=0.05)
    # Both can still be done again, each in its own place.
    face.keyportrait_speech.start_frame = 3
    assert bpy.ops.keyportrait.speak_again() == {"FINISHED"}
    assert at(face, "mouth_open", 23) == pytest.approx(0.8, abs=0.05)
    assert at(face, "mouth_open", 51) == pytest.approx(opened, abs=0.05)
    face.keyportrait_capture.multiplier = 0.5
    recapture()
    assert at(face, "head_yaw", 45) == pytest.approx(0.5 * before[2], abs=0.1)
    assert at(face, "mouth_open", 23) == pytest.approx(0.8, abs=0.05)
    assert at(face, "mouth_open", 51) == pytest.approx(0.5 * opened, abs=0.05)


def test_speaking_again_replaces_its_own_keys_only(face, talk, module) -> None:
    for frame, value in ((1, 0.1), (100, 0.2)):
        face["mouth_open"] = value
        face.keyframe_insert('["mouth_open"]', frame=frame)
    own = face.animation_data.action
    speak(filepath=talk, start_frame=11)
    assert face.animation_data.action != own and own.use_fake_user
    face.keyportrait_speech.start_frame = 41
    assert bpy.ops.keyportrait.speak_again() == {"FINISHED"}
    frames = frames_of(curves(module, face)[OPEN])
    assert (frames[0], frames[1], frames[-2], frames[-1]) == (1, 41, 81, 100)
    assert len(bpy.data.actions) == 2


def test_as_a_strip_and_on_top_of_what_is_there(face, talk, module) -> None:
    speak(filepath=talk, start_frame=11, use_track=True, mode="ADD")
    assert [track.name for track in face.animation_data.nla_tracks] == ["talk"]
    assert at(face, "mouth_open", 31) == pytest.approx(0.8, abs=0.05)
    face.keyportrait_speech.start_frame = 12
    assert bpy.ops.keyportrait.speak_again() == {"FINISHED"}
    assert len(face.animation_data.nla_tracks) == 1


def test_several_faces_speak_one_after_the_other(add_portrait, face, talk, module) -> None:
    _, (second,) = add_portrait()
    activate(face, second)
    speak(filepath=talk, start_frame=1, face_offset=10, use_scene_range=True)
    starts = sorted(frames_of(curves(module, item)[OPEN])[0] for item in (face, second))
    assert starts == [1, 11]
    assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (1, 51)


# --- which sound --------------------------------------------------------------------------------


def source_of(module: Any, controller: Any, **changes: Any) -> Any:
    from dataclasses import replace

    speech = module("rig.speech_choices").speech_of(controller.keyportrait_speech)
    return module("rig.speech_sources").source_of(bpy.context, replace(speech, **changes))


@pytest.fixture
def strip(face: Any, module: Any, tmp_path: Path) -> Any:
    """A sound strip of 3 s at frame 20, active."""
    path = write_tone(tmp_path / "words.wav", 3.0)
    try:
        made = module("compat").strips(bpy.context.scene).new_sound("words", path, 1, 20)
    except RuntimeError:
        pytest.skip("this bpy has no sound")
    bpy.context.scene.sequence_editor.active_strip = made
    return made


def test_a_strip_gives_its_place_and_its_part(face, strip, module) -> None:
    whole = source_of(module, face, source="STRIP")
    assert (whole.start_s, whole.end_s, whole.start_frame) == (None, 3.0, 20.0)
    strip.frame_offset_start, strip.frame_offset_end = 10, 20
    part = source_of(module, face, source="STRIP")
    assert (part.start_s, part.end_s) == (pytest.approx(0.4), pytest.approx(2.2))
    assert part.start_frame == pytest.approx(30.0)


def test_a_strip_whose_sound_begins_elsewhere(face, strip, module) -> None:
    strip.animation_offset_start = 5
    moved = source_of(module, face, source="STRIP")
    # Since 5.1 Blender trims the content where it lies, so the strip begins later.
    begins = pytest.approx(strip.frame_final_start)
    assert (moved.start_s, moved.start_frame) == (pytest.approx(0.2), begins)
    strip.animation_offset_start = 0
    if not hasattr(strip, "sound_offset"):
        return
    strip.sound_offset = 0.2
    late = source_of(module, face, source="STRIP")
    assert (late.start_s, late.start_frame) == (None, pytest.approx(25.0))
    strip.sound_offset = 0.23
    later = source_of(module, face, source="STRIP")
    # From the first whole frame on, or from where the sound begins.
    assert (later.start_s, later.start_frame) == (pytest.approx(0.01, abs=1e-4), 26.0)
    exact = source_of(module, face, source="STRIP", use_whole_frames=False)
    assert (exact.start_s, exact.start_frame) == (None, pytest.approx(25.75))


def test_a_longer_strip_is_silent_before_its_sound(face, strip, module) -> None:
    strip.frame_offset_start = -10
    assert strip.frame_final_start == 10
    early = source_of(module, face, source="STRIP")
    assert (early.start_s, early.start_frame) == (None, pytest.approx(20.0))


def test_a_selected_sound_strip_goes_before_an_active_picture(face, strip, module) -> None:
    scene = bpy.context.scene
    other = module("compat").strips(scene).new_effect("grey", "COLOR", 2, 1, **length(module, 50))
    scene.sequence_editor.active_strip = other
    strip.select = True
    assert source_of(module, face, source="STRIP").start_frame == 20
    strip.select = False
    with pytest.raises(Exception, match="'grey' has no sound"):
        source_of(module, face, source="STRIP")


def length(module: Any, frames: int) -> dict[str, int]:
    name = "length" if module("compat").VERSION >= (5, 0, 0) else "frame_end"
    return {name: frames}


def test_a_packed_sound_is_unpacked_beside_the_file(face, module, tmp_path) -> None:
    path = Path(write_tone(tmp_path / "words.wav"))
    sound = bpy.data.sounds.load(str(path))
    sound.pack()
    data = path.read_bytes()
    path.unlink()
    found = source_of(module, face, source="SOUND", sound=sound.name)
    assert found.path.read_bytes() == data and found.path.name == "words.wav"


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ({"filepath": ""}, "No sound is chosen"),
        ({"filepath": "/gone/words.wav"}, "There is no file '/gone/words.wav'"),
        ({"source": "SOUND"}, "No sound is chosen"),
        ({"source": "SOUND", "sound": "gone"}, "There is no sound 'gone'"),
        ({"source": "STRIP", "strip": "gone"}, "There is no strip 'gone'"),
        ({"filepath": "a.wav", "range_start": 2.0, "range_end": 1.0}, "is empty"),
    ],
)
def test_what_cannot_be_heard_is_named(face, module, choices, text) -> None:
    with pytest.raises(Exception, match=text):
        source_of(module, face, **choices)


# --- sounds -------------------------------------------------------------------------------------

SPOKEN = str(Path(__file__).resolve().parents[1] / "data" / "spoken.ogg")


def test_a_sound_becomes_speech_that_shuts_and_opens_the_mouth(face, module) -> None:
    speak(filepath=SPOKEN, start_frame=101, blinks=1.0, head_motion=1.0, seed=3)
    found = curves(module, face)
    assert {OPEN, ('["purse"]', 0), ('["grin"]', 0), ('["blink"]', 0), YAW} <= set(found)
    assert not any("expression" in path or "cheek" in path for path, _ in found)
    seconds = 5.45
    assert max(len(frames_of(curve)) for curve in found.values()) <= 12 * seconds
    # "… lamp" at 2.0 s, "my" at 2.3 s, silence at the end.
    assert at(face, "mouth_open", 101 + 25 * 2.0) < 0.05 < at(face, "mouth_open", 101 + 25 * 2.33)
    assert at(face, "mouth_open", 101 + 25 * 5.44) == pytest.approx(0.0, abs=0.04)
    # The picture's own lips are open; "lamp" shuts them.
    own = module("rig.controllers").face_of(face).lips_open
    assert own > 0.1 and at(face, "lips_open", 101 + 25 * 2.0) < 0.3 * own
    assert at(face, "lips_open", 101 + 25 * 2.33) == pytest.approx(own, abs=0.05)


@pytest.mark.parametrize("fps", [24, 30])
def test_frames_between_keys_do_not_swing(face, module, fps) -> None:
    """What few keys say is what every frame of speech says, at the scene's own rate."""
    bpy.context.scene.render.fps = fps
    speak(filepath=SPOKEN, start_frame=1)
    own = module("rig.controllers").face_of(face).lips_open
    limits = {"lips_open": (-0.05, own + 0.05), "purse": (-0.1, 1.0), "mouth_open": (-0.25, 0.7)}
    found = curves(module, face)
    for name, (low, high) in limits.items():
        values = [found[f'["{name}"]', 0].evaluate(frame) for frame in range(1, int(5.4 * fps))]
        assert low < min(values) and max(values) < high, name


def test_mouth_shapes_of_rhubarb_are_spoken(face, module, tmp_path) -> None:
    path = tmp_path / "line.tsv"
    path.write_text("0.00\tX\n0.40\tD\n0.80\tA\n1.10\tF\n1.60\tX\n")
    speak(filepath=str(path), start_frame=1, strength=0.5)
    assert at(face, "mouth_open", 16) == pytest.approx(0.26, abs=0.05)
    assert at(face, "purse", 34) > 0.35


def test_a_trimmed_strip_is_spoken_in_its_place(face, module) -> None:
    try:
        strip = module("compat").strips(bpy.context.scene).new_sound("words", SPOKEN, 1, 20)
    except RuntimeError:
        pytest.skip("this bpy has no sound")
    bpy.context.scene.sequence_editor.active_strip = strip
    speak(filepath=SPOKEN, start_frame=20)
    whole = [at(face, "mouth_open", frame) for frame in range(75, 110)]
    face.animation_data_clear()
    strip.frame_offset_start, strip.frame_offset_end = 50, 30
    speak(source="STRIP")
    frames = frames_of(curves(module, face)[OPEN])
    assert (frames[0], round(frames[-1])) == (strip.frame_final_start, strip.frame_final_end)
    part = [at(face, "mouth_open", frame) for frame in range(75, 110)]
    mean = sum(whole) / len(whole)
    error = sum((a - b) ** 2 for a, b in zip(whole, part, strict=True))
    assert error < 0.3 * sum((value - mean) ** 2 for value in whole)


def test_a_table_of_ones_own(face, module) -> None:
    assert bpy.ops.keyportrait.edit_viseme_table() == {"FINISHED"}
    path = Path(face.keyportrait_speech.visemes)
    text = next(text for text in bpy.data.texts if text.filepath == str(path))
    assert text.as_string().startswith("#") and "phone,weight" in text.as_string()
    try:
        speak(filepath=SPOKEN, start_frame=1, visemes=str(path))
        before = at(face, "mouth_open", 1 + 25 * 0.32)
        path.write_text("phone,weight,mouth_open\nAA,3,1.0\nNO,1,0.5\n")
        with pytest.raises(RuntimeError, match=r"'visemes\.csv', line 3: there is no phone 'NO'"):
            bpy.ops.keyportrait.speak(filepath=SPOKEN, start_frame=1, visemes=str(path))
        path.write_text("phone,weight,mouth_open\nAA,3,1.0\n")
        speak(filepath=SPOKEN, start_frame=1, visemes=str(path))
        assert at(face, "mouth_open", 1 + 25 * 0.32) > before + 0.2
    finally:
        path.unlink()


def test_the_mouth_chart_leaves_eyes_and_head(face, module) -> None:
    face["blink"], face["head_yaw"], face["smile"] = 0.4, 10.0, 0.5
    assert bpy.ops.keyportrait.preset_mouth_a(use_key=True) == {"FINISHED"}
    assert (face["blink"], face["head_yaw"], face["smile"]) == (0.4, 10.0, 0.0)
    assert face["mouth_open"] < 0.0 and face["lips_open"] == 0.0
    keyed = {path for path, _ in curves(module, face)}
    assert OPEN[0] in keyed and not {YAW[0], '["blink"]'} & keyed


@pytest.mark.parametrize("kind", ["silent", "empty", "broken", "text"])
def test_sounds_that_say_nothing_are_named(face, tmp_path, capfd, kind) -> None:
    path = tmp_path / f"{kind}.wav"
    if kind == "silent":
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(bytes(16000))
        speak(filepath=str(path))
        assert f"Nobody is heard speaking in '{path.name}'" in "".join(capfd.readouterr())
        return
    path.write_bytes({"empty": b"", "broken": b"RIFF\x10\0\0\0WAVEno", "text": b"a poem"}[kind])
    with pytest.raises(RuntimeError, match=path.name) as caught:
        bpy.ops.keyportrait.speak(filepath=str(path))
    # What happened, and what to do about it.
    assert str(caught.value).count(". ") >= 1
    assert face.animation_data is None or face.animation_data.action is None


def test_a_movie_without_sound_is_named(face, tmp_path, module) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    settings = bpy.context.scene.keyportrait_bake
    settings.format, settings.folder, settings.use_assign = "MP4", str(tmp_path), False
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, 3
    bpy.ops.keyportrait.bake()
    movie = next(tmp_path.rglob("*.mp4"))
    with pytest.raises(RuntimeError, match=f"'{movie.name}' has no sound"):
        bpy.ops.keyportrait.speak(filepath=str(movie))


# --- the command --------------------------------------------------------------------------------


def command(module: Any, *arguments: str) -> int:
    return module("rig.command_line").run(["speak", *arguments])


def test_the_command_speaks_and_saves(face, module, tmp_path, capfd) -> None:
    shot = tmp_path / "shot.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(shot))
    name = face.name
    assert command(module, SPOKEN, "--face", name, "--start", "10", "--jaw", "1.5", "--nla") == 0
    printed = capfd.readouterr().out
    assert "Spoke 5.5 s of 'spoken'" in printed and "Saved" in printed
    bpy.ops.wm.open_mainfile(filepath=str(shot))
    saved = bpy.data.objects[name]
    assert len(saved.animation_data.nla_tracks) == 1
    assert saved.keyportrait_speech.jaw == 1.5


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--help"], 0, "--head-motion"),
        ([], 2, "FILE"),
        (["gone.wav"], 1, "There is no file"),
        ([SPOKEN, "--jaw", "3"], 2, "--jaw is 0 to 2"),
        ([SPOKEN, "--strip", "words"], 2, "not allowed"),
        (["--strip", "words"], 1, "There is no strip 'words'"),
        ([SPOKEN, "--face", "Nobody"], 2, "no face 'Nobody'"),
        ([SPOKEN, "--table", "gone.csv"], 1, "'gone.csv' cannot be read"),
    ],
)
def test_wrong_commands_say_why(face, module, tmp_path, capfd, arguments, status, text) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    capfd.readouterr()
    assert command(module, *arguments) == status
    assert text in "".join(capfd.readouterr())
