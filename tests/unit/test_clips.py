"""Clips of many kinds, made here with FFmpeg's own encoders, read back frame by frame.

Every frame carries its number as bright and dark blocks, and coloured corners, so that a wrong
frame, time, turn, shape or colour is seen.
"""

from __future__ import annotations

import gc
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clip_maker import CORNERS, corners_of, make_clip, number_of

from engine.clips.clip import open_clip
from engine.clips.decoding import open_container, open_decoder, video_stream
from engine.clips.errors import ClipError

X265 = {"x265-params": "log-level=none"}
FAST_VPX = {"deadline": "realtime", "cpu-used": "8"}
KINDS = [
    ("h264.mp4", "libx264", "yuv420p", {}),
    ("h264_10bit.mov", "libx264", "yuv420p10le", {}),
    ("h264.mkv", "libx264", "yuv444p", {}),
    ("h264.ts", "libx264", "yuv420p", {}),
    ("h264.flv", "libx264", "yuv420p", {}),
    ("hevc.mp4", "libx265", "yuv420p", X265),
    ("hevc_10bit.mkv", "libx265", "yuv420p10le", X265),
    ("vp8.webm", "libvpx", "yuv420p", FAST_VPX),
    ("vp9.webm", "libvpx-vp9", "yuv420p", FAST_VPX),
    ("vp9_alpha.webm", "libvpx-vp9", "yuva420p", {**FAST_VPX, "auto-alt-ref": "0"}),
    ("av1.mp4", "libsvtav1", "yuv420p", {"preset": "8"}),
    ("av1_10bit.webm", "libsvtav1", "yuv420p10le", {"preset": "8"}),
    ("prores.mov", "prores_ks", "yuv422p10le", {}),
    ("prores_4444.mov", "prores_ks", "yuva444p10le", {"profile": "4444"}),
    ("mjpeg.avi", "mjpeg", "yuvj422p", {}),
    ("mpeg2.mpg", "mpeg2video", "yuv420p", {}),
    ("mpeg4.avi", "mpeg4", "yuv420p", {}),
    ("animation.mov", "qtrle", "argb", {}),
    ("ffv1.mkv", "ffv1", "yuv420p", {}),
    ("dnx.mxf", "dnxhd", "yuv422p", {"profile": "dnxhr_hq"}),
    ("animated.gif", "gif", "rgb8", {}),
    ("wmv.wmv", "wmv2", "yuv420p", {}),
]
WITH_ALPHA = {"vp9_alpha.webm", "prores_4444.mov", "animation.mov", "animated.gif"}


def read(path: Path, **options: object) -> list[tuple[float, int]]:
    """(time, number) of every frame."""
    with open_clip(path) as clip:
        found = [(frame.time_s, number_of(frame.image)) for frame in clip.frames(**options)]
        assert not clip.damage, str(clip.damage)
    return found


@pytest.mark.parametrize(("name", "codec", "pixel_format", "options"), KINDS)
def test_every_kind_gives_all_frames_with_their_times(
    tmp_path: Path, name: str, codec: str, pixel_format: str, options: dict[str, str]
) -> None:
    path = make_clip(
        tmp_path / name, 12, rate=25, codec=codec, pixel_format=pixel_format, options=options
    )
    assert read(path) == [(pytest.approx(n / 25, abs=1e-3), n) for n in range(12)]
    with open_clip(path) as clip:
        facts = clip.facts
        first = next(clip.frames())
    assert corners_of(first.image) == CORNERS
    assert first.image.dtype == np.uint8
    assert (facts.width, facts.height, facts.frame_rate) == (320, 180, 25.0)
    assert facts.has_alpha == (name in WITH_ALPHA)
    assert not facts.has_sound


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("is_flipped", [False, True])
def test_turned_and_mirrored_clips_stand_upright(
    tmp_path: Path, degrees: int, is_flipped: bool
) -> None:
    path = make_clip(tmp_path / "turned.mp4", 3, degrees=degrees, is_flipped=is_flipped)
    with open_clip(path) as clip:
        facts = clip.facts
        (first, *_) = clip.frames()
    assert (facts.width, facts.height) == ((180, 320) if degrees in (90, 270) else (320, 180))
    assert first.image.shape == (facts.height, facts.width, 3)
    assert (facts.rotation, facts.is_mirrored) == (degrees, is_flipped)
    assert corners_of(first.image) == CORNERS
    assert number_of(first.image) == 0


def test_a_turned_ten_bit_hevc_with_wide_pixels_stands_upright(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "phone.mov",
        5,
        codec="libx265",
        pixel_format="yuv420p10le",
        degrees=90,
        pixel_aspect=Fraction(3, 2),
        options=X265,
    )
    with open_clip(path) as clip:
        frames = list(clip.frames(max_side=240))
        assert (clip.facts.width, clip.facts.height) == (180, 480)
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 3, 4]
    assert frames[0].image.shape == (240, 90, 3)
    assert corners_of(frames[0].image) == CORNERS


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(16, 15), 341), (Fraction(8, 9), 284)])
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, width: int) -> None:
    path = make_clip(tmp_path / "wide.mp4", 2, pixel_aspect=aspect)
    with open_clip(path) as clip:
        assert (clip.facts.width, clip.facts.height) == (width, 180)
        assert clip.facts.stored_size == (320, 180)
        assert next(clip.frames()).image.shape == (180, width, 3)


def test_odd_sizes_and_limits_of_size(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "odd.mkv", 2, size=(321, 179), codec="ffv1", pixel_format="yuv420p")
    with open_clip(path) as clip:
        assert next(clip.frames()).image.shape == (179, 321, 3)
        assert next(clip.frames(max_side=1000)).image.shape == (179, 321, 3)
        small = next(clip.frames(max_side=100)).image
    assert small.shape == (56, 100, 3)
    assert corners_of(small) == CORNERS


@pytest.mark.parametrize("name", ["ntsc.mp4", "ntsc.mkv", "ntsc.ts"])
@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(24000, 1001)])
def test_broken_rates_do_not_drift(tmp_path: Path, name: str, rate: Fraction) -> None:
    path = make_clip(tmp_path / name, 300, size=(160, 96), rate=rate)
    assert read(path) == [(pytest.approx(float(n / rate), abs=1e-3), n) for n in range(300)]


@pytest.mark.parametrize("name", ["variable.mp4", "variable.mkv", "variable.webm", "variable.ts"])
def test_variable_rates_keep_every_time(tmp_path: Path, name: str) -> None:
    steps = np.random.default_rng(5).choice([1 / 24, 1 / 60, 1 / 7], 29)
    times = [0.0, *np.cumsum(steps)]
    codec = "libsvtav1" if name.endswith("webm") else "libx264"
    path = make_clip(tmp_path / name, 30, size=(640, 360), times=times, codec=codec)
    assert read(path) == [(pytest.approx(t, abs=1e-3), n) for n, t in enumerate(times)]


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts", "late.mov"])
def test_times_count_from_the_clips_first_moment(tmp_path: Path, name: str) -> None:
    times = [100 + n / 25 for n in range(10)]
    path = make_clip(tmp_path / name, 10, times=times, rate=25)
    assert read(path) == [(pytest.approx(n / 25, abs=1e-3), n) for n in range(10)]
    with open_clip(path) as clip:
        assert clip.facts.start_s == pytest.approx(100, abs=0.2)
    assert [number for _, number in read(path, start_s=0.2, end_s=0.32)] == [5, 6, 7]


def test_an_edit_list_hides_what_was_cut_away(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "whole.mp4", 60, rate=25)
    target = tmp_path / "trimmed.mp4"
    with av.open(str(source)) as whole, av.open(str(target), "w") as trimmed:
        stream = whole.streams.video[0]
        copy = trimmed.add_stream_from_template(stream)
        cut = round(13 / 25 / stream.time_base)
        for packet in whole.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - cut, packet.dts - cut, copy
                trimmed.mux(packet)
    assert read(target) == [(pytest.approx(n / 25, abs=1e-3), n + 13) for n in range(47)]
    assert [number for _, number in read(target, start_s=0.4, end_s=0.5)] == [23, 24, 25]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("x264.mp4", "libx264", {"x264opts": "tff=1"}),
        ("mpeg2.ts", "mpeg2video", {"flags": "+ildct+ilme"}),
    ],
)
def test_combs_of_interlaced_clips_are_gone(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.bit_rate = 4_000_000
        for n in range(8):
            # A bar that moves on between the two fields of each frame.
            image = np.full((240, 320, 3), 30, np.uint8)
            for field in (0, 1):
                image[field::2, 40 + 24 * n + 12 * field :][:, :24] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode(None))
    with open_clip(path) as clip:
        frames = list(clip.frames())
    assert len(frames) == 8
    assert [f.time_s for f in frames] == [pytest.approx(n / 25, abs=1e-3) for n in range(8)]
    middle = frames[4].image[20:-20].astype(float).mean(axis=2)
    combs = np.abs(middle[2:] - 2 * middle[1:-1] + middle[:-2]).max(axis=0)
    assert combs.max() < 60


def test_frames_that_were_read_are_let_go_of(tmp_path: Path) -> None:
    """Twenty minutes of 4K would else fill the memory until the garbage collector comes."""
    path = make_clip(tmp_path / "long.mp4", count=40)
    gc.collect()
    gc.disable()
    try:
        with open_clip(path) as clip:
            for _ in clip.frames():
                pass
        held = sum(type(each).__name__ == "VideoFrame" for each in gc.get_objects())
    finally:
        gc.enable()
    assert held < 10


def test_a_part_is_read_from_the_keyframe_before_it(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "long.mp4", 100, rate=25)
    expected = [(pytest.approx(n / 25), n) for n in (25, 26, 27, 28, 29)]
    assert read(path, start_s=1.0, end_s=1.2) == expected
    assert [n for _, n in read(path, start_s=3.9)] == [98, 99]
    assert [n for _, n in read(path, end_s=0.1)] == [0, 1, 2]


@pytest.mark.parametrize("name", ["h264.ts", "h264.mkv", "h264.avi", "vp9.webm", "mpeg2.mpg"])
def test_parts_are_right_also_where_seeking_is_rough(tmp_path: Path, name: str) -> None:
    codec = {"webm": "libvpx-vp9", "mpg": "mpeg2video"}.get(name.partition(".")[2], "libx264")
    options = FAST_VPX if codec == "libvpx-vp9" else {}
    path = make_clip(tmp_path / name, 200, size=(160, 96), rate=25, codec=codec, options=options)
    whole = read(path)
    assert [n for _, n in whole] == list(range(200))
    for start, end in ((0.02, 0.5), (2.0, 2.4), (5.5, 6.0), (7.7, 99.0)):
        part = [n for time_s, n in whole if start - 1e-3 <= time_s < end - 1e-3]
        assert [n for _, n in read(path, start_s=start, end_s=end)] == part


def test_readings_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "twice.mp4", 20)
    with open_clip(path) as clip:
        one, two = clip.frames(), clip.frames(start_s=10 / 30)
        pairs = [(number_of(a.image), number_of(b.image)) for a, b in zip(one, two, strict=False)]
    assert pairs == [(n, n + 10) for n in range(10)]


def test_frames_are_freed_as_they_are_read(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "turned.mp4", 60, degrees=90)
    gc.collect()
    gc.disable()
    try:
        with open_clip(path) as clip:
            for _ in clip.frames():
                pass
        left = [thing for thing in gc.get_objects() if isinstance(thing, av.VideoFrame)]
    finally:
        gc.enable()
    assert len(left) < 4


def test_large_frames_are_decoded_by_few_threads(tmp_path: Path, monkeypatch) -> None:
    # Each thread holds frames of its own, and there may be many cores.
    monkeypatch.setattr("os.cpu_count", lambda: 32)
    counts = []
    for size in ((3840, 2160), (1920, 1080)):
        path = tmp_path / f"{size[0]}.mp4"
        with av.open(str(path), "w") as file:
            stream = file.add_stream("mpeg4", rate=24)
            stream.width, stream.height = size
            file.mux(stream.encode(av.VideoFrame(*size, "yuv420p")))
            file.mux(stream.encode(None))
        with open_container(path) as container:
            decoder = open_decoder(video_stream(container, path))
            counts.append(decoder.thread_count)
    assert counts == [3, 6]


def test_a_long_wait_for_a_part_can_be_ended(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "long.mp4", 100, options={"g": "1000"})
    seen = []

    def tick() -> None:
        seen.append(1)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with open_clip(path) as clip, pytest.raises(KeyboardInterrupt):
        list(clip.frames(start_s=3.0, tick=tick))
    assert len(seen) == 5


def test_metadata_in_any_encoding_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "Grüße, 100 %d: [x].mkv"
    make_clip(path, 2)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"Lavf", b"\xe4\xf6\xfc\xff", 1))
    assert len(read(path)) == 2


def test_without_pyav_the_engine_says_so_when_a_clip_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(tmp_path / "clip.mp4", 1)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ClipError, match="PyAV does not work") as caught:
        open_clip(path)
    assert caught.value.code == "not_installed"
