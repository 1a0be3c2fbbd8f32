"""What a clip is, and what one of its frames is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClipFacts:
    """What is known of a clip before it is read through.

    width, height   of the upright frames, in square pixels
    stored_size     (width, height) as coded, before rotation and aspect
    rotation        degrees clockwise that the stored frames are turned: 0, 90, 180 or 270
    is_mirrored     whether they are also mirrored, left to right, before the turn
    pixel_aspect    width of a stored pixel, its height being 1
    frame_rate      mean frames per second; 0 where the clip has no steady rate or does not say
    duration_s      seconds, 0 where the file does not say
    frame_count     an estimate, 0 where it cannot be estimated
    start_s         what the file calls its first moment, seconds; times here count from it
    container       short name of the file's format
    codec           short name of the coding: h264, hevc, vp9, av1, prores…
    pixel_format    FFmpeg's name: yuv420p10le…
    has_alpha       whether the file stores transparency
    is_hdr          brighter than white: PQ or HLG
    has_sound       whether there is sound to read
    missing         numbers that are left out in a sequence of pictures
    """

    width: int
    height: int
    stored_size: tuple[int, int]
    rotation: int
    is_mirrored: bool
    pixel_aspect: float
    frame_rate: float
    duration_s: float
    frame_count: int
    start_s: float
    container: str
    codec: str
    pixel_format: str
    has_alpha: bool
    is_hdr: bool
    has_sound: bool
    missing: tuple[int, ...] = ()


@dataclass(frozen=True)
class ClipFrame:
    """One frame.

    time_s  presentation time, seconds from the clip's first moment
    image   (H, W, 3) uint8 RGB, upright, square pixels
    """

    time_s: float
    image: np.ndarray


@dataclass
class Damage:
    """What could not be read; rises while a clip is read.

    packets    pieces of the file that the decoder refused, or that could not be cut out of it
    frames     frames that came out broken, or without a time of their own, and were left out
    doubtful   frames that were given, but build on damaged ones: parts may be smeared
    missing_s  seconds at the end that the file announces and does not have
    gaps       places where sound is lost, which stay silent
    lost_s     seconds of sound lost in them
    """

    packets: int = 0
    frames: int = 0
    doubtful: int = 0
    missing_s: float = 0.0
    gaps: int = 0
    lost_s: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.packets or self.frames or self.doubtful or self.missing_s or self.gaps)

    def __str__(self) -> str:
        """What to tell: "3 damaged packets, 1 frame left out"; "" where all is well."""
        parts = [
            _counted(self.packets, "damaged packet"),
            _counted(self.frames, "frame", " left out"),
            _counted(self.doubtful, "frame", " after damage, which may be smeared"),
            f"{_counted(self.gaps, 'gap')} of {self.lost_s:.1f} s in all" if self.gaps else "",
            f"the last {self.missing_s:.1f} s are missing" if self.missing_s else "",
        ]
        return ", ".join(part for part in parts if part)


def _counted(count: int, what: str, after: str = "") -> str:
    return f"{count} {what}{'' if count == 1 else 's'}{after}" if count else ""
