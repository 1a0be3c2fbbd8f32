"""The face controls that artists hold, and what each one does in LivePortrait's motion space.

Standard library only; Blender's side and the engine both import this one table. SLIDERS are the
expression sliders of LivePortrait's image retargeting with their raw units; CONTROLS are the same
movements normalised for artists, each a factor away from a slider. "Left" and "right" mean the
left and the right of the picture, as in LivePortrait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from .motion import KEYPOINT_COUNT, Face, Motion

__all__ = [
    "CONTROLS",
    "CONTROLS_BY_NAME",
    "GROUPS",
    "SLIDERS",
    "Control",
    "Face",
    "Motion",
    "Term",
    "mirrored",
    "motion_from_controls",
    "slider_expression",
]

AXES = "xyz"


class Term(NamedTuple):
    """exp[keypoint, axis] += coefficient * raw value, for raw values of this sign (0: any)."""

    keypoint: int
    axis: str
    coefficient: float
    sign: int = 0


# LivePortrait's raw sliders. wink_right mirrors wink; blink is both winks' lid terms.
SLIDERS: Mapping[str, tuple[Term, ...]] = {
    "smile": (
        Term(20, "y", -0.01),
        Term(14, "y", -0.02),
        Term(17, "y", 0.0065),
        Term(17, "z", 0.003),
        Term(13, "y", -0.00275),
        Term(16, "y", -0.00275),
        Term(3, "y", -0.0035),
        Term(7, "y", -0.0035),
    ),
    "wink": (
        Term(11, "y", 0.001),
        Term(13, "y", -0.0003),
        Term(17, "x", 0.0003),
        Term(17, "y", 0.0003),
        Term(3, "y", -0.0003),
    ),
    "wink_right": (
        Term(15, "y", 0.001),
        Term(16, "y", -0.0003),
        Term(17, "x", -0.0003),
        Term(17, "y", 0.0003),
        Term(7, "y", -0.0003),
    ),
    "blink": (
        Term(11, "y", 0.001),
        Term(13, "y", -0.0003),
        Term(15, "y", 0.001),
        Term(16, "y", -0.0003),
    ),
    "eyebrow": (
        Term(1, "y", 0.001, +1),
        Term(2, "y", -0.001, +1),
        Term(1, "x", -0.001, -1),
        Term(2, "x", 0.001, -1),
        Term(1, "y", 0.0003, -1),
        Term(2, "y", -0.0003, -1),
    ),
    "eyeball_direction_x": (
        Term(11, "x", 0.0007, +1),
        Term(15, "x", 0.001, +1),
        Term(11, "x", 0.001, -1),
        Term(15, "x", 0.0007, -1),
    ),
    "eyeball_direction_y": (
        Term(11, "y", -0.0005),
        Term(13, "y", -0.00015),
        Term(15, "y", -0.0005),
        Term(16, "y", -0.00015),
    ),
    "lip_variation_zero": (Term(19, "x", 1.0),),
    "lip_variation_one": (
        Term(14, "y", 0.001),
        Term(3, "y", -0.0005),
        Term(7, "y", -0.0005),
        Term(17, "z", -0.0005),
    ),
    "lip_variation_two": (Term(20, "z", -0.001), Term(20, "y", -0.001), Term(14, "y", -0.001)),
    "lip_variation_three": (Term(19, "y", 0.001), Term(19, "z", 0.0001), Term(17, "y", -0.0001)),
    "mov_x": (Term(5, "x", -1.0),),
    "mov_y": (Term(5, "y", 1.0),),
}


@dataclass(frozen=True)
class Control:
    """One artist-facing property of a face controller.

    minimum, maximum            hard limits
    soft_minimum, soft_maximum  the slider's range
    unit       "" (normalised), "deg" (degrees), "ratio" (LivePortrait's opening ratio; its
               neutral value is the picture's own), "factor"
    target     a slider of SLIDERS, or a Motion field ("pitch", "scale", "eyes_open"…)
    factor     raw value per unit; negative_factor is used for values below 0 where it differs
    mirror     the control that it becomes when a pose is mirrored ("" for itself)
    mirror_sign  factor on the value when mirrored
    """

    name: str
    label: str
    group: str
    description: str
    target: str
    factor: float = 1.0
    minimum: float = -1.0
    maximum: float = 1.0
    soft_minimum: float | None = None
    soft_maximum: float | None = None
    default: float = 0.0
    unit: str = ""
    negative_factor: float | None = None
    mirror: str = ""
    mirror_sign: float = 1.0

    @property
    def soft_range(self) -> tuple[float, float]:
        """The slider's range: the soft limits, where set, inside the hard ones."""
        low = self.minimum if self.soft_minimum is None else self.soft_minimum
        high = self.maximum if self.soft_maximum is None else self.soft_maximum
        return low, high

    @property
    def terms(self) -> tuple[Term, ...]:
        """(keypoint, axis, coefficient, sign) on the raw value; empty for Motion fields."""
        return SLIDERS.get(self.target, ())

    def raw(self, value: float) -> float:
        """The value in LivePortrait's own units."""
        if value < 0.0 and self.negative_factor is not None:
            return value * self.negative_factor
        return value * self.factor


GROUPS = ("Head", "Eyes", "Brows", "Mouth")

CONTROLS: tuple[Control, ...] = (
    Control(
        "head_pitch", "Pitch", "Head", "Nod the head, degrees; positive looks down",
        "pitch", minimum=-45, maximum=45, soft_minimum=-15, soft_maximum=15, unit="deg",
    ),
    Control(
        "head_yaw", "Yaw", "Head", "Turn the head, degrees; positive turns to the picture's left",
        "yaw", minimum=-60, maximum=60, soft_minimum=-25, soft_maximum=25, unit="deg",
        mirror_sign=-1,
    ),
    Control(
        "head_roll", "Roll", "Head", "Tilt the head, degrees; positive tilts clockwise",
        "roll", minimum=-60, maximum=60, soft_minimum=-15, soft_maximum=15, unit="deg",
        mirror_sign=-1,
    ),
    Control(
        "head_x", "Move X", "Head", "Move the head to the picture's right", "mov_x", 0.19,
        minimum=-2, maximum=2, soft_minimum=-1, soft_maximum=1, mirror_sign=-1,
    ),
    Control(
        "head_y", "Move Y", "Head", "Move the head up", "mov_y", -0.19,
        minimum=-2, maximum=2, soft_minimum=-1, soft_maximum=1,
    ),
    Control(
        "head_scale", "Scale", "Head", "Size of the head; 1 is the picture's own", "scale",
        minimum=0.5, maximum=2.0, soft_minimum=0.9, soft_maximum=1.2, default=1.0, unit="factor",
    ),
    Control(
        "blink", "Blink", "Eyes", "Both eyes: 1 closed, 0 as in the picture, -1 wide open",
        "blink", 39.0, negative_factor=15.0,
    ),
    Control(
        "wink_left", "Wink Left", "Eyes", "Close the eye on the left of the picture", "wink", 39.0,
        minimum=0, mirror="wink_right",
    ),
    Control(
        "wink_right", "Wink Right", "Eyes", "Close the eye on the right of the picture",
        "wink_right", 39.0, minimum=0, mirror="wink_left",
    ),
    Control(
        "eyes_open", "Eyes Open", "Eyes",
        "Opening of both eyes as height over width; the default is the picture's own",
        "eyes_open", minimum=0, maximum=0.8, default=0.35, unit="ratio",
    ),
    Control(
        "gaze_x", "Gaze X", "Eyes", "Look to the picture's right", "eyeball_direction_x", 30.0,
        mirror_sign=-1,
    ),
    Control("gaze_y", "Gaze Y", "Eyes", "Look up", "eyeball_direction_y", 63.0),
    Control(
        "lid_offset", "Lid Offset", "Eyes",
        "Move the line where closed lids meet; for stylised eyes that do not close cleanly",
        "lid_offset",
    ),
    Control("brows", "Brows", "Brows", "Raise (1) or lower (-1) both brows", "eyebrow", 30.0),
    Control(
        "smile", "Smile", "Mouth", "Pull the mouth corners up and out; negative pulls them down",
        "smile", 1.3, soft_minimum=-0.25,
    ),
    Control(
        "mouth_open", "Mouth Open", "Mouth", "Open the mouth (aah); negative presses it shut",
        "lip_variation_three", 120.0, negative_factor=90.0,
    ),
    Control(
        "lips_open", "Lips Open", "Mouth",
        "Opening of the lips as height over width; the default is the picture's own",
        "lips_open", minimum=0, maximum=0.8, default=0.0, unit="ratio",
    ),
    Control("grin", "Grin", "Mouth", "Spread the lips wide (eee)", "lip_variation_two", 15.0,
            minimum=0),
    Control("purse", "Purse", "Mouth", "Draw the lips together (ooh); negative relaxes them",
            "lip_variation_one", 15.0, negative_factor=20.0),
    Control(
        "pout", "Pout", "Mouth",
        "Push the lips out and to the picture's right; negative to its left",
        "lip_variation_zero", 0.09, mirror_sign=-1,
    ),
)  # fmt: skip
CONTROLS_BY_NAME: Mapping[str, Control] = {control.name: control for control in CONTROLS}

# An opening ratio this near the picture's own counts as untouched (ratios are shown to 2 digits).
RATIO_TOLERANCE = 0.005


def slider_expression(raw: Mapping[str, float]) -> list[float]:
    """Sum of LivePortrait's raw sliders: 63 offsets to exp, keypoint-major.

    Raises KeyError for a slider that does not exist.
    """
    expression = [0.0] * (3 * KEYPOINT_COUNT)
    for slider, value in raw.items():
        for term in SLIDERS[slider]:
            if term.sign * value >= 0.0:
                expression[term.keypoint * 3 + AXES.index(term.axis)] += term.coefficient * value
    return expression


def motion_from_controls(
    values: Mapping[str, float], *, eyes_open: float = 0.35, lips_open: float = 0.0
) -> Motion:
    """The Motion of a face's control values.

    values                control name → value; missing ones are neutral, limits are enforced
    eyes_open, lips_open  the picture's own ratios, where these two controls are neutral
    Raises KeyError for a control that does not exist.
    """
    raw: dict[str, float] = {}
    changes: dict[str, float] = {}
    for name, value in values.items():
        control = CONTROLS_BY_NAME[name]
        amount = control.raw(min(max(float(value), control.minimum), control.maximum))
        if control.target in SLIDERS:
            raw[control.target] = amount
        else:
            changes[control.target] = amount
    for name, rest in (("eyes_open", eyes_open), ("lips_open", lips_open)):
        if name in changes and abs(changes[name] - rest) <= RATIO_TOLERANCE:
            del changes[name]
    motion = Motion(expression=tuple(slider_expression(raw)))
    return replace(motion, **changes)  # type: ignore[arg-type]


def mirrored(values: Mapping[str, float]) -> dict[str, float]:
    """The same pose seen in a mirror: left and right swapped, sideways values negated."""
    result: dict[str, float] = {}
    for name, value in values.items():
        control = CONTROLS_BY_NAME[name]
        result[control.mirror or name] = control.mirror_sign * value
    return result
