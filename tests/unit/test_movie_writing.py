"""`write_movie`: pictures, their rate and alpha, and a sound that is the clip's to the sample."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clip_maker import number_of, picture

from engine.clips.clip import open_clip
from engine.operations import Operations
from engine.protocol import MESSAGE_TYPES, Message
from engine.renderer import ReportedError

RATE, FPS, CLIP_FRAMES, FRAMES = 48000, 25, 100, 50
SIZE = (160, 90)
WITH_SOUND = {"aac.mp4": "aac", "pcm.mov": "pcm_s16le", "opus.mkv": "libopus", "mp3.mp4": "mp3"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Clips of 4 s with a rising tone, noise and clicks."""
    folder = tmp_path_factory.mktemp("clips")
    samples = _samples(CLIP_FRAMES * RATE // FPS)
    return {name: _clip(folder / name, coder, samples) for name, coder in WITH_SOUND.items()}


def _samples(count: int) -> np.ndarray:
    times = np.arange(count) / RATE
    tone = 0.3 * np.sin(2 * np.pi * (200 + 300 * times) * times)
    tone += np.random.default_rng(1).normal(0.0, 0.02, count)
    tone[RATE // 2 :: RATE // 2] += 0.5
    return np.stack([tone, 0.5 * tone]).astype(np.float32)


def _clip(path: Path, coder: str, samples: np.ndarray) -> Path:
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        audio = file.add_stream(coder, rate=RATE, layout="stereo")
        wanted = audio.codec_context.format or "s16"
        resampler = av.AudioResampler(format=wanted, layout="stereo", rate=RATE)
        for number in range(CLIP_FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(number, *SIZE), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            file.mux(video.encode(frame))
            start = number * RATE // FPS
            block = np.ascontiguousarray(samples[:, start : start + RATE // FPS])
            sound = av.AudioFrame.from_ndarray(block, "fltp", "stereo")
            sound.sample_rate, sound.pts, sound.time_base = RATE, start, Fraction(1, RATE)
            for piece in resampler.resample(sound):
                file.mux(audio.encode(piece))
        file.mux(video.encode(None))
        for piece in (*resampler.resample(None), None):
            file.mux(audio.encode(piece))
    return path


def sound_of(path: Path, start_s: float | None = None, end_s: float | None = None) -> np.ndarray:
    with open_clip(path) as clip:
        return np.concatenate(list(clip.sound(RATE, 2, start_s, end_s)))


def write_pictures(
    folder: Path, *, has_alpha: bool = False, size=SIZE, count: int = FRAMES
) -> list:
    names = [f"frame_{number:04}.png" for number in range(count)]
    for number, name in enumerate(names):
        pixels = cv2.cvtColor(picture(number, *size), cv2.COLOR_RGB2BGR)
        if has_alpha:
            alpha = np.full(pixels.shape[:2], 5 * number, np.uint8)
            pixels = np.dstack([pixels, alpha])
        cv2.imwrite(str(folder / name), pixels)
    return names


def write_movie(path: Path, names: list, codec: str = "H264", **fields: object) -> Message:
    wanted = {"path": str(path), "folder": str(path.parent), "names": names, "codec": codec}
    message = Message("write_movie", 1, {"rate": [FPS, 1], **wanted, **fields})
    told: list[float] = []
    reply = Operations().answer(message, lambda fraction, _: told.append(fraction))
    assert isinstance(reply, Message) and reply.type == MESSAGE_TYPES["write_movie"].reply
    assert told == sorted(told) and told[-1] == 1.0 and len(told) == len(names)
    return reply


@pytest.mark.parametrize("start_s", [0.0, 1.24, -0.5])
@pytest.mark.parametrize("name", WITH_SOUND)
@pytest.mark.parametrize("codec", ["H264", "PRORES"])
def test_the_sound_is_the_clips_to_the_sample(clips, tmp_path, codec, name, start_s) -> None:
    names = write_pictures(tmp_path, has_alpha=codec == "PRORES", size=(32, 18))
    path = tmp_path / ("out.mp4" if codec == "H264" else "out.mov")
    sound = {"path": str(clips[name]), "start_s": start_s}
    reply = write_movie(path, names, codec, sound=sound)
    is_copied = codec == "H264" and name == "aac.mp4" and start_s == 0.0
    assert reply.fields["sound"] == ("copied" if is_copied else "lossless")
    seconds = FRAMES / FPS
    wanted = sound_of(clips[name], max(start_s, 0.0), seconds + start_s)
    if start_s < 0.0:
        wanted = np.concatenate([np.zeros((round(-start_s * RATE), 2), np.float32), wanted])
    got = sound_of(path, 0.0, seconds)
    assert len(got) == len(wanted) == seconds * RATE
    assert abs(got - wanted).max() < 2e-7
    assert abs(wanted[RATE:]).max() > 0.3


@pytest.mark.parametrize("codec", ["H264", "PRORES"])
def test_each_picture_is_one_frame_in_its_own_colours(tmp_path, codec) -> None:
    names = write_pictures(tmp_path, has_alpha=codec == "PRORES")
    path = tmp_path / ("out.mp4" if codec == "H264" else "out.mov")
    reply = write_movie(path, names, codec, rate=[30000, 1001])
    assert reply.fields == {"path": str(path), "frame_count": FRAMES, "sound": ""}
    with open_clip(path) as clip:
        assert clip.facts.frame_rate == pytest.approx(30000 / 1001)
        assert not clip.facts.has_sound and clip.facts.has_alpha == (codec == "PRORES")
        frames = list(clip.frames())
    assert [number_of(frame.image) for frame in frames] == list(range(FRAMES))
    for number in (0, FRAMES - 1):
        difference = frames[number].image.astype(int) - picture(number, *SIZE)
        assert abs(difference).mean() < 1.5
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        context = stream.codec_context
        assert (context.colorspace, context.color_primaries, context.color_range) == (1, 1, 1)
        if codec == "PRORES":
            alphas = [f.to_ndarray(format="rgba")[..., 3].mean() for f in file.decode(stream)]
            assert np.allclose(alphas, 5 * np.arange(FRAMES), atol=1.0)


def test_an_odd_size_loses_a_column_and_16_bits_are_kept_by_prores(tmp_path) -> None:
    names = write_pictures(tmp_path, size=(161, 91), count=2)
    write_movie(tmp_path / "odd.mp4", names)
    with open_clip(tmp_path / "odd.mp4") as clip:
        assert (clip.facts.width, clip.facts.height) == (160, 90)
    ramp = np.tile(np.linspace(20000, 24000, 64).astype(np.uint16), (16, 1))
    cv2.imwrite(str(tmp_path / "deep.png"), np.dstack([ramp] * 3))
    write_movie(tmp_path / "deep.mov", ["deep.png"], "PRORES")
    with av.open(str(tmp_path / "deep.mov")) as file:
        frame = next(file.decode(video=0)).reformat(format="gbrpf32le")
        levels = len(np.unique(np.round(frame.to_ndarray()[..., 0][8], 4)))
    assert levels > 40


def test_a_sound_stays_in_time_to_the_end(clips, tmp_path) -> None:
    """At 29.97 frames per second a clap is where its frame is, also after a minute."""
    count, fps = 1798, Fraction(30000, 1001)
    samples = np.zeros((2, round(count / fps * RATE)), np.float32)
    claps = (10, 900, 1790)
    for frame in claps:
        start = round(frame / fps * RATE)
        samples[:, start : start + 64] = 0.9
    source = tmp_path / "claps.mov"
    with av.open(str(source), "w") as file:
        audio = file.add_stream("pcm_s16le", rate=RATE, layout="stereo")
        whole = (samples.T * 32767).astype(np.int16).reshape(1, -1)
        sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(whole), "s16", "stereo")
        sound.sample_rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
        file.mux(audio.encode(sound))
        file.mux(audio.encode(None))
    for name, level in (("dark.png", 20), ("bright.png", 230)):
        cv2.imwrite(str(tmp_path / name), np.full((16, 16, 3), level, np.uint8))
    names = [("dark.png", "bright.png")[number in claps] for number in range(count)]
    path = tmp_path / "long.mp4"
    write_movie(path, names, rate=[30000, 1001], sound={"path": str(source), "start_s": 0.0})
    heard = np.nonzero(abs(sound_of(path)[:, 0]) > 0.5)[0][::64] / RATE
    with open_clip(path) as clip:
        seen = [frame.time_s for frame in clip.frames() if frame.image.mean() > 128]
    assert len(heard) == len(seen) == len(claps)
    assert np.allclose(heard, seen, atol=0.001)


def test_what_is_wrong_is_said_and_leaves_the_movie_of_before(clips, tmp_path) -> None:
    names, path = write_pictures(tmp_path, count=2), tmp_path / "out.mp4"
    write_movie(path, names)
    before = path.read_bytes()
    silent = tmp_path / "silent.mp4"
    write_movie(silent, names)
    with pytest.raises(ReportedError, match=r"'silent.mp4' has no sound"):
        write_movie(path, names, sound={"path": str(silent), "start_s": 0.0})
    sound = {"path": str(silent), "start_s": 0.0, "is_optional": True}
    assert write_movie(path, names, sound=sound).fields["sound"] == ""
    with pytest.raises(ReportedError, match="cannot be read"):
        write_movie(path, [*names, "gone.png"])
    cv2.imwrite(str(tmp_path / "other.png"), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(ReportedError, match="another size"):
        write_movie(path, [*names, "other.png"])
    for fields in ({"rate": [0, 1]}, {"codec": "GIF"}, {"sound": {"path": "x"}}):
        with pytest.raises(ReportedError) as error:
            write_movie(path, names, **fields)
        assert error.value.code == "bad_request"
    with pytest.raises(ReportedError, match="needs pictures"):
        write_movie(path, [])
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ReportedError) as error:
        write_movie(tmp_path / "file" / "out.mp4", names, folder=str(tmp_path))
    assert error.value.code == "write_failed"
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".part-*"))
