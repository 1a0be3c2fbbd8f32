"""A performance: what a performer did over time, whatever face it is carried over to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .ratios import OpeningRatios
from .template import MotionTemplate

MAX_FRAMES = 1_000_000
# Times are rounded, at worst to a millisecond.
NEAR_S = 0.001


class PerformanceError(ValueError):
    """A file that holds no performance, or a damaged one; the text names it.

    hint  what to do about it
    """

    def __init__(self, text: str, hint: str = "Choose another file.") -> None:
        super().__init__(text)
        self.hint = hint


@dataclass(frozen=True)
class Rest:
    """The performer at rest, where that is known; one row of a Performance.

    rotation (3, 3), translation (3,), scale, expression (21, 3)
    ratios   one row, or None where the performance has none either
    """

    rotation: np.ndarray
    translation: np.ndarray
    scale: float
    expression: np.ndarray
    ratios: OpeningRatios | None = None


@dataclass(frozen=True)
class Performance:
    """T moments of one performer, in LivePortrait's motion space.

    times        (T,) float64 seconds, rising: true presentation times since the part begins
    rotation     (T, 3, 3) float32 head rotation R, as in MotionTemplate
    translation  (T, 3) float32, half crop widths
    scale        (T,) float32
    expression   (T, 21, 3) float32
    ratios       opening ratios of eyes and lips, or None where nobody measured them
    is_seen      (T,) bool: where the performer's face was found; the other rows are interpolated
    cuts         rows that begin a new shot
    sliders      control name → (T,) float32, where the performer was a rig with face controls:
                 differences from its rest, which `expression` contains too
    rest         the performer at rest, None where only the rows themselves can tell
    keypoints    (21, 3) the performer's canonical keypoints, or None where M has not seen them
    neutral      (21, 3) expression of a resting face where this was read; None for M's
    notices      sentences for the user about what was read
    keys_per_s   how many keys a second its curves may have; None for as many as films need
    tolerance    a reduced curve may always be so far from it, in the control's range
    lips_shut    (T,) 0..1: how far lips that are open in the picture are shut, too; None for never
    """

    times: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    scale: np.ndarray
    expression: np.ndarray
    ratios: OpeningRatios | None
    is_seen: np.ndarray
    cuts: tuple[int, ...] = ()
    sliders: Mapping[str, np.ndarray] = field(default_factory=dict)
    rest: Rest | None = None
    keypoints: np.ndarray | None = None
    neutral: np.ndarray | None = None
    notices: tuple[str, ...] = ()
    keys_per_s: float | None = None
    tolerance: float = 0.0
    lips_shut: np.ndarray | None = None

    @classmethod
    def from_template(cls, template: MotionTemplate) -> Performance:
        """What a motion template says; its frames are evenly spaced."""
        count = len(template)
        return cls(
            times=np.arange(count) / template.fps,
            rotation=template.rotation,
            translation=template.translation,
            scale=template.scale,
            expression=template.expression,
            ratios=template.ratios,
            is_seen=np.ones(count, bool),
            keypoints=None if template.keypoints is None else template.keypoints[0],
        )

    def __len__(self) -> int:
        return len(self.times)

    def part(self, start_s: float | None, end_s: float | None) -> Performance:
        """The rows from one moment to another, their times counted from the first of the two.

        None stands for an end of the performance. Raises PerformanceError where there is no row.
        """
        if start_s is None and end_s is None:
            return self
        first, last = start_s or 0.0, np.inf if end_s is None else end_s
        rows = np.flatnonzero((self.times >= first - NEAR_S) & (self.times < last - NEAR_S))
        if not len(rows):
            length = f"{self.times[-1]:.2f} s"
            raise PerformanceError(
                f"nothing is there from {first:g} s on, it has {length}", "Choose another part."
            )
        found = self.rows(slice(int(rows[0]), int(rows[-1]) + 1))
        return replace(found, times=found.times - first)

    def rows(self, kept: slice) -> Performance:
        """Some rows that follow one another, at their own times."""
        return replace(
            self,
            times=self.times[kept],
            rotation=self.rotation[kept],
            translation=self.translation[kept],
            scale=self.scale[kept],
            expression=self.expression[kept],
            ratios=None if self.ratios is None else self.ratios[kept],
            is_seen=self.is_seen[kept],
            cuts=tuple(cut - kept.start for cut in self.cuts if kept.start < cut < kept.stop),
            sliders={name: column[kept] for name, column in self.sliders.items()},
            lips_shut=None if self.lips_shut is None else self.lips_shut[kept],
        )

    def with_rest_first(self) -> Performance:
        """The same with the known rest as a row before the others, a second earlier."""
        rest = self.rest
        if rest is None:
            return self
        ratios = None
        if self.ratios is not None and rest.ratios is not None:
            ratios = OpeningRatios(
                np.concatenate([rest.ratios.eyes, self.ratios.eyes]),
                np.concatenate([rest.ratios.lips, self.ratios.lips]),
            )
        return replace(
            self,
            times=np.concatenate([[self.times[0] - 1.0], self.times]),
            rotation=np.concatenate([rest.rotation[None], self.rotation]),
            translation=np.concatenate([rest.translation[None], self.translation]),
            scale=np.concatenate([[rest.scale], self.scale]).astype(np.float32),
            expression=np.concatenate([rest.expression[None], self.expression]),
            ratios=ratios,
            is_seen=np.concatenate([[True], self.is_seen]),
            cuts=tuple(cut + 1 for cut in self.cuts),
            sliders={name: np.insert(column, 0, 0.0) for name, column in self.sliders.items()},
        )
