"""What columns of slider values do to LivePortrait's exp, all moments at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..controls import CONTROLS_BY_NAME
from ..motion import KEYPOINT_COUNT

AXES = "xyz"


def slider_expression(sliders: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """(count, 21, 3) offsets of exp, the same as engine.controls.motion_from_controls makes.

    sliders  control name → (count,) values within the control's limits
    """
    expression = np.zeros((count, KEYPOINT_COUNT, 3))
    for name, values in sliders.items():
        control = CONTROLS_BY_NAME[name]
        values = np.asarray(values, np.float64)
        factor, below = control.factor, control.negative_factor
        raw = values * (factor if below is None else np.where(values < 0.0, below, factor))
        for term in control.terms:
            share = np.where(term.sign * raw >= 0.0, term.coefficient * raw, 0.0)
            expression[:, term.keypoint, AXES.index(term.axis)] += share
    return expression
