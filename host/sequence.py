"""A numbered picture sequence on disk: where it goes, what it is made from, what is finished.

Beside the pictures lies a log, one JSON line per finished frame with the key that it was made from.
It is only ever appended to, so that several processes may make different frames of one sequence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engine.protocol import Array
from .errors import EngineError

EXTENSIONS: Mapping[str, str] = {"PNG": "png", "OPEN_EXR": "exr"}


class BakeError(EngineError):
    """A bake cannot go on; the text is for the user and names the frame."""

    code = "bake_failed"


@dataclass(frozen=True)
class FrameTask:
    """One picture: its number in the file name, its cache key, Motion.to_json() of each face.

    shutter  the option of `render`; None for a picture of one moment
    source_frame  frame of a moving source; None for a still picture
    holds    the option of `render` for moving sources; empty for none
    """

    frame: int
    key: str
    motions: Sequence[Mapping[str, Any]]
    shutter: Mapping[str, Any] | None = None
    source_frame: int | None = None
    holds: Sequence[Sequence[str]] = ()

    @property
    def moments(self) -> list[Any]:
        """What `upcoming` says of every picture that has to be made for it."""
        samples = [self.motions] if self.shutter is None else self.shutter["samples"]
        if self.source_frame is None:
            return [list(motions) for motions in samples]
        return [{"frame": self.source_frame, "motions": list(motions)} for motions in samples]

    @property
    def options(self) -> dict[str, Any]:
        """The options of `render` that belong to it."""
        options: dict[str, Any] = {}
        if self.shutter is not None:
            options["shutter"] = self.shutter
        if self.holds:
            options["holds"] = [list(names) for names in self.holds]
        return options


@dataclass(frozen=True)
class OpenRequest:
    """Fields and arrays of the engine's `open` request for the picture that is baked."""

    fields: Mapping[str, Any]
    arrays: Mapping[str, Array]


@dataclass(frozen=True)
class SequenceOutput:
    """Where pictures go: `<folder>/<stem>_<frame, 4 digits>.<extension>`.

    format       "PNG" or "OPEN_EXR"
    color_depth  bits per channel: PNG "8" or "16", OPEN_EXR "16" or "32"
    color        OPEN_EXR: "linear" turns sRGB into linear Rec.709, "source" keeps the values
    alpha        OPEN_EXR: "associated" multiplies colours by alpha, "straight" does not
    """

    folder: Path
    stem: str
    format: str = "PNG"
    color_depth: str = "8"
    color: str = "linear"
    alpha: str = "associated"

    @property
    def extension(self) -> str:
        """File name extension without the dot."""
        return EXTENSIONS[self.format]

    @property
    def log_path(self) -> Path:
        """The log of finished frames."""
        return self.folder / f"{self.stem}_bake.jsonl"

    def path(self, frame: int) -> Path:
        """The picture of a frame."""
        return self.folder / f"{self.stem}_{frame:04d}.{self.extension}"

    def settings(self) -> dict[str, Any]:
        """What decides how a picture is written, for its cache key."""
        written = {"format": self.format, "color_depth": self.color_depth}
        if self.format == "OPEN_EXR":
            written |= {"color": self.color, "alpha": self.alpha}
        return written


def read_log(path: Path) -> dict[int, str]:
    """Frame → key of the newest line for each frame; damaged lines are skipped."""
    keys: dict[int, str] = {}
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return keys
    for line in text.splitlines():
        try:
            entry: Any = json.loads(line)
            keys[int(entry["frame"])] = str(entry["key"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return keys


def append_log(path: Path, frame: int, key: str) -> None:
    """Add a line in one write, whole even when other processes append, too. Raises OSError."""
    line = json.dumps({"frame": frame, "key": key}) + "\n"
    with path.open("ab", buffering=0) as stream:
        stream.write(line.encode())


def check_folder(folder: Path) -> None:
    """Make the output folder and write into it once. Raises BakeError."""
    probe = folder / ".keyportrait_write_test"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        text = f"The output folder '{folder}' cannot be written: {reason}."
        raise BakeError(text, "Choose another folder.") from error


def write_error(frame: int, path: Path, error: OSError) -> BakeError:
    """What to tell when a frame could not be written."""
    reason = error.strerror or str(error)
    text = f"Frame {frame} could not be written to '{path}': {reason}."
    return BakeError(text, "Finished frames are kept; bake again to go on.")
