"""The sound of a clip as blocks of samples without gaps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .decoding import decoded
from .errors import ClipError, load_av
from .facts import Damage
from .times import seek

# Steps in the sound's own times below this are rounding of the container.
JITTER_S = 0.05
BLOCK_S = 10.0  # at most, of silence in one piece
# Containers in which each piece follows the one before: what is not there was lost. Their demuxers
# step over damage and say nothing; movies may leave gaps on purpose.
GAPLESS = ("flac", "ogg")


def blocks(
    container: Any,
    stream: Any,
    shape: tuple[int, int],
    first_moment_s: float,
    part: tuple[float | None, float | None],
    damage: Damage,
) -> Iterator[np.ndarray]:
    """See clip.Clip.sound.

    shape  (rate, channels)
    part   (start_s, end_s), counted from first_moment_s of the file's own time
    """
    rate, channels = shape
    start, end_s = max(0.0, part[0] or 0.0), part[1]
    if start:
        seek(container, stream, start + first_moment_s)
    wanted = None if end_s is None else max(0, round((end_s - start) * rate))
    written = 0
    for time_s, samples in _timed(container, stream, shape, first_moment_s, damage):
        offset = round((time_s - start) * rate)
        if written and abs(offset - written) <= JITTER_S * rate:
            offset = written
        samples = samples[max(0, written - offset) :]
        if not len(samples):
            continue
        if written and offset > written and container.format.name in GAPLESS:
            damage.gaps += 1
            damage.lost_s += (offset - written) / rate
        for silence in _silence(offset - written, rate, channels, wanted, written):
            written += len(silence)
            yield silence
        if wanted is not None:
            samples = samples[: wanted - written]
        if len(samples):
            written += len(samples)
            yield samples
        if wanted is not None and written >= wanted:
            return


def sound_stream(container: Any, path: Path) -> Any:
    """The audio stream. Raises ClipError where there is none that can be decoded."""
    stream = container.streams.best("audio") if container.streams.audio else None
    if stream is None or stream.codec_context is None:
        raise ClipError(f"'{path.name}' has no sound that can be read.", "Choose another clip.")
    return stream


def _silence(
    count: int, rate: int, channels: int, wanted: int | None, written: int
) -> Iterator[np.ndarray]:
    if wanted is not None:
        count = min(count, wanted - written)
    longest = round(BLOCK_S * rate)
    while count > 0:
        yield np.zeros((min(count, longest), channels), np.float32)
        count -= longest


def _timed(
    container: Any, stream: Any, shape: tuple[int, int], first_moment_s: float, damage: Damage
) -> Iterator[tuple[float, np.ndarray]]:
    """(time_s, (N, channels) samples), resampled; the last piece comes from the resampler."""
    av = load_av()
    rate, channels = shape
    layout = {1: "mono", 2: "stereo"}[channels]
    resampler = av.AudioResampler(format="flt", layout=layout, rate=rate)
    end = 0.0
    for frame in decoded(container, stream, stream.codec_context, damage):
        if frame.pts is not None:
            end = float(frame.pts * frame.time_base) - first_moment_s
        for piece in resampler.resample(frame):
            samples = _samples(piece, channels)
            yield end, samples
            end += len(samples) / rate
    for piece in resampler.resample(None):
        yield end, _samples(piece, channels)


def _samples(frame: Any, channels: int) -> np.ndarray:
    return frame.to_ndarray().reshape(-1, channels)
