"""Sequences of numbered pictures, opened by their first."""

from __future__ import annotations

import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clip_maker import CORNERS, corners_of, number_of, picture

from engine.clips.clip import open_clip
from engine.clips.errors import ClipError


def write(path: Path, number: int, size: tuple[int, int] = (320, 180)) -> Path:
    image = picture(number, *size)[:, :, ::-1]
    if path.suffix == ".tif":
        image = image.astype(np.uint16) * 257
    ok, data = cv2.imencode(path.suffix, image)
    assert ok
    path.write_bytes(data.tobytes())
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
def test_pictures_follow_each_other_and_gaps_stay(tmp_path: Path, suffix: str) -> None:
    for number in (8, 9, 10, 12, 13):
        write(tmp_path / f"shot [1] %d {number:04d}{suffix}", number)
    write(tmp_path / f"other 0011{suffix}", 11)
    with open_clip(tmp_path / f"shot [1] %d 0008{suffix}", 10.0) as clip:
        frames = list(clip.frames())
        assert clip.facts.missing == (11,)
        assert clip.facts.frame_count == 5
        assert clip.facts.duration_s == pytest.approx(0.6)
        part = [number_of(frame.image) for frame in clip.frames(0.1, 0.45, max_side=160)]
    assert [(f.time_s, number_of(f.image)) for f in frames] == [
        (pytest.approx((n - 8) / 10), n) for n in (8, 9, 10, 12, 13)
    ]
    assert corners_of(frames[0].image) == CORNERS
    assert part == [9, 10, 12]


def test_numbers_without_padding_count_right(tmp_path: Path) -> None:
    for number in (8, 9, 10, 11):
        write(tmp_path / f"f{number}.png", number)
    with open_clip(tmp_path / "f9.png", 24.0) as clip:
        assert [number_of(frame.image) for frame in clip.frames()] == [9, 10, 11]


def test_a_picture_alone_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    with open_clip(write(tmp_path / "portrait.png", 3)) as clip:
        assert [(f.time_s, number_of(f.image)) for f in clip.frames()] == [(0.0, 3)]
        with pytest.raises(ClipError, match="no sound"):
            next(iter(clip.sound(16000)))


def test_a_damaged_picture_is_left_out_and_counted(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / f"p{number}.png", number)
    (tmp_path / "p2.png").write_bytes(b"no picture")
    with open_clip(tmp_path / "p0.png") as clip:
        assert [number_of(frame.image) for frame in clip.frames()] == [0, 1, 3]
        assert clip.damage.frames == 1


def test_a_picture_of_another_size_is_fitted_not_stretched(tmp_path: Path) -> None:
    write(tmp_path / "p0.png", 0)
    write(tmp_path / "p1.png", 1, (160, 90))
    write(tmp_path / "p2.png", 2, (180, 180))
    with open_clip(tmp_path / "p0.png") as clip:
        images = [frame.image for frame in clip.frames()]
    assert {image.shape for image in images} == {(180, 320, 3)}
    assert number_of(images[1]) == 1
    assert images[2][:, :60].max() == 0
    assert number_of(np.ascontiguousarray(images[2][:, 70:250])) == 2


def test_a_first_picture_that_is_damaged_is_told(tmp_path: Path) -> None:
    (tmp_path / "p0.png").write_bytes(b"no picture at all")
    with pytest.raises(ClipError, match=r"p0\.png"):
        open_clip(tmp_path / "p0.png")
    with pytest.raises(ClipError, match="cannot be read"):
        open_clip(tmp_path / "p7.png")


def test_a_picture_that_is_written_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write(tmp_path / f"p{number}.png", number)
    with open_clip(tmp_path / "p0.png") as clip:
        frames = clip.frames()
        next(frames)
        original = av.open

        def touch(*args: object, **kwargs: object) -> object:
            os.utime(tmp_path / "p1.png", ns=(1, 1))
            return original(*args, **kwargs)

        monkeypatch.setattr(av, "open", touch)
        with pytest.raises(ClipError, match="changed while it was read"):
            list(frames)


def test_a_turned_photograph_stands_upright(tmp_path: Path) -> None:
    lying = np.ascontiguousarray(np.rot90(picture(5, 180, 320)))
    path = tmp_path / "phone.jpg"
    ok, data = cv2.imencode(".jpg", lying[:, :, ::-1])
    assert ok
    # An EXIF block with one entry: Orientation (0x112) = 6, turned a quarter to the right.
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    block = b"Exif\0\0" + tiff
    header = b"\xff\xe1" + (len(block) + 2).to_bytes(2) + block
    path.write_bytes(data.tobytes()[:2] + header + data.tobytes()[2:])
    with open_clip(path) as clip:
        assert (clip.facts.width, clip.facts.height) == (180, 320)
        image = next(clip.frames()).image
    assert number_of(image) == 5
    assert corners_of(image) == CORNERS
