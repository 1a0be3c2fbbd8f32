"""Read plain data and number arrays out of a pickle without running anything that is in it.

A pickle names the functions that rebuild its objects. The few names that numpy arrays need are
answered with inert records, every other name is refused; the records become arrays afterwards.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from pathlib import Path
from typing import Any, Literal

import numpy as np

# About half an hour of motion, pickled frame by frame.
MAX_FILE_BYTES = 64 * 1024**2
MAX_DEPTH = 6
MAX_DIMENSIONS = 32
# Real templates spend 17 bytes of the file on each list, tuple, dictionary and call.
MIN_BYTES_PER_CONTAINER = 8
# Shared objects are read again wherever they appear: a still pose may be one frame many times.
MAX_SHARED_VALUES = 1_000_000
# Sets cost most memory for their single byte in the file; no template has one.
_REFUSED_OPCODES = frozenset({"EMPTY_SET", "ADDITEMS", "FROZENSET"})
_CONTAINER_OPCODES = frozenset(
    {
        "EMPTY_LIST", "LIST", "EMPTY_DICT", "DICT", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
        "REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX",
    }
)  # fmt: skip
_MEMO_OPCODES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_NAME_LIMIT = 80  # characters of a refused name that a message repeats


class TemplateError(ValueError):
    """The file is no template, or a damaged or hostile one; the message names it."""


class _DtypeRecord:
    """numpy.dtype: a kind such as 'f4' and a byte order."""

    def __init__(self, kind: Any = "", *_: Any) -> None:
        self.kind = kind
        self.order: Literal["<", ">", "|", "="] = "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = state[1]

    def to_numpy(self) -> np.dtype[Any]:
        if self.kind not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
            name = repr(self.kind[:_NAME_LIMIT]) if isinstance(self.kind, str) else "unknown"
            raise TemplateError(f"an array of type {name}")
        return np.dtype(self.kind).newbyteorder(self.order)


class _ArrayRecord:
    """numpy.ndarray: shape, dtype, memory order and bytes, as its pickle states them."""

    state: Any = None

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def to_numpy(self) -> np.ndarray:
        if not isinstance(self.state, tuple) or len(self.state) != 5:
            raise TemplateError("an array without content")
        _, shape, dtype, is_fortran, content = self.state
        if not isinstance(dtype, _DtypeRecord) or not isinstance(content, bytes | bytearray):
            raise TemplateError("an array of objects")
        if not isinstance(shape, tuple) or len(shape) > MAX_DIMENSIONS:
            raise TemplateError("an array of impossible shape")
        if any(type(n) is not int or not 0 <= n <= MAX_FILE_BYTES for n in shape):
            raise TemplateError("an array of impossible shape")
        flat = np.frombuffer(content, dtype.to_numpy())
        if flat.size != math.prod(shape):
            raise TemplateError("an array of impossible shape")
        return flat.reshape(shape, order="F" if is_fortran else "C")


def _array(*_: Any) -> _ArrayRecord:
    return _ArrayRecord()


def _scalar(dtype: Any, content: Any = b"") -> _ArrayRecord:
    record = _ArrayRecord()
    record.state = (1, (), dtype, False, content)
    return record


def _frombuffer(content: Any, dtype: Any, shape: Any, order: Any = "C") -> _ArrayRecord:
    """What numpy writes instead of _reconstruct in pickles of protocol 5."""
    record = _ArrayRecord()
    record.state = (1, shape, dtype, order == "F", content)
    return record


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ArrayRecord,
    ("numpy", "dtype"): _DtypeRecord,
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _ALLOWED[_module, "_reconstruct"] = _array
    _ALLOWED[_module, "scalar"] = _scalar
    _ALLOWED[_module.replace("multiarray", "numeric"), "_frombuffer"] = _frombuffer


class _RestrictedReader(pickle.Unpickler):
    """Unpickles `content`, which `check_opcodes` has passed."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self._room = len(content)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):  # bytes in pickles of protocol 2
            return self._latin1_bytes
        allowed = _ALLOWED.get((module, name))
        if allowed is None:
            raise TemplateError(f"the name {module[:_NAME_LIMIT]}.{name[:_NAME_LIMIT]}")
        return allowed

    def persistent_load(self, pid: Any) -> Any:
        raise TemplateError("a reference to something outside the file")

    def _latin1_bytes(self, text: Any, encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise TemplateError("bytes in an unknown encoding")
        # One text that is encoded again and again would grow without end.
        self._room -= len(text)
        if self._room < 0:
            raise TemplateError("more bytes than the file holds")
        return text.encode("latin1")


def check_opcodes(content: bytes) -> None:
    """Refuse a pickle that would claim more memory than its bytes can hold, before it is loaded.

    An unpickler makes room for memo places, strings and frames of any size that it is told.
    Raises TemplateError, or ValueError for what is no pickle.
    """
    containers = 0
    for count, (opcode, argument, place) in enumerate(pickletools.genops(content)):
        name = opcode.name
        if name in _REFUSED_OPCODES:
            raise TemplateError("a set")
        if name in _MEMO_OPCODES and int(argument or 0) > count:
            raise TemplateError(f"the memo place {argument}")
        if name == "FRAME" and int(argument or 0) > len(content) - (place or 0):
            raise TemplateError("a frame that goes beyond the file")
        containers += name in _CONTAINER_OPCODES
    if containers > MAX_DIMENSIONS + len(content) // MIN_BYTES_PER_CONTAINER:
        raise TemplateError("too many empty lists")


class _Plain:
    """Turns records into arrays, and counts, because shared lists multiply as they are read."""

    def __init__(self, room: int) -> None:
        self._room = room

    def value(self, value: Any, depth: int) -> Any:
        """The value with its records turned into arrays. Raises TemplateError on other objects."""
        self._room -= 1
        if self._room < 0:
            raise TemplateError("lists that repeat each other")
        if isinstance(value, _ArrayRecord):
            return value.to_numpy()
        if value is None or isinstance(value, (bool, int, float, str, bytes)):
            return value
        if depth and isinstance(value, dict):
            return {key: self.value(item, depth - 1) for key, item in value.items()}
        if depth and isinstance(value, (list, tuple)):
            return [self.value(item, depth - 1) for item in value]
        raise TemplateError(f"an object of type {type(value).__name__}")


def read_records(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle file: numbers, strings, lists, dictionaries and arrays only.

    Raises TemplateError for any other content or damage, OSError for file trouble.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise TemplateError(f"'{path.name}' is too large for a motion template.")
    try:
        content = path.read_bytes()
        check_opcodes(content)
        room = len(content) + MAX_SHARED_VALUES
        data = _Plain(room).value(_RestrictedReader(content).load(), MAX_DEPTH)
    except TemplateError as error:
        raise TemplateError(
            f"'{path.name}' is refused: it contains {error}, which no motion template needs."
        ) from None
    except (
        pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, KeyError,
        IndexError, OverflowError, MemoryError, RecursionError, ImportError,
    ) as error:  # fmt: skip
        raise TemplateError(f"'{path.name}' is damaged or no motion template.") from error
    if not isinstance(data, dict):
        raise TemplateError(f"'{path.name}' is no motion template.")
    return data
