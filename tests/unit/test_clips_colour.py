"""Clips' colours: matrix and range as the file says, high dynamic range brought to a display's."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from engine.clips.clip import open_clip

# Skin, grey, lips, cloth and leaf: (R, G, B) in sRGB.
PATCHES = np.array([[225, 172, 145], [128, 128, 128], [165, 60, 65], [40, 60, 150], [90, 140, 60]])
WHITE_NITS = 203.0
BT709_TO_2020 = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
)


def stripes(colours: np.ndarray, dtype: type) -> np.ndarray:
    return np.repeat(np.repeat(colours[None], 96, 0), 32, 1).astype(dtype)


def shown(path: Path) -> np.ndarray:
    """(5, 3) colours in the middle of the stripes."""
    with open_clip(path) as clip:
        image = next(clip.frames()).image
    width = image.shape[1] / len(PATCHES)
    return np.array(
        [image[40:50, round((i + 0.4) * width) :][:, :6].mean((0, 1)) for i in range(len(PATCHES))]
    )


def write(path: Path, frame: av.VideoFrame, codec: str, **tags: int) -> Path:
    options = {"x265-params": "log-level=none:lossless=1"} if codec == "libx265" else {"crf": "4"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("space", "tag"), [(Colorspace.ITU601, 6), (Colorspace.ITU709, 1), (Colorspace.BT2020, 9)]
)
@pytest.mark.parametrize("colour_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_matrix_and_range_are_those_that_the_file_names(
    tmp_path: Path, space: Colorspace, tag: int, colour_range: ColorRange
) -> None:
    rgb = av.VideoFrame.from_ndarray(stripes(PATCHES, np.uint8), "rgb24")
    frame = rgb.reformat(format="yuv444p", dst_colorspace=space, dst_color_range=colour_range)
    path = write(
        tmp_path / "a.mp4", frame, "libx264", colorspace=tag, color_range=int(colour_range)
    )
    assert np.abs(shown(path) - PATCHES).max() < 5


@pytest.mark.parametrize(("height", "space"), [(480, Colorspace.ITU601), (1080, Colorspace.ITU709)])
def test_a_file_that_names_no_matrix_is_taken_as_players_take_it(
    tmp_path: Path, height: int, space: Colorspace
) -> None:
    rgb = av.VideoFrame.from_ndarray(stripes(PATCHES, np.uint8), "rgb24")
    rgb = rgb.reformat(width=320, height=height, interpolation="POINT")
    frame = rgb.reformat(format="yuv420p", dst_colorspace=space, dst_color_range=ColorRange.MPEG)
    path = write(tmp_path / "a.mkv", frame, "libx264")
    assert np.abs(shown(path) - PATCHES).max() < 6


def to_linear(srgb: np.ndarray) -> np.ndarray:
    value = srgb / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def pq(nits: np.ndarray) -> np.ndarray:
    power = (nits / 10000.0) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(nits: np.ndarray) -> np.ndarray:
    display = nits / 1000.0
    luminance = (display @ [0.2627, 0.678, 0.0593])[..., None]
    scene = display * luminance ** ((1 - 1.2) / 1.2)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    logarithmic = a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), logarithmic)


@pytest.mark.parametrize(
    ("transfer", "encode"), [(ColorTrc.SMPTE2084, pq), (ColorTrc.ARIB_STD_B67, hlg)]
)
def test_high_dynamic_range_looks_as_on_a_usual_display(
    tmp_path: Path, transfer: ColorTrc, encode: object
) -> None:
    nits = WHITE_NITS * to_linear(PATCHES) @ BT709_TO_2020.T
    signal = np.round(encode(nits) * 65535)
    rgb = av.VideoFrame.from_ndarray(stripes(signal, np.uint16), "rgb48le")
    frame = rgb.reformat(
        format="yuv420p10le", dst_colorspace=Colorspace.BT2020, dst_color_range=ColorRange.MPEG
    )
    tags = {
        "colorspace": 9,
        "color_range": 1,
        "color_trc": int(transfer),
        "color_primaries": int(ColorPrimaries.BT2020),
    }
    path = write(tmp_path / "hdr.mp4", frame, "libx265", **tags)
    with open_clip(path) as clip:
        assert clip.facts.is_hdr
        assert clip.facts.pixel_format == "yuv420p10le"
    assert np.abs(shown(path) - PATCHES).max() < 9


def test_lights_above_white_keep_their_steps(tmp_path: Path) -> None:
    nits = np.array([[100.0] * 3, [203.0] * 3, [400.0] * 3, [700.0] * 3, [1000.0] * 3])
    signal = np.round(pq(nits) * 65535)
    rgb = av.VideoFrame.from_ndarray(stripes(signal, np.uint16), "rgb48le")
    frame = rgb.reformat(
        format="yuv420p10le", dst_colorspace=Colorspace.BT2020, dst_color_range=ColorRange.MPEG
    )
    path = write(
        tmp_path / "hdr.mp4", frame, "libx265", colorspace=9, color_trc=16, color_primaries=9
    )
    steps = shown(path).mean(axis=1)
    assert (np.diff(steps) > 0.9).all()
    assert 180 < steps[0] < 195
    assert 235 < steps[1] < 245
    assert steps[-1] <= 255
