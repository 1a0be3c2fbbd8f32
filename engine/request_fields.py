"""What the fields and arrays of requests hold, read and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .motion import Face, Motion
from .protocol import Message
from .renderer import ReportedError, SourceImage
from .source_clip import SourceClip
from .take import PerformanceSource
from .wish import EYES, LIPS, Wish

if TYPE_CHECKING:
    from .opened import Opened
    from .shutter import Shutter


def read_source(message: Message) -> PerformanceSource:
    """Where a performance is read from. Raises ReportedError "bad_request"."""
    try:
        return PerformanceSource.from_json(message.fields["source"])
    except (TypeError, ValueError) as error:
        raise ReportedError("bad_request", f"Unreadable source: {error}.") from error


def read_box(values: object) -> tuple[float, float, float, float]:
    """A box of four finite numbers with an inside. Raises ReportedError "bad_request"."""
    numbers = list(values) if isinstance(values, list | tuple) else []
    if len(numbers) == 4 and all(isinstance(v, int | float) and math.isfinite(v) for v in numbers):
        x0, y0, x1, y1 = (float(v) for v in numbers)
        if x0 < x1 and y0 < y1:
            return x0, y0, x1, y1
    raise ReportedError("bad_request", "The box is not left, top, right, bottom in pixels.")


def read_image(message: Message) -> SourceImage:
    """The image of a request, read-only. Raises ReportedError "bad_image"."""
    import numpy as np

    array = message.arrays["image"]
    if array.dtype not in ("uint8", "float32") or len(array.shape) != 3 or array.shape[2] != 4:
        text = f"{picture_name(message, 'The')} came as {array.dtype} {array.shape}"
        raise ReportedError("bad_image", f"{text}; (height, width, 4) uint8 or float32 is needed.")
    if 0 in array.shape:
        text = f"{picture_name(message, 'The')} has no pixels."
        raise ReportedError("bad_image", text, "Reload it or choose another.")
    pixels = np.frombuffer(array.data, array.dtype).reshape(array.shape)
    pixels.flags.writeable = False
    encoding = message.fields["encoding"]
    if encoding not in ("srgb", "linear"):
        raise ReportedError("bad_request", f"'{encoding}' is not an encoding.")
    has_emission = message.fields.get("has_emission") is True and array.dtype == "float32"
    return SourceImage(pixels, encoding, has_emission)


def picture_name(message: Message, article: str = "the") -> str:
    """The picture's name in quotes where the request has the optional field `name`."""
    name = message.fields.get("name")
    return f"'{name}'" if name else f"{article} picture"


def read_faces(message: Message) -> list[Face]:
    """The faces to open, at least one. Raises ReportedError (bad_request, bad_face)."""
    try:
        faces = [Face.from_json(data) for data in message.fields["faces"]]
    except (TypeError, ValueError, AttributeError) as error:
        raise ReportedError("bad_request", f"Unreadable faces: {error}.") from error
    if not faces:
        raise ReportedError("bad_request", "No face was chosen.", "Choose at least one.")
    for face in faces:
        if isinstance(face.problem, dict) and face.problem:
            text = face.problem.get("message", "This face cannot be moved.")
            raise ReportedError("bad_face", text, face.problem.get("hint", ""))
    return faces


def read_shutter(options: object, count: int) -> Shutter | None:
    """The option `shutter`, None where there is none. Raises ReportedError "bad_request"."""
    from .shutter import Shutter

    return Shutter.read(options, count, read_motions)


def read_clip(message: Message) -> SourceClip:
    """The moving source of a request. Raises ReportedError "bad_request"."""
    try:
        return SourceClip.from_json(message.fields["clip"])
    except (TypeError, ValueError) as error:
        raise ReportedError("bad_request", f"Unreadable clip: {error}.") from error


def read_wish(message: Message, opened: Opened) -> Wish:
    """What is to be rendered now. Raises ReportedError "bad_request"."""
    return _read_wish(message.fields, opened)


def read_upcoming(options: object, opened: Opened) -> list[Wish]:
    """What will be asked for next: motions, or {frame, motions} of a moving source each.

    Raises ReportedError "bad_request".
    """
    upcoming = options.get("upcoming", ()) if isinstance(options, dict) else ()
    if not isinstance(upcoming, list | tuple):
        raise ReportedError("bad_request", "'upcoming' is no list of frames.")
    return [
        _read_wish(item if isinstance(item, dict) else {"motions": item}, opened)
        for item in upcoming
    ]


def _read_wish(fields: Mapping[str, Any], opened: Opened) -> Wish:
    frame = fields.get("frame", opened.frame)
    if type(frame) is not int:
        raise ReportedError("bad_request", f"'{frame}' is no number of a source frame.")
    return Wish(frame, tuple(read_motions(fields.get("motions"), opened.face_count)))


def read_holds(options: object, count: int) -> list[list[str]]:
    """The option `holds`: openings that are wanted as they are, per face; [] where there is none.

    Raises ReportedError "bad_request".
    """
    holds = options.get("holds", []) if isinstance(options, dict) else []
    is_list = isinstance(holds, list) and len(holds) in (0, count)
    if is_list and all(isinstance(item, list) and set(item) <= {EYES, LIPS} for item in holds):
        return holds
    raise ReportedError("bad_request", f"'holds' is no list of '{EYES}' and '{LIPS}' per face.")


def read_motions(values: object, count: int) -> list[Motion]:
    """One finite Motion per face. Raises ReportedError "bad_request"."""
    try:
        motions = [Motion.from_json(data) for data in values]  # type: ignore[attr-defined]
        numbers = [value for motion in motions for value in _numbers(asdict(motion))]
        is_finite = all(math.isfinite(value) for value in numbers)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ReportedError("bad_request", f"Unreadable motion: {error}.") from error
    if len(motions) != count:
        text = f"The picture has {count} faces, but {len(motions)} motions came."
        raise ReportedError("bad_request", text)
    if not is_finite:
        raise ReportedError("bad_request", "A motion has a value that is not finite.")
    return motions


def _numbers(fields: dict[str, Any]) -> list[float]:
    numbers: list[float] = []
    for value in fields.values():
        numbers += value if isinstance(value, tuple) else [] if value is None else [value]
    return numbers
