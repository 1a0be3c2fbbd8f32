"""engine.picture_file: what is in the files, and that they are whole or absent."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from engine import openexr, picture_file
from engine.picture_file import FileFormat, PictureFile
from engine.renderer import NOTHING, Rectangle, ReportedError, SourceImage
from engine.srgb import linear_from_srgb, srgb_from_linear

ALL = Rectangle(0, 0, 24, 16)


def read(path: Path) -> np.ndarray:
    """(H, W, 4) RGBA by a reader that is not our own."""
    if path.suffix == ".exr":
        import OpenEXR

        with OpenEXR.File(str(path)) as file:
            return np.array(file.channels()["RGBA"].pixels)
    data = np.frombuffer(path.read_bytes(), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]


def write(path: Path, pixels: np.ndarray, encoding: str, kind: str, depth: str) -> np.ndarray:
    image = SourceImage(pixels, encoding)
    file = PictureFile(image, FileFormat(kind, depth))
    file.write(str(path), file.convert(pixels[:0, :0], NOTHING))
    assert path.exists()
    return read(path)


def byte_picture() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (16, 24, 4), np.uint8)


def float_picture(top: float = 1.0) -> np.ndarray:
    pixels = np.random.default_rng(4).random((16, 24, 4)).astype(np.float32)
    pixels[..., :3] *= top
    return pixels


def test_bytes_go_to_an_8_bit_png_unchanged(tmp_path: Path) -> None:
    pixels = byte_picture()
    back = write(tmp_path / "a.png", pixels, "srgb", "PNG", "8")
    assert back.dtype == np.uint8
    assert (back == pixels).all()


def test_bytes_go_to_a_16_bit_png_exactly(tmp_path: Path) -> None:
    pixels = byte_picture()
    back = write(tmp_path / "a.png", pixels, "srgb", "PNG", "16")
    assert back.dtype == np.uint16
    assert (back == pixels.astype(np.uint16) * 257).all()


@pytest.mark.parametrize(("depth", "steps"), [("8", 255), ("16", 65535)])
def test_floats_are_rounded_to_the_nearest_step(tmp_path: Path, depth: str, steps: int) -> None:
    pixels = float_picture()
    pixels[0, 0], pixels[0, 1] = -3.0, 7.0
    back = write(tmp_path / "a.png", pixels, "srgb", "PNG", depth)
    wanted = np.clip(pixels, 0, 1).astype(np.float64) * steps
    assert np.abs(back - wanted).max() <= 0.501


def test_linear_floats_get_the_srgb_curve_and_keep_their_alpha(tmp_path: Path) -> None:
    pixels = np.zeros((16, 24, 4), np.float32)
    pixels[..., :3] = 0.18
    pixels[..., 3] = 0.5
    back = write(tmp_path / "a.png", pixels, "linear", "PNG", "8")
    assert (back[..., :3] == 118).all()  # mid grey
    assert (back[..., 3] == 128).all()


@pytest.mark.parametrize(("depth", "tolerance"), [("16", 1e-3), ("32", 1e-6)])
def test_scene_linear_values_survive_in_openexr(
    tmp_path: Path, depth: str, tolerance: float
) -> None:
    pixels = float_picture(40.0)
    pixels[..., 3] = 1.0
    back = write(tmp_path / "a.exr", pixels, "linear", "OPEN_EXR", depth)
    assert back.dtype == (np.float16 if depth == "16" else np.float32)
    assert back.max() > 30
    np.testing.assert_allclose(back, pixels, rtol=tolerance, atol=1e-6)


def test_openexr_has_linear_values_and_associated_alpha(tmp_path: Path) -> None:
    pixels = byte_picture()
    back = write(tmp_path / "a.exr", pixels, "srgb", "OPEN_EXR", "32")
    alpha = pixels[..., 3:] / 255.0
    np.testing.assert_allclose(back[..., 3:], alpha, atol=1e-6)
    wanted = linear_from_srgb(pixels[..., :3] / np.float32(255.0)) * alpha
    np.testing.assert_allclose(back[..., :3], wanted, atol=1e-5)


def test_half_files_hold_no_infinity_and_no_nan(tmp_path: Path) -> None:
    pixels = float_picture()
    pixels[0, 0, :3] = np.inf
    pixels[0, 1, :3] = np.nan
    pixels[0, 2, :3] = 1e30
    back = write(tmp_path / "a.exr", pixels, "linear", "OPEN_EXR", "16")
    assert np.isfinite(back).all()
    assert back.max() == 65504.0


@pytest.mark.parametrize("size", [(1, 1), (1, 16), (37, 17), (5, 16), (300, 33)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_openexr_of_any_size_and_content(
    tmp_path: Path, size: tuple[int, int], dtype: type
) -> None:
    """Noise does not shrink, flat pictures do: both ways to store a block are taken."""
    width, height = size
    noise = np.random.default_rng(6).integers(0, 2**16, (height, width, 4), np.uint16)
    pictures = [
        np.nan_to_num(noise.view(np.float16), nan=1.0).astype(dtype),
        np.full((height, width, 4), 0.25, dtype),
        np.linspace(-1, 9, 4 * width * height, dtype=dtype).reshape(height, width, 4),
    ]
    for picture in pictures:
        path = tmp_path / "a.exr"
        path.write_bytes(openexr.encode(picture))
        back = read(path)
        assert back.dtype == dtype
        assert (back == picture).all()


def test_openexr_is_compressed() -> None:
    assert len(openexr.encode(np.full((256, 256, 4), 0.5, np.float32))) < 20_000


@pytest.mark.parametrize(
    ("kind", "depth"), [("PNG", "8"), ("PNG", "16"), ("OPEN_EXR", "16"), ("OPEN_EXR", "32")]
)
@pytest.mark.parametrize("encoding", ["srgb", "linear"])
def test_a_changed_rectangle_equals_a_whole_conversion(
    tmp_path: Path, kind: str, depth: str, encoding: str
) -> None:
    """The unchanged part is converted once only; files must not show that."""
    pixels = float_picture(3.0)
    file = PictureFile(SourceImage(pixels, encoding), FileFormat(kind, depth))
    path = tmp_path / ("a.png" if kind == "PNG" else "a.exr")
    for area in (Rectangle(3, 2, 10, 9), Rectangle(12, 0, 12, 16), NOTHING):
        canvas = pixels.copy()
        canvas[area.slices] *= 0.5
        file.write(str(path), file.convert(canvas[area.slices], area))
        whole = write(path.with_stem("b"), canvas, encoding, kind, depth)
        assert (read(path) == whole).all()


def test_the_srgb_curve_and_its_inverse() -> None:
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    np.testing.assert_allclose(linear_from_srgb(srgb_from_linear(values)), values, atol=1e-5)
    assert srgb_from_linear(np.float32([0.0, 1.0])).tolist() == pytest.approx([0.0, 1.0])


def test_big_pictures_are_converted_in_strips(tmp_path: Path, monkeypatch: Any) -> None:
    pixels = float_picture()
    whole = write(tmp_path / "a.png", pixels, "linear", "PNG", "16")
    monkeypatch.setattr(picture_file, "_STRIP_PIXELS", 50)
    assert (write(tmp_path / "b.png", pixels, "linear", "PNG", "16") == whole).all()


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "Free some space"), (errno.EROFS, "may write"), (errno.ENOENT, "path")],
)
def test_a_failed_write_keeps_the_older_file_and_leaves_no_part(
    tmp_path: Path, monkeypatch: Any, code: int, words: str
) -> None:
    path = tmp_path / "frame.png"
    path.write_bytes(b"older")

    def fail(self: Path, data: Any) -> None:
        with self.open("wb") as stream:
            stream.write(bytes(data)[:10])
        raise OSError(code, "It broke")

    monkeypatch.setattr(Path, "write_bytes", fail)
    pixels = byte_picture()
    file = PictureFile(SourceImage(pixels, "srgb"), FileFormat("PNG", "8"))
    with pytest.raises(ReportedError) as caught:
        file.write(str(path), file.convert(pixels, ALL))
    assert caught.value.code == "write_failed"
    assert str(path) in caught.value.message
    assert words in caught.value.hint
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [
        ("frame.png", b"older")
    ]


def test_formats_and_depths() -> None:
    assert FileFormat.read({}) == ("PNG", "8", "linear", "associated")
    assert FileFormat.read({"format": "OPEN_EXR"}).depth == "16"
    assert FileFormat.read({"format": "PNG", "color_depth": 16}).depth == "16"
    for bad in (
        {"format": "JPEG"},
        {"format": []},
        {"format": "OPEN_EXR", "color_depth": "8"},
        {"color": "ACEScg"},
        {"alpha": None},
    ):
        with pytest.raises(ReportedError):
            FileFormat.read(bad)


@pytest.mark.parametrize("alpha", ["associated", "straight"])
def test_an_exr_can_keep_the_values_of_the_picture(tmp_path: Path, alpha: str) -> None:
    pixels = byte_picture()
    form = FileFormat("OPEN_EXR", "32", "source", alpha)
    file = PictureFile(SourceImage(pixels, "srgb"), form)
    file.write(str(tmp_path / "a.exr"), file.convert(pixels[:0, :0], NOTHING))
    wanted = pixels / np.float32(255)
    if alpha == "associated":
        wanted[..., :3] *= wanted[..., 3:]
    np.testing.assert_allclose(read(tmp_path / "a.exr"), wanted, atol=1e-6)
