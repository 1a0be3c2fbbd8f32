"""What a portrait is to show: a frame of its source, and how its faces differ from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..engine.motion import Motion

if TYPE_CHECKING:
    from typing import Self

NEUTRAL = Motion()


def is_neutral(motions: tuple[Motion, ...]) -> bool:
    """True when these motions leave the picture as it is."""
    return all(motion == NEUTRAL for motion in motions)


@dataclass(frozen=True)
class Wish:
    """One picture of a portrait.

    motions  of each face, differences from the source
    frame    of a moving source, counted from 0 as the clip shows them; None for a still picture
    holds    of each face of a moving source the openings that are wanted as they are, "eyes" or
             "lips", not as differences from the frame; () where there are none at all
    """

    motions: tuple[Motion, ...] = ()
    frame: int | None = None
    holds: tuple[tuple[str, ...], ...] = ()

    @property
    def is_still(self) -> bool:
        """Whether it is the still picture itself, which needs no engine."""
        return self.frame is None and is_neutral(self.motions)

    @property
    def at_rest(self) -> Self:
        """The same source with every face as it is there."""
        return type(self)(tuple(NEUTRAL for _ in self.motions), self.frame)

    @property
    def request_fields(self) -> dict[str, Any]:
        """What `render` is told of a moving source; nothing for a still picture."""
        return {} if self.frame is None else {"frame": self.frame}

    @property
    def options(self) -> dict[str, Any]:
        """The options of `render` that belong to it."""
        return {"holds": [list(names) for names in self.holds]} if self.holds else {}
