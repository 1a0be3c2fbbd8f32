"""All performers of a clip as they were read, and the file in which that is kept."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np

from ..faces.canonical import CANONICAL, MESH_COUNT
from ..faces.features import FEATURE_COUNT
from ..faces.measures import MEASURE_NAMES
from ..part_files import write_whole
from .performers import FaceTrack, performers_of
from .tracker import Tracker

# Counts up when the same clip would be read differently.
READER_VERSION = 7
_FACE_CM = np.ptp(CANONICAL[:MESH_COUNT, :2], axis=0)  # (width, height) of a face


class Frame(Protocol):
    """A moment of a clip: time_s in seconds, image (H, W, 3) uint8 sRGB."""

    @property
    def time_s(self) -> float: ...

    @property
    def image(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Performer:
    """Somebody in a clip, for choosing.

    index     0 for the one that fills most of the clip
    start_s, end_s  from the first to the last moment in which the face is seen
    seen_share  of the clip's frames, 0..1
    time_s    a moment that shows the face well
    box       (x0, y0, x1, y1) of the face at that moment, shares of the picture's width and height
    """

    index: int
    start_s: float
    end_s: float
    seen_share: float
    time_s: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class ClipTracks:
    """What was read of a clip.

    times       (T,) float64 seconds, as the clip has them
    cuts        frames that begin a new shot
    size        (width, height) of the frames as they were read
    performers  those first that fill most of the clip; empty where nobody was seen
    notices     sentences for the user: what of the clip could not be read
    """

    times: np.ndarray
    cuts: tuple[int, ...]
    size: tuple[int, int]
    performers: tuple[FaceTrack, ...]
    notices: tuple[str, ...] = ()

    def listed(self) -> list[Performer]:
        """The performers, for choosing."""
        return [self._describe(index, track) for index, track in enumerate(self.performers)]

    def _describe(self, index: int, track: FaceTrack) -> Performer:
        rows = np.flatnonzero(track.is_seen)
        typical = np.median(track.scale[rows])
        # A frame of usual size in which the head looks straight ahead.
        turned = 1.0 - track.rotation[rows, 2, 2]
        best = int(rows[np.argmin(turned + np.abs(np.log(track.scale[rows] / typical)))])
        half = 0.5 * float(track.scale[best]) * _FACE_CM
        low, high = (track.place[best] + sign * half for sign in (-1.0, 1.0))
        box = np.clip(np.concatenate([low / self.size, high / self.size]), 0.0, 1.0)
        return Performer(
            index,
            float(self.times[rows[0]]),
            float(self.times[rows[-1]]),
            len(rows) / len(self.times),
            float(self.times[best]),
            (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
        )

    def save(self, path: Path) -> None:
        """Write to a .npz file, whole or not at all. Raises OSError."""
        arrays = {
            "version": np.array(READER_VERSION),
            "times": self.times,
            "cuts": np.array(self.cuts, np.int64),
            "size": np.array(self.size, np.int64),
            "count": np.array(len(self.performers)),
            "notices": np.array(self.notices, np.str_),
        }
        for index, track in enumerate(self.performers):
            arrays |= {f"{name}_{index}": array for name, array in track.arrays.items()}

        def write(part: Path) -> None:
            with part.open("wb") as stream:
                np.savez(stream, **arrays)  # type: ignore[arg-type]

        write_whole(path, write)

    @classmethod
    def load(cls, path: Path) -> ClipTracks:
        """Read what `save` wrote. Raises OSError or ValueError for anything else."""
        try:
            return cls._load(path)
        except (KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"'{path.name}' is damaged") from error

    @classmethod
    def _load(cls, path: Path) -> ClipTracks:
        with np.load(path, allow_pickle=False) as data:
            if int(data["version"]) != READER_VERSION:
                raise ValueError("another reader's")
            names = [field.name for field in fields(FaceTrack)]
            performers = tuple(
                FaceTrack(**{name: data[f"{name}_{index}"] for name in names})
                for index in range(int(data["count"]))
            )
            columns = (len(MEASURE_NAMES), FEATURE_COUNT)
            for track in performers:
                if (track.measures.shape[1], track.features.shape[1]) != columns:
                    raise ValueError("other measures")
            width, height = (int(n) for n in data["size"])
            return cls(
                data["times"],
                tuple(int(n) for n in data["cuts"]),
                (width, height),
                performers,
                tuple(str(text) for text in data["notices"]),
            )


def read_tracks(frames: Iterable[Frame]) -> ClipTracks:
    """Follow every face of a clip's frames, which come in order of time.

    Raises ReportedError "no_models", ValueError for no frames at all.
    """
    tracker = Tracker()
    times: list[float] = []
    size = (0, 0)
    for frame in frames:
        tracker.take(frame.time_s, frame.image)
        times.append(frame.time_s)
        size = frame.image.shape[1], frame.image.shape[0]
    if not times:
        raise ValueError("no frames")
    performers = performers_of(tracker.tracklets, len(times))
    return ClipTracks(np.array(times), tuple(tracker.cuts), size, tuple(performers))
