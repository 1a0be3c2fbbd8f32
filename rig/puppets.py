"""Faces that a camera moves: what it does to them lies over their sliders and curves.

Nothing is written into the file, so there is nothing to undo or to restore, and renders and bakes
never see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..engine.controls import CONTROLS, CONTROLS_BY_NAME, Motion
from ..engine.take import REGION_GROUPS, REGION_KEYPOINTS, with_take

_HEAD = {"pitch": "head_pitch", "yaw": "head_yaw", "roll": "head_roll", "scale": "head_scale"}


class Puppet(NamedTuple):
    """What a camera does to a face now, in place of what the face does by itself.

    motion  of the camera's performer
    region  a name of engine.take.REGION_ITEMS: the rest of the face goes on by itself
    """

    motion: Motion
    region: str

    def resting(self, rest: Mapping[str, float]) -> dict[str, float]:
        """The controls that the camera takes over, at rest."""
        groups = REGION_GROUPS[self.region]
        return {c.name: rest.get(c.name, c.default) for c in CONTROLS if c.group in groups}

    def remaining(
        self, expression: Sequence[float], translation: Sequence[float]
    ) -> tuple[list[float], list[float]]:
        """What is left of a take beside the region: 63 offsets of exp, 3 of t."""
        points = set(REGION_KEYPOINTS[self.region])
        kept = [0.0 if index // 3 in points else value for index, value in enumerate(expression)]
        is_head = "Head" in REGION_GROUPS[self.region]
        return kept, [0.0] * 3 if is_head else list(translation)

    def added_to(self, motion: Motion, amounts: Mapping[str, float]) -> Motion:
        """A face's motion with the camera's on top, by the amounts of the face's groups."""
        shares = {name: amount for name, amount in amounts.items() if name != "detail"}
        moved = with_take(motion, self.motion.expression, self.motion.translation, shares)
        head = shares.get("head_amount", 1.0)
        own = {name: _limited(control, self.motion) for name, control in _HEAD.items()}
        return replace(
            moved,
            pitch=moved.pitch + head * own["pitch"],
            yaw=moved.yaw + head * own["yaw"],
            roll=moved.roll + head * own["roll"],
            scale=moved.scale * (1.0 + head * (own["scale"] - 1.0)),
        )


def _limited(name: str, motion: Motion) -> float:
    """A performer may go further than the control, and so than a take of the same."""
    control = CONTROLS_BY_NAME[name]
    return min(max(getattr(motion, control.target), control.minimum), control.maximum)


# By the names of the controllers.
_puppets: dict[str, Puppet] = {}


def current() -> Mapping[str, Puppet]:
    """The faces that a camera moves now, by the names of their controllers."""
    return _puppets


def move(puppets: Mapping[str, Puppet]) -> None:
    """Let a camera move these faces and no others."""
    _puppets.clear()
    _puppets.update(puppets)
