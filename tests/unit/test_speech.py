"""Speech through the front door: a sound in, what the face does out.

tests/data/spoken.ogg was spoken by a machine for these tests; spoken.phones beside it says when it
says what.
"""

from __future__ import annotations

import itertools
import json
import re
import wave
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from engine import long_takes
from engine.capture import capture
from engine.motion import Face
from engine.performance.geometry import euler_degrees
from engine.performance.performance import Performance
from engine.reading import read_performance
from engine.renderer import ReportedError
from engine.speech import hearing
from engine.speech_options import OTHER, SPEECH_AMOUNTS, SpeechOptions
from engine.speech_reading import hear
from engine.take import AUTO, PerformanceSource, TakeOptions

DATA = Path(__file__).resolve().parents[1] / "data"
SPOKEN = DATA / "spoken.ogg"
PHONES = [
    (float(start), float(end), phone)
    for start, end, phone in map(str.split, (DATA / "spoken.phones").read_text().splitlines())
]
LIPS = ("P", "B", "M")
OPEN = ("AA", "AE", "AY", "EY", "AO")
SHUT_AT, OPEN_AT = 0.03, 0.1  # of the control Mouth Open
FACE = Face((0.0, 0.0, 1.0, 1.0))
RATE = 16_000


def quiet(_fraction: float, _text: str) -> None:
    pass


def spoken(path: Path = SPOKEN, *part: float, **options: object) -> Performance:
    source = PerformanceSource(str(path), *part, speech=SpeechOptions(**options))
    return read_performance(source, quiet)


def samples() -> np.ndarray:
    """(N,) float32 of the spoken sound at RATE."""
    with av.open(str(SPOKEN)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        pieces = [p for f in container.decode(audio=0) for p in resampler.resample(f)]
        pieces += resampler.resample(None)
    return np.concatenate([piece.to_ndarray().ravel() for piece in pieces])


def write_wav(path: Path, sound: np.ndarray, rate: int = RATE) -> Path:
    """sound  (N,) or (N, channels), -1..1"""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if sound.ndim == 1 else sound.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(sound, -1.0, 1.0) * 32767).astype("<i2").tobytes())
    return path


def opening(performance: Performance, seconds: float) -> float:
    return float(np.interp(seconds, performance.times, performance.sliders["mouth_open"]))


def shares(performance: Performance, shift_s: float = 0.0) -> tuple[float, float]:
    """How many P, B, M have the lips shut, and how many open vowels have them open."""

    def of(names: Sequence[str]) -> list[float]:
        return [opening(performance, (a + b) / 2 + shift_s) for a, b, p in PHONES if p in names]

    shut, opened = np.array(of(LIPS)), np.array(of(OPEN))
    return float((shut < SHUT_AT).mean()), float((opened > OPEN_AT).mean())


@pytest.fixture(scope="module")
def performance() -> Performance:
    return spoken()


def test_lips_shut_where_they_must_and_open_on_vowels(performance) -> None:
    closed, opened = shares(performance)
    assert closed >= 0.9 and opened >= 0.9
    assert not performance.notices
    assert performance.times[-1] == pytest.approx(PHONES[-1][1], abs=0.05)


def test_lips_are_round_on_the_long_u_and_at_the_teeth_on_f(performance) -> None:
    def at(name: str, phone: str) -> float:
        start, end = next((a, b) for a, b, p in PHONES if p == phone)
        return float(np.interp((start + end) / 2, performance.times, performance.sliders[name]))

    assert at("purse", "UW") > 0.4
    assert at("purse", "AE") < 0.15
    assert at("upper_lip", "F") > 0.3 and at("mouth_open", "F") < 0.1


def test_silence_before_and_after_is_at_rest(performance) -> None:
    silent = (performance.times < 0.1) | (performance.times > PHONES[-1][0] + 0.12)
    assert all(np.abs(column[silent]).max() < 0.02 for column in performance.sliders.values())


def test_speech_becomes_a_take_with_few_keys() -> None:
    source = PerformanceSource(str(SPOKEN), speech=SpeechOptions())
    taken = capture(source, [FACE], TakeOptions(reference=AUTO), quiet)
    keys = taken.keys[0].sum(axis=0) / taken.times[-1]
    assert keys.max() <= 12.0
    row = taken.columns.index("mouth_open")
    assert taken.values[0, :, row].max() > 0.25
    assert np.abs(taken.values[0, :, taken.columns.index("head_yaw")]).max() == 0.0


def test_moments_are_the_frames_of_a_scene() -> None:
    source = PerformanceSource(str(SPOKEN), frame_rate=24.0, speech=SpeechOptions())
    performance = read_performance(source, quiet)
    assert np.diff(performance.times) == pytest.approx(1.0 / 24.0)
    assert shares(performance)[0] >= 0.7


def test_lips_that_are_open_in_the_picture_shut_too() -> None:
    source = PerformanceSource(str(SPOKEN), speech=SpeechOptions())
    faces = [replace(FACE, lips_open=0.18), FACE]
    taken = capture(source, faces, TakeOptions(reference=AUTO), quiet)
    row = taken.columns.index("lips_open")

    def ratio(face: int, names: Sequence[str]) -> np.ndarray:
        values = taken.values[face, :, row]
        return np.array(
            [np.interp((a + b) / 2, taken.times, values) for a, b, p in PHONES if p in names]
        )

    assert (ratio(0, LIPS) < 0.03).mean() >= 0.7
    assert np.median(ratio(0, OPEN)) > 0.17
    assert np.abs(ratio(1, LIPS)).max() == 0.0
    closed = capture(source, [FACE], TakeOptions(reference=AUTO), quiet)
    assert "lips_open" not in closed.columns


def test_a_part_is_spoken_at_its_own_time(performance) -> None:
    part = spoken(SPOKEN, 2.0, 4.0)
    assert part.times[-1] == pytest.approx(2.0, abs=0.03)
    moments = np.linspace(0.3, 1.7, 50)
    there = [opening(performance, 2.0 + moment) for moment in moments]
    assert np.corrcoef(there, [opening(part, moment) for moment in moments])[0, 1] > 0.85


def test_amounts_change_what_they_say() -> None:
    plain, wide, half = spoken(), spoken(jaw=1.6), spoken(strength=0.5)
    assert wide.sliders["mouth_open"].max() > 1.4 * plain.sliders["mouth_open"].max()
    assert wide.sliders["purse"].max() == pytest.approx(plain.sliders["purse"].max())
    assert half.sliders["purse"].max() == pytest.approx(0.5 * plain.sliders["purse"].max())
    assert shares(wide)[0] >= 0.75
    mumbled, clear = spoken(articulation=0.0), spoken(articulation=2.0)
    assert np.ptp(np.diff(mumbled.sliders["purse"])) < np.ptp(np.diff(clear.sliders["purse"]))
    assert spoken(language=OTHER).sliders["mouth_open"].max() > 0.25


def test_blinks_and_head_are_off_until_asked_and_come_from_the_seed(performance) -> None:
    assert "blink" not in performance.sliders
    assert np.ptp(euler_degrees(performance.rotation)) == 0.0
    lively, again = (spoken(blinks=1.0, head_motion=1.0, seed=3) for _ in range(2))
    other = spoken(blinks=1.0, head_motion=1.0, seed=4)
    assert lively.sliders["blink"].max() > 0.8
    assert 0.5 < np.ptp(euler_degrees(lively.rotation)) < 12.0
    assert np.array_equal(lively.sliders["blink"], again.sliders["blink"])
    assert not np.array_equal(lively.sliders["blink"], other.sliders["blink"])
    assert np.array_equal(lively.sliders["mouth_open"], performance.sliders["mouth_open"])


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (192_000, 1), (44_100, 6), (16_000, 2)])
def test_any_rate_and_channels(tmp_path, rate, channels) -> None:
    sound = samples()
    times = np.arange(int(len(sound) / RATE * rate)) / rate
    sound = np.interp(times, np.arange(len(sound)) / RATE, sound)
    if channels > 1:
        sound = np.stack([sound] * channels, axis=1)
    closed, opened = shares(spoken(write_wav(tmp_path / "sound.wav", sound, rate)))
    assert closed >= 0.6 and opened >= 0.85


def rest_share(performance: Performance) -> float:
    """How much of the time the mouth is at rest."""
    columns = np.stack([np.abs(column) for column in performance.sliders.values()])
    return float((columns.max(axis=0) < 0.05).mean()) if len(columns) else 1.0


def music() -> np.ndarray:
    """Four seconds of plucked chords over a beat."""
    times = np.arange(RATE) / RATE
    bars = []
    for root in (220.0, 174.6, 261.6, 196.0):
        bar = np.zeros(RATE)
        for start in (0.0, 0.25, 0.5, 0.75):
            heard = np.maximum(times - start, 0.0)
            pluck = (times >= start) * np.exp(-5.0 * heard)
            for ratio in (1.0, 1.25, 1.5):
                for tone in range(1, 8):
                    bar += pluck * np.sin(2 * np.pi * root * ratio * tone * heard) / tone**1.2
        bars.append(bar)
    beat = np.random.default_rng(5).standard_normal(4 * RATE)
    beat *= np.exp(-30.0 * (np.arange(4 * RATE) / RATE % 0.25))
    return 0.1 * (np.concatenate(bars) + beat)


def test_silence_noise_and_music_move_nothing(tmp_path) -> None:
    random = np.random.default_rng(1)
    for name, sound in (
        ("silent", np.zeros(4 * RATE)),
        ("hiss", 0.1 * random.standard_normal(4 * RATE)),
        ("music", music()),
        ("hum", 0.3 * np.sin(2 * np.pi * 100.0 * np.arange(4 * RATE) / RATE)),
    ):
        result = spoken(write_wav(tmp_path / f"{name}.wav", sound))
        assert rest_share(result) == 1.0, name
        assert "Nobody is heard" in result.notices[0] and name in result.notices[0]


def test_speech_in_noise_is_spoken(tmp_path) -> None:
    sound = samples()
    noise = 0.03 * np.abs(sound).max() * np.random.default_rng(2).standard_normal(len(sound))
    closed, opened = shares(spoken(write_wav(tmp_path / "noisy.wav", sound + noise)))
    assert closed >= 0.6 and opened >= 0.5


def test_a_movie_is_spoken_and_one_without_sound_says_so(tmp_path) -> None:
    path = tmp_path / "mute.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 24)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        picture = np.zeros((64, 64, 3), np.uint8)
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(ReportedError, match=r"'mute\.mp4' has no sound") as caught:
        spoken(path)
    assert caught.value.code == "bad_performance" and caught.value.hint


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"RIFF\x10\x00\x00\x00WAVEnothing", "damaged|no clip|no sound"),
        (bytes(range(256)) * 40, "no clip"),
    ],
)
def test_what_is_no_sound_says_so(tmp_path, content, what) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(ReportedError, match=what) as caught:
        spoken(path)
    assert caught.value.code == "bad_performance" and "broken.wav" in caught.value.message
    with pytest.raises(ReportedError, match=r"gone\.wav"):
        spoken(tmp_path / "gone.wav")
    with pytest.raises(ReportedError, match="no number 3"):
        spoken(SPOKEN, stream=2)


def test_long_sounds_are_heard_in_pieces(tmp_path) -> None:
    sound = np.tile(samples(), 5)  # 27 seconds, two pieces
    source = PerformanceSource(str(write_wav(tmp_path / "long.wav", sound)), speech=SpeechOptions())
    told: list[float] = []
    phones, duration_s, *_ = hear(source, lambda share, _text: told.append(share))
    assert duration_s == pytest.approx(len(sound) / RATE, abs=0.02)
    assert told == sorted(told) and told[-1] == pytest.approx(1.0, abs=0.05)
    assert all(a.end_s == pytest.approx(b.start_s) for a, b in itertools.pairwise(phones))
    whole = read_performance(source, quiet)
    closed, opened = (
        np.mean(part)
        for part in zip(*(shares(whole, n * PHONES[-1][1]) for n in range(5)), strict=True)
    )
    assert closed >= 0.75 and opened >= 0.85


def test_a_long_take_is_made_in_pieces_and_says_the_same(monkeypatch) -> None:
    source = PerformanceSource(str(SPOKEN), speech=SpeechOptions())
    faces = [FACE, replace(FACE, lips_open=0.18)]
    whole = capture(source, faces, TakeOptions(reference=AUTO), quiet)
    monkeypatch.setattr(long_takes, "PIECE_ROWS", 60)
    told: list[float] = []
    pieces = capture(source, faces, TakeOptions(reference=AUTO), lambda part, _t: told.append(part))
    assert pieces.columns == whole.columns and pieces.reference == whole.reference
    for name in ("times", "values", "expression", "translation", "is_seen"):
        assert np.array_equal(getattr(pieces, name), getattr(whole, name)), name
    edges = np.linspace(0, len(whole.times), len(whole.times) // 60 + 1).astype(int)
    row = whole.columns.index("mouth_open")
    keys = [taken.keys[0, :, row] for taken in (pieces, whole)]
    assert keys[0][edges[1:-1]].all()
    assert keys[0].sum() < 1.3 * keys[1].sum() + 2 * len(edges)
    assert told == sorted(told)


def test_damage_is_told_and_the_rest_spoken_in_its_place(tmp_path) -> None:
    scratched = bytearray(SPOKEN.read_bytes())
    middle = len(scratched) // 2
    scratched[middle : middle + 1500] = bytes(1500)
    path = tmp_path / "scratched.ogg"
    path.write_bytes(scratched)
    found = spoken(path)
    last = next(a + b for a, b, p in reversed(PHONES) if p == "M") / 2
    assert opening(found, last) < SHUT_AT < found.sliders["mouth_open"].max()
    assert re.search(r"'scratched.ogg' is damaged: 1 gap of \d\.\d s in all", found.notices[0])
    cut = tmp_path / "cut.wav"
    data = write_wav(cut, samples()).read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    found = spoken(cut)
    assert 2.0 < found.times[-1] < 3.0
    assert "'cut.wav' is damaged" in found.notices[0]


def test_an_artists_table_takes_the_place_of_ours(tmp_path, performance) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("phone;weight;mouth_open;brows\nAY;3;0,9;0,5\n", encoding="utf-8")
    mine = spoken(visemes=str(table))
    _, start, end = max((b - a, a, b) for a, b, p in PHONES if p == "AY")
    middle = (start + end) / 2
    assert opening(mine, middle) > opening(performance, middle) + 0.2
    assert mine.sliders["brows"].max() > 0.3
    for text, what in (
        ("phone,mouth_open\nXX,0.5\n", "line 2: there is no phone 'XX'"),
        ("phone,mouth_open\nAA,wide\n", "line 2: 'wide' in column 'mouth_open' is no number"),
        ("phone,mouth_opening\nAA,1\n", "line 1: 'mouth_opening' is no control"),
        ("sound,mouth_open\nAA,1\n", "line 1: the first row has no column 'phone'"),
        ("phone,weight\nAA,-1\n", "line 2: a weight"),
    ):
        table.write_text(text, encoding="utf-8")
        with pytest.raises(ReportedError, match=r"mine\.csv.*" + what) as caught:
            spoken(visemes=str(table))
        assert caught.value.code == "bad_performance" and caught.value.hint


def test_a_missing_model_says_so(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(hearing, "MODEL", tmp_path / "speech_phones.npz")
    hearing.acoustic_model.cache_clear()
    with pytest.raises(ReportedError, match="speech model") as caught:
        spoken()
    assert caught.value.code == "no_models"


def test_a_source_of_speech_crosses_the_wire() -> None:
    options = SpeechOptions(strength=1.5, language=OTHER, blinks=0.5, seed=7, stream=1)
    source = PerformanceSource("a.wav", 1.0, 2.5, speech=options)
    assert PerformanceSource.from_json(json.loads(json.dumps(source.to_json()))) == source
    plain = PerformanceSource("a.mp4")
    assert PerformanceSource.from_json(json.loads(json.dumps(plain.to_json()))) == plain


@pytest.mark.parametrize(
    "wrong",
    [
        *({amount.name: amount.maximum + 1.0} for amount in SPEECH_AMOUNTS),
        {"language": "Klingon"},
        {"seed": -1},
        {"seed": 0.5},
        {"stream": -2},
        {"visemes": 3},
        {"loudness": 1.0},
        {"strength": "much"},
    ],
)
def test_other_options_are_refused(wrong) -> None:
    with pytest.raises((ValueError, TypeError)):
        PerformanceSource.from_json({"path": "a.wav", "speech": wrong})
