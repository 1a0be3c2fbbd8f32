"""The face controls that artists hold, and what each one does in LivePortrait's motion space.

Standard library only; Blender's side and the engine both import this one table. SLIDERS have raw
units; CONTROLS are the same movements normalised for artists, each a factor away from a slider.
"Left" and "right" mean the left and the right of the picture, as in LivePortrait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .motion import Face, Motion
from .sliders import SLIDERS, Term, slider_expression

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
    is_extra   it refines another control of its group, for those who look for it
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
    is_extra: bool = False

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
        "lid_offset", is_extra=True,
    ),
    Control("brows", "Brows", "Brows", "Raise (1) or lower (-1) both brows", "eyebrow", 30.0),
    Control(
        "brow_inner_left", "Brow Inner Left", "Brows",
        "Raise (1) or frown with (-1) the inner end of the brow on the picture's left",
        "brow_inner_left", mirror="brow_inner_right", is_extra=True,
    ),
    Control(
        "brow_inner_right", "Brow Inner Right", "Brows",
        "Raise (1) or frown with (-1) the inner end of the brow on the picture's right",
        "brow_inner_right", mirror="brow_inner_left", is_extra=True,
    ),
    Control(
        "brow_outer_left", "Brow Outer Left", "Brows",
        "Raise (1) or lower (-1) the outer end of the brow on the picture's left",
        "brow_outer_left", mirror="brow_outer_right", is_extra=True,
    ),
    Control(
        "brow_outer_right", "Brow Outer Right", "Brows",
        "Raise (1) or lower (-1) the outer end of the brow on the picture's right",
        "brow_outer_right", mirror="brow_outer_left", is_extra=True,
    ),
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
    Control(
        "smile_left", "Smile Left", "Mouth",
        "Pull the mouth corner on the picture's left up and out; negative pulls it down",
        "smile_left", soft_minimum=-0.25, mirror="smile_right", is_extra=True,
    ),
    Control(
        "smile_right", "Smile Right", "Mouth",
        "Pull the mouth corner on the picture's right up and out; negative pulls it down",
        "smile_right", soft_minimum=-0.25, mirror="smile_left", is_extra=True,
    ),
    Control(
        "jaw_x", "Jaw X", "Mouth", "Push the jaw to the picture's right; negative to its left",
        "jaw_x", mirror_sign=-1, is_extra=True,
    ),
    Control(
        "upper_lip", "Upper Lip", "Mouth",
        "Raise the upper lip off the teeth; negative draws it down over them",
        "upper_lip", is_extra=True,
    ),
    Control(
        "cheek_left", "Cheek Left", "Mouth",
        "Raise the cheek on the picture's left, which narrows the eye from below",
        "cheek_left", minimum=0, mirror="cheek_right", is_extra=True,
    ),
    Control(
        "cheek_right", "Cheek Right", "Mouth",
        "Raise the cheek on the picture's right, which narrows the eye from below",
        "cheek_right", minimum=0, mirror="cheek_left", is_extra=True,
    ),
    Control(
        "cheek_puff", "Cheek Puff", "Mouth", "Blow the cheeks out; negative sucks them in",
        "cheek_puff", is_extra=True,
    ),
)  # fmt: skip
CONTROLS_BY_NAME: Mapping[str, Control] = {control.name: control for control in CONTROLS}

# An opening ratio this near the picture's own counts as untouched (ratios are shown to 2 digits).
RATIO_TOLERANCE = 0.005


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
