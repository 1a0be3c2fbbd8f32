"""Clips that are damaged, cut off, of the wrong kind, or that change meanwhile."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

import av
import numpy as np
import pytest
from clip_maker import make_clip, number_of

from engine.clips.clip import open_clip
from engine.clips.errors import ClipError
from engine.clips.facts import Damage


def read(path: Path) -> tuple[list[tuple[float, int]], Damage]:
    with open_clip(path) as clip:
        found = [(frame.time_s, number_of(frame.image)) for frame in clip.frames()]
        return found, clip.damage


def refused(path: Path, reason: str) -> ClipError:
    with pytest.raises(ClipError, match=reason) as caught, open_clip(path) as clip:
        list(clip.frames())
    assert path.name in str(caught.value)
    assert caught.value.hint
    assert caught.value.code == "bad_performance"
    return caught.value


def with_noise(path: Path, at: float, length: int) -> Path:
    """The file with random bytes at a part of its length."""
    data = bytearray(path.read_bytes())
    start = int(len(data) * at)
    data[start : start + length] = random.Random(3).randbytes(length)
    path.write_bytes(data)
    return path


def big_clip(path: Path, codec: str = "libx264", pixel_format: str = "yuv420p") -> Path:
    options = {"g": "10", "crf": "10"} if codec == "libx264" else {}
    return make_clip(
        path, 60, size=(640, 360), rate=25, codec=codec, pixel_format=pixel_format, options=options
    )


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.mov", "prores_ks", "yuv422p10le"),
        ("a.avi", "mjpeg", "yuvj420p"),
    ],
)
def test_damaged_packets_are_skipped_and_counted(
    tmp_path: Path, name: str, codec: str, pixel_format: str
) -> None:
    path = big_clip(tmp_path / name, codec, pixel_format)
    found, damage = read(with_noise(path, 0.4, 700))
    assert 40 <= len(found) < 60 or damage.doubtful
    assert damage
    assert str(damage)
    # What is far from the damage is right, and at its own time.
    for time_s, number in (*found[:12], *found[-12:]):
        assert time_s == pytest.approx(number / 25, abs=1e-3)


@pytest.mark.parametrize("name", ["cut.mkv", "cut.ts", "cut.avi"])
def test_what_is_there_of_a_cut_file_is_read(tmp_path: Path, name: str) -> None:
    codec, pixel_format = ("mjpeg", "yuvj420p") if name == "cut.avi" else ("libx264", "yuv420p")
    path = big_clip(tmp_path / name, codec, pixel_format)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    found, damage = read(path)
    assert 25 < len(found) < 50
    for time_s, number in found[:25]:
        assert time_s == pytest.approx(number / 25, abs=1e-3)
    if name == "cut.mkv":
        assert damage.missing_s == pytest.approx(60 / 25 - len(found) / 25, abs=0.1)
        assert "missing" in str(damage)


def test_a_movie_file_without_its_index_says_so(tmp_path: Path) -> None:
    path = big_clip(tmp_path / "unfinished.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    error = refused(path, "incomplete")
    assert "Copy or export" in error.hint


def test_a_broken_header_is_told(tmp_path: Path) -> None:
    path = big_clip(tmp_path / "header.mkv")
    data = path.read_bytes()
    path.write_bytes(bytes(3000) + data[3000:])
    refused(path, "no clip that can be read")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.mp4", b"Shopping list: milk, bread, a new camera.\n" * 50),
        ("art.txt", b"\x1b[31mHello\x1b[0m\n" * 100),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.ts\n#EXT-X-ENDLIST\n"),
        ("list.mp4", b"ffconcat version 1.0\nfile 'other.mp4'\n"),
        ("zeros.mov", bytes(10000)),
    ],
)
def test_what_is_no_clip_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    make_clip(tmp_path / "other.ts", 3)
    make_clip(tmp_path / "other.mp4", 3)
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, "no clip")


def test_a_missing_file_a_folder_and_an_empty_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "takes").mkdir()
    refused(tmp_path / "gone.mp4", "cannot be read: No such file")
    refused(tmp_path / "takes", "is a folder")
    refused(tmp_path / "empty.mp4", "is empty")


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    refused(tmp_path / "pipe.mp4", "no file but a device")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user without rights")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "secret.mp4", 2)
    path.chmod(0)
    refused(path, "may not be read")


def test_sound_alone_has_nothing_to_capture(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    refused(path, "sound alone")


def test_a_coding_that_is_unknown_is_told(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "exotic.avi", 3, codec="mpeg4")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"FMP4", b"XQZ9"))
    error = refused(path, "coded in a way")
    assert "H.264" in error.hint


def test_a_clip_without_a_single_good_frame_is_told(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "noise.mp4", 5)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat")
    length = int.from_bytes(data[start - 4 : start])
    data[start + 4 : start + length - 4] = bytes(length - 8)
    path.write_bytes(data)
    refused(path, "No frame")


def test_one_frame_is_a_clip(tmp_path: Path) -> None:
    for name, codec in (("one.mp4", "libx264"), ("one.gif", "gif"), ("one.mkv", "libx264")):
        path = make_clip(
            tmp_path / name, 1, codec=codec, pixel_format="rgb8" if codec == "gif" else "yuv420p"
        )
        found, damage = read(path)
        assert found == [(0.0, 0)]
        assert not damage


def test_a_rate_of_zero_in_the_header_does_not_matter_where_times_are_told(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "zero.mkv", 6, rate=25, times=[n / 25 for n in range(6)])
    found, _ = read(path)
    assert found == [(pytest.approx(n / 25, abs=1e-3), n) for n in range(6)]


def test_a_zero_rate_of_an_avi_is_told_or_read(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "zero.avi", 6, rate=25, codec="mjpeg", pixel_format="yuvj420p")
    data = bytearray(path.read_bytes())
    header = data.index(b"strh") + 8
    data[header + 20 : header + 28] = bytes(8)  # dwScale and dwRate
    path.write_bytes(data)
    with open_clip(path) as clip:
        frames = list(clip.frames())
    assert [number_of(frame.image) for frame in frames] == list(range(6))
    assert all(b.time_s > a.time_s for a, b in itertools.pairwise(frames))


def test_a_part_behind_the_end_says_how_long_the_clip_is(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "short.mp4", 25, rate=25)
    with open_clip(path) as clip, pytest.raises(ClipError, match="from 5 s to 6 s") as caught:
        list(clip.frames(5.0, 6.0))
    assert "1.0 s" in caught.value.hint


@pytest.mark.parametrize("name", ["growing.mp4", "growing.mkv"])
def test_a_clip_that_changes_while_it_is_read_is_refused(tmp_path: Path, name: str) -> None:
    path = big_clip(tmp_path / name)
    with open_clip(path) as clip:
        frames = clip.frames()
        next(frames)
        with path.open("ab") as file:
            file.write(b"more")
        with pytest.raises(ClipError, match="changed while it was read") as caught:
            list(frames)
    assert "Wait" in caught.value.hint


def test_a_clip_that_goes_away_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = big_clip(tmp_path / "gone.mp4")
    with open_clip(path) as clip:
        frames = clip.frames()
        next(frames)
        path.unlink()
        with pytest.raises(ClipError, match="went away"):
            list(frames)


def test_a_clip_that_is_cut_off_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = big_clip(tmp_path / "cut.mp4")
    with open_clip(path) as clip:
        frames = clip.frames()
        next(frames)
        os.truncate(path, path.stat().st_size // 3)
        with pytest.raises(ClipError, match="changed while it was read"):
            list(frames)


def test_a_recording_behind_another_goes_on_in_time(tmp_path: Path) -> None:
    one = make_clip(tmp_path / "one.ts", 20, rate=25)
    path = tmp_path / "both.ts"
    path.write_bytes(one.read_bytes() + one.read_bytes())
    found, _ = read(path)
    times = [time_s for time_s, _ in found]
    assert all(b > a for a, b in itertools.pairwise(times))
    assert len(found) >= 36
    assert [number for _, number in found[:18]] == list(range(18))
