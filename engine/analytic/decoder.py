"""From LivePortrait's expression offsets to amounts of the analytic renderer's deformers.

LivePortrait's 21 keypoints are implicit: no point of the picture belongs to one. A linear decoder
reads measures of the face (lid gap, lip gap, mouth width…) out of the offsets, and a small
least-squares problem finds the deformer amounts that produce those measures. The weights were
fitted on 633 frames of public driving videos whose LivePortrait motion is known; the sign and
reach of the retargeting sliders checks them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from ..faces.canonical import CANONICAL, MESH_COUNT
from ..faces.measures import LID_RATIO_PER_EYES_OPEN, MEASURE_NAMES, Measures, measure
from ..motion import Motion
from .deformers import BROW_DEFORMERS, MOUTH_DEFORMERS, deformers
from .shapes import smoothstep

# Change of a measure per unit of exp[keypoint, axis]; lengths in cm, lids in eye widths, gaze in
# half eye widths. `lift` of one side also reads the keypoint that raises that cheek.
_WEIGHTS: dict[str, dict[str, float]] = {
    "lip_gap": {"19y": 29.4, "20y": -33.03, "14y": -4.98},
    "mouth_width": {"14y": -35.87, "20y": -30.84, "20z": -42.98},
    "lift_left": {"14y": -31.47, "20y": -10.32, "20z": -7.14},
    "lift_right": {"14y": -31.47, "20y": -10.32, "20z": -7.14},
    "mouth_x": {"19x": 13.01, "20x": 23.67},
    "upper_lip": {"20y": 18.32, "20z": 9.82},
    "jaw_drop": {"19y": 14.05},
    "brow_left": {"2y": -19.39},
    "brow_right": {"2y": -19.39},
    "brow_distance": {"1x": -5.29, "2x": 12.34},
    "gaze_x": {"11x": 4.81, "15x": 13.84},
    "gaze_y": {"11y": 2.77, "13y": 1.49, "15y": 3.53, "16y": 0.09},
}
# Lids of captured performances move the keypoints by far less than the sliders do for the same
# closing, and mix blinks with looking down; the sliders keep the two apart.
_CAPTURED_LIDS: dict[str, dict[str, float]] = {
    "lid_left": {"11y": -15.92, "13y": 12.19},
    "lid_right": {"15y": -16.29, "16y": 12.09},
}
_SLIDER_LIDS: dict[str, dict[str, float]] = {
    "lid_left": {"11y": -4.23, "13y": 14.1},
    "lid_right": {"15y": -4.23, "16y": 14.1},
}
# In -1..1, up positive. A smile also moves the lower lids' keypoints: its share is taken out again.
_SLIDER_GAZE_Y: dict[str, dict[str, float]] = {
    "up": {"11y": -7.94, "13y": -26.5, "15y": -7.94, "16y": -26.5, "20y": 14.55, "20z": -14.55},
}
# The pursing slider at its end reads 1: 14y less what smile and grin do to it.
_SLIDER_PURSE: dict[str, dict[str, float]] = {
    "purse": {"14y": 66.7, "20y": -133.3, "20z": 66.7},
}
_CHEEKS: dict[str, dict[str, float]] = {
    "cheek_left": {"3y": -18.0},
    "cheek_right": {"7y": -18.0},
}
# Keypoints that no slider touches; every captured expression moves them.
_UNTOUCHED_KEYPOINTS = (0, 4, 6, 8, 9, 10, 12, 18)
_CAPTURED_SHARE = 0.12  # of the offsets' energy, for certain

_MOUTH_MEASURES = (
    "lip_gap", "mouth_width", "lift_left", "lift_right", "mouth_x", "upper_lip", "jaw_drop",
)  # fmt: skip
_MOUTH_TRUST = np.array([1.0, 0.8, 1.0, 1.0, 0.8, 0.5, 0.35])
_MOUTH_RIDGE = np.array([0.025, 0.025, 0.025, 0.04, 0.06, 0.025, 0.3])
_MOUTH_LOWEST = np.array([-0.05, -0.9, -0.9, -0.4, -1.2, -1.5, -1.2])
_MOUTH_HIGHEST = np.array([1.8, 1.7, 1.7, 1.2, 1.3, 1.5, 1.2])
_BROW_MEASURES = ("brow_left", "brow_right", "brow_distance")
_BROW_RIDGE = 0.02
_BROW_LIMIT = 1.3

_WIDEST_GAP = 3.8  # cm between the lips
# Mouth corners of a resting face, and how much a full smile lifts and widens them, cm.
_REST_LIFT, _SMILE_LIFT = -2.0, 0.8
_REST_WIDTH, _SMILE_WIDTH = 4.9, 1.9
_FULL_PRESS = 2.6  # cm of closing beyond shut lips that press them fully
_TYPICAL_LID_RATIO = 0.33
_LOWEST_LID_RATIO = 0.12  # narrower eyes blink as if they were this wide open
_WIDEST_EYES = -0.6
_GAZE_X_REACH, _GAZE_Y_REACH = 0.55, 0.25  # decoded half eye widths at the end of the sliders


@dataclass(frozen=True)
class Amounts:
    """What the deformers and layers are to do.

    deformers   amount of each mouth and brow deformer by name
    blink       closing of the left and the right eye, 1 closed, negative wider than the source
    lips_close  0..1, how far an open source mouth is pulled shut
    gaze        (x, y) of both irises, -1..1, right and up
    """

    deformers: dict[str, float] = field(default_factory=dict)
    blink: tuple[float, float] = (0.0, 0.0)
    lips_close: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)


def _index(term: str) -> int:
    return 3 * int(term[:-1]) + "xyz".index(term[-1])


def _read(weights: dict[str, dict[str, float]], expression: np.ndarray) -> dict[str, float]:
    return {
        name: sum(weight * float(expression[_index(term)]) for term, weight in terms.items())
        for name, terms in weights.items()
    }


def captured_share(expression: np.ndarray) -> float:
    """0 for offsets that come from sliders alone … 1 for those of a captured performance."""
    energy = np.linalg.norm(np.asarray(expression, np.float64).reshape(-1, 3), axis=1)
    total = float(np.linalg.norm(energy))
    if total < 1e-9:
        return 0.0
    untouched = float(np.linalg.norm(energy[list(_UNTOUCHED_KEYPOINTS)]))
    return float(smoothstep(untouched / total / _CAPTURED_SHARE))


def _response(names: tuple[str, ...], measures: tuple[str, ...], step: float = 0.5) -> np.ndarray:
    """(measures, names): what each deformer does to each measure of the canonical face."""
    rows = [MEASURE_NAMES.index(name) for name in measures]
    rest = measure(CANONICAL).as_array()[rows]
    columns = []
    for name in names:
        moved = CANONICAL.copy()
        moved[:MESH_COUNT] += step * deformers()[name]
        columns.append((measure(moved).as_array()[rows] - rest) / step)
    return np.stack(columns, axis=1)


@cache
def _mouth_solver() -> np.ndarray:
    """(deformers, measures) regularised inverse of the mouth's response."""
    response = _response(MOUTH_DEFORMERS, _MOUTH_MEASURES)
    # Decoded width and lift are what the lips do beyond what the falling jaw does to them.
    response[1:4, 0] = 0.0
    weighted = response * _MOUTH_TRUST[:, None]
    normal = weighted.T @ weighted + np.diag(_MOUTH_RIDGE)
    return np.linalg.solve(normal, weighted.T * _MOUTH_TRUST)


@cache
def _brow_solver() -> np.ndarray:
    """(deformers, measures) regularised inverse of the brows' response."""
    response = _response(BROW_DEFORMERS, _BROW_MEASURES)
    # A frown lowers the brows; they must not rise again to make up for it.
    response[:2, 2] = 0.0
    return np.linalg.solve(response.T @ response + _BROW_RIDGE * np.eye(3), response.T)


def decode(motion: Motion, source: Measures, eyes_open: float, lips_open: float) -> Amounts:
    """Deformer amounts for a Motion.

    source                 measures of the source picture's face
    eyes_open, lips_open   the source's ratios as shown to the user, neutral for the two targets
    """
    expression = np.asarray(motion.expression, np.float64)
    captured = captured_share(expression)
    change = _read(_WEIGHTS, expression)
    mouth, lips_close = _mouth(motion, change, source, lips_open)
    _leave_headroom(mouth, source)
    _add_purse(mouth, (1.0 - captured) * _read(_SLIDER_PURSE, expression)["purse"])
    for side, cheek in _read(_CHEEKS, expression).items():
        name = side.replace("cheek", "smile")
        mouth[name] = float(np.clip(mouth[name] + 0.9 * cheek, -0.9, 1.7))
    brows = _brow_solver() @ np.array([change[name] for name in _BROW_MEASURES])
    brows = np.clip(brows, -_BROW_LIMIT, _BROW_LIMIT)
    gaze_x = np.clip(change["gaze_x"] / _GAZE_X_REACH, -1.0, 1.0)
    slider_up = _read(_SLIDER_GAZE_Y, expression)["up"]
    captured_up = -change["gaze_y"] / _GAZE_Y_REACH
    gaze_y = np.clip(slider_up + captured * (captured_up - slider_up), -1.0, 1.0)
    return Amounts(
        deformers={**mouth, **dict(zip(BROW_DEFORMERS, map(float, brows), strict=True))},
        blink=_blink(motion, expression, captured, source, eyes_open),
        lips_close=lips_close,
        gaze=(float(gaze_x), float(gaze_y)),
    )


def _mouth(
    motion: Motion, change: dict[str, float], source: Measures, lips_open: float
) -> tuple[dict[str, float], float]:
    """Amounts of the mouth's deformers, and of lips_close."""
    target = np.array([change[name] for name in _MOUTH_MEASURES])
    if motion.lips_open is not None:
        wider = (motion.lips_open - lips_open) * source.mouth_width
        target[0] += wider
        target[6] += 0.75 * wider
    gap = max(source.lip_gap, 0.0)
    close = pressing = 0.0
    if target[0] < 0.0:
        close = min(1.0, -target[0] / gap) if gap > 0.05 else 0.0
        pressing = np.clip((-target[0] - gap) / _FULL_PRESS, 0.0, 1.0)
        target[0] = target[6] = 0.0
    else:
        room = max(_WIDEST_GAP - gap, 0.3)
        widened = room * np.tanh(target[0] / room)
        # A mouth that can hardly open further has a chin that can hardly fall.
        target[6] = np.clip(target[6], -0.3, 1.6) * widened / max(target[0], 1e-6)
        target[0] = widened
    amounts = np.clip(_mouth_solver() @ target, _MOUTH_LOWEST, _MOUTH_HIGHEST)
    result: dict[str, float] = dict(zip(MOUTH_DEFORMERS, map(float, amounts), strict=True))
    result["press"] += float(pressing)
    if gap < 0.05 or close > 0.0:
        result["jaw"] = max(result["jaw"], 0.0)
        result["part"] = max(result["part"], 0.0) if close == 0.0 else 0.0
    return result, close


def _leave_headroom(mouth: dict[str, float], source: Measures) -> None:
    """A face that smiles already can smile only so much more."""
    lift = ((source.lift_left + source.lift_right) / 2 - _REST_LIFT) / _SMILE_LIFT
    width = (source.mouth_width - _REST_WIDTH) / _SMILE_WIDTH
    smiling = float(np.clip((max(lift, 0.0) + max(width, 0.0)) / 2, 0.0, 1.0))
    for name in ("smile_left", "smile_right", "part"):
        if mouth[name] > 0.0:
            mouth[name] *= 1.0 - 0.5 * smiling


def _add_purse(mouth: dict[str, float], purse: float) -> None:
    """Turn lowered mouth corners into lips drawn together, for the pursing slider alone."""
    amount = float(np.clip(purse, 0.0, 1.0))
    mouth["pucker"] = min(mouth["pucker"] + 1.3 * amount, _MOUTH_HIGHEST[4])
    for name in ("smile_left", "smile_right"):
        mouth[name] += 0.5 * amount


def _blink(
    motion: Motion,
    expression: np.ndarray,
    captured: float,
    source: Measures,
    eyes_open: float,
) -> tuple[float, float]:
    slider, performed = _read(_SLIDER_LIDS, expression), _read(_CAPTURED_LIDS, expression)
    blinks = []
    for name, ratio in (("lid_left", source.lid_left), ("lid_right", source.lid_right)):
        own = max(ratio, _LOWEST_LID_RATIO)
        from_slider = -slider[name] / _TYPICAL_LID_RATIO
        from_capture = -performed[name] / own
        if from_capture > 0.05:  # captured lids close too little
            from_capture = 0.05 + (from_capture - 0.05) / 0.62
        blink = (1.0 - captured) * from_slider + captured * from_capture
        if motion.eyes_open is not None:
            rest = eyes_open if eyes_open > 0.02 else own / LID_RATIO_PER_EYES_OPEN
            blink += 1.0 - motion.eyes_open / rest
        blinks.append(float(np.clip(blink, _WIDEST_EYES, 1.0)))
    return blinks[0], blinks[1]
