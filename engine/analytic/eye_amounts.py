"""How far eyes close and where they look, out of LivePortrait's expression offsets."""

from __future__ import annotations

import numpy as np

from ..faces.measures import LID_RATIO_PER_EYES_OPEN, Measures
from .offsets import Weights, read
from .shapes import smoothstep

WIDEST_EYES = -0.6  # closing

# Eye widths per unit. Lids of captured performances move the keypoints by far less than the sliders
# do for the same closing, and mix blinks with looking down; the sliders keep the two apart.
_CAPTURED_LIDS: Weights = {
    "left": {"11y": -15.92, "13y": 12.19},
    "right": {"15y": -16.29, "16y": 12.09},
}
_SLIDER_LIDS: Weights = {
    "left": {"11y": -4.23, "13y": 14.1},
    "right": {"15y": -4.23, "16y": 14.1},
}
# What the lids' own sliders close, but for what looking up does: smiles raise lower lids, too.
_SLIDER_CLOSING: Weights = {"left": {"11y": 25.64}, "right": {"15y": 25.64}}
_CLOSING_OF_UP = 0.808
# In -1..1, up positive. A smile also moves the lower lids' keypoints: its share is taken out again.
_SLIDER_GAZE_Y: Weights = {
    "up": {"11y": -7.94, "13y": -26.5, "15y": -7.94, "16y": -26.5, "20y": 14.55, "20z": -14.55},
}
_TYPICAL_LID_RATIO = 0.33
_LOWEST_LID_RATIO = 0.12  # narrower eyes blink as if they were this wide open
# By how much lids are ahead a quarter of the way and behind at three quarters of it: what is left
# of an eye is lost to sight fastest half-way. Narrow eyes have little to lose.
_LIDS_AHEAD, _NARROW_LIDS_AHEAD = 0.045, -0.01
_NARROW_LID_RATIO, _OPEN_LID_RATIO = 0.22, 0.32
_GAZE_X_REACH, _GAZE_Y_REACH = 0.55, 0.25  # decoded half eye widths at the end of the sliders


def lids(
    offsets: np.ndarray, captured: np.ndarray, source: Measures, *, is_paced: bool
) -> dict[str, np.ndarray]:
    """(T,) how far each eye closes, "blink_left" and "blink_right": 1 closed, below 0 wider.

    offsets   (T, 63)
    captured  (T,) 0..1, how far they come from a captured face
    is_paced  so that closing looks even; else as it is asked for
    """
    slider, performed = read(_SLIDER_LIDS, offsets), read(_CAPTURED_LIDS, offsets)
    closing_sliders, up = read(_SLIDER_CLOSING, offsets), read(_SLIDER_GAZE_Y, offsets)["up"]
    blinks = {}
    for side, ratio in (("left", source.lid_left), ("right", source.lid_right)):
        from_slider = -slider[side] / _TYPICAL_LID_RATIO
        if is_paced:
            from_slider += _ahead(closing_sliders[side] + _CLOSING_OF_UP * up, ratio)
        from_capture = -performed[side] / max(ratio, _LOWEST_LID_RATIO)
        # Captured lids close too little.
        closing = 0.05 + (from_capture - 0.05) / 0.62
        from_capture = np.where(from_capture > 0.05, closing, from_capture)
        blinks[f"blink_{side}"] = (1.0 - captured) * from_slider + captured * from_capture
    return blinks


def asked_closing(wanted: float, eyes_open: float, ratio: float) -> float:
    """How far an eye closes that is to be open so far, paced.

    wanted     its opening, as the sliders' ratios
    eyes_open  the source's, as shown to the user
    ratio      of the source's lids
    """
    own = max(ratio, _LOWEST_LID_RATIO) / LID_RATIO_PER_EYES_OPEN
    closing = 1.0 - wanted / (eyes_open if eyes_open > 0.02 else own)
    return closing + float(_ahead(closing, ratio))


def _ahead(closing: np.ndarray | float, ratio: float) -> np.ndarray:
    """What lids of this ratio close beyond what is asked, so that closing looks even."""
    share = smoothstep((ratio - _NARROW_LID_RATIO) / (_OPEN_LID_RATIO - _NARROW_LID_RATIO))
    ahead = _NARROW_LIDS_AHEAD + (_LIDS_AHEAD - _NARROW_LIDS_AHEAD) * float(share)
    return np.asarray(ahead * np.sin(2.0 * np.pi * np.clip(closing, 0.0, 1.0)))


def gaze(
    change: dict[str, np.ndarray], offsets: np.ndarray, captured: np.ndarray
) -> dict[str, np.ndarray]:
    """(T,) "gaze_x" and "gaze_y" of both irises, -1..1, right and up.

    change  "gaze_x" and "gaze_y" as captured faces say it, half eye widths
    Others as in `lids`.
    """
    slider_up = read(_SLIDER_GAZE_Y, offsets)["up"]
    captured_up = -change["gaze_y"] / _GAZE_Y_REACH
    up = slider_up + captured * (captured_up - slider_up)
    right = change["gaze_x"] / _GAZE_X_REACH
    return {"gaze_x": np.clip(right, -1.0, 1.0), "gaze_y": np.clip(up, -1.0, 1.0)}
