"""Packets and frames of one stream: damaged ones are skipped and counted, reading goes on."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import CONVERT_HINT, COPY_HINT, ClipError, load_av
from .facts import Damage

# Formats that FFmpeg may take a file for. Others are refused: playlists that lead to other files
# or into the network, text that it would draw letter by letter.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,gif,mxf,ogg,h264,hevc,"
    "obu,av1,ivf,m4v,mjpeg,mjpeg_2000,apng,dv,nut,rm,yuv4mpegpipe,wtv,vc1,"
    "wav,w64,mp3,flac,aac,ac3,aiff,caf,amr"
)
PICTURE_FORMATS = (
    "png_pipe,jpeg_pipe,tiff_pipe,exr_pipe,webp_pipe,bmp_pipe,dpx_pipe,j2k_pipe,qoi_pipe,"
    "image2,mov,mp4,avif"
)
# Each thread holds frames of its own: few threads for large frames.
MAX_THREADS = 6
THREADS_BYTES = 40_000_000
# How files of clips begin: MP4 and MOV, Matroska and WebM, AVI, Ogg, FLV, GIF, MPEG.
_BEGINNINGS = re.compile(
    rb"....(ftyp|moov|mdat|wide|free|skip)|\x1a\x45\xdf\xa3|RIFF....AVI |OggS|FLV|GIF8|"
    rb"\0\0\1[\xb3\xba]",
    re.DOTALL,
)
# Damage in a row after which the rest is given up.
MAX_FAILURES = 200


def open_container(path: Path, formats: str = FORMATS) -> Any:
    """An av.container.InputContainer. Raises ClipError."""
    av = load_av()
    check_file(path)
    options = {"protocol_whitelist": "file", "format_whitelist": formats, "pattern_type": "none"}
    try:
        return av.open(f"file:{path}", container_options=options, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        raise _unreadable(path, error) from error


def check_file(path: Path) -> None:
    """Raise ClipError unless there is a file with something in it."""
    if path.is_dir():
        text = f"'{path.name}' is a folder."
        raise ClipError(text, "Choose a clip, or the first picture of a sequence.")
    try:
        status = path.stat()
    except OSError as error:
        text = f"'{path.name}' cannot be read: {error.strerror or error}."
        raise ClipError(text, "Choose another file; it may have been moved or renamed.") from error
    if not stat.S_ISREG(status.st_mode):
        raise ClipError(f"'{path.name}' is no file but a device.", "Choose a clip in a file.")
    if not status.st_size:
        raise ClipError(f"'{path.name}' is empty.", COPY_HINT)


def video_stream(container: Any, path: Path) -> Any:
    """The stream with the pictures. Raises ClipError where there is none that can be decoded."""
    streams = [stream for stream in container.streams.video if not _is_cover(stream)]
    if not len(container.streams):
        text = f"'{path.name}' is damaged: its index names neither picture nor sound."
        raise ClipError(text, COPY_HINT)
    if not streams:
        what = "has sound alone" if container.streams.audio else "has no pictures"
        raise ClipError(f"'{path.name}' {what}.", "Choose a clip with a picture.")
    best = container.streams.best("video")
    stream = best if best in streams else streams[0]
    if stream.codec_context is None:
        text = f"'{path.name}' is coded in a way that cannot be decoded here."
        raise ClipError(text, CONVERT_HINT)
    return stream


def open_decoder(stream: Any, *, is_quick: bool = False, is_linear: bool = False) -> Any:
    """A codec context for a video stream.

    is_quick  gives the first frame at once, instead of working on several
    is_linear  leaves linear light as it is, instead of turning it into sRGB
    """
    av = load_av()
    decoder = stream.codec_context
    if decoder.name == "vp9" and stream.metadata.get("alpha_mode") == "1":
        # FFmpeg's own decoder does not know of the alpha beside the picture.
        decoder = av.CodecContext.create("libvpx-vp9", "r")
    if decoder.name == "exr" and not is_linear:
        decoder.options = {"apply_trc": "iec61966_2_1"}  # linear light to sRGB
    if not decoder.is_open:
        decoder.thread_type = "SLICE" if is_quick else "AUTO"
        decoder.thread_count = _thread_count(decoder)
    return decoder


def _thread_count(decoder: Any) -> int:
    bits = decoder.format.padded_bits_per_pixel if decoder.format is not None else 16
    frame_bytes = max(1, decoder.width * decoder.height * bits // 8)
    most = min(MAX_THREADS, max(2, THREADS_BYTES // frame_bytes))
    return min(most, os.cpu_count() or 1)


def decoded(
    container: Any,
    stream: Any,
    decoder: Any,
    damage: Damage,
    limit: int | None = None,
    tick: Callable[[], None] | None = None,
    wants: Callable[[Any], bool] | None = None,
) -> Iterator[Any]:
    """The frames that a stream's packets give; what cannot be decoded is counted and skipped.

    decoder  the codec context, see `open_decoder`
    limit    packets after which nothing more is tried
    tick     called for every packet; may raise to end the reading
    wants    whether a packet is decoded at all
    """
    av = load_av()
    is_doubtful = False
    for packet in itertools.islice(packets_of(container, stream, damage), limit):
        if tick is not None:
            tick()
        if wants is not None and not wants(packet):
            continue
        if packet.is_corrupt:
            damage.packets += 1
            is_doubtful = True
        try:
            frames = decoder.decode(packet)
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            damage.packets += 1
            is_doubtful = True
            continue
        for frame in frames:
            if frame.is_corrupt:
                damage.frames += 1
                continue
            is_doubtful = is_doubtful and not frame.key_frame
            damage.doubtful += is_doubtful
            yield frame


def packets_of(container: Any, stream: Any, damage: Damage) -> Iterator[Any]:
    """Packets of a stream, the last one empty; goes on behind a place that cannot be read."""
    av = load_av()
    failures = 0
    while failures < MAX_FAILURES:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    failures = 0
                yield packet
            return
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            failures += 1
            damage.packets += failures == 1


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & load_av().stream.Disposition.attached_pic)


def _unreadable(path: Path, error: Exception) -> ClipError:
    if isinstance(error, PermissionError):
        return ClipError(f"'{path.name}' may not be read.", "Check the file's permissions.")
    with contextlib.suppress(OSError), path.open("rb") as file:
        if _BEGINNINGS.match(file.read(12)):
            text = f"'{path.name}' is damaged or incomplete: its index or its header is missing."
            return ClipError(text, COPY_HINT)
    text = f"'{path.name}' is no clip that can be read, or its beginning is damaged."
    return ClipError(text, CONVERT_HINT)
