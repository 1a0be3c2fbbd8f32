"""The wire between Blender and the engine: one table of messages, used by both sides.

A message is one JSON header line followed by the raw bytes of its arrays:

    {"type": "render", "id": 7, "fields": {…}, "arrays": [{…}], "bytes": N}\\n
    <N raw bytes: the arrays one after the other, C order, little endian>

An entry of arrays is {"name", "dtype", "shape"}.

Standard library only, so that the host needs neither numpy nor the engine's wheels.
Requests carry an id above 0 that is unique in one connection; every request gets exactly one final
reply with that id, its own reply type or `failed`, with any number of `progress` before it.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

from .camera_table import CAMERA_MESSAGES
from .movie_table import MOVIE_MESSAGES
from .source_clip import TRACK_MESSAGES

PROTOCOL_VERSION = 3
MAX_HEADER_BYTES = 4 * 1024 * 1024
MAX_PAYLOAD_BYTES = 4 * 1024**3
MAX_DIMENSIONS = 8
_PIECE_BYTES = 64 * 1024**2
# What comes as one piece instead: no memory has to grow, which is slow.
_WHOLE_BYTES = 256 * 1024**2

# Size of one array element on the wire, bytes.
DTYPES = {"uint8": 1, "float32": 4, "float64": 8}


class MessageType(NamedTuple):
    """One row of the message table."""

    name: str
    reply: str  # the type of the successful final reply; "" for a reply or a notice
    fields: tuple[str, ...]  # required header fields
    arrays: tuple[str, ...]  # required arrays
    meaning: str
    spared_by_clip: tuple[str, ...] = ()  # fields and arrays not needed where `clip` is named


_ROWS = (
    MessageType(
        "hello", "ready", ("protocol", "version"), (), "First request; versions must match."
    ),
    MessageType(
        "ready",
        "",
        ("protocol", "version", "capabilities"),
        (),
        "Engine is up. capabilities: {renderers: {name: facts}, problems: {name: {code, message, "
        "hint}}, python, …}; only renderers that need no set-up, see `probe` for the others.",
    ),
    MessageType(
        "probe",
        "probed",
        ("renderer",),
        (),
        "Find out whether a renderer can work, and what would decide its pictures.",
    ),
    MessageType(
        "probed",
        "",
        ("renderer", "facts"),
        (),
        "facts: {device, device_class, precision, model_set, …}: what `open` would use.",
    ),
    MessageType(
        "ping", "pong", (), (), "Heartbeat; answered at once, also while the engine works."
    ),
    MessageType("pong", "", ("is_busy",), (), "Answer to ping."),
    MessageType(
        "detect",
        "detected",
        ("encoding",),
        ("image",),
        "Find the faces of an image (H, W, 4) uint8 or float32 RGBA, top row first. Optional "
        "field renderer: whose faces are meant (liveportrait_animal: cats). Optional field box: "
        "[left, top, right, bottom] drawn by hand; its face is fitted and nothing is searched. "
        "Instead of encoding and image: clip and frame, see `open`.",
        ("encoding", "image"),
    ),
    MessageType("detected", "", ("faces",), (), "faces: list of Face.to_json(), largest first."),
    MessageType(
        "open",
        "opened",
        ("encoding", "renderer", "faces", "options"),
        ("image",),
        "Fit an image and its chosen faces once; the handle then renders often. Optional field "
        "has_emission: float colours at alpha 0 are glows and stay. Instead of encoding and image "
        "a moving source: clip, ClipSource.to_json(), and frame, the source frame in which the "
        "faces were found; optional track: path of their track, see `track`.",
        ("encoding", "image"),
    ),
    MessageType(
        "opened",
        "",
        ("handle", "faces"),
        (),
        "handle: int; faces as fitted, same order. Of a moving source also frame_count, fps, size, "
        "has_alpha, encoding, dtype, numbers.",
    ),
    MessageType(
        "render",
        "frame",
        ("handle", "motions", "options"),
        (),
        "One Motion.to_json() per face. options: {save: {path, format, color_depth, "
        "color, alpha}} writes the picture to a file instead of sending pixels; with it, {shutter: "
        "{samples: [motions, …], color, alpha}} writes the mean of these; {upcoming: "
        "[motions, …]} names the frames asked for next, for renderers that make several at once "
        "(`opened`: renderer.batch_size). Optional fields size: [width, height], the picture is "
        "made that small, for quick looks; is_whole: all of it is sent; of a moving source frame: "
        "the source frame that the motions act on (upcoming: {frame, motions}, …), and options "
        "holds: per face the openings, eyes and lips, that are wanted whatever the frame's own.",
    ),
    MessageType(
        "frame",
        "",
        ("rectangle",),
        ("pixels",),
        "The part that differs from the source: rectangle [x, y, width, height] in pixels from the "
        "top left, pixels (height, width, 4) of the source's dtype. Empty when nothing differs or "
        "the picture was saved.",
    ),
    MessageType(
        "capture",
        "captured",
        ("source", "faces", "options"),
        (),
        "Read a performance and make the takes of faces. source: PerformanceSource.to_json(), "
        "options: TakeOptions.to_json().",
    ),
    MessageType(
        "captured",
        "",
        ("columns", "reference", "cuts"),
        ("times", "values", "keys", "expression", "translation", "is_seen"),
        "F takes of T frames: times (T,) float64 seconds, values (F, T, C) float32 of the controls "
        "in columns, keys (F, T, C) uint8: the frames that a reduced curve needs, expression "
        "(T, 63) and translation (T, 3) float32 as in Motion, is_seen (T,) uint8: where the "
        "performer's face was found. reference: the frame of rest, -1 where the performance knows "
        "its rest by itself; cuts: frames that begin a shot. Optional fields: notices, sentences; "
        "performers as in listed, with the array pictures where there are several.",
    ),
    MessageType(
        "performers",
        "listed",
        ("source",),
        (),
        "Who is in a clip; reads it where that was not done before. source as in capture.",
    ),
    MessageType(
        "listed",
        "",
        ("performers",),
        ("pictures",),
        "performers: list of {index, start_s, end_s, seen_share, time_s, box}, the one that fills "
        "most of the clip first; box: shares of the picture's width and height. pictures: "
        "(N, S, S, 4) uint8 sRGB, top row first: the face of each at time_s.",
    ),
    MessageType(
        "store",
        "stored",
        ("path", "format", "fps", "face", "columns"),
        ("times", "pose", "translation", "scale", "expression", "openings", "sliders"),
        "Write what a face does as a performance. format: KEYPORTRAIT or LIVEPORTRAIT, fps of the "
        "latter; face: Face.to_json(). T moments: times (T,) seconds, pose (T, 3), translation "
        "(T, 3), scale (T,) and expression (T, 63) as in Motion, openings (T, 2) wanted ratios of "
        "eyes and lips, NaN for none, sliders (T, C) of the controls in columns.",
    ),
    MessageType("stored", "", ("path", "frame_count"), (), "Answer to store."),
    MessageType("close", "closed", ("handle",), (), "Forget an opened image."),
    MessageType("closed", "", ("handle",), (), "Answer to close."),
    MessageType(
        "cancel",
        "cancelled",
        ("request",),
        (),
        "Drop a waiting or running request, which then fails.",
    ),
    MessageType("cancelled", "", ("request", "is_found"), (), "Answer to cancel."),
    MessageType("progress", "", ("fraction", "text"), (), "fraction 0..1 of a running request."),
    MessageType("failed", "", ("code", "message", "hint"), (), "Final answer to a failed request."),
    MessageType("shutdown", "bye", (), (), "End the engine after the running request."),
    MessageType("bye", "", (), (), "Last message of the engine."),
)
_ALL = (
    *_ROWS,
    *(MessageType(*row) for row in (*TRACK_MESSAGES, *CAMERA_MESSAGES, *MOVIE_MESSAGES)),
)
MESSAGE_TYPES: Mapping[str, MessageType] = {row.name: row for row in _ALL}

# Error codes on the wire. The host may add its own (engine_died, timeout…), see host/errors.py.
ERROR_CODES: Mapping[str, str] = {
    "version_skew": "host and engine speak different protocol versions",
    "bad_request": "the request breaks the message table",
    "bad_image": "the image cannot be used (empty, too large, wrong dtype)",
    "no_face": "no face in the image",
    "bad_face": "a face that this renderer cannot move well (tiny, profile, animal)",
    "unknown_handle": "the source is not open (closed, or the engine was restarted)",
    "unknown_renderer": "the renderer does not exist or is not installed",
    "no_models": "model files are missing or damaged",
    "not_installed": "a Python module that the engine needs is missing",
    "out_of_memory": "not enough memory on the device",
    "cancelled": "the request was cancelled",
    "write_failed": "a file could not be written",
    "bad_performance": "a file that holds no performance, or a damaged one",
    "bad_clip": "a moving source that cannot be read, has changed, or has no such frame",
    "bad_track": "a face track that is missing, damaged, or of another clip or other faces",
    "internal": "a bug in the engine; the traceback is in the log",
}


class ProtocolError(Exception):
    """The bytes on the wire are not a message of this protocol."""


class TruncatedError(ProtocolError):
    """The stream ended in the middle of a message: the other side has died."""


@dataclass(frozen=True)
class Array:
    """A typed block of bytes; numpy.frombuffer(a.data, a.dtype).reshape(a.shape) reads it."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes | bytearray | memoryview

    @property
    def nbytes(self) -> int:
        """Size by dtype and shape, bytes."""
        return DTYPES[self.dtype] * math.prod(self.shape)


def _no_fields() -> dict[str, Any]:
    return {}


def _no_arrays() -> dict[str, Array]:
    return {}


@dataclass(frozen=True)
class Message:
    """One message of MESSAGE_TYPES. `id` is the request's id, 0 for a notice."""

    type: str
    id: int = 0
    fields: Mapping[str, Any] = field(default_factory=_no_fields)
    arrays: Mapping[str, Array] = field(default_factory=_no_arrays)


def check(message: Message) -> None:
    """Raise ProtocolError when a message does not fit its row of the table."""
    row = MESSAGE_TYPES.get(message.type)
    if row is None:
        raise ProtocolError(f"unknown message type '{message.type}'")
    spared = row.spared_by_clip if "clip" in message.fields else ()
    missing = [name for name in row.fields if name not in message.fields and name not in spared]
    missing += [name for name in row.arrays if name not in message.arrays and name not in spared]
    if missing:
        raise ProtocolError(f"'{message.type}' lacks {', '.join(missing)}")
    for name, array in message.arrays.items():
        if array.dtype not in DTYPES or any(n < 0 for n in array.shape):
            raise ProtocolError(f"array '{name}' has dtype {array.dtype}, shape {array.shape}")
        if len(memoryview(array.data).cast("B")) != array.nbytes:
            raise ProtocolError(f"array '{name}' does not hold {array.nbytes} bytes")


def encode_header(message: Message) -> bytes:
    """The header line of a message, after check().

    Raises ProtocolError for a message off the table, TypeError or ValueError for fields that JSON
    cannot hold (NaN included).
    """
    check(message)
    header = {
        "type": message.type,
        "id": message.id,
        "fields": dict(message.fields),
        "arrays": [
            {"name": name, "dtype": a.dtype, "shape": list(a.shape)}
            for name, a in message.arrays.items()
        ],
        "bytes": sum(a.nbytes for a in message.arrays.values()),
    }
    line = json.dumps(header, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    if len(line) > MAX_HEADER_BYTES:
        raise ProtocolError(f"header of {len(line)} bytes is too long")
    return line


def write_raw(stream: BinaryIO, header: bytes, arrays: Iterable[Array]) -> None:
    """Write an encoded header and its arrays to a binary stream and flush it. Not thread-safe."""
    _write_all(stream, header)
    for array in arrays:
        _write_all(stream, memoryview(array.data).cast("B"))
    stream.flush()


def write_message(stream: BinaryIO, message: Message) -> None:
    """Write one checked message to a binary stream and flush it. Not thread-safe."""
    write_raw(stream, encode_header(message), message.arrays.values())


def read_message(stream: io.BufferedReader | io.BytesIO) -> Message | None:
    """Read one message from a blocking binary stream; None at a clean end of the stream.

    Raises ProtocolError on anything that is not a whole, well-formed message. The stream is then
    of no further use: nobody knows where the next message begins.
    """
    line = stream.readline(MAX_HEADER_BYTES + 1)
    if not line:
        return None
    if not line.endswith(b"\n"):
        kind = ProtocolError if len(line) > MAX_HEADER_BYTES else TruncatedError
        raise kind(f"no header line in the first {len(line)} bytes: {line[:60]!r}")
    header = _parse_header(line)
    arrays: dict[str, Array] = {}
    for entry in header["arrays"]:
        shape = tuple(entry["shape"])
        count = DTYPES[entry["dtype"]] * math.prod(shape)
        arrays[entry["name"]] = Array(entry["dtype"], shape, _read_exactly(stream, count))
    message = Message(header["type"], header["id"], header["fields"], arrays)
    check(message)
    return message


def _parse_header(line: bytes) -> dict[str, Any]:
    # RecursionError: JSON may nest deeper than the parser goes.
    try:
        header: dict[str, Any] = json.loads(line, parse_constant=_refuse_constant)
        total = sum(_entry_bytes(entry) for entry in header["arrays"])
        names = {entry["name"] for entry in header["arrays"]}
        is_sane = (
            type(header["id"]) is int
            and isinstance(header["type"], str)
            and isinstance(header["fields"], dict)
            and type(header["bytes"]) is int
            and len(names) == len(header["arrays"])
            and header["bytes"] == total <= MAX_PAYLOAD_BYTES
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProtocolError(f"bad header {line[:80]!r}") from error
    if not is_sane:
        raise ProtocolError(f"bad header {line[:80]!r}")
    return header


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _entry_bytes(entry: dict[str, Any]) -> int:
    shape: list[int] = entry["shape"]
    if not isinstance(entry["name"], str) or len(shape) > MAX_DIMENSIONS:
        raise ValueError("bad array")
    if any(type(n) is not int or n < 0 for n in shape):
        raise ValueError("bad shape")
    return DTYPES[entry["dtype"]] * math.prod(shape)


def _read_exactly(stream: io.BufferedReader | io.BytesIO, count: int) -> bytes | bytearray:
    # Memory follows the bytes that arrive, so that a lying header cannot claim gigabytes.
    # Joining pieces at the end would take twice the memory.
    data: bytes | bytearray = b""
    while len(data) < count:
        size = count if count <= _WHOLE_BYTES else _PIECE_BYTES
        piece = stream.read(min(count - len(data), size))
        if not piece:
            raise TruncatedError(f"stream ended after {len(data)} of {count} payload bytes")
        if not data:
            data = piece
            continue
        data = bytearray(data) if isinstance(data, bytes) else data
        data += piece
    return data


def _write_all(stream: BinaryIO, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        written = stream.write(view)
        view = view[written or 0 :]
