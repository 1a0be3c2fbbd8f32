"""Read plain data and number arrays out of a pickle without running anything that is in it.

A pickle names the functions that rebuild its objects. The few names that numpy arrays need are
answered with inert records, every other name is refused; the records become arrays afterwards.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np

MAX_FILE_BYTES = 256 * 1024**2
MAX_DEPTH = 6


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
            raise TemplateError(f"an array of type {self.kind!r}")
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
        if not isinstance(dtype, _DtypeRecord) or not isinstance(content, bytes):
            raise TemplateError("an array of objects")
        if not isinstance(shape, tuple) or any(type(n) is not int or n < 0 for n in shape):
            raise TemplateError("an array of impossible shape")
        flat = np.frombuffer(content, dtype.to_numpy())
        if flat.size != int(np.prod(shape, dtype=object)):
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
    data = bytes(content) if isinstance(content, (bytes, bytearray)) else None
    record.state = (1, shape, dtype, order == "F", data)
    return record


def _latin1_bytes(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise TemplateError("bytes in an unknown encoding")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ArrayRecord,
    ("numpy", "dtype"): _DtypeRecord,
    ("_codecs", "encode"): _latin1_bytes,  # bytes in pickles of protocol 2
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _ALLOWED[_module, "_reconstruct"] = _array
    _ALLOWED[_module, "scalar"] = _scalar
    _ALLOWED[_module.replace("multiarray", "numeric"), "_frombuffer"] = _frombuffer


class _RestrictedReader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        allowed = _ALLOWED.get((module, name))
        if allowed is None:
            raise TemplateError(f"the name {module}.{name}")
        return allowed

    def persistent_load(self, pid: Any) -> Any:
        raise TemplateError("a reference to something outside the file")


def read_records(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle file: numbers, strings, lists, dictionaries and arrays only.

    Raises TemplateError for any other content or damage, OSError for file trouble.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise TemplateError(f"'{path.name}' is too large for a motion template.")
    try:
        data = _plain(_RestrictedReader(io.BytesIO(path.read_bytes())).load(), MAX_DEPTH)
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


def _plain(value: Any, depth: int) -> Any:
    """The value with its records turned into arrays. Raises TemplateError on other objects."""
    if isinstance(value, _ArrayRecord):
        return value.to_numpy()
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if depth and isinstance(value, dict):
        return {key: _plain(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, (list, tuple)):
        return [_plain(item, depth - 1) for item in value]
    raise TemplateError(f"an object of type {type(value).__name__}")
