"""Opening: pictures and clips of requests, with their faces fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .compose import FACE_CODES, Composition, RestingFace
from .face_following import follow_faces
from .face_track import FaceTrack
from .motion import Face
from .moving_source import MovingSource
from .opened import OpenedClip
from .protocol import Message
from .renderer import FacePortrait, Renderer, ReportedError, SourceImage
from .request_fields import read_clip, read_faces, read_image

Report = Callable[[float, str], None]


def read_picture(message: Message, report: Report) -> SourceImage:
    """The image of a request, or the frame that it names of a clip. Raises ReportedError."""
    if "clip" not in message.fields:
        return read_image(message)
    source, frame = open_source(message, report)
    try:
        return source.at(frame, partial(report, 0.0, f"Reading '{source.name}'"))
    finally:
        source.close()


def open_source(message: Message, report: Report) -> tuple[MovingSource, int]:
    """The clip of a request, and the source frame that it names. Raises ReportedError."""
    clip = read_clip(message)
    source = MovingSource(clip, partial(report, 0.0, f"Opening '{Path(clip.path).name}'"))
    return source, source.check(message.fields.get("frame"))


def fit_faces(
    image: SourceImage,
    faces: Sequence[Face],
    renderer: Renderer,
    report: Report,
    others: Callable[[int], SourceImage] | None = None,
) -> Composition:
    """The picture with its faces fitted; those that cannot be moved rest, unless all of them do.

    others  gives the source frame of faces that name another one
    Raises ReportedError.
    """
    portraits: list[FacePortrait] = []
    errors: list[ReportedError] = []
    for number, face in enumerate(faces):
        text = f"Fitting face {number + 1} of {len(faces)}"
        step = partial(report, number / len(faces), text)
        step()
        try:
            shown = image if others is None or face.frame is None else others(face.frame)
            portraits.append(renderer.open(shown, face, step))
        except ReportedError as error:
            if error.code not in FACE_CODES:
                raise
            errors.append(error)
            portraits.append(RestingFace(face, error))
    if len(errors) == len(faces):
        raise errors[0]
    return Composition(image, portraits)


def open_clip(
    message: Message, faces: Sequence[Face], renderer: Renderer, report: Report
) -> OpenedClip:
    """The clip of an `open` request. Raises ReportedError (bad_clip, bad_track, bad_face…)."""
    source, frame = open_source(message, report)
    track = None
    if message.fields.get("track") is not None:
        track = FaceTrack.load(_path(message.fields["track"]))
        track.check(source.fingerprint, source.frame_count, faces, source.name)
    step = partial(report, 0.0, f"Opening '{source.name}'")
    image = source.at(frame, step)

    def others(number: int) -> SourceImage:
        return image if number == frame else source.at(number, step)

    first = fit_faces(image, faces, renderer, report, others)
    return OpenedClip(source, frame, first, renderer, track)


def track(message: Message, report: Report) -> Message:
    """Answer a `track` request. Raises ReportedError (bad_clip, bad_face, write_failed…)."""
    faces, path = read_faces(message), _path(message.fields["path"])
    source, frame = open_source(message, report)
    try:
        found = follow_faces(source, frame, faces, report)
        source.check_unchanged()
    finally:
        source.close()
    found.save(path)
    fields: dict[str, Any] = {
        "path": str(path),
        "frame_count": source.frame_count,
        "cuts": list(found.cuts),
        "losses": found.losses,
        "notices": list(found.notices),
    }
    return Message("tracked", message.id, fields)


def _path(value: object) -> Path:
    if isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    raise ReportedError("bad_request", "A face track needs the path of its file.")
