"""Where somebody speaks: louder than what is always there, and more like speech than like music.

Speech is told from music and noise by what seconds of it have in common: vowels come and go, so
does loudness, and little is taken for noise. The weights come from a logistic regression on voices
(synthetic and human; clean, in white and brown noise, in music) against music.
"""

from __future__ import annotations

import numpy as np

from .listening import Heard

QUIET_DB = -55.0  # of full scale: below, nobody speaks
BELOW_LOUD_DB = 36.0  # below the loudest speech
ABOVE_NOISE_DB = 5.0  # above what is always there
FLOOR_ROWS = 300  # within which what is always there is looked for
LIKE_ROWS = 600  # that are judged together
LIKE_DB = 25.0  # below the loudest: what is quieter tells nothing
SYLLABLE_ROWS, WORD_ROWS = 5, 25  # between which loudness comes and goes
LOWEST_DB = 35.0  # below the loudest, under which nothing comes and goes
# Of the noises' share, of how far likely vowels scatter, and of decibels that come and go.
WEIGHTS, OFFSET = (-10.7, 26.7, 0.33), -8.4
_LEAST_TOLD = 40  # rows that tell something, below which nothing is judged
_BRIDGED_ROWS = 12  # gaps that belong to what is around them
_LEAST_ROWS = 6


def is_speech(heard: Heard, is_noise: np.ndarray) -> np.ndarray:
    """(T,) bool.

    is_noise  (T,) bool: where the likeliest phone is a noise
    """
    level = _smoothed(heard.level_db, 5)
    loud = float(np.percentile(level, 95.0))
    floor = _lowest(level, FLOOR_ROWS)
    active = (level > QUIET_DB) & (level > loud - BELOW_LOUD_DB)
    active &= level > floor + ABOVE_NOISE_DB
    active &= _is_like_speech(heard, is_noise, loud)
    active = _without_short(~active, _BRIDGED_ROWS)
    return ~_without_short(active, _LEAST_ROWS)


def _is_like_speech(heard: Heard, is_noise: np.ndarray, loud_db: float) -> np.ndarray:
    told = (heard.level_db > loud_db - LIKE_DB).astype(np.float64)
    count = np.maximum(_sums(told), 1e-9)
    vowel = heard.vowel.astype(np.float64)
    mean = _sums(told * vowel) / count
    scatter = np.sqrt(np.maximum(_sums(told * vowel**2) / count - mean**2, 0.0))
    level = np.maximum(heard.level_db, loud_db - LOWEST_DB)
    comes = np.abs(_smoothed(level, SYLLABLE_ROWS) - _smoothed(level, WORD_ROWS))
    traits = (_sums(told * is_noise) / count, scatter, _sums(told * comes) / count)
    score = OFFSET + sum(w * trait for w, trait in zip(WEIGHTS, traits, strict=True))
    return (score > 0.0) | (count < min(_LEAST_TOLD, len(told) // 4))


def _sums(values: np.ndarray) -> np.ndarray:
    """(T,) sums over LIKE_ROWS around each row, fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    rows = np.arange(len(values))
    last = np.minimum(rows + LIKE_ROWS // 2, len(values))
    return total[last] - total[np.maximum(rows - LIKE_ROWS // 2, 0)]


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
