"""A moving source as requests name it. Standard library only: Blender's side writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

SEQUENCE_RATE = 24.0

# What follows faces through a moving source: rows of the table in protocol.py.
TRACK_MESSAGES = (
    (
        "track",
        "tracked",
        ("clip", "frame", "faces", "path"),
        (),
        "Follow faces that were found in a source frame through the whole clip and write their "
        "track to a .npz file, see engine.face_track.",
    ),
    (
        "tracked",
        "",
        ("path", "frame_count", "cuts", "losses", "notices"),
        (),
        "cuts: source frames that begin a shot; losses: {face, first, last}, the source frames in "
        "which a face was not seen.",
    ),
)


@dataclass(frozen=True)
class SourceClip:
    """Where the pictures of a moving source lie.

    path        a movie, or any picture of a numbered sequence
    frame_rate  pictures per second of a sequence; movies know their own times
    """

    path: str
    frame_rate: float = SEQUENCE_RATE

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; SourceClip.from_json reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SourceClip:
        """Read to_json's value. Raises ValueError or TypeError for what is no such value."""
        unknown = set(data) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown field {sorted(unknown)}")
        clip = cls(**data)
        if not isinstance(clip.path, str) or not clip.path or "\0" in clip.path:
            raise ValueError("a clip without a path")
        if not 0.0 < float(clip.frame_rate) <= 1000.0:
            raise ValueError(f"a frame rate of {clip.frame_rate}")
        return clip
