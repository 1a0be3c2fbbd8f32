"""A performance: what a performer did over time, whatever face it is carried over to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ratios import OpeningRatios
from .template import MotionTemplate


@dataclass(frozen=True)
class Performance:
    """T moments of one performer, in LivePortrait's motion space.

    times        (T,) float64 seconds, rising: true presentation times, the first moment at 0
    rotation     (T, 3, 3) float32 head rotation R, as in MotionTemplate
    translation  (T, 3) float32, half crop widths
    scale        (T,) float32
    expression   (T, 21, 3) float32
    ratios       opening ratios of eyes and lips, or None where nobody measured them
    is_seen      (T,) bool: where the performer's face was found; the other rows are interpolated
    cuts         rows that begin a new shot
    keypoints    (21, 3) the performer's canonical keypoints, or None where M has not seen them
    """

    times: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    scale: np.ndarray
    expression: np.ndarray
    ratios: OpeningRatios | None
    is_seen: np.ndarray
    cuts: tuple[int, ...] = ()
    keypoints: np.ndarray | None = None

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
