"""A movie made of pictures and of the sound of a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ClipError, load_av
from .sound_track import SoundTrack, track_of

if TYPE_CHECKING:
    import numpy as np

BT709, MPEG_RANGE, JPEG_RANGE = 1, 1, 2
# Short groups of pictures scrub well, frames without a look ahead are found exactly.
GROUP = 8


@dataclass(frozen=True)
class Coding:
    """How pictures are coded.

    container  FFmpeg's name of the file's format
    step       sides are multiples of this, pixels
    """

    encoder: str
    container: str
    pixel_format: str
    options: dict[str, str]
    step: int = 1


CODINGS = {
    "H264": Coding(
        "libx264", "mp4", "yuv420p", {"crf": "12", "preset": "medium", "bf": "0"}, step=2
    ),
    "PRORES": Coding(
        "prores_ks",
        "mov",
        "yuva444p10le",
        {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"},
    ),
}


@dataclass(frozen=True)
class SoundPart:
    """The part of a clip's sound that goes with the pictures.

    start_s      second of the clip that is heard at the first frame; below 0 it begins later
    is_optional  a clip without a sound that can be read makes a movie without one
    """

    path: Path
    start_s: float
    is_optional: bool = False


def write_movie(
    path: Path,
    codec: str,
    pictures: Iterable[np.ndarray],
    count: int,
    rate: Fraction,
    sound: SoundPart | None = None,
    report: Callable[[float], None] = lambda _: None,
) -> str:
    """Write a movie; how its sound was taken over: "copied", "lossless" or "" for none.

    codec     a name of CODINGS
    pictures  `count` of them, (H, W, 3 or 4) uint8 or uint16 RGB or RGBA, straight alpha, sRGB, all
              of one size; what is beyond a multiple of `step` is left out on the right and below
    rate      frames per second
    report    called with the part that is done, 0..1; what it raises ends the writing
    Raises ClipError for a sound that cannot be read, OSError for a file that cannot be written.
    """
    coding, length_s = CODINGS[codec], float(count / rate)
    av = load_av()
    options = {"movflags": "+faststart+write_colr"}
    try:
        with av.open(str(path), "w", format=coding.container, options=options) as file:
            writer = _Pictures(file, coding, rate)
            track = None if sound is None else _track(file, sound, length_s)
            for number, pixels in enumerate(pictures):
                writer.add(pixels)
                if track is not None:
                    track.write_until(float((number + 1) / rate))
                report((number + 1) / count)
            writer.end()
            return _finish(track)
    except av.error.FFmpegError as error:
        raise OSError(error.errno, error.strerror or str(error)) from error


def _track(file: Any, sound: SoundPart, length_s: float) -> SoundTrack | None:
    try:
        return track_of(file, sound.path, sound.start_s, length_s)
    except ClipError:
        if sound.is_optional:
            return None
        raise


def _finish(track: SoundTrack | None) -> str:
    if track is None:
        return ""
    track.end()
    return track.how


class _Pictures:
    """The stream of pictures; its size is that of the first."""

    def __init__(self, file: Any, coding: Coding, rate: Fraction) -> None:
        self._file, self._coding = file, coding
        self._stream = file.add_stream(coding.encoder, rate=rate, options=dict(coding.options))
        context = self._stream.codec_context
        context.pix_fmt, context.time_base = coding.pixel_format, 1 / rate
        context.gop_size = GROUP
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = MPEG_RANGE
        self._count = 0
        self._time_base = 1 / rate

    def add(self, pixels: np.ndarray) -> None:
        """Encode the next picture."""
        av = load_av()
        step = self._coding.step
        height, width = (side - side % step for side in pixels.shape[:2])
        if not self._count:
            self._stream.width, self._stream.height = width, height
        frame = av.VideoFrame.from_ndarray(_contiguous(pixels[:height, :width]), _name_of(pixels))
        flags = av.video.reformatter.Interpolation
        frame = frame.reformat(
            format=self._coding.pixel_format,
            dst_colorspace=BT709,
            src_color_range=JPEG_RANGE,
            dst_color_range=MPEG_RANGE,
            interpolation=flags.BICUBIC | flags.ACCURATE_RND | flags.FULL_CHR_H_INT,
        )
        frame.pts, frame.time_base = self._count, self._time_base
        self._count += 1
        self._file.mux(self._stream.encode(frame))

    def end(self) -> None:
        """Write what the encoder still holds."""
        self._file.mux(self._stream.encode(None))


def _contiguous(pixels: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.ascontiguousarray(pixels)


def _name_of(pixels: np.ndarray) -> str:
    names = {(3, 1): "rgb24", (4, 1): "rgba", (3, 2): "rgb48le", (4, 2): "rgba64le"}
    return names[pixels.shape[2], pixels.dtype.itemsize]
