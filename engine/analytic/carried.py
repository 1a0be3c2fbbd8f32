"""Sliders that LivePortrait does not have: read from their carriers, shown by deformers."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..controls import CONTROLS
from ..sliders import CARRIED, CARRIERS, slider_expression

NAMES = tuple(CARRIERS)
# Of a smile of one side the decoder reads what it shares with the smile of both.
_SHARED_WITH_SMILE = ((20, "y"), (14, "y"), (17, "y"), (17, "z"), (13, "y"), (16, "y"))
_CHEEK_OF_SMILE = 0.00455  # of the smile slider at the artist's full smile, on its own side

_FULL_BROW, _LOWERED_BROW, _OUTER_LOWERED = 0.93, 0.45, 0.5
_FROWN = 0.65
_LIP_RAISE_CM = 0.46
_JAW_GAP_CM, _PART_GAP_CM = 1.6, 0.5


def read_carriers(expression: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the sliders of our own ask for in (T, 63) offsets, and the offsets without them.

    Returns (T, len(NAMES)) amounts within the sliders' limits, and (T, 63) offsets as upstream's
    sliders and captured faces have them; a smile of one side leaves half a smile there.
    """
    low, high = _limits()
    asked = np.clip(expression[:, list(CARRIERS.values())] / CARRIED, low, high)
    up, down = _hidden()
    return asked, expression - np.maximum(asked, 0.0) @ up + np.minimum(asked, 0.0) @ down


def amount(asked: np.ndarray, name: str) -> np.ndarray:
    """(T,) of one slider."""
    return asked[:, NAMES.index(name)]


def brow_amounts(asked: np.ndarray) -> dict[str, np.ndarray]:
    """(T,) amounts of the brows' deformers."""
    result: dict[str, np.ndarray] = {}
    for side in ("left", "right"):
        inner, outer = amount(asked, f"brow_inner_{side}"), amount(asked, f"brow_outer_{side}")
        lowered = np.minimum(inner, 0.0)
        result[f"brow_inner_{side}"] = _FULL_BROW * np.maximum(inner, 0.0) + _LOWERED_BROW * lowered
        result[f"frown_{side}"] = -_FROWN * lowered
        result[f"brow_outer_{side}"] = np.where(outer > 0.0, _FULL_BROW, _OUTER_LOWERED) * outer
    return result


def mouth_amounts(
    asked: np.ndarray, mouth: dict[str, np.ndarray], gap: float
) -> dict[str, np.ndarray]:
    """(T,) amounts of the deformers of jaw, upper lip and cheeks; changes `mouth` where they touch.

    mouth  the amounts of the other deformers of the mouth
    gap    between the source's lips, cm
    """
    lip = amount(asked, "upper_lip")
    # A lip can come down as far as there is room below it; then it presses on the lower one.
    room = gap + _JAW_GAP_CM * np.maximum(mouth["jaw"], 0.0)
    room = room + _PART_GAP_CM * np.maximum(mouth["part"], 0.0)
    wanted = np.maximum(-lip, 0.0)
    lowered = np.minimum(wanted, 0.9 * room / _LIP_RAISE_CM)
    mouth["press"] = mouth["press"] + 0.6 * (wanted - lowered)
    puff = amount(asked, "cheek_puff")
    mouth["press"] = mouth["press"] + 0.25 * np.maximum(puff, 0.0)
    mouth["pucker"] = mouth["pucker"] + 0.35 * np.maximum(-puff, 0.0)
    return {
        "jaw_x": amount(asked, "jaw_x"),
        "lip_raise": np.maximum(lip, 0.0) - lowered,
        "seam_lower": wanted - lowered,
        "cheek_left": amount(asked, "cheek_left"),
        "cheek_right": amount(asked, "cheek_right"),
        "cheek_puff": puff,
    }


@cache
def _limits() -> tuple[np.ndarray, np.ndarray]:
    by_target = {control.target: control for control in CONTROLS}
    rows = [(by_target[name].minimum, by_target[name].maximum) for name in NAMES]
    low, high = np.array(rows, np.float64).T
    return low, high


@cache
def _hidden() -> tuple[np.ndarray, np.ndarray]:
    """(len(NAMES), 63) offsets of each slider at 1 and at -1 that the decoder must not read."""
    up, down = (np.stack([_hidden_row(name, sign) for name in NAMES]) for sign in (1.0, -1.0))
    return up, down


def _hidden_row(name: str, sign: float) -> np.ndarray:
    row = np.array(slider_expression({name: sign}))
    if name.startswith("smile"):
        keypoint = 3 if name == "smile_left" else 7
        row[3 * keypoint + 1] += sign * _CHEEK_OF_SMILE
        for shared, axis in _SHARED_WITH_SMILE:
            row[3 * shared + "xyz".index(axis)] = 0.0
    return row
