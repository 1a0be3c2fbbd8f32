"""What is wished of an opened source: motions of its faces, in one of its frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .motion import Face, Motion

EYES, LIPS = "eyes", "lips"
# Faces whose own opening is less have none that could be taken a part of.
_SHUT = 0.02


@dataclass(frozen=True)
class Wish:
    """source_frame  that the motions act on, 0 for a picture; motions  one per face."""

    source_frame: int
    motions: tuple[Motion, ...]


def in_frame(motion: Motion, rest: Face, own: Face, holds: Sequence[str] = ()) -> Motion:
    """The motion with the wanted openings for a face that is open otherwise in this frame.

    rest   the face in the frame of `open`, by which the openings were wished
    own    the face in the frame that is moved
    holds  EYES, LIPS: openings that are wanted as they are
    """
    eyes, lips = motion.eyes_open, motion.lips_open
    if eyes is not None and EYES not in holds:
        # A blink stays a blink where eyes are opened further.
        part = min(1.0, own.eyes_open / rest.eyes_open) if rest.eyes_open > _SHUT else 1.0
        eyes = _moved(eyes, rest.eyes_open, own.eyes_open, part)
    if lips is not None and LIPS not in holds:
        lips = _moved(lips, rest.lips_open, own.lips_open, 1.0)
    return replace(motion, eyes_open=eyes, lips_open=lips)


def _moved(wanted: float, rest: float, own: float, part: float) -> float:
    """An own opening, opened further by the difference, or shut by the share, of the wish."""
    if wanted >= rest or rest <= _SHUT:
        return max(0.0, own + part * (wanted - rest))
    return own * wanted / rest
