"""Clips: from a file to a performance, with what was read kept so that it is read once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from .analytic.encoder import RESTING, encode
from .analytic.response_fit import Response
from .clips.clip import SEQUENCE_RATE, Clip, open_clip
from .clips.errors import ClipError
from .clips.facts import ClipFrame
from .clips.sequence import PICTURE_SUFFIXES, pictures_from
from .faces.measures import MEASURE_NAMES
from .heap import trim_heap
from .motion import MINIMUM_FACE_PX
from .own_face import VERSION, load_response, response_of, save_response
from .own_reading import OwnReading, own_reading, resting_rows
from .performance.files import SUFFIXES
from .performance.performance import Performance, Rest
from .renderer import ReportedError
from .take import PerformanceSource
from .tracking.clip_tracks import READER_VERSION, ClipTracks, Performer, read_tracks
from .tracking.curves import Curves, curves_of, held, ratios_of

Report = Callable[[float, str], None]
Respond = Callable[[int], "Response | None"]

MAX_SIDE = 1920  # pixels; larger frames are read smaller
_TRACKS_SHARE = 0.95  # of the time; the rest goes into trying the performer's face
# Of the frames: a face that comes back to the very same expression less often is no picture that
# is moved, and does more than sliders can say.
_HELD = 0.08
_FEWEST_FRAMES = 20  # that a face must be seen in to be worth that
_REPORT_S = 0.04  # between two reports
_HASHED = 1 << 20  # bytes at either end of a file that tell its content
_FACE_HINT = (
    f"Choose a clip whose face looks at the camera and is at least {MINIMUM_FACE_PX} px wide."
)
_CHANGE_HINT = "Choose another performer: 1 is the one that fills most of the clip."


def read_clip(source: PerformanceSource, report: Report) -> Performance:
    """The performance in a clip. Raises ReportedError (bad_performance, no_models…)."""
    tracks = read_chosen_tracks(source, lambda part, text: report(_TRACKS_SHARE * part, text))

    def respond(row: int) -> Response | None:
        return _kept_response(
            source,
            tracks,
            row,
            lambda part, text: report(_TRACKS_SHARE + (1.0 - _TRACKS_SHARE) * part, text),
        )

    def tick() -> None:
        report(1.0, f"Reading '{Path(source.path).name}'")

    start_s = source.start_s or 0.0
    return performance_of(tracks, source.performer, source.smooth, start_s, respond, tick)


def read_chosen_tracks(source: PerformanceSource, report: Report) -> ClipTracks:
    """The tracks of a clip that shows the performer who is wanted. Raises ReportedError."""
    tracks = read_clip_tracks(source, report)
    name = Path(source.path).name
    if not tracks.performers:
        raise ReportedError("bad_performance", f"No face found in '{name}'.", _FACE_HINT)
    if source.performer >= len(tracks.performers):
        count = len(tracks.performers)
        text = f"'{name}' has {count} performer{'s' if count > 1 else ''}, no number "
        raise ReportedError("bad_performance", f"{text}{source.performer + 1}.", _CHANGE_HINT)
    return tracks


def performance_of(
    tracks: ClipTracks,
    performer: int,
    smooth: float,
    start_s: float = 0.0,
    respond: Respond | None = None,
    tick: Callable[[], None] | None = None,
) -> Performance:
    """What one performer does; the times count from start_s.

    respond  gives the response of the performer's face in a row that shows it at rest, see
             own_face.response_of; without it the average face's is taken
    tick     called every few milliseconds of the work; may raise to stop it
    """
    track = tracks.performers[performer]
    curves = curves_of(track, tracks.times, tracks.cuts, smooth)
    response = None
    is_held = held(curves.measures[track.is_seen])
    if respond is not None and len(is_held) >= _FEWEST_FRAMES and is_held.mean() > _HELD:
        response = respond(int(resting_rows(track, curves)[0]))
    if response is None:
        own = OwnReading(encode(curves.measures, curves.lids_open), {})
    else:
        own = own_reading(track, curves, tracks.times, tracks.cuts, smooth, response, tick)
    return Performance(
        times=tracks.times - start_s,
        rotation=curves.rotation,
        translation=curves.translation,
        scale=curves.scale,
        expression=own.expression,
        ratios=ratios_of(curves.measures),
        is_seen=curves.is_seen,
        cuts=tracks.cuts,
        sliders=own.sliders,
        neutral=RESTING,
        rest=_rest(curves),
        notices=notices_of(tracks, performer),
    )


def _rest(curves: Curves) -> Rest:
    """The performer at rest, which no frame needs to show."""
    return Rest(
        rotation=curves.rest_rotation,
        translation=np.zeros(3, np.float32),
        scale=1.0,
        expression=encode(curves.rest[None], curves.lids_open)[0],
        ratios=ratios_of(curves.rest[None]),
    )


def notices_of(tracks: ClipTracks, performer: int) -> tuple[str, ...]:
    """What the user should know of how the clip was read."""
    # Cuts and losses are told by who knows the frames that they fall on.
    notices = list(tracks.notices)
    if len(tracks.performers) > 1:
        notices.append(
            f"The clip shows {len(tracks.performers)} performers; this is number {performer + 1}."
        )
    return tuple(notices)


def _losses(clip: Clip, path: Path) -> tuple[str, ...]:
    """What of a clip could not be read, as sentences."""
    notices = []
    if clip.damage:
        notices.append(f"'{path.name}' is damaged: {clip.damage}.")
    if count := len(clip.facts.missing):
        what = "number is" if count == 1 else "numbers are"
        notices.append(f"{count} {what} missing in the sequence of '{path.name}'.")
    return tuple(notices)


def list_performers(source: PerformanceSource, report: Report) -> list[Performer]:
    """Who is in a clip, the one that fills most of it first. Raises ReportedError."""
    path = Path(source.path)
    if path.suffix.lower() in SUFFIXES:
        text = f"'{path.name}' is no clip: it holds one performer."
        raise ReportedError("bad_performance", text, "Choose a clip.")
    performers = read_clip_tracks(source, report).listed()
    if not performers:
        raise ReportedError("bad_performance", f"No face found in '{path.name}'.", _FACE_HINT)
    return performers


def known_performers(source: PerformanceSource) -> list[Performer]:
    """list_performers of a clip that was read and kept; none of anything else."""
    if source.is_still or Path(source.path).suffix.lower() in SUFFIXES:
        return []
    kept = kept_file(source)
    tracks = None if kept is None else _loaded(kept)
    return [] if tracks is None else tracks.listed()


def read_clip_tracks(source: PerformanceSource, report: Report) -> ClipTracks:
    """All performers of a clip, from the cache where it was read before. Raises ReportedError."""
    path = Path(source.path)
    with _clip_errors(path):
        kept = _kept(source)
        if kept is not None and (known := _loaded(kept)) is not None:
            return known
        with open_clip(path, source.frame_rate or SEQUENCE_RATE) as clip:
            tracks = read_tracks(_frames(clip, source, report))
            tracks = replace(tracks, notices=_losses(clip, path))
    # Large frames leave large holes, and the takes come on top of them.
    trim_heap()
    if kept is not None:
        _keep(tracks, kept)
    return tracks


def _kept_response(
    source: PerformanceSource, tracks: ClipTracks, row: int, report: Report
) -> Response | None:
    """How the performer's face answers sliders, beside what the tracks are kept under."""
    kept = kept_file(source)
    if kept is not None:
        digest = hashlib.sha256(repr((VERSION, source.performer, row)).encode()).hexdigest()
        kept = kept.with_name(f"{kept.stem}-{digest[:16]}.npz")
        # Where it is not there, damaged, or of another version it is tried again.
        with suppress(OSError, ValueError):
            return load_response(kept)
    time_s = float(tracks.times[row])
    frames = clip_frames(replace(source, start_s=time_s, end_s=None), report)
    frame = next(frames)
    frames.close()
    if frame.time_s != time_s:
        return None
    response = response_of(frame.image, tracks.performers[source.performer], row, report)
    if kept is not None and response is not None:
        # A full disk only costs the time to try again.
        with suppress(OSError):
            save_response(response, kept)
    return response


def clip_frames(source: PerformanceSource, report: Report) -> Generator[ClipFrame, None, None]:
    """The frames that a clip's tracks were read from, again. Raises ReportedError."""
    path = Path(source.path)
    with _clip_errors(path), open_clip(path, source.frame_rate or SEQUENCE_RATE) as clip:
        yield from _frames(clip, source, report)


def kept_file(source: PerformanceSource) -> Path | None:
    """The file in which a clip's tracks are kept, None without a cache. Raises ReportedError."""
    with _clip_errors(Path(source.path)):
        return _kept(source)


@contextmanager
def _clip_errors(path: Path) -> Iterator[None]:
    """Turn what opening and decoding raise into the engine's errors."""
    try:
        yield
    except ClipError as error:
        raise ReportedError(error.code, str(error), error.hint) from error
    except OSError as error:
        text = f"'{path.name}' cannot be read: {error.strerror or error}."
        raise ReportedError("bad_performance", text, "Choose another file.") from error


def _frames(clip: Clip, source: PerformanceSource, report: Report) -> Iterator[ClipFrame]:
    """The clip's frames, while reporting how far it is read."""
    start = source.start_s or 0.0
    end = source.end_s if source.end_s is not None else clip.facts.duration_s
    text = f"Reading '{Path(source.path).name}'"
    fraction, told_s = 0.0, 0.0

    def tell() -> None:
        nonlocal told_s
        if time.monotonic() - told_s > _REPORT_S:
            report(fraction, text)
            told_s = time.monotonic()

    for frame in clip.frames(source.start_s, source.end_s, MAX_SIDE, tell):
        fraction = min(1.0, max(0.0, (frame.time_s - start) / max(end - start, 1e-3)))
        tell()
        yield frame


def _kept(source: PerformanceSource) -> Path | None:
    """The file in which what was read of this content is kept. Raises OSError."""
    if not source.cache_dir:
        return None
    path = Path(source.path)
    status = path.stat()
    digest = hashlib.sha256()
    part = (source.start_s, source.end_s, source.frame_rate)
    facts = (status.st_size, status.st_mtime_ns, *part, MAX_SIDE, READER_VERSION, MEASURE_NAMES)
    digest.update(repr(facts).encode())
    if path.suffix.lower() in PICTURE_SUFFIXES:
        for picture in pictures_from(path).values():
            status = picture.stat()
            digest.update(repr((picture.name, status.st_size, status.st_mtime_ns)).encode())
    with path.open("rb") as stream:
        digest.update(stream.read(_HASHED))
        stream.seek(max(0, status.st_size - _HASHED))
        digest.update(stream.read(_HASHED))
    return Path(source.cache_dir) / f"performance-{digest.hexdigest()[:32]}.npz"


def _loaded(path: Path) -> ClipTracks | None:
    try:
        return ClipTracks.load(path)
    except (OSError, ValueError):
        return None  # not there, damaged, or of another version: the clip is read


def _keep(tracks: ClipTracks, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tracks.save(path)
    except OSError:
        return  # a full disk only costs the time to read the clip again
