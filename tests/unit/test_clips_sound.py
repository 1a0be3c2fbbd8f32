"""The sound of clips: resampled, mixed, without gaps, in step with the pictures."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clip_maker import make_clip, picture

from engine.clips.clip import open_clip
from engine.clips.errors import ClipError
from engine.clips.sound_file import SoundFile

RATE = 48000


def with_clicks(
    path: Path,
    codec: str,
    seconds: float = 3.0,
    gap: tuple[float, float] | None = None,
    starts_s: float = 0.0,
) -> Path:
    """A clip with a click at every half second: left at full, right at half the level."""
    layout = "stereo"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        sound = container.add_stream(codec, rate=RATE, layout=layout)
        samples = np.zeros((2, round(seconds * RATE)), np.float32)
        for click in np.arange(0.5, seconds, 0.5):
            at = round(click * RATE)
            samples[:, at : at + 48] = [[0.9], [0.45]]
        for n in range(round(seconds * 25)):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture(n, 160, 96), "rgb24")))
        step = 960
        for at in range(0, samples.shape[1], step):
            if gap is not None and gap[0] <= at / RATE < gap[1]:
                continue
            frame = av.AudioFrame.from_ndarray(samples[:, at : at + step], "fltp", layout)
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = at + round(starts_s * RATE)
            container.mux(sound.encode(frame))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def clicks(samples: np.ndarray, rate: int) -> list[float]:
    """Seconds at which clicks begin."""
    loud = np.flatnonzero(np.abs(samples[:, 0]) > 0.3) / rate
    return [t for i, t in enumerate(loud) if not i or t - loud[i - 1] > 0.1]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "aac"), ("a.mkv", "pcm_s16le"), ("a.webm.mkv", "libopus"), ("a.mov", "pcm_s16le")],
)
def test_clicks_are_where_they_belong(tmp_path: Path, name: str, codec: str) -> None:
    path = with_clicks(tmp_path / name, codec)
    with open_clip(path) as clip:
        assert clip.facts.has_sound
        samples = np.concatenate(list(clip.sound(16000)))
    assert samples.dtype == np.float32
    assert samples.shape[1] == 1
    assert len(samples) == pytest.approx(3 * 16000, abs=1100)
    assert clicks(samples, 16000) == [pytest.approx(t, abs=0.004) for t in (0.5, 1, 1.5, 2, 2.5)]


def test_both_channels_and_a_part_of_it(tmp_path: Path) -> None:
    path = with_clicks(tmp_path / "a.mkv", "pcm_s16le")
    with open_clip(path) as clip:
        blocks = list(clip.sound(44100, 2, start_s=0.9, end_s=2.1))
    samples = np.concatenate(blocks)
    assert samples.shape == (round(1.2 * 44100), 2)
    assert clicks(samples, 44100) == [pytest.approx(t, abs=0.003) for t in (0.1, 0.6, 1.1)]
    assert samples[:, 0].max() == pytest.approx(2 * samples[:, 1].max(), rel=0.1)


def test_gaps_and_late_starts_are_silence(tmp_path: Path) -> None:
    path = with_clicks(tmp_path / "gap.mkv", "pcm_s16le", gap=(1.1, 1.9))
    with open_clip(path) as clip:
        samples = np.concatenate(list(clip.sound(16000)))
    assert clicks(samples, 16000) == [pytest.approx(t, abs=0.004) for t in (0.5, 1, 2, 2.5)]
    path = with_clicks(tmp_path / "late.mkv", "pcm_s16le", starts_s=0.7)
    with open_clip(path) as clip:
        samples = np.concatenate(list(clip.sound(16000)))
        assert next(clip.frames()).time_s == 0.0
    assert clicks(samples, 16000)[0] == pytest.approx(1.2, abs=0.004)


def test_a_silent_clip_says_so(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "silent.mp4", 2)
    with open_clip(path) as clip, pytest.raises(ClipError, match="no sound"):
        next(clip.sound(16000))


def test_lost_sound_is_counted_and_stays_silent(tmp_path: Path) -> None:
    """Demuxers of FLAC and Ogg step over damage and say nothing."""
    path = tmp_path / "a.flac"
    noise = np.random.default_rng(0).normal(0.0, 3000.0, (1, 4 * 16000)).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise, "s16", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    whole = bytearray(path.read_bytes())
    middle, lost = len(whole) // 2, len(whole) // 8
    for damaged, words in (
        (whole, ""),
        (whole[:middle] + bytes(lost) + whole[middle + lost :], r"1 gap of 0\.\d s in all"),
        (whole[:middle], r"the last [12]\.\d s are missing"),
    ):
        path.write_bytes(damaged)
        with SoundFile(path) as sound:
            samples = np.concatenate(list(sound.blocks(16000)))
            assert re.search(words, str(sound.damage)) and bool(words) == bool(sound.damage)
        if "gap" in words:
            assert len(samples) == 4 * 16000
            assert np.abs(samples[-8000:, 0] - noise[0, -8000:] / 32768).max() < 1e-3
