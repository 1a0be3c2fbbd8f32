"""Clips read by LivePortrait's motion extractor M, on the faces that the tracks have found."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from .clip_reading import clip_frames, kept_file, notices_of, read_chosen_tracks
from .liveportrait.model_set import ModelSet
from .liveportrait.performer import Box, driving_box, read_motion
from .part_files import write_whole
from .performance.geometry import KeypointMotion, rotation_matrix
from .performance.performance import Performance, Rest
from .renderer import ReportedError
from .take import PerformanceSource
from .tracking.clip_tracks import ClipTracks
from .tracking.curves import Curves, curves_of, gapless, ratios_of, shots_of
from .tracking.performers import FaceTrack

Report = Callable[[float, str], None]

_CROP_HINT = "Choose Landmarks as the reader, or a part in which the head stays where it is."

# Counts up when M would be shown something else of the same tracks.
VERSION = 1
_TRACKS_SHARE, _LOADED_SHARE = 0.5, 0.6  # of the time, until the tracks and M are there
# Usual noise of M, and time constant in seconds: pitch, yaw, roll (degrees), logarithm of scale,
# t (half crop widths), and the 63 numbers of exp. From templates of filmed people.
_NOISE = np.array([0.08, 0.05, 0.04, 0.0004, *[0.0004] * 3, *[0.00015] * 63])
_WINDOW_S = np.array([0.32, 0.32, 0.32, 0.8, 0.32, 0.32, 0.32, *[0.06] * 63])
# Crop edges between the middles of a crop and of a face that still lies in it.
_INSIDE = 0.4
_REST_SHARE = 0.05  # of the seen frames, those nearest to rest, that say what M reads at rest


@dataclass(frozen=True)
class MotionReader:
    """M, once it is needed.

    identity  tells one M from another: weights and precision
    load      called with a Report; raises ReportedError (no_models, out_of_memory…)
    """

    identity: str
    load: Callable[[Report], ModelSet]


# Finds out whether there is an M, without loading it. Raises ReportedError (not_installed…).
FindReader = Callable[[Report], MotionReader]


def read_clip_by_networks(
    source: PerformanceSource, report: Report, find_reader: FindReader | None
) -> Performance:
    """The performance in a clip as M reads it; times and losses are those of the landmarks.

    Raises ReportedError (not_installed, bad_performance, no_models…).
    """
    if find_reader is None:
        text = "LivePortrait's networks are not in this engine."
        raise ReportedError("not_installed", text, "Choose Landmarks as the reader.")
    reader = find_reader(lambda _part, text: report(0.0, text))
    tracks = read_chosen_tracks(source, lambda part, text: report(_TRACKS_SHARE * part, text))
    crops = crops_of(tracks.performers[source.performer], tracks.cuts)
    if not crops:
        text = f"The face in '{Path(source.path).name}' moves too far for LivePortrait's crop."
        raise ReportedError("bad_performance", text, _CROP_HINT)
    kept = _kept_motion(source, reader)
    motion = None if kept is None else _loaded(kept, len(crops))
    if motion is None:
        motion = _read(source, tracks, crops, reader, report)
        if kept is not None:
            _keep(motion, kept)
    return _performance(source, tracks, np.array(list(crops)), motion)


def crops_of(track: FaceTrack, cuts: tuple[int, ...]) -> dict[int, Box]:
    """Row → M's crop in pixels, one for each shot; for rows whose face is seen and lies in it."""
    boxes: dict[int, Box] = {}
    for shot in shots_of(len(track.is_seen), cuts):
        rows = shot.start + np.flatnonzero(track.is_seen[shot])
        if not len(rows):
            continue
        meshes = [track.mesh(row) for row in rows]
        box = driving_box(meshes)
        low, high = np.array(box[:2]), np.array(box[2:])
        for row, mesh in zip(rows, meshes, strict=True):
            middle = (mesh[:, :2].min(axis=0) + mesh[:, :2].max(axis=0)) / 2
            if (np.abs(middle - (low + high) / 2) <= _INSIDE * (high - low)).all():
                boxes[int(row)] = box
    return boxes


def _views(
    source: PerformanceSource, tracks: ClipTracks, crops: dict[int, Box], report: Report
) -> Iterator[tuple[np.ndarray, Box]]:
    """The frames that M sees, each with its crop. Raises ReportedError."""
    row, last = -1, max(crops)
    for row, frame in enumerate(clip_frames(source, report)):
        if frame.time_s != tracks.times[row]:
            break
        if row in crops:
            yield frame.image, crops[row]
        if row == last:
            return
    text = f"'{Path(source.path).name}' changed while it was read, after {row} frames."
    raise ReportedError("bad_performance", text, "Capture again.")


def _read(
    source: PerformanceSource,
    tracks: ClipTracks,
    crops: dict[int, Box],
    reader: MotionReader,
    report: Report,
) -> KeypointMotion:
    """M's reading of the rows that have a crop."""
    done, text = 0, f"Reading the performer of '{Path(source.path).name}'"
    loading = _LOADED_SHARE - _TRACKS_SHARE
    models = reader.load(lambda part, what: report(_TRACKS_SHARE + loading * part, what))

    def tick(*_decoding: object) -> None:
        report(_LOADED_SHARE + (1.0 - _LOADED_SHARE) * done / len(crops), text)

    def views() -> Iterator[tuple[np.ndarray, Box]]:
        nonlocal done
        for view in _views(source, tracks, crops, tick):
            yield view
            done += 1

    return read_motion(views(), models, tick)


def _performance(
    source: PerformanceSource, tracks: ClipTracks, seen: np.ndarray, motion: KeypointMotion
) -> Performance:
    """The performance of M's reading of the rows `seen`."""
    track, times = tracks.performers[source.performer], tracks.times
    angles = np.unwrap(np.stack([motion.pitch, motion.yaw, motion.roll], 1), axis=0, period=360.0)
    columns = np.full((len(times), len(_NOISE)), np.nan)
    columns[seen] = np.column_stack(
        [
            angles,
            np.log(np.maximum(motion.scale, 1e-3)),
            motion.translation,
            motion.expression.reshape(-1, 63),
        ]
    )
    columns = gapless(columns, times, tracks.cuts, _NOISE, _WINDOW_S, source.smooth)
    curves = curves_of(track, times, tracks.cuts, source.smooth)
    rest = np.median(columns[seen], axis=0)
    rest[7:] = np.median(columns[_resting(curves, seen)][:, 7:], axis=0)
    values = np.concatenate([columns, rest[None]]).astype(np.float32)
    rotation, translation = rotation_matrix(*values[:, :3].T), values[:, 4:7]
    is_seen = np.isin(np.arange(len(times)), seen)
    scale, expression = np.exp(values[:, 3]), values[:, 7:].reshape(-1, 21, 3)
    return Performance(
        times=times - (source.start_s or 0.0),
        rotation=rotation[:-1],
        translation=translation[:-1],
        scale=scale[:-1],
        expression=expression[:-1],
        ratios=ratios_of(curves.measures),
        is_seen=is_seen,
        cuts=tracks.cuts,
        rest=Rest(
            rotation[-1], translation[-1], float(scale[-1]), expression[-1],
            ratios_of(curves.rest[None]),
        ),
        keypoints=np.median(motion.keypoints, axis=0).astype(np.float32),
        notices=(*notices_of(tracks, source.performer), *_far(track, len(seen))),
    )  # fmt: skip


def _far(track: FaceTrack, count: int) -> tuple[str, ...]:
    """What the user should know of frames whose face lies outside of M's crop."""
    lost = int(track.is_seen.sum()) - count
    if not lost:
        return ()
    frames = f"{lost} frame{'s' if lost > 1 else ''}"
    return (f"In {frames} the face is outside of LivePortrait's crop and counts as lost.",)


def _resting(curves: Curves, seen: np.ndarray) -> np.ndarray:
    """The rows in which the performer's face is nearest to its rest, as the landmarks say."""
    measures = curves.measures[seen]
    offsets = (measures - curves.rest) / np.maximum(measures.std(axis=0), 0.02)
    nearest = np.argsort((offsets**2).sum(axis=1), kind="stable")
    return seen[nearest[: max(1, round(_REST_SHARE * len(seen)))]]


def _kept_motion(source: PerformanceSource, reader: MotionReader) -> Path | None:
    """Beside the tracks, by what they are kept under, the performer and M."""
    tracks = kept_file(source)
    if tracks is None:
        return None
    key = repr((VERSION, source.performer, reader.identity))
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return tracks.with_name(f"{tracks.stem}-{digest}.npz")


def _keep(motion: KeypointMotion, path: Path) -> None:
    arrays = {field.name: getattr(motion, field.name) for field in fields(motion)}

    def write(part: Path) -> None:
        with part.open("wb") as stream:
            np.savez(stream, **arrays)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, write)
    except OSError:
        return  # a full disk only costs the time to read the clip again


def _loaded(path: Path, count: int) -> KeypointMotion | None:
    """What was kept, None where it is not there, damaged, or of other rows."""
    try:
        with np.load(path, allow_pickle=False) as data:
            motion = KeypointMotion(**{f.name: data[f.name] for f in fields(KeypointMotion)})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return motion if len(motion) == count else None
