"""Small pictures of the performers of a clip, so that one is chosen by the face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from .clip_reading import clip_frames, kept_file
from .part_files import write_whole
from .take import PerformanceSource
from .tracking.clip_tracks import Performer

Report = Callable[[float, str], None]

SIDE_PX = 96
_AROUND = 1.35  # sides of the face's box that a picture shows


def pictures_of(
    source: PerformanceSource, performers: Sequence[Performer], report: Report
) -> np.ndarray:
    """(N, SIDE_PX, SIDE_PX, 4) uint8 sRGB of performers, each at the moment that shows it well.

    They are kept beside what was read of the clip. A moment that cannot be read again stays clear.
    Raises ReportedError.
    """
    kept = kept_file(source)
    if kept is not None:
        kept = kept.with_name(f"{kept.stem}-faces.npz")
        # Where they are not there, damaged or of others they are made again.
        with suppress(OSError, ValueError, KeyError), np.load(kept, allow_pickle=False) as data:
            if data["pictures"].shape == (len(performers), SIDE_PX, SIDE_PX, 4):
                return np.asarray(data["pictures"], np.uint8)
    pictures = np.zeros((len(performers), SIDE_PX, SIDE_PX, 4), np.uint8)
    for picture, performer in zip(pictures, performers, strict=True):
        frames = clip_frames(replace(source, start_s=performer.time_s, end_s=None), report)
        frame = next(frames, None)
        frames.close()
        if frame is not None:
            picture[..., :3] = _face_of(frame.image, performer.box)
            picture[..., 3] = 255
    if kept is not None:
        # A full disk only costs the time to make them again.
        with suppress(OSError):
            _keep(pictures, kept)
    return pictures


def _face_of(rgb: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """(SIDE_PX, SIDE_PX, 3) of what lies around a box, shares of the picture's width and height."""
    size = np.array(rgb.shape[1::-1])
    low, high = np.array(box[:2]) * size, np.array(box[2:]) * size
    side = max(1, round(_AROUND * float((high - low).max())))
    left, top = np.rint((low + high - side) / 2).astype(int)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + side, size[0]), min(top + side, size[1])
    square = cv2.copyMakeBorder(
        rgb[y0:y1, x0:x1], y0 - top, top + side - y1, x0 - left, left + side - x1,
        cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return cv2.resize(square, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)


def _keep(pictures: np.ndarray, kept: Path) -> None:
    def write(part: Path) -> None:
        with part.open("wb") as stream:
            np.savez(stream, pictures=pictures)

    write_whole(kept, write)
