"""A performance as seen in a mirror."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..controls import CONTROLS_BY_NAME
from ..take import MIRRORED_EXPRESSION
from .performance import Performance, Rest
from .ratios import OpeningRatios

_SOURCES = np.array([index for index, _ in MIRRORED_EXPRESSION])
_SIGNS = np.array([sign for _, sign in MIRRORED_EXPRESSION], np.float32)
_FLIP = np.array([-1.0, 1.0, 1.0], np.float32)


def mirrored_performance(performance: Performance) -> Performance:
    """Left and right changed over: pose, place, expression, eyes and sliders."""
    rest = performance.rest
    controls = {name: CONTROLS_BY_NAME[name] for name in performance.sliders}
    return replace(
        performance,
        rotation=_rotation(performance.rotation),
        translation=performance.translation * _FLIP,
        expression=_expression(performance.expression),
        ratios=_ratios(performance.ratios),
        neutral=None if performance.neutral is None else _expression(performance.neutral),
        sliders={
            control.mirror or name: control.mirror_sign * performance.sliders[name]
            for name, control in controls.items()
        },
        rest=rest
        and Rest(
            _rotation(rest.rotation),
            rest.translation * _FLIP,
            rest.scale,
            _expression(rest.expression),
            _ratios(rest.ratios),
        ),
    )


def _rotation(rotation: np.ndarray) -> np.ndarray:
    return rotation * _FLIP[:, None] * _FLIP


def _expression(expression: np.ndarray) -> np.ndarray:
    flat = expression.reshape(-1, len(_SOURCES))
    return (flat[:, _SOURCES] * _SIGNS).reshape(expression.shape)


def _ratios(ratios: OpeningRatios | None) -> OpeningRatios | None:
    return None if ratios is None else OpeningRatios(ratios.eyes[:, ::-1], ratios.lips)
