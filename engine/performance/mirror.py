"""A performance as seen in a mirror."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..take import MIRRORED_EXPRESSION
from .performance import Performance
from .ratios import OpeningRatios

_SOURCES = np.array([index for index, _ in MIRRORED_EXPRESSION])
_SIGNS = np.array([sign for _, sign in MIRRORED_EXPRESSION], np.float32)
_FLIP = np.array([-1.0, 1.0, 1.0], np.float32)


def mirrored_performance(performance: Performance) -> Performance:
    """Left and right changed over: pose, place, expression and eyes."""
    count = len(performance)
    flat = performance.expression.reshape(count, -1)
    ratios = performance.ratios
    return replace(
        performance,
        rotation=performance.rotation * _FLIP[:, None] * _FLIP,
        translation=performance.translation * _FLIP,
        expression=(flat[:, _SOURCES] * _SIGNS).reshape(performance.expression.shape),
        ratios=None if ratios is None else OpeningRatios(ratios.eyes[:, ::-1], ratios.lips),
    )
