"""Our own file of a performance: a zip of plain number arrays that numpy.load opens (.npz).

The layout is described in docs/performances.md. Nothing in such a file is run, no size that it
states is believed before it was compared with what the frames need, and no more than MAX_BYTES of
it is ever unpacked.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..controls import CONTROLS_BY_NAME
from .performance import MAX_FRAMES, Performance, PerformanceError, Rest
from .ratios import OpeningRatios

FORMAT_VERSION = 1
SUFFIX = ".npz"
MAX_BYTES = 256 * 1024**2
# The name of the array that tells the format and its version.
MARK = "keyportrait_performance"
HINT = "Export the performance again, or choose another file."

_SLIDER = "slider_"
_REST = {"rest_rotation": (3, 3), "rest_translation": (3,), "rest_scale": (),
         "rest_expression": (21, 3)}  # fmt: skip
_REST_RATIOS = {"rest_eyes": (1, 2), "rest_lips": (1, 1)}
_POINTS = ("keypoints", "neutral")
# Shape of one frame of each array that has a row per frame, and whether it must be there.
_ROWS = {
    "times": ((), True),
    "rotation": ((3, 3), True),
    "translation": ((3,), True),
    "scale": ((), True),
    "expression": ((21, 3), True),
    "is_seen": ((), True),
    "eyes": ((2,), False),
    "lips": ((1,), False),
}
_KINDS = {"<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "|i1", "|u1", "<u2", "<u4", "|b1"}
_MAX_HEADER = 1000
# Entries of a directory are about 60 bytes; no performance has hundreds.
_MAX_DIRECTORY_BYTES = 32 * 1024
_LARGEST_VALUE = 1e4
_END, _END_SIZE = b"PK\x05\x06", 22
_LOCATOR, _LOCATOR_SIZE = b"PK\x06\x07", 20
_MAX_COMMENT = 65535


def write_performance(path: Path, performance: Performance) -> None:
    """Write a performance; what is at `path` is replaced. Raises OSError."""
    arrays: dict[str, np.ndarray] = {
        MARK: np.array(FORMAT_VERSION),
        "times": np.asarray(performance.times, np.float64),
        "rotation": performance.rotation,
        "translation": performance.translation,
        "scale": performance.scale,
        "expression": performance.expression,
        "is_seen": np.asarray(performance.is_seen, bool),
        "cuts": np.asarray(performance.cuts, np.int64),
    }
    if performance.ratios is not None:
        arrays |= {"eyes": performance.ratios.eyes, "lips": performance.ratios.lips}
    for name in _POINTS:
        if (points := getattr(performance, name)) is not None:
            arrays[name] = points
    rest = performance.rest
    if rest is not None:
        arrays |= {name: getattr(rest, name[len("rest_") :]) for name in _REST}
        if rest.ratios is not None:
            arrays |= {"rest_eyes": rest.ratios.eyes, "rest_lips": rest.ratios.lips}
    arrays |= {_SLIDER + name: column for name, column in performance.sliders.items()}
    exact = {MARK, "times", "is_seen", "cuts"}
    packed = {
        name: np.asarray(array) if name in exact else np.asarray(array, np.float32)
        for name, array in arrays.items()
    }
    with path.open("wb") as file:  # numpy would add a suffix to a name
        np.savez_compressed(file, **packed)  # type: ignore[arg-type]


def read_performance_file(path: Path) -> Performance:
    """Read what write_performance has written, or anybody else by the same description.

    Raises PerformanceError for anything that is not a whole performance, OSError for file trouble.
    """
    if path.stat().st_size > MAX_BYTES:
        raise PerformanceError(f"'{path.name}' is too large for a performance.", HINT)
    with path.open("rb") as file:
        try:
            _check_directory(file)
            with zipfile.ZipFile(file) as archive:
                return _Reader(archive).performance()
        except _DamageError as error:
            raise PerformanceError(f"'{path.name}' is refused: {error}.", HINT) from None
        except (
            zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError,
            ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError,
            struct.error, SyntaxError, RecursionError,
        ) as error:  # fmt: skip
            text = f"'{path.name}' is damaged or no performance of KeyPortrait."
            raise PerformanceError(text, HINT) from error


class _DamageError(Exception):
    """What is wrong with a file, as the end of a sentence."""


def _check_directory(file: io.BufferedIOBase) -> None:
    """Refuse a zip whose directory alone would fill the memory, before it is read."""
    size = file.seek(0, io.SEEK_END)
    tail_size = min(size, _END_SIZE + _MAX_COMMENT + _LOCATOR_SIZE)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    file.seek(0)
    place = tail.rfind(_END)
    if place < 0 or len(tail) < place + _END_SIZE:
        raise _DamageError("it is cut off, or no zip file at all")
    _, entries, directory = struct.unpack_from("<HHL", tail, place + 8)
    locator = tail[max(0, place - _LOCATOR_SIZE) : place]
    if directory > _MAX_DIRECTORY_BYTES or _LOCATOR in locator:
        raise _DamageError(f"its table of contents ({entries} entries) is too large")


class _Reader:
    """Takes the arrays out of an archive, each checked against the number of frames."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._entries = {info.filename: info for info in archive.infolist()}
        if len(self._entries) != len(archive.infolist()):
            raise _DamageError("two of its parts have one name")
        self._room = MAX_BYTES

    def performance(self) -> Performance:
        """The performance in the archive. Raises _DamageError."""
        self._check_version()
        times = self._times()
        count = len(times)
        rows = {
            name: self._array(name, (count, *shape))
            for name, (shape, is_needed) in _ROWS.items()
            if name != "times" and (is_needed or self._has(name))
        }
        rotation, scale = rows["rotation"], rows["scale"]
        _check_rotation("rotation", rotation)
        if not (scale > 0.0).all():
            raise _DamageError("'scale' is not above 0 everywhere")
        ratios = None
        if "eyes" in rows and "lips" in rows:
            ratios = OpeningRatios(rows["eyes"], rows["lips"])
        return Performance(
            times=times,
            rotation=rotation,
            translation=rows["translation"],
            scale=scale,
            expression=rows["expression"],
            ratios=ratios,
            is_seen=rows["is_seen"] != 0.0,
            cuts=self._cuts(count),
            sliders=self._sliders(count),
            rest=self._rest(),
            keypoints=self._points("keypoints"),
            neutral=self._points("neutral"),
        )

    def _check_version(self) -> None:
        if not self._has(MARK):
            raise _DamageError("it is no performance of KeyPortrait")
        version = float(self._array(MARK, (), np.float64))
        if version > FORMAT_VERSION:
            text = "it was written by a newer KeyPortrait"
            raise _DamageError(f"{text} (format {version:g}, this one reads {FORMAT_VERSION})")
        if version != FORMAT_VERSION:
            raise _DamageError(f"there is no format {version:g}")

    def _times(self) -> np.ndarray:
        times = self._array("times", None, np.float64)
        if times.ndim != 1 or not 1 <= len(times) <= MAX_FRAMES:
            raise _DamageError(f"it has no frames, or more than {MAX_FRAMES}")
        if not (np.diff(times) > 0.0).all():
            raise _DamageError("its times do not rise")
        return times - times[0]

    def _cuts(self, count: int) -> tuple[int, ...]:
        if not self._has("cuts"):
            return ()
        cuts = self._array("cuts", None, np.float64)
        is_sane = cuts.ndim == 1 and (cuts == np.round(cuts)).all()
        if not is_sane or len(cuts) > count or not ((cuts >= 0) & (cuts < count)).all():
            raise _DamageError("'cuts' names frames that there are not")
        return tuple(sorted({int(cut) for cut in cuts}))

    def _sliders(self, count: int) -> Mapping[str, np.ndarray]:
        # Of controls that only other versions have, `expression` tells all that can be shown.
        names = [name for name in CONTROLS_BY_NAME if self._has(_SLIDER + name)]
        return {name: self._array(_SLIDER + name, (count,)) for name in names}

    def _rest(self) -> Rest | None:
        if not all(map(self._has, _REST)):
            return None
        found = {name: self._array(name, shape) for name, shape in _REST.items()}
        _check_rotation("rest_rotation", found["rest_rotation"][None])
        scale = float(found["rest_scale"])
        if scale <= 0.0:
            raise _DamageError("'rest_scale' is not above 0")
        ratios = None
        if all(map(self._has, _REST_RATIOS)):
            eyes, lips = (self._array(name, shape) for name, shape in _REST_RATIOS.items())
            ratios = OpeningRatios(eyes, lips)
        return Rest(
            found["rest_rotation"],
            found["rest_translation"],
            scale,
            found["rest_expression"],
            ratios,
        )

    def _points(self, name: str) -> np.ndarray | None:
        return self._array(name, (21, 3)) if self._has(name) else None

    def _has(self, name: str) -> bool:
        return f"{name}.npy" in self._entries

    def _array(
        self, name: str, shape: tuple[int, ...] | None, dtype: type = np.float32
    ) -> np.ndarray:
        """One array as `dtype`, all values finite. shape None: any."""
        info = self._entries.get(f"{name}.npy")
        if info is None:
            raise _DamageError(f"it has no '{name}'")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _DamageError(f"'{name}' is packed in a way that numpy does not use")
        self._room -= info.file_size
        if self._room < 0:
            raise _DamageError(f"it would unpack to more than {MAX_BYTES // 1024**2} MB")
        count = MAX_FRAMES if shape is None else int(np.prod(shape))
        if info.file_size > _MAX_HEADER + 8 * count:
            raise _DamageError(f"'{name}' is larger than its frames need")
        with self._archive.open(info) as member:
            content = member.read(info.file_size)
        found = _parse(name, content)
        if shape is not None and found.shape != shape:
            raise _DamageError(f"'{name}' has the shape {found.shape}, not {shape}")
        with np.errstate(over="ignore"):
            values = found.astype(dtype)
        if not (np.isfinite(values).all() and (np.abs(values) <= _limit(name)).all()):
            raise _DamageError(f"'{name}' holds values that are no numbers, or absurd ones")
        return values


def _limit(name: str) -> float:
    return 1e7 if name in ("times", "cuts", MARK) else _LARGEST_VALUE


def _parse(name: str, content: bytes) -> np.ndarray:
    """An array from the bytes of an .npy file; its header is a literal and is only compared."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    (length,) = struct.unpack_from("<H", content, stream.tell())
    if version != (1, 0) or length > _MAX_HEADER:
        raise _DamageError(f"'{name}' is no plain array")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.str not in _KINDS:
        raise _DamageError(f"'{name}' holds {dtype.str[:40]!r} instead of numbers")
    body = memoryview(content)[stream.tell() :]
    count = 1
    for n in shape:
        count *= n
    if count * dtype.itemsize != len(body):
        raise _DamageError(f"'{name}' is cut off")
    return np.frombuffer(body, dtype).reshape(shape, order="F" if is_fortran else "C")


def _check_rotation(name: str, matrices: np.ndarray) -> None:
    products = matrices.astype(np.float64) @ matrices.transpose(0, 2, 1)
    is_turn = np.abs(products - np.eye(3)).max(axis=(1, 2), initial=0.0) < 0.02
    if not is_turn.all() or not (np.linalg.det(matrices.astype(np.float64)) > 0.0).all():
        raise _DamageError(f"'{name}' holds matrices that are no rotations")
