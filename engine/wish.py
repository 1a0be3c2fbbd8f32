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


def in_frame(
    motion: Motion, rest: Face, own: Face, holds: Sequence[str] = (), share: float = 1.0
) -> Motion:
    """The motion with the wanted openings for a face that is open otherwise in this frame.

    rest   the face in the frame of `open`, by which the openings were wished
    own    the face in the frame that is moved
    holds  EYES, LIPS: openings that are wanted as they are
    share  0..1 of the motion that is wanted
    """
    eyes, lips = motion.eyes_open, motion.lips_open
    if eyes is not None and EYES not in holds:
        # A blink stays a blink where eyes are opened further.
        part = min(1.0, own.eyes_open / rest.eyes_open) if rest.eyes_open > _SHUT else 1.0
        eyes = _moved(eyes, rest.eyes_open, own.eyes_open, part)
    if lips is not None and LIPS not in holds:
        lips = _moved(lips, rest.lips_open, own.lips_open, 1.0)
    moved = replace(motion, eyes_open=eyes, lips_open=lips)
    return moved if share >= 1.0 else _weakened(moved, own, share)


def _weakened(motion: Motion, own: Face, share: float) -> Motion:
    """Part of a motion."""
    x, y, z = (share * value for value in motion.translation)
    eyes, lips = motion.eyes_open, motion.lips_open
    return Motion(
        pitch=share * motion.pitch,
        yaw=share * motion.yaw,
        roll=share * motion.roll,
        translation=(x, y, z),
        scale=motion.scale**share,
        expression=tuple(share * value for value in motion.expression),
        eyes_open=None if eyes is None else own.eyes_open + share * (eyes - own.eyes_open),
        lips_open=None if lips is None else own.lips_open + share * (lips - own.lips_open),
        lid_offset=motion.lid_offset,
    )


def _moved(wanted: float, rest: float, own: float, part: float) -> float:
    """An own opening, opened further by the difference, or shut by the share, of the wish."""
    if wanted >= rest or rest <= _SHUT:
        return max(0.0, own + part * (wanted - rest))
    return own * wanted / rest
