"""What can be chosen for a capture: one list for the operator, the panel and plain values."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from ..engine.take import AUTO, READER_ITEMS, REFERENCE_ITEMS, REGION_ITEMS, TakeOptions
from .kept_properties import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    StringProperty,
)
from .take_choices import FILE, STRIP, WrittenChoices, plain_values, store_values

CLIP = "CLIP"
SOURCE_ITEMS = (
    (FILE, "File", "A clip, a sequence of pictures or a motion template"),
    (STRIP, "Strip", "The active strip of the Video Sequencer: its clip, range and place"),
    (CLIP, "Movie Clip", "A movie clip of this file, with its start frame"),
)
SECONDS, FRAMES = "SECONDS", "FRAMES"
UNIT_ITEMS = (
    (SECONDS, "Seconds", "Seconds of the clip"),
    (FRAMES, "Frames", "Frames of the clip, counted at the scene's frame rate"),
)


class CaptureChoices(WrittenChoices):
    """What can be chosen for a capture; the operator and every face have these properties."""

    source: EnumProperty(
        name="Source", items=SOURCE_ITEMS, description="Where the performance comes from"
    )
    filepath: StringProperty(
        name="File",
        description="A clip, the first picture of a sequence, or a motion template",
        subtype="FILE_PATH",
        options=compat.relative_path_options(),
    )
    range_unit: EnumProperty(
        name="In and Out", items=UNIT_ITEMS, description="What the range is given in"
    )
    range_start: FloatProperty(
        name="In", description="Where in the clip the performance begins", min=0.0, precision=2
    )
    range_end: FloatProperty(
        name="Out",
        description="Where in the clip the performance ends; 0 for the clip's end",
        min=0.0,
        precision=2,
    )
    start_frame: FloatProperty(
        name="Start Frame",
        description="Scene frame at which the performance begins",
        default=1.0,
        step=100,
        precision=1,
    )
    stretch: FloatProperty(
        name="Stretch",
        description="2 takes twice the time, 0.5 half of it",
        default=1.0,
        min=0.01,
        max=100.0,
        soft_min=0.25,
        soft_max=4.0,
    )
    performer: IntProperty(
        name="Performer",
        description="Which face of a clip with several: 1 for the largest, 2 for the next",
        default=1,
        min=1,
        soft_max=8,
    )
    reader: EnumProperty(
        name="Read By", items=READER_ITEMS, description="Who reads the performer of a clip"
    )
    smooth: FloatProperty(
        name="Smooth",
        description="How much the performance is smoothed; 0 leaves it as it was read",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    region: EnumProperty(
        name="Region", items=REGION_ITEMS, description="What is carried over to the face"
    )
    reference: EnumProperty(
        name="Rest",
        items=REFERENCE_ITEMS,
        default=AUTO,
        description="The frame that counts as the performer's rest: the face moves by the "
        "difference to it",
    )
    reference_s: FloatProperty(
        name="Rest At",
        description="Seconds from the first moment that is captured, for Chosen Time",
        min=0.0,
        precision=2,
    )
    use_relative_motion: BoolProperty(
        name="Relative",
        description="Add the performer's motion to the face's own pose and expression; off, the "
        "face takes on the performer's own",
        default=True,
    )
    is_expression_friendly: BoolProperty(
        name="Expression-Friendly",
        description="Scale expressions by the sizes of the two faces; where LivePortrait's "
        "networks have read both",
    )
    use_lip_normalization: BoolProperty(
        name="Close Lips First",
        description="Shut the face's own lips before the performance moves them",
    )
    use_eye_retargeting: BoolProperty(
        name="Eyes by Opening", description="The lids follow how far the performer's are open"
    )
    use_lip_retargeting: BoolProperty(
        name="Lips by Opening", description="The lips follow how far the performer's are open"
    )
    use_mirror: BoolProperty(
        name="Mirror", description="The performance as seen in a mirror: left and right swapped"
    )
    multiplier: FloatProperty(
        name="Multiplier",
        description="Factor on all motion",
        default=1.0,
        min=0.0,
        max=10.0,
        soft_max=2.0,
    )
    use_detail: BoolProperty(
        name="Detail",
        description="Also carry over what the sliders cannot say, in curves with a key per frame",
        default=True,
    )
    use_whole_frames: BoolProperty(
        name="Keys on Whole Frames",
        description="Sample the performance at the scene's frames; off, keys lie where the "
        "clip's frames lie",
        default=True,
    )
    use_markers: BoolProperty(
        name="Markers",
        description="Set a marker at each cut and wherever the performer's face was lost",
        default=True,
    )


@dataclass(frozen=True)
class Choices:
    """The properties of CaptureChoices as plain values that outlive an operator.

    clip   name of a movie clip of this file
    Others as the property of the same name.
    """

    source: str
    filepath: str
    strip: str
    clip: str
    range_unit: str
    range_start: float
    range_end: float
    start_frame: float
    stretch: float
    performer: int
    reader: str
    smooth: float
    region: str
    reference: str
    reference_s: float
    use_relative_motion: bool
    is_expression_friendly: bool
    use_lip_normalization: bool
    use_eye_retargeting: bool
    use_lip_retargeting: bool
    use_mirror: bool
    multiplier: float
    use_detail: bool
    mode: str
    use_track: bool
    use_whole_frames: bool
    face_offset: float
    use_markers: bool
    use_scene_range: bool

    @property
    def is_whole_pose(self) -> bool:
        """A performer is seen whole."""
        return True

    @property
    def options(self) -> TakeOptions:
        """How the performance becomes a take."""
        names = {option.name for option in fields(TakeOptions)} & set(self.__dataclass_fields__)
        return TakeOptions(**{name: getattr(self, name) for name in names})

    @property
    def name(self) -> str:
        """What the performance is called: its file, strip or clip."""
        if self.source == STRIP:
            return self.strip
        return self.clip if self.source == CLIP else Path(self.filepath).stem


def choices_of(holder: Any) -> Choices:
    """What an operator or a face's `keyportrait_capture` has chosen."""
    return plain_values(Choices, holder, "clip")


def store(choices: Choices, holder: Any, *, own: Any = None) -> None:
    """Write choices to an operator or to a face's `keyportrait_capture`.

    own  of an operator: its bpy properties; those that its caller has set are kept
    """
    store_values(choices, holder, "clip", bpy.data.movieclips, own)
