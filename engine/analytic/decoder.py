"""From LivePortrait's expression offsets to amounts of the analytic renderer's deformers.

LivePortrait's 21 keypoints are implicit: no point of the picture belongs to one. A linear decoder
reads measures of the face (lid gap, lip gap, mouth width…) out of the offsets, and a small
least-squares problem finds the deformer amounts that produce those measures. The weights were
fitted on 633 frames of public driving videos whose LivePortrait motion is known; the sign and
reach of the retargeting sliders checks them. What LivePortrait cannot say is read first, see
carried.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from ..faces.canonical import CANONICAL, MESH_COUNT
from ..faces.measures import MEASURE_NAMES, Measures, measure
from ..motion import KEYPOINT_COUNT, Motion
from . import carried
from .deformers import MOUTH_DEFORMERS, deformers
from .eye_amounts import WIDEST_EYES, asked_closing, gaze, lids
from .offsets import read
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
# Centimetres by which the slider that presses the mouth shut brings the lips together.
_SLIDER_SHUTTING: dict[str, dict[str, float]] = {"shutting": {"19y": -29.4}}
# The pursing slider at its end reads 1: 14y less what smile and grin do to it.
_SLIDER_PURSE: dict[str, dict[str, float]] = {
    "purse": {"14y": 66.7, "20y": -133.3, "20z": 66.7},
}
# The grinning slider at its end reads 1; no other slider moves 20z.
_SLIDER_GRIN: dict[str, dict[str, float]] = {"grin": {"20z": -66.7}}
# A full grin draws lips tight and leaves the jaw; its corners are this much ahead half-way.
_GRIN: Mapping[str, float] = {"pucker": -0.17, "jaw": -0.08}
_GRIN_AHEAD = 0.03
_CHEEKS: dict[str, dict[str, float]] = {
    "cheek_left": {"3y": -18.0},
    "cheek_right": {"7y": -18.0},
}
# Keypoints that no slider touches; every captured expression moves them.
_UNTOUCHED_KEYPOINTS = (0, 4, 10)
_CAPTURED_SHARE = 0.12  # of the offsets' energy, for certain

_MOUTH_MEASURES = (
    "lip_gap", "mouth_width", "lift_left", "lift_right", "mouth_x", "upper_lip", "jaw_drop",
)  # fmt: skip
_MOUTH_TRUST = np.array([1.0, 0.8, 1.0, 1.0, 0.8, 0.5, 0.35])
_MOUTH_RIDGE = np.array([0.025, 0.025, 0.025, 0.04, 0.06, 0.025, 0.3])
MOUTH_LOWEST = np.array([-0.05, -0.9, -0.9, -0.4, -1.2, -1.5, -1.2])
MOUTH_HIGHEST = np.array([1.8, 1.7, 1.7, 1.2, 1.3, 1.5, 1.2])
_BROW_MEASURES = ("brow_left", "brow_right", "brow_distance")
# What the brows' measures are solved for: both ends of a brow together, and both frowns.
_WHOLE_BROWS = (
    ("brow_inner_left", "brow_outer_left"),
    ("brow_inner_right", "brow_outer_right"),
    ("frown_left", "frown_right"),
)
_BROW_RIDGE = 0.02
_BROW_LIMIT = 1.3

_WIDEST_GAP = 3.8  # cm between the lips
_WIDEST_OPENING = 2.2  # cm of lip gap that the end of a slider asks for
_LEAST_ROOM = 0.8  # cm by which the widest mouth still opens
# Mouth corners of a resting face, and how much a full smile lifts and widens them, cm.
_REST_LIFT, _SMILE_LIFT = -2.0, 0.8
_REST_WIDTH, _SMILE_WIDTH = 4.9, 1.9
# How a smile of one side differs from half a smile of both, cm: its corner is lifted by more and
# draws the mouth along, but the lips stay shut.
_ONE_SIDED: Mapping[str, float] = {"lift_left": 0.53, "lift_right": -0.53, "mouth_x": -0.09}
_WIDEST_PURSE, _PURSED_SMILE = 1.4, 0.9
# A full purse's pucker, and how much of it waits for the slider's end: tight lips hardly yield.
_FULL_PUCKER, _LATE_PUCKER = 1.6, 0.25
_FULLY_RELAXED, _RELAXED = 1.33, 0.15
_SMIRK_GAP, _SMIRK_PART = 0.28, 0.2
_FULL_CLOSING = 2.6  # cm of closing that shut the widest mouth
_SLIDER_SHUTS = 0.4  # cm of the slider's closing that shut any mouth; the rest presses
_FULL_PRESS = 2.6  # cm of closing beyond shut lips that press them fully


@dataclass(frozen=True)
class Amounts:
    """What the deformers and layers are to do.

    deformers   amount of each deformer by name
    blink       closing of the left and the right eye, 1 closed, negative wider than the source
    lips_close  0..1, how far an open source mouth is pulled shut
    lips_round  0..1, how far it is drawn together from its sides to a small round opening
    gaze        (x, y) of both irises, -1..1, right and up
    """

    deformers: dict[str, float] = field(default_factory=dict)
    blink: tuple[float, float] = (0.0, 0.0)
    lips_close: float = 0.0
    lips_round: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)


def captured_share(expression: np.ndarray) -> np.ndarray:
    """(T,) 0 for (T, 63) offsets that come from sliders alone … 1 for those of captured faces."""
    rows = np.asarray(expression, np.float64).reshape(-1, KEYPOINT_COUNT, 3)
    energy = np.linalg.norm(rows, axis=2)
    total = np.linalg.norm(energy, axis=1)
    untouched = np.linalg.norm(energy[:, list(_UNTOUCHED_KEYPOINTS)], axis=1)
    share = untouched / np.maximum(total, 1e-9) / _CAPTURED_SHARE
    return np.where(total < 1e-9, 0.0, smoothstep(share))


def _response(
    groups: Sequence[Sequence[str]], measures: tuple[str, ...], step: float = 0.5
) -> np.ndarray:
    """(measures, groups): what each group of deformers does to measures of the canonical face."""
    rows = [MEASURE_NAMES.index(name) for name in measures]
    rest = measure(CANONICAL).as_array()[rows]
    columns = []
    for names in groups:
        moved = CANONICAL.copy()
        moved[:MESH_COUNT] += step * sum(deformers()[name] for name in names)
        columns.append((measure(moved).as_array()[rows] - rest) / step)
    return np.stack(columns, axis=1)


@cache
def _mouth_solver() -> np.ndarray:
    """(deformers, measures) regularised inverse of the mouth's response."""
    response = _response([(name,) for name in MOUTH_DEFORMERS], _MOUTH_MEASURES)
    # Decoded width and lift are what the lips do beyond what the falling jaw does to them.
    response[1:4, 0] = 0.0
    weighted = response * _MOUTH_TRUST[:, None]
    normal = weighted.T @ weighted + np.diag(_MOUTH_RIDGE)
    return np.linalg.solve(normal, weighted.T * _MOUTH_TRUST)


@cache
def _brow_solver() -> np.ndarray:
    """(_WHOLE_BROWS, measures) regularised inverse of the brows' response."""
    response = _response(_WHOLE_BROWS, _BROW_MEASURES)
    # A frown lowers the brows; they must not rise again to make up for it.
    response[:2, 2] = 0.0
    return np.linalg.solve(response.T @ response + _BROW_RIDGE * np.eye(3), response.T)


def decode(motion: Motion, source: Measures, eyes_open: float, lips_open: float) -> Amounts:
    """Deformer amounts for a Motion.

    source                 measures of the source picture's face
    eyes_open, lips_open   the source's ratios as shown to the user, neutral for the two targets
    """
    expression = np.asarray(motion.expression, np.float64)[None]
    wider = None if motion.lips_open is None else motion.lips_open - lips_open
    if wider is not None and wider < 0.0:
        # Lips asked to be shut meet, whatever ratio the picture was read to have.
        own = max(source.lip_gap, 0.0) / max(source.mouth_width, 1e-6)
        wider *= own / lips_open if lips_open > 0.02 else 1.0
    rows = decode_rows(expression, source, wider)
    amounts = {name: float(values[0]) for name, values in rows.items() if name != "closing"}
    blinks = []
    for side, ratio in (("left", source.lid_left), ("right", source.lid_right)):
        blink = amounts.pop(f"blink_{side}")
        if motion.eyes_open is not None:
            blink += asked_closing(motion.eyes_open, eyes_open, ratio)
        blinks.append(float(np.clip(blink, WIDEST_EYES, 1.0)))
    return Amounts(
        blink=(blinks[0], blinks[1]),
        lips_close=amounts.pop("lips_close"),
        lips_round=amounts.pop("lips_round"),
        gaze=(amounts.pop("gaze_x"), amounts.pop("gaze_y")),
        deformers=amounts,
    )


def decode_rows(
    expression: np.ndarray,
    source: Measures,
    lips_wider: float | None = None,
    *,
    is_limited: bool = True,
) -> dict[str, np.ndarray]:
    """(T,) amounts by name for (T, 63) offsets: all deformers and what else Amounts has.

    Also "closing": by how many centimetres lips come together that are apart in the source.

    lips_wider  by how much the ratio of the lips' opening is to be larger than the offsets say
    is_limited  keep the mouth's deformers within what a face can do, and pace lids
    """
    asked, offsets = carried.read_carriers(expression)
    captured = captured_share(offsets)
    change = read(_WEIGHTS, offsets)
    side = carried.amount(asked, "smile_left") - carried.amount(asked, "smile_right")
    smirk = np.abs(side)
    for name, more in _ONE_SIDED.items():
        change[name] = change[name] + more * side
    change["lip_gap"] = change["lip_gap"] - _SMIRK_GAP * smirk
    closing = np.maximum(-change["lip_gap"], 0.0)
    shutting = (1.0 - captured) * read(_SLIDER_SHUTTING, offsets)["shutting"]
    change["lip_gap"] = change["lip_gap"] - _more_closing(shutting, source)
    mouth, lips_close = _mouth(change, source, lips_wider, is_limited)
    mouth["part"] = mouth["part"] - _SMIRK_PART * smirk
    _leave_headroom(mouth, source)
    purse = (1.0 - captured) * read(_SLIDER_PURSE, offsets)["purse"]
    _add_purse(mouth, purse, source)
    _add_grin(mouth, (1.0 - captured) * read(_SLIDER_GRIN, offsets)["grin"])
    for name, cheek in read(_CHEEKS, offsets).items():
        smile = name.replace("cheek", "smile")
        mouth[smile] = mouth[smile] + 0.9 * cheek
        if is_limited:
            mouth[smile] = np.clip(mouth[smile], -0.9, 1.7)
    own = carried.mouth_amounts(asked, mouth, max(source.lip_gap, 0.0))
    return {
        **mouth,
        **own,
        **_brows(change, asked),
        **lids(offsets, captured, source, is_paced=is_limited),
        **gaze(change, offsets, captured),
        "lips_close": lips_close,
        "lips_round": (1.0 - np.clip(1.0 - purse, 0.0, 1.0) ** 2) * (1.0 - lips_close),
        "closing": closing,
    }


def _mouth(
    change: dict[str, np.ndarray], source: Measures, lips_wider: float | None, is_limited: bool
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Amounts of the mouth's deformers, and of lips_close."""
    target = np.stack([change[name] for name in _MOUTH_MEASURES], axis=1)
    if lips_wider is not None:
        target[:, 0] += lips_wider * source.mouth_width
        target[:, 6] += 0.75 * lips_wider * source.mouth_width
    gap = max(source.lip_gap, 0.0)
    opening, closing = np.maximum(target[:, 0], 0.0), np.maximum(-target[:, 0], 0.0)
    full = min(gap, _FULL_CLOSING)
    close = np.minimum(1.0, closing / full) if gap > 0.05 else np.zeros(len(target))
    pressing = np.where(closing > 0.0, np.clip((closing - gap) / _FULL_PRESS, 0.0, 1.0), 0.0)
    room = max(_WIDEST_GAP - gap, _LEAST_ROOM)
    # So far as there is room the whole slider opens, not its first quarter alone.
    pace = min(room / _WIDEST_OPENING, 1.0)
    widened = room * np.tanh(pace * opening / room)
    # A mouth that can hardly open further has a chin that can hardly fall.
    target[:, 6] = np.clip(target[:, 6], -0.3, 1.6) * widened / np.maximum(opening, 1e-6)
    target[:, 0] = widened
    amounts = target @ _mouth_solver().T
    if is_limited:
        amounts = np.clip(amounts, MOUTH_LOWEST, MOUTH_HIGHEST)
    result: dict[str, np.ndarray] = dict(zip(MOUTH_DEFORMERS, amounts.T, strict=True))
    result["press"] = result["press"] + pressing
    is_shut = (close > 0.0) | (gap < 0.05)
    parted = np.where(close > 0.0, 0.0, np.maximum(result["part"], 0.0))
    result["jaw"] = np.where(is_shut, np.maximum(result["jaw"], 0.0), result["jaw"])
    result["part"] = np.where(is_shut, parted, result["part"])
    return result, close


def _more_closing(shutting: np.ndarray, source: Measures) -> np.ndarray:
    """(T,) cm by which the slider closes an open mouth beyond the `shutting` that it says.

    What makes the lips of a resting face meet makes them meet in a smile, too.
    """
    full = min(max(source.lip_gap, 0.0), _FULL_CLOSING)
    needed = min(full, _SLIDER_SHUTS)
    share = np.clip(shutting / max(needed, 1e-6), 0.0, 1.0)
    return share * (full - needed)


def _smiling(source: Measures) -> float:
    """How much the source smiles, 0..1."""
    lift = ((source.lift_left + source.lift_right) / 2 - _REST_LIFT) / _SMILE_LIFT
    width = (source.mouth_width - _REST_WIDTH) / _SMILE_WIDTH
    return float(np.clip((max(lift, 0.0) + max(width, 0.0)) / 2, 0.0, 1.0))


def _leave_headroom(mouth: dict[str, np.ndarray], source: Measures) -> None:
    """A face that smiles already can smile only so much more."""
    smiling = _smiling(source)
    for name in ("smile_left", "smile_right", "part"):
        mouth[name] = mouth[name] * np.where(mouth[name] > 0.0, 1.0 - 0.5 * smiling, 1.0)


def _add_purse(mouth: dict[str, np.ndarray], purse: np.ndarray, source: Measures) -> None:
    """Turn lowered mouth corners into lips drawn together, for the pursing slider alone."""
    amount = np.clip(purse, 0.0, 1.0)
    amount = amount * (1.0 - _LATE_PUCKER + _LATE_PUCKER * amount)
    relaxed = np.clip(-purse, 0.0, _FULLY_RELAXED)
    # Lips that are drawn together smile no more, and a wide mouth has farther to go.
    wide = float(np.clip(source.mouth_width / _REST_WIDTH, 1.0, _WIDEST_PURSE))
    full = max(_FULL_PUCKER, float(MOUTH_HIGHEST[4]) + wide - 1.0)
    mouth["pucker"] = np.minimum(mouth["pucker"] + full * amount, full) - _RELAXED * relaxed
    for name in ("smile_left", "smile_right"):
        mouth[name] = mouth[name] + (0.5 - _PURSED_SMILE * _smiling(source)) * amount


def _add_grin(mouth: dict[str, np.ndarray], grin: np.ndarray) -> None:
    """What the grinning slider does by itself."""
    amount = np.clip(grin, 0.0, 1.0)
    for name, more in _GRIN.items():
        mouth[name] = mouth[name] + more * amount
    for name in ("smile_left", "smile_right"):
        mouth[name] = mouth[name] + _GRIN_AHEAD * np.sin(np.pi * amount)


def _brows(change: dict[str, np.ndarray], asked: np.ndarray) -> dict[str, np.ndarray]:
    target = np.stack([change[name] for name in _BROW_MEASURES], axis=1)
    whole = np.clip(target @ _brow_solver().T, -_BROW_LIMIT, _BROW_LIMIT)
    result = carried.brow_amounts(asked)
    for names, amount in zip(_WHOLE_BROWS, whole.T, strict=True):
        for name in names:
            result[name] = result[name] + amount
    return result
