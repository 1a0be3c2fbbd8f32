"""How a sound becomes a talking face: the options of speech.

Standard library only: Blender's side offers these options, the engine obeys them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

ENGLISH, OTHER = "ENGLISH", "OTHER"
LANGUAGE_ITEMS = (
    (ENGLISH, "English", "Which sound follows which is told by English"),
    (OTHER, "Other", "Sounds in any order, for all other languages"),
)

PHONES, AUDIO2FACE = "PHONES", "AUDIO2FACE"
METHOD_ITEMS = (
    (PHONES, "Phones", "Sounds of words are heard, and a table says what the mouth does: built in"),
    (
        AUDIO2FACE,
        "Audio2Face-3D",
        "NVIDIA's network, in any language, much slower; to be set up in the Engine panel",
    ),
)

# Files with sound that are offered; any other file is tried as well.
SOUND_SUFFIXES = (
    ".wav", ".mp3", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".flac", ".aif", ".aiff", ".caf",
    ".wma", ".ac3", ".amr", ".w64",
)  # fmt: skip

# The sound of a file that players would choose.
BEST_STREAM = -1


class SpeechAmount(NamedTuple):
    """A number of SpeechOptions: its range, and what it is for."""

    name: str
    label: str
    description: str
    minimum: float
    maximum: float


SPEECH_AMOUNTS = (
    SpeechAmount("strength", "Strength", "How much the mouth moves; 1 as in plain talk", 0.0, 2.0),
    SpeechAmount("jaw", "Jaw", "How far the mouth opens; 1 as in plain talk", 0.0, 2.0),
    SpeechAmount(
        "articulation",
        "Articulation",
        "How clearly each sound is formed: 0 mumbled, 1 as in plain talk, 2 each one for itself",
        0.0,
        2.0,
    ),
    SpeechAmount("blinks", "Blinks", "Blink now and then, more between sentences", 0.0, 1.0),
    SpeechAmount(
        "head_motion", "Head Motion", "Sway and nod a little with what is stressed", 0.0, 1.0
    ),
)
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class SpeechOptions:
    """How a sound is spoken by a face.

    strength, jaw, articulation, blinks, head_motion  see SPEECH_AMOUNTS
    language  a name of LANGUAGE_ITEMS
    seed      of blinks and head motion, 0..MAX_SEED; the same seed gives the same motion
    visemes   path of the user's own table of visemes, "" for the one that comes with the engine
    method    a name of METHOD_ITEMS: who says what the mouth does; AUDIO2FACE takes no articulation
              and no table of visemes
    stream    which of a file's sounds, counted from 0; BEST_STREAM for the one players would choose
    """

    strength: float = 1.0
    jaw: float = 1.0
    articulation: float = 1.0
    blinks: float = 0.0
    head_motion: float = 0.0
    language: str = ENGLISH
    seed: int = 0
    visemes: str = ""
    stream: int = BEST_STREAM
    method: str = PHONES

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; SpeechOptions.from_json reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SpeechOptions:
        """Read to_json's value. Raises ValueError or TypeError for what is no such value."""
        unknown = set(data) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown option of speech {sorted(unknown)}")
        options = cls(**data)
        for amount in SPEECH_AMOUNTS:
            if not amount.minimum <= getattr(options, amount.name) <= amount.maximum:
                raise ValueError(f"{amount.name} out of range")
        if options.language not in {item[0] for item in LANGUAGE_ITEMS}:
            raise ValueError(f"no language '{options.language}'")
        if options.method not in {item[0] for item in METHOD_ITEMS}:
            raise ValueError(f"no method '{options.method}'")
        whole = (options.seed, options.stream)
        if not all(isinstance(n, int) for n in whole) or not isinstance(options.visemes, str):
            raise TypeError("a seed, a stream or a table of another kind")
        if not (0 <= options.seed <= MAX_SEED and options.stream >= BEST_STREAM):
            raise ValueError("a seed or a stream out of range")
        return options
