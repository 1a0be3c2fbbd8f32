"""Frames of moving sources by number: right, and the same however one comes to them."""

from __future__ import annotations

import os
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from clip_maker import corners_of, make_clip, number_of, picture

from engine import openexr
from engine.clips.errors import ClipError
from engine.clips.source_frames import SourceFrames, open_frames
from engine.clips.video import VideoClip

COUNT = 24
LOG = "log-level=none"
UNEVEN = [number / 25 + (0.013 if number % 3 else 0.0) for number in range(COUNT)]
KINDS: dict[str, dict[str, Any]] = {
    "b_frames.mp4": {"options": {"bf": "3", "g": "10"}},
    "open_groups.mkv": {"options": {"x264-params": "open-gop=1:keyint=8:bframes=3:scenecut=0"}},
    "open_groups.mp4": {
        "codec": "libx265",
        "options": {"x265-params": f"{LOG}:keyint=8:open-gop=1"},
    },
    "one_key.webm": {"codec": "libvpx-vp9", "options": {"g": "999", "speed": "8"}},
    "hidden.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "8"}},
    "stream.ts": {"options": {"g": "8", "bf": "2"}},
    "old.mpg": {"codec": "mpeg2video", "options": {"g": "8", "bf": "2"}},
    "no_times.avi": {"codec": "mpeg4", "options": {"g": "8", "bf": "2"}},
    "bare.h264": {"options": {"g": "8"}},
    "uneven.mp4": {"times": UNEVEN, "options": {"g": "7", "bf": "2"}},
    "woven.mp4": {"options": {"flags": "+ildct+ilme", "x264opts": "tff=1", "g": "8"}},
    "refreshed.mkv": {"options": {"x264-params": "intra-refresh=1:keyint=8"}},
    "turned.mov": {"degrees": 90, "size": (180, 320), "options": {"g": "8"}},
    "intra.mov": {
        "codec": "prores_ks",
        "pixel_format": "yuva444p10le",
        "options": {"profile": "4444"},
    },
}


def opened(path: Path) -> SourceFrames:
    return open_frames(path, 24.0)


@pytest.mark.parametrize("name", KINDS)
def test_a_frame_is_the_same_by_reading_on_and_by_jumping(tmp_path: Path, name: str) -> None:
    path = make_clip(tmp_path / name, COUNT, **KINDS[name])
    frames = opened(path)
    assert len(frames.times) == COUNT
    through = [frames.pixels(number).copy() for number in range(COUNT)]
    assert [number_of(image[..., :3]) for image in through] == list(range(COUNT))
    assert corners_of(through[3][..., :3]) == ("red", "green", "blue", "white")
    jumps = opened(path)
    rng = random.Random(name)
    for number in [rng.randrange(COUNT) for _ in range(30)]:
        assert (jumps.pixels(number) == through[number]).all(), number
    with VideoClip(path) as clip:
        read = list(clip.frames())
    assert [frame.time_s for frame in read] == pytest.approx(frames.times, abs=1e-3)
    for frame, image in zip(read, through, strict=True):
        assert np.abs(frame.image.astype(int) - image[..., :3]).max() <= 1


def test_what_an_edit_list_cuts_off_does_not_count(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mp4", COUNT, options={"bf": "2", "g": "12"})
    cut = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        shift = round(5 / 30 / stream.time_base)
        for packet in source.demux(stream):
            if packet.dts is None:
                continue
            packet.pts -= shift
            packet.dts -= shift
            packet.stream = copy
            target.mux(packet)
    frames = opened(cut)
    count = len(frames.times)
    assert count < COUNT
    through = [number_of(frames.pixels(number)[..., :3]) for number in range(count)]
    assert through == list(range(COUNT - count, COUNT))
    assert number_of(opened(cut).pixels(count - 2)[..., :3]) == COUNT - 2


def test_damage_shows_the_last_good_frame(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "damaged.mov", COUNT, codec="mjpeg", pixel_format="yuvj420p")
    with av.open(str(path)) as container:
        packet = next(p for p in container.demux(video=0) if p.pts and number_at(p) == 7)
        place, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[place : place + size] = bytes(size)
    path.write_bytes(data)
    frames = opened(path)
    shown = [number_of(frames.pixels(number)[..., :3]) for number in (5, 6, 7, 8)]
    assert shown == [5, 6, 6, 8]
    assert number_of(opened(path).pixels(7)[..., :3]) == 6


def number_at(packet: Any) -> int:
    return round(packet.pts * packet.time_base * 30)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (
            "graded.mov",
            {"codec": "prores_ks", "pixel_format": "yuva444p10le", "options": {"profile": "4444"}},
        ),
        ("web.webm", {"codec": "libvpx-vp9", "pixel_format": "yuva420p", "options": {"g": "4"}}),
    ],
)
def test_alpha_is_kept(tmp_path: Path, name: str, kind: dict[str, Any]) -> None:
    path = tmp_path / name
    alphas = (0, 80, 255, 160, 30)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(kind["codec"], rate=24, options=kind["options"])
        stream.width, stream.height, stream.pix_fmt = 160, 96, kind["pixel_format"]
        for alpha in alphas:
            image = np.dstack([picture(1, 160, 96), np.full((96, 160), alpha, np.uint8)])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgba")))
        container.mux(stream.encode(None))
    frames = opened(path)
    assert frames.facts.has_alpha
    for number in (3, 0, 1, 4, 2):
        shown = frames.pixels(number)[..., 3]
        assert np.abs(shown.astype(int) - alphas[number]).max() <= 3


def test_a_sequence_is_its_files_whichever_is_named(tmp_path: Path) -> None:
    for number in (3, 4, 6, 12):
        image = cv2.cvtColor(picture(number, 160, 96), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(tmp_path / f"shot_{number:03}.png"), image)
    for named in (3, 12):
        frames = opened(tmp_path / f"shot_{named:03}.png")
        assert frames.numbers == (3, 4, 6, 12)
        assert (frames.encoding, frames.dtype) == ("srgb", np.uint8)
        numbers = [number_of(frames.pixels(index)[..., :3]) for index in (2, 0, 3, 1)]
        assert numbers == [6, 3, 12, 4]
    os.utime(tmp_path / "shot_004.png", ns=(1, 1))
    with pytest.raises(ClipError, match=r"shot_004\.png' has changed"):
        frames.pixels(1)
    cv2.imwrite(str(tmp_path / "shot_007.png"), np.zeros((96, 162, 3), np.uint8))
    with pytest.raises(ClipError, match="162 × 96 px"):
        opened(tmp_path / "shot_003.png").pixels(3)


def test_deep_pictures_keep_their_depth(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64 * 48 * 4).reshape(48, 64, 4).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "deep_1.png"), cv2.cvtColor(values, cv2.COLOR_RGBA2BGRA))
    frames = opened(tmp_path / "deep_1.png")
    assert (frames.encoding, frames.dtype) == ("srgb", np.float32)
    assert frames.pixels(0) == pytest.approx(values / 65535.0, abs=1e-6)


@pytest.mark.parametrize("depth", [np.float16, np.float32])
def test_light_stays_light(tmp_path: Path, depth: type) -> None:
    random_light = np.random.default_rng(1).uniform(0.0, 12.0, (40, 50, 4))
    light = random_light.astype(np.float32)
    light[..., 3] = np.linspace(0.25, 1.0, 50)
    (tmp_path / "light_7.exr").write_bytes(openexr.encode(light.astype(depth)))
    frames = opened(tmp_path / "light_7.exr")
    assert (frames.encoding, frames.dtype, frames.numbers) == ("linear", np.float32, (7,))
    straight = light.copy()
    straight[..., :3] /= light[..., 3:]
    assert frames.pixels(0) == pytest.approx(straight, rel=2e-3)


def test_fast_rates_do_not_drift(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mov", COUNT, rate=Fraction(24000, 1001))
    assert opened(path).times[-1] == pytest.approx((COUNT - 1) * 1.001 / 24, abs=1e-4)
