"""From what is heard at each moment to sounds with a beginning and an end."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from .activity import is_speech
from .features import STEP_S
from .hearing import NOISES, SILENCE
from .listening import SHUT_PHONES, Heard, moment_s

# Lips count as shut from this share on, and around it while half as likely.
SHUT_SHARE, SHUT_EDGE = 0.02, 0.5
# Against a vowel they must be likelier: a consonant with lips shut by mistake is hardly noticed.
SHUT_TO_VOWEL = 0.2
# Beside speech, too quiet to be speech: lips held shut before they burst, or after a word.
HELD_SHARE, HELD_ROWS = 0.25, 12
PEAK_ROWS = 6  # on either side, within which the highest counts
LEAST_SHARE, FIRMER = 0.05, 1.7  # of what a sound may be
LOUD_DB = 15.0  # below the loudest speech
LEAST_ROWS = 3  # what is shorter belongs to its neighbour
LEAST_PAUSE_ROWS = 8  # shorter silences are part of a sound: plosives hold their breath


class Phone(NamedTuple):
    """A phone that is heard.

    name      ARPAbet without stress, or SIL
    level_db  mean loudness, decibels of full scale
    maybe     what else it may be: phones and how likely they are; () where that is certain
    """

    start_s: float
    end_s: float
    name: str
    level_db: float
    maybe: tuple[tuple[str, float], ...] = ()


def spoken_phones(heard: Heard, names: tuple[str, ...]) -> list[Phone]:
    """The phones of a sound without gaps; what is not speech is SIL."""
    count = len(heard.phones)
    if not count:
        return []
    silence = names.index(SILENCE)
    quiet = [silence, *(names.index(name) for name in NOISES)]
    labels = heard.phones.astype(np.intp)
    labels = np.where(np.isin(labels, quiet), silence, labels)
    # Nobody is silent as loudly as this.
    is_loud = heard.level_db > np.percentile(heard.level_db, 95.0) - LOUD_DB
    labels = np.where(is_loud & (labels == silence), heard.spoken[:, 0], labels)
    shut_phone = names.index("B")
    peaks = _peaks(heard)
    for start, end in peaks:
        own = labels[start:end]
        if not np.isin(own, [names.index(name) for name in SHUT_PHONES]).all():
            labels[start:end] = shut_phone
    is_noise = np.isin(heard.phones, [names.index(name) for name in NOISES])
    speaks = is_speech(heard, is_noise)
    for start, end in peaks:
        beside = speaks[max(0, start - HELD_ROWS) : end + HELD_ROWS].any()
        speaks[start:end] |= beside and heard.shut[start:end].max() > HELD_SHARE
    labels[~speaks] = silence
    firm = {names.index(name) for name in SHUT_PHONES}
    phones = []
    for start, end, label in _merged(_runs(labels), silence, firm):
        rows = slice(start, end)
        is_certain = label == silence or label in firm
        maybe = () if is_certain else _maybe(heard.spoken[rows], heard.shares[rows], names)
        level = float(heard.level_db[rows].mean())
        phones.append(Phone(moment_s(start), moment_s(end), names[label], level, maybe))
    return phones


def _maybe(
    spoken: np.ndarray, shares: np.ndarray, names: tuple[str, ...]
) -> tuple[tuple[str, float], ...]:
    """What some moments together may be; lips that shut were decided before."""
    total = np.bincount(spoken.ravel(), shares.ravel().astype(np.float64), len(names))
    total[[names.index(name) for name in SHUT_PHONES]] = 0.0
    # Shapes between all that it may be are nobody's: the likelier ones count for more.
    total = total**FIRMER
    total /= max(total.sum(), 1e-9)
    likely = np.flatnonzero(total > LEAST_SHARE)
    return tuple((names[index], float(total[index])) for index in likely)


def _peaks(heard: Heard) -> list[tuple[int, int]]:
    """[start, end) of rows around each peak of the lips' being shut."""
    shut = heard.shut
    high = (shut > SHUT_SHARE) & (shut > SHUT_TO_VOWEL * heard.vowel)
    padded = np.pad(shut, PEAK_ROWS)
    nearby = np.lib.stride_tricks.sliding_window_view(padded, 2 * PEAK_ROWS + 1).max(axis=1)
    high &= shut >= SHUT_EDGE * nearby
    edges = np.flatnonzero(np.diff(np.concatenate([[False], high, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _runs(labels: np.ndarray) -> list[tuple[int, int, int]]:
    borders = np.flatnonzero(np.diff(labels)) + 1
    edges = [0, *borders.tolist(), len(labels)]
    return [(a, b, int(labels[a])) for a, b in itertools.pairwise(edges)]


def _merged(
    runs: list[tuple[int, int, int]], silence: int, firm: set[int]
) -> list[tuple[int, int, int]]:
    """Runs without those that are too short to be what they seem."""
    kept: list[tuple[int, int, int]] = []
    for start, end, label in runs:
        least = LEAST_PAUSE_ROWS if label == silence else LEAST_ROWS
        is_short = end - start < least and label not in firm
        if kept and (is_short or kept[-1][2] == label):
            kept[-1] = (kept[-1][0], end, kept[-1][2])
        else:
            kept.append((start, end, label))
    return kept


__all__ = ["STEP_S", "Phone", "spoken_phones"]
