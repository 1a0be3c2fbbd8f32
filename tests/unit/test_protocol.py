"""engine.protocol: every message goes through and back; nothing else is accepted."""

from __future__ import annotations

import io
import json
import random
import re
from pathlib import Path

import pytest

from engine.protocol import (
    DTYPES,
    ERROR_CODES,
    MAX_DIMENSIONS,
    MAX_HEADER_BYTES,
    MAX_PAYLOAD_BYTES,
    MESSAGE_TYPES,
    Array,
    Message,
    ProtocolError,
    TruncatedError,
    encode_header,
    read_message,
    write_message,
)

ROOT = Path(__file__).resolve().parents[2]


def encoded(message: Message) -> bytes:
    stream = io.BytesIO()
    write_message(stream, message)
    return stream.getvalue()


def decoded(data: bytes) -> Message | None:
    return read_message(io.BytesIO(data))


def example(name: str, rng: random.Random) -> Message:
    """A message of this type with arbitrary field values and arrays."""
    row = MESSAGE_TYPES[name]
    values = [0, -1, 1.5, "", "Großmutter\n\u2028\U0001f600", None, True, [], {}, {"a": [1, {}]}]
    fields = {field: rng.choice(values) for field in (*row.fields, "extra")}
    arrays = {}
    for array_name in row.arrays:
        dtype = rng.choice(sorted(DTYPES))
        shape = tuple(rng.choice([0, 1, 2, 5]) for _ in range(rng.randint(0, 4)))
        size = Array(dtype, shape, b"").nbytes
        arrays[array_name] = Array(dtype, shape, rng.randbytes(size))
    return Message(name, rng.choice([0, 1, 2**31, 2**60]), fields, arrays)


def header(**changes: object) -> bytes:
    values: dict[str, object] = {
        "type": "frame",
        "id": 1,
        "fields": {"rectangle": [0, 0, 1, 1]},
        "arrays": [{"name": "pixels", "dtype": "uint8", "shape": [1, 1, 4]}],
        "bytes": 4,
    }
    values.update(changes)
    return json.dumps({k: v for k, v in values.items() if v is not ...}).encode() + b"\n"


@pytest.mark.parametrize("name", MESSAGE_TYPES)
def test_every_message_survives_the_wire(name: str) -> None:
    rng = random.Random(name)
    for _ in range(50):
        message = example(name, rng)
        back = decoded(encoded(message))
        assert back is not None
        assert (back.type, back.id, back.fields) == (message.type, message.id, message.fields)
        assert {k: (a.dtype, a.shape, bytes(a.data)) for k, a in back.arrays.items()} == {
            k: (a.dtype, a.shape, bytes(a.data)) for k, a in message.arrays.items()
        }


def test_messages_follow_each_other_without_a_gap() -> None:
    rng = random.Random(1)
    messages = [example(name, rng) for name in MESSAGE_TYPES for _ in range(5)]
    stream = io.BytesIO(b"".join(encoded(message) for message in messages))
    back = [read_message(stream) for _ in messages]
    assert [m.type for m in back if m] == [m.type for m in messages]
    assert read_message(stream) is None


def test_a_cut_message_is_an_error_at_every_byte() -> None:
    array = Array("uint8", (3, 3, 4), bytes(36))
    data = encoded(Message("frame", 1, {"rectangle": [0, 0, 3, 3]}, {"pixels": array}))
    assert decoded(b"") is None
    for length in range(1, len(data)):
        with pytest.raises(TruncatedError):
            decoded(data[:length])


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"null\n",
        b"7\n",
        b'"text"\n',
        b"[]\n",
        b"{}\n",
        b"{\n",
        b"\xff\xfe\x00\n",
        b"[" * 100_000 + b"\n",
        b'{"a":' * 100_000 + b"\n",
        header(type=...),
        header(type="unknown"),
        header(type=7),
        header(id="1"),
        header(id=True),
        header(id=1.0),
        header(fields=[]),
        header(fields={}),
        header(arrays=...),
        header(arrays={}),
        header(arrays=7),
        header(arrays=["pixels"]),
        header(arrays=[], bytes=0),
        header(arrays=[{"name": "pixels", "dtype": "object", "shape": [1]}]),
        header(arrays=[{"name": "pixels", "dtype": [], "shape": [1]}]),
        header(arrays=[{"name": [], "dtype": "uint8", "shape": [4]}]),
        header(arrays=[{"name": "pixels", "dtype": "uint8", "shape": [-4]}]),
        header(arrays=[{"name": "pixels", "dtype": "uint8", "shape": [4.0]}]),
        header(arrays=[{"name": "pixels", "dtype": "uint8", "shape": [True, 4]}]),
        header(arrays=[{"name": "pixels", "dtype": "uint8", "shape": 4}]),
        header(arrays=[{"name": "pixels", "dtype": "uint8", "shape": [1] * 9 + [4]}]),
        header(arrays=[{"name": "pixels", "dtype": "uint8", "shape": [2]}] * 2),
        header(bytes=5),
        header(bytes=-4),
        header(bytes="4"),
        header(bytes=4.0),
        header(
            bytes=MAX_PAYLOAD_BYTES + 1,
            arrays=[{"name": "pixels", "dtype": "uint8", "shape": [MAX_PAYLOAD_BYTES + 1]}],
        ),
        header().replace(b'"rectangle": [0', b'"rectangle": [NaN'),
        header().replace(b'"rectangle": [0', b'"rectangle": [' + b"9" * 5000),
    ],
    ids=lambda line: repr(line[:48]),
)
def test_what_is_no_header_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decoded(line + bytes(64))


def test_the_header_that_the_bad_ones_are_made_from_is_good() -> None:
    assert decoded(header() + bytes(4)) is not None
    shape = [1] * (MAX_DIMENSIONS - 1) + [4]
    array = {"name": "pixels", "dtype": "uint8", "shape": shape}
    assert decoded(header(arrays=[array]) + bytes(4)) is not None


def test_an_endless_header_is_refused_before_it_fills_the_memory() -> None:
    stream = io.BytesIO(b"x" * (MAX_HEADER_BYTES + 100))
    with pytest.raises(ProtocolError):
        read_message(stream)
    assert stream.tell() == MAX_HEADER_BYTES + 1


def test_a_header_that_promises_gigabytes_costs_no_gigabytes() -> None:
    import tracemalloc

    size = MAX_PAYLOAD_BYTES
    array = {"name": "pixels", "dtype": "uint8", "shape": [size]}
    data = header(arrays=[array], bytes=size) + bytes(1000)
    tracemalloc.start()
    with pytest.raises(ProtocolError, match="1000 of"):
        decoded(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 * 1024**2


def test_a_payload_of_several_pieces_arrives_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.protocol._PIECE_BYTES", 1000)
    monkeypatch.setattr("engine.protocol._WHOLE_BYTES", 2000)
    pixels = random.Random(5).randbytes(40_000)
    array = Array("uint8", (100, 100, 4), pixels)
    back = decoded(encoded(Message("frame", 1, {"rectangle": []}, {"pixels": array})))
    assert back is not None
    assert bytes(back.arrays["pixels"].data) == pixels


class Trickle(io.RawIOBase):
    """A pipe that takes and gives a few bytes at a time."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, target: bytearray) -> int:
        part = self.data[: min(7, len(target))]
        target[: len(part)] = part
        del self.data[: len(part)]
        return len(part)

    def write(self, data: bytes) -> int:
        self.data += bytes(data[:5])
        return min(5, len(data))


def test_short_reads_and_short_writes_lose_nothing() -> None:
    array = Array("float32", (5, 5, 4), memoryview(random.Random(2).randbytes(400)))
    message = Message("frame", 9, {"rectangle": [1, 2, 5, 5]}, {"pixels": array})
    pipe = Trickle()
    write_message(pipe, message)  # type: ignore[arg-type]
    assert bytes(pipe.data) == encoded(message)
    back = read_message(io.BufferedReader(pipe, 16))
    assert back is not None
    assert bytes(back.arrays["pixels"].data) == bytes(array.data)


def test_flipped_bytes_never_raise_anything_but_protocol_errors() -> None:
    rng = random.Random(7)
    array = Array("float32", (1, 3), bytes(12))
    fields = {"rectangle": [0, 0, 3, 2], "text": "é"}
    data = encoded(Message("frame", 3, fields, {"pixels": array}))
    outcomes = {"message": 0, "error": 0}
    for _ in range(20_000):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            action = rng.random()
            position = rng.randrange(len(broken))
            if action < 0.6:
                broken[position] = rng.randrange(256)
            elif action < 0.8:
                del broken[position]
            else:
                broken.insert(position, rng.randrange(256))
        try:
            decoded(bytes(broken))
            outcomes["message"] += 1
        except ProtocolError:
            outcomes["error"] += 1
    assert min(outcomes.values()) > 100  # both ways were really taken


def test_the_sender_is_told_about_messages_off_the_table() -> None:
    pixels = Array("uint8", (1, 1, 4), bytes(4))
    bad = [
        Message("nonsense"),
        Message("frame", 1, {}, {"pixels": pixels}),
        Message("frame", 1, {"rectangle": []}),
        Message("frame", 1, {"rectangle": []}, {"pixels": Array("uint8", (1, 4), bytes(5))}),
        Message("frame", 1, {"rectangle": []}, {"pixels": Array("object", (4,), bytes(4))}),
        Message("failed", 1, {"code": "", "message": "x" * MAX_HEADER_BYTES, "hint": ""}),
    ]
    for message in bad:
        with pytest.raises(ProtocolError):
            encode_header(message)
    with pytest.raises(ValueError, match="JSON"):
        encode_header(Message("pong", 1, {"is_busy": float("nan")}))
    with pytest.raises(TypeError):
        encode_header(Message("pong", 1, {"is_busy": object()}))


def test_requests_and_replies_of_the_table_fit_together() -> None:
    replies = {row.reply for row in MESSAGE_TYPES.values() if row.reply}
    assert replies <= set(MESSAGE_TYPES)
    assert all(not MESSAGE_TYPES[name].reply for name in replies)
    notices = {name for name, row in MESSAGE_TYPES.items() if not row.reply} - replies
    assert notices == {"progress", "failed"}


def test_the_document_lists_every_message_field_and_error_code() -> None:
    from keyportrait.host.errors import HOST_ERROR_CODES

    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    rows: dict[str, str] = {}
    for name, row in re.findall(r"^\| `(\w+)` \|(.*)$", text, flags=re.MULTILINE):
        rows[name] = rows.get(name, "") + row  # "cancelled" is a message and an error
    for name, row in MESSAGE_TYPES.items():
        assert name in rows, f"docs/protocol.md lacks the message {name}"
        wanted = [*row.fields, *row.arrays, *([row.reply] if row.reply else [])]
        missing = [word for word in wanted if f"`{word}`" not in rows[name]]
        assert not missing, f"docs/protocol.md: {name} lacks {missing}"
    for code, meaning in {**ERROR_CODES, **HOST_ERROR_CODES}.items():
        assert code in rows, f"docs/protocol.md lacks the error {code}"
        assert meaning.split(";")[0] in rows[code], f"docs/protocol.md: {code} means: {meaning}"
    known = {*MESSAGE_TYPES, *ERROR_CODES, *HOST_ERROR_CODES}
    assert set(rows) <= known, f"docs/protocol.md is out of date: {set(rows) - known}"
