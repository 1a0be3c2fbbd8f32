"""Sliders: what each raw expression slider adds to LivePortrait's exp.

Standard library only; Blender's side and the engine both import this one table. The first part
are the expression sliders of LivePortrait's image retargeting, with their raw units. They span 15
of the 63 dimensions; neither they nor captured faces tell the two brows apart, or a smirk from
half a smile. The second part are sliders of our own for that: 1 is their full reach. Each has one
coordinate that captured faces leave at zero, its carrier, from which the embedded renderer reads
the slider; its other terms are the best that LivePortrait's networks have for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .motion import KEYPOINT_COUNT

AXES = "xyz"


class Term(NamedTuple):
    """exp[keypoint, axis] += coefficient * raw value, for raw values of this sign (0: any)."""

    keypoint: int
    axis: str
    coefficient: float
    sign: int = 0


# LivePortrait's raw sliders. wink_right mirrors wink; blink is both winks' lid terms.
_UPSTREAM: Mapping[str, tuple[Term, ...]] = {
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

# Added to exp by a carrier at full reach; captured faces stay below 5 % of it. In the networks it
# moves a keypoint's depth by a hundredth of the volume's spacing.
CARRIED = 0.002
# Coordinates (keypoint, axis) of the carriers.
_CARRIERS: Mapping[str, tuple[int, str]] = {
    "brow_inner_left": (1, "z"),
    "brow_inner_right": (2, "z"),
    "brow_outer_left": (8, "z"),
    "brow_outer_right": (9, "z"),
    "smile_left": (6, "z"),
    "smile_right": (12, "z"),
    "jaw_x": (14, "z"),
    "upper_lip": (12, "y"),
    "cheek_left": (3, "z"),
    "cheek_right": (7, "z"),
    "cheek_puff": (5, "z"),
}
_INNER_BROW = (
    Term(1, "y", 0.0075, +1),
    Term(2, "y", -0.0075, +1),
    Term(1, "x", -0.015, -1),
    Term(2, "x", 0.015, -1),
    Term(1, "y", 0.0045, -1),
    Term(2, "y", -0.0045, -1),
)
_OUTER_BROW = (Term(1, "y", 0.0075), Term(2, "y", -0.0075))
# Left and right together are the smile slider at the artist's full smile.
_HALF_SMILE = (
    Term(20, "y", -0.0065),
    Term(14, "y", -0.013),
    Term(17, "y", 0.004225),
    Term(17, "z", 0.00195),
)
_OWN: Mapping[str, tuple[Term, ...]] = {
    "brow_inner_left": _INNER_BROW,
    "brow_inner_right": _INNER_BROW,
    "brow_outer_left": _OUTER_BROW,
    "brow_outer_right": _OUTER_BROW,
    "smile_left": (
        *_HALF_SMILE,
        Term(13, "y", -0.003575),
        Term(3, "y", -0.0091),
        Term(7, "y", 0.00455),
        Term(20, "x", -0.006),
    ),
    "smile_right": (
        *_HALF_SMILE,
        Term(16, "y", -0.003575),
        Term(7, "y", -0.0091),
        Term(3, "y", 0.00455),
        Term(20, "x", 0.006),
    ),
    "jaw_x": (Term(19, "x", 0.06), Term(20, "x", -0.006)),
    "upper_lip": (Term(20, "y", -0.012), Term(20, "z", 0.0086), Term(19, "y", -0.008)),
    "cheek_left": (Term(13, "y", -0.007), Term(3, "y", -0.009)),
    "cheek_right": (Term(16, "y", -0.007), Term(7, "y", -0.009)),
    "cheek_puff": (Term(3, "x", -0.006), Term(7, "x", 0.006)),
}
SLIDERS: Mapping[str, tuple[Term, ...]] = {
    **_UPSTREAM,
    **{name: (*terms, Term(*_CARRIERS[name], CARRIED)) for name, terms in _OWN.items()},
}
# Slider of our own → index in exp of its carrier.
CARRIERS: Mapping[str, int] = {
    name: 3 * keypoint + AXES.index(axis) for name, (keypoint, axis) in _CARRIERS.items()
}


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
