"""Where somebody speaks: louder than what is always there, and like speech."""

from __future__ import annotations

import numpy as np

from .listening import Heard

QUIET_DB = -55.0  # of full scale: below, nobody speaks
BELOW_LOUD_DB = 36.0  # below the loudest speech
ABOVE_NOISE_DB = 5.0  # above what is always there
FLOOR_ROWS = 300  # within which what is always there is looked for
_BRIDGED_ROWS = 12  # gaps that belong to what is around them
_LEAST_ROWS = 6


def is_speech(heard: Heard) -> np.ndarray:
    """(T,) bool."""
    level = _smoothed(heard.level_db, 5)
    loud = float(np.percentile(level, 95.0))
    floor = _lowest(level, FLOOR_ROWS)
    active = (level > QUIET_DB) & (level > loud - BELOW_LOUD_DB)
    active &= level > floor + ABOVE_NOISE_DB
    active = _without_short(~active, _BRIDGED_ROWS)
    return ~_without_short(active, _LEAST_ROWS)


def _smoothed(values: np.ndarray, rows: int) -> np.ndarray:
    padded = np.pad(values.astype(np.float64), rows // 2, "edge")
    return np.convolve(padded, np.full(rows, 1.0 / rows), "valid")[: len(values)]


def _lowest(level: np.ndarray, rows: int) -> np.ndarray:
    """(T,) a low percentile of what is around each row, in steps."""
    step = rows // 3
    starts = range(0, len(level), step)
    lows = [
        np.percentile(level[max(0, start - rows) : start + rows + step], 10.0) for start in starts
    ]
    return np.interp(np.arange(len(level)), np.array(starts) + step / 2, lows)


def _without_short(flags: np.ndarray, rows: int) -> np.ndarray:
    """The opposite of flags, where those that hold for less than some rows count as not set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    result = ~flags
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start < rows:
            result[start:end] = True
    return result
