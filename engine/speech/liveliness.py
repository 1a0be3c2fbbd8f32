"""What a speaking head does beside its mouth: it blinks, sways and nods with what is stressed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .listening import VOWELS
from .segments import Phone

# A blink: how long lids take to fall and to rise, and how many seconds lie between two.
FALL_S, RISE_S = 0.09, 0.16
BETWEEN_S = (2.0, 5.5)
PAUSE_S = 0.25  # a pause in which one likes to blink
NEAR_S = 0.6
# Degrees at full amount: slow sway of pitch, yaw and roll, and a nod on a stressed vowel.
SWAY_DEG, NOD_DEG = (1.6, 2.4, 1.4), 2.2
SWAY_HZ = (0.11, 0.23, 0.37)
NOD_S = 0.16
STRESS_DB = 2.5  # above what is usual


def blinks(times: np.ndarray, phones: Sequence[Phone], amount: float, seed: int) -> np.ndarray:
    """(T,) values of the control blink, 0 for open; a pause near a blink draws it to itself."""
    random = np.random.default_rng([seed, 1])
    values = np.zeros(len(times))
    pauses = [p.start_s for p in phones if p.name == "SIL" and p.end_s - p.start_s > PAUSE_S]
    starts = np.array(pauses)
    moment = random.uniform(0.4, BETWEEN_S[1] / 2)
    while moment < times[-1]:
        if len(starts):
            nearest = float(starts[np.abs(starts - moment).argmin()])
            if abs(nearest - moment) < NEAR_S:
                moment = nearest + 0.04
        rows = slice(*np.searchsorted(times, (moment - FALL_S, moment + RISE_S)))
        away = times[rows] - moment
        lid = 1.0 + np.where(away < 0.0, away / FALL_S, -away / RISE_S)
        values[rows] = np.maximum(values[rows], amount * _eased(lid))
        moment += FALL_S + RISE_S + random.uniform(*BETWEEN_S)
    return values


def head_degrees(
    times: np.ndarray, phones: Sequence[Phone], amount: float, seed: int
) -> np.ndarray:
    """(T, 3) pitch, yaw and roll in degrees."""
    random = np.random.default_rng([seed, 2])
    angles = np.zeros((len(times), 3))
    for axis, reach in enumerate(SWAY_DEG):
        for hertz in SWAY_HZ:
            phase, speed = random.uniform(0.0, 2.0 * np.pi), hertz * random.uniform(0.8, 1.25)
            angles[:, axis] += reach / len(SWAY_HZ) * np.sin(2.0 * np.pi * speed * times + phase)
    spoken = [p for p in phones if p.name != "SIL"]
    usual = float(np.median([p.level_db for p in spoken])) if spoken else 0.0
    for phone in spoken:
        stress = phone.level_db - usual - STRESS_DB
        if phone.name not in VOWELS or stress <= 0.0:
            continue
        nod = NOD_DEG * min(1.0, stress / 4.0) * random.uniform(0.5, 1.0)
        middle = (phone.start_s + phone.end_s) / 2
        rows = slice(*np.searchsorted(times, (middle - 3 * NOD_S, middle + 3 * NOD_S)))
        angles[rows, 0] += nod * np.exp(-(((times[rows] - middle) / NOD_S) ** 2))
    # A head that begins and ends straight can be joined to other motion.
    ends = np.minimum(times - times[0], times[-1] - times) / 0.5
    return amount * angles * _eased(ends)[:, None]


def _eased(share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)
