"""Takes: what one face shall do over time, and how a performance becomes one.

Standard library only: the engine makes takes, Blender's side writes them as F-curves. A take is
columns over time: control values, `expression`, which the controls cannot say, and `translation`
of the head. All three together are the performance.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

from .controls import CONTROLS_BY_NAME
from .motion import KEYPOINT_COUNT, Motion
from .sliders import CARRIERS
from .speech_options import SpeechOptions

# What is carried over: (name as in LivePortrait, label, description).
REGION_ITEMS = (
    ("all", "Everything", "Head, expression and size"),
    ("exp", "Expression", "Eyes, brows and mouth; the head stays"),
    ("pose", "Head", "How the head turns and moves; the expression stays"),
    ("lip", "Lips", "The mouth alone"),
    ("eyes", "Eyes", "Lids and gaze alone"),
)
AUTO, FIRST, CHOSEN, NEUTRAL = "AUTO", "FIRST", "CHOSEN", "NEUTRAL"
REFERENCE_ITEMS = (
    (
        AUTO,
        "Automatic",
        "The performance's own rest where it knows one (clips, ARKit, another face's curves), else "
        "its first frame",
    ),
    (FIRST, "First Frame", "The performance's first frame, as LivePortrait does"),
    (CHOSEN, "Chosen Time", "The frame at a time of the performance that you choose"),
    (NEUTRAL, "Most Neutral", "The frame in which the performer's face is most at rest"),
)

# Files that a face's own curves are stored in: (name, label, description).
KEYPORTRAIT, LIVEPORTRAIT = "KEYPORTRAIT", "LIVEPORTRAIT"
STORE_ITEMS = (
    (KEYPORTRAIT, "KeyPortrait (.npz)", "Every frame at its own time, sliders included"),
    (
        LIVEPORTRAIT,
        "LivePortrait Template (.pkl)",
        "A motion template at an even frame rate, for LivePortrait and its relatives",
    ),
)
STORE_SUFFIXES = {KEYPORTRAIT: ".npz", LIVEPORTRAIT: ".pkl"}


# Who reads the performer of a clip: (name, label, description); AUTO is never sent.
LANDMARKS, NETWORKS = "LANDMARKS", "NETWORKS"
READER_ITEMS = (
    (
        AUTO,
        "Automatic",
        "The networks where they show one of the faces (Final) and are set up, else landmarks",
    ),
    (LANDMARKS, "Landmarks", "The built-in face mesh: runs everywhere"),
    (NETWORKS, "Networks", "LivePortrait's own motion extractor; needs the set-up"),
)
# Files that hold numbers; any other file is a clip.
MOTION_SUFFIXES = (".pkl", ".npz", ".csv", ".tsv", ".xml", ".json", ".dat")


@dataclass(frozen=True)
class PerformanceSource:
    """Where a performance is read from.

    path       a motion template, a clip, or the first picture of a sequence
    start_s, end_s  the part of a clip, seconds of its own presentation time; None for its ends
    performer  which face of a clip with several, 0 for the largest
    smooth     0 as it was read, 1 very smooth
    cache_dir  folder in which what was read is kept, "" for none
    arkit_table  the user's own table of ARKit shapes, "" for the one that comes with the engine
    frame_rate  pictures per second of a sequence of pictures, frames per second of a file that
               counts frames, moments per second of speech; 0 for files that know their own
    is_still   read the picture alone, as one moment, whatever follows it by number
    reader     who reads the performer of a clip: LANDMARKS or NETWORKS
    speech     read the file's sound, not its pictures: the face says what is said; start_s and
               end_s are then seconds of the sound
    """

    path: str
    start_s: float | None = None
    end_s: float | None = None
    performer: int = 0
    smooth: float = 0.5
    cache_dir: str = ""
    arkit_table: str = ""
    frame_rate: float = 0.0
    is_still: bool = False
    reader: str = LANDMARKS
    speech: SpeechOptions | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; PerformanceSource.from_json reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PerformanceSource:
        """Read to_json's value. Raises ValueError or TypeError for what is no such value."""
        unknown = set(data) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown field {sorted(unknown)}")
        speech = data.get("speech")
        if speech is not None:
            data = {**data, "speech": SpeechOptions.from_json(speech)}
        source = cls(**data)
        if not (source.path and source.performer >= 0 and 0.0 <= source.smooth <= 1.0):
            raise ValueError("a source without a path, or a number out of range")
        if source.reader not in (LANDMARKS, NETWORKS):
            raise ValueError(f"no reader '{source.reader}'")
        if not source.frame_rate >= 0.0:
            raise ValueError(f"a frame rate of {source.frame_rate:g}")
        start, end = source.start_s or 0.0, source.end_s
        if end is not None and not start < end:
            raise ValueError(f"the part from {start:g} s to {end:g} s is empty")
        return source


@dataclass(frozen=True)
class TakeOptions:
    """How a performance becomes the take of a face.

    region      a name of REGION_ITEMS
    multiplier  factor on all motion
    reference   which frame is the performer's rest, a name of REFERENCE_ITEMS: the face moves by
                the difference to it
    tolerance   how far a reduced curve may be from the performance, in the control's range; up to
                thrice that where more than eight keys per second would be needed
    reference_s  for CHOSEN, seconds from the performance's first moment
    use_relative_motion  add the performer's motion to the face's own pose and expression, else
                the face ends at the performer's own
    is_expression_friendly  scale expressions by the two faces' sizes, where M has read both
    use_lip_normalization   shut the face's own lips first (relative motion only)
    use_eye_retargeting, use_lip_retargeting  lids and lips follow the performer's opening ratios
                instead of the expression
    use_mirror  the performance as seen in a mirror
    fps         frames of the scene per second of the performance: the take has a moment for each
                of them; 0 for the moments that the performance has
    first_frame_s  a moment of the performance, in seconds, that is such a frame
    """

    region: str = "all"
    multiplier: float = 1.0
    reference: str = FIRST
    tolerance: float = 0.02
    reference_s: float = 0.0
    use_relative_motion: bool = True
    is_expression_friendly: bool = False
    use_lip_normalization: bool = False
    use_eye_retargeting: bool = False
    use_lip_retargeting: bool = False
    use_mirror: bool = False
    fps: float = 0.0
    first_frame_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; TakeOptions.from_json reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TakeOptions:
        """Read to_json's value. Raises ValueError or TypeError for what is no such value."""
        unknown = set(data) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown option {sorted(unknown)}")
        options = cls(**data)
        is_region = options.region in {item[0] for item in REGION_ITEMS}
        if not is_region or options.reference not in {item[0] for item in REFERENCE_ITEMS}:
            raise ValueError(f"no such choice: '{options.region}', '{options.reference}'")
        if not (0.0 <= options.multiplier <= 10.0 and 0.0 <= options.tolerance <= 1.0):
            raise ValueError("a multiplier or a tolerance out of range")
        if not 0.0 <= options.reference_s < math.inf:
            raise ValueError("a time of rest out of range")
        if not (0.0 <= options.fps <= 1e4 and math.isfinite(options.first_frame_s)):
            raise ValueError("a frame rate out of range")
        switches = [f.name for f in fields(cls) if f.name.startswith(("use_", "is_"))]
        if not all(isinstance(getattr(options, name), bool) for name in switches):
            raise ValueError("a switch that is neither true nor false")
        return options


class Amount(NamedTuple):
    """A property of a face controller that scales what its curves say, 1 for as they are."""

    name: str
    label: str
    description: str


AMOUNTS = (
    Amount("head_amount", "Head", "How much of the head's motion is shown"),
    Amount("eyes_amount", "Eyes", "How much of what the eyes do is shown"),
    Amount("brows_amount", "Brows", "How much of what the brows do is shown"),
    Amount("mouth_amount", "Mouth", "How much of what the mouth does is shown"),
    Amount("detail", "Detail", "How much is shown of what a captured face does beyond the sliders"),
)
# Animatable properties of a face controller, beside the controls: 63 and 3 numbers.
EXPRESSION, TRANSLATION = "expression", "translation"
# 8 and 9 rest in captured faces; sliders of the brows are told by them.
_KEYPOINTS = {"Eyes": (11, 13, 15, 16, 18), "Brows": (1, 2, 8, 9)}
_GROUP_OF_KEYPOINT = tuple(
    next((group for group, points in _KEYPOINTS.items() if index in points), "Mouth")
    for index in range(KEYPOINT_COUNT)
)

# Keypoints of exp that change places in a mirror; the others lie in the middle, or are bound to
# no side. The frowning brows alone change places sideways only: raised, both brows move the one
# keypoint down and the other up.
_MIRROR_PARTNERS = {11: 15, 15: 11, 13: 16, 16: 13, 3: 7, 7: 3}
_MIRROR_X_PARTNERS = {**_MIRROR_PARTNERS, 1: 2, 2: 1}


def _mirrored_indices() -> tuple[tuple[int, float], ...]:
    found: list[tuple[int, float]] = []
    for k in range(KEYPOINT_COUNT):
        found.append((3 * _MIRROR_X_PARTNERS.get(k, k), -1.0))
        found += [(3 * _MIRROR_PARTNERS.get(k, k) + axis, 1.0) for axis in (1, 2)]
    # Carriers have no meaning but that of their slider.
    for name, index in CARRIERS.items():
        control = CONTROLS_BY_NAME[name]
        found[CARRIERS[control.mirror or name]] = index, control.mirror_sign
    return tuple(found)


# (index of 63, sign) of where each number of a mirrored expression comes from.
MIRRORED_EXPRESSION = _mirrored_indices()

# Groups of controls that a region moves.
REGION_GROUPS: Mapping[str, tuple[str, ...]] = {
    "all": ("Head", "Eyes", "Brows", "Mouth"),
    "exp": ("Eyes", "Brows", "Mouth"),
    "pose": ("Head",),
    "lip": ("Mouth",),
    "eyes": ("Eyes",),
}
# Keypoints of exp that a region moves.
REGION_KEYPOINTS: Mapping[str, tuple[int, ...]] = {
    "all": tuple(range(KEYPOINT_COUNT)),
    "exp": tuple(range(KEYPOINT_COUNT)),
    "pose": (),
    "lip": (6, 12, 14, 17, 19, 20),
    "eyes": (11, 13, 15, 16, 18),
}


def detail_rows(groups: Collection[str]) -> list[int]:
    """Which of the 63 offsets of exp belong to some groups of controls."""
    return [
        3 * point + axis
        for point, group in enumerate(_GROUP_OF_KEYPOINT)
        if group in groups
        for axis in range(3)
    ]


def amount_of(amounts: Mapping[str, float], group: str) -> float:
    """The amount of a group of controls; 1 where none is set."""
    return amounts.get(f"{group.lower()}_amount", 1.0)


def weakened(
    values: Mapping[str, float], rest: Mapping[str, float], amounts: Mapping[str, float]
) -> dict[str, float]:
    """Control values moved towards their rest by the amounts of their groups."""
    result = dict(values)
    for name, value in values.items():
        amount = amount_of(amounts, CONTROLS_BY_NAME[name].group)
        if amount != 1.0:
            result[name] = rest[name] + amount * (value - rest[name])
    return result


def mirrored_expression(expression: Sequence[float]) -> list[float]:
    """63 offsets of exp as a mirror shows them; twice gives the offsets back."""
    return [sign * expression[index] for index, sign in MIRRORED_EXPRESSION]


def with_take(
    motion: Motion,
    expression: Sequence[float],
    translation: Sequence[float],
    amounts: Mapping[str, float],
) -> Motion:
    """A Motion with what a take adds to the controls: 63 offsets of exp, 3 of t."""
    detail = amounts.get("detail", 1.0)
    share = [detail * amount_of(amounts, group) for group in _GROUP_OF_KEYPOINT]
    offsets = (
        own + share[index // 3] * extra
        for index, (own, extra) in enumerate(zip(motion.expression, expression, strict=True))
    )
    head = amount_of(amounts, "Head")
    moved = (own + head * extra for own, extra in zip(motion.translation, translation, strict=True))
    return replace(motion, expression=tuple(offsets), translation=tuple(moved))
