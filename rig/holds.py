"""What faces of a moving source have besides the sliders: how much of the clip's own motion stays.

These are plain custom properties of the controller, which can be keyed and driven like a slider.
"""

from __future__ import annotations

from typing import NamedTuple


class Hold(NamedTuple):
    """A property between 0 and 1; default: as the clip has it."""

    name: str
    label: str
    description: str
    default: float


HOLD_EYES = "hold_eyes_open"
SILENCE_LIPS = "silence_lips"
STEADY_HEAD = "steady_head"
KEEP_EXPRESSION = "keep_own_expression"
KEEP_EYES, KEEP_BROWS, KEEP_MOUTH = "keep_own_eyes", "keep_own_brows", "keep_own_mouth"
# Groups of controls → the hold that counts for them beside KEEP_EXPRESSION.
KEEP_OF_GROUP = {"Eyes": KEEP_EYES, "Brows": KEEP_BROWS, "Mouth": KEEP_MOUTH}

HOLDS = (
    Hold(
        HOLD_EYES,
        "Hold Eyes Open",
        "1 takes blinks and squints out of the clip: the eyes are as open as they mostly are",
        0.0,
    ),
    Hold(
        SILENCE_LIPS,
        "Silence Lips",
        "1 closes the lips in every frame, whatever they do in the clip",
        0.0,
    ),
    Hold(
        STEADY_HEAD,
        "Steady Head",
        "1 takes the head's own motion out of the clip, within the limits of the head's sliders",
        0.0,
    ),
    Hold(
        KEEP_EXPRESSION,
        "Keep Own Expression",
        "0 takes out what the face does in the clip, so that sliders and captures replace it; at 1 "
        "they are added to it",
        1.0,
    ),
    Hold(KEEP_EYES, "Keep Own Eyes", "The same for lids and gaze alone", 1.0),
    Hold(KEEP_BROWS, "Keep Own Brows", "The same for the brows alone", 1.0),
    Hold(KEEP_MOUTH, "Keep Own Mouth", "The same for the mouth alone", 1.0),
)
HOLD_NAMES = tuple(hold.name for hold in HOLDS)
