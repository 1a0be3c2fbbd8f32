"""What can be chosen when a face speaks: one list for the operator, the panel and plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from ..engine.speech_options import (
    LANGUAGE_ITEMS,
    MAX_SEED,
    METHOD_ITEMS,
    SPEECH_AMOUNTS,
    SpeechOptions,
)
from .kept_properties import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    StringProperty,
)
from .take_choices import FILE, STRIP, WrittenChoices, plain_values, store_values

SOUND = "SOUND"
SOURCE_ITEMS = (
    (FILE, "File", "A sound, the sound of a movie, or mouth shapes from another program"),
    (STRIP, "Strip", "The active sound or movie strip of the Video Sequencer: its part and place"),
    (SOUND, "Sound", "A sound of this file, packed ones too"),
)
# Channels that speech writes beside the mouth, where they are wanted.
BLINK_CONTROLS = ("blink",)
HEAD_CONTROLS = ("head_pitch", "head_yaw", "head_roll")


def _amount(name: str) -> dict[str, Any]:
    """Options of the property of one of SPEECH_AMOUNTS."""
    found = next(amount for amount in SPEECH_AMOUNTS if amount.name == name)
    return {
        "name": found.label,
        "description": found.description,
        "default": getattr(SpeechOptions(), name),
        "min": found.minimum,
        "max": found.maximum,
        "subtype": "FACTOR",
    }


class SpeechChoices(WrittenChoices):
    """What can be chosen when a face speaks; the operator and every face have these properties."""

    source: EnumProperty(
        name="Source", items=SOURCE_ITEMS, description="Where the sound comes from"
    )
    filepath: StringProperty(
        name="File",
        description="A sound, a movie with sound, or mouth shapes from Rhubarb or Papagayo",
        subtype="FILE_PATH",
        options=compat.relative_path_options(),
    )
    range_start: FloatProperty(
        name="In",
        description="Second of the sound at which speech begins",
        min=0.0,
        precision=2,
    )
    range_end: FloatProperty(
        name="Out",
        description="Second of the sound at which the speech ends; 0 for the sound's end",
        min=0.0,
        precision=2,
    )
    start_frame: FloatProperty(
        name="Start Frame",
        description="Scene frame at which the speech begins",
        default=1.0,
        step=100,
        precision=1,
    )
    strength: FloatProperty(**_amount("strength"))
    jaw: FloatProperty(**_amount("jaw"))
    articulation: FloatProperty(**_amount("articulation"))
    blinks: FloatProperty(**_amount("blinks"))
    head_motion: FloatProperty(**_amount("head_motion"))
    language: EnumProperty(
        name="Language", items=LANGUAGE_ITEMS, description="What is spoken in the sound"
    )
    method: EnumProperty(
        name="Method", items=METHOD_ITEMS, description="Who says what the mouth does"
    )
    seed: IntProperty(
        name="Seed",
        description="Other blinks and other head motion; the same number gives the same again",
        min=0,
        max=MAX_SEED,
    )
    visemes: StringProperty(
        name="Table",
        description="A table of your own of what the mouth does for each sound; empty for the one "
        "that comes with KeyPortrait",
        subtype="FILE_PATH",
        options=compat.relative_path_options(),
    )
    use_whole_frames: BoolProperty(
        name="Keys on Whole Frames",
        description="Keys lie on the scene's frames; off, where the sounds are",
        default=True,
    )


@dataclass(frozen=True)
class Speech:
    """The properties of SpeechChoices as plain values that outlive an operator.

    sound  name of a sound of this file
    Others as the property of the same name.
    """

    source: str
    filepath: str
    strip: str
    sound: str
    range_start: float
    range_end: float
    start_frame: float
    strength: float
    jaw: float
    articulation: float
    blinks: float
    head_motion: float
    language: str
    method: str
    seed: int
    visemes: str
    mode: str
    use_track: bool
    use_whole_frames: bool
    face_offset: float
    use_scene_range: bool

    # Speech is few keys on sliders, and leaves alone what it does not move.
    use_detail = False
    use_markers = False
    is_whole_pose = False

    @property
    def name(self) -> str:
        """What is spoken: the name of its file, strip or sound."""
        if self.source == STRIP:
            return self.strip
        return self.sound if self.source == SOUND else Path(self.filepath).stem

    @property
    def region(self) -> str:
        """The mouth, and what else is wanted to move."""
        blinks = BLINK_CONTROLS if self.blinks > 0.0 else ()
        head = HEAD_CONTROLS if self.head_motion > 0.0 else ()
        return " ".join(("lip", *blinks, *head))

    def options(self, stream: int) -> SpeechOptions:
        """How the engine shall speak.

        stream  of the file's sounds
        """
        amounts = {item.name: round(getattr(self, item.name), 4) for item in SPEECH_AMOUNTS}
        path = str(Path(bpy.path.abspath(self.visemes)).absolute()) if self.visemes else ""
        return SpeechOptions(
            **amounts,
            language=self.language,
            seed=self.seed,
            visemes=path,
            stream=stream,
            method=self.method,
        )


def speech_of(holder: Any) -> Speech:
    """What an operator or a face's `keyportrait_speech` has chosen."""
    return plain_values(Speech, holder, "sound")


def store(speech: Speech, holder: Any, *, own: Any = None) -> None:
    """Write choices to an operator or to a face's `keyportrait_speech`.

    own  of an operator: its bpy properties; those that its caller has set are kept
    """
    store_values(speech, holder, "sound", bpy.data.sounds, own)
