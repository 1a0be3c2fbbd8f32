"""Listening to a sound piece by piece: which phone is heard at each moment, and how loud.

Pieces overlap, so that none is decoded without what is around it; memory does not grow with the
sound but by a few bytes for each moment.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import features
from .context import ContextNetwork
from .decoding import phone_shares
from .features import HOP, RATE, STEP_S
from .hearing import NOISES, SILENCE, AcousticModel

PIECE_ROWS = 2000  # decoded together
MARGIN_ROWS = 60  # on either side, decoded twice
RINGING = slice(5, 14)  # bands of features.spectra, about 500 to 1500 Hz
LIKELY = 4  # phones that are remembered of each moment
SHUT_PHONES = ("P", "B", "M")
VOWELS = (
    "AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW",
)  # fmt: skip
# Below the loudest speech, in decibels: noise of this level is mixed in, as the acoustic model
# knows no digital silence.
FLOOR_DB = 55.0
_LEAST_LEVEL = 1e-6
# Of the mean cepstrum: how many rows of the past weigh as much as what is heard now.
MEMORY_ROWS = 6000


class Heard(NamedTuple):
    """What is heard every STEP_S seconds, the first moment being features.CENTRE_S.

    phones    (T,) int16 index of AcousticModel.phones: the likeliest
    spoken    (T, LIKELY) uint8 the likeliest that are neither silence nor noise, best first
    shares    (T, LIKELY) uint8 how likely those are, 255 for certain
    shut      (T,) float32 how likely the lips are shut for a sound, 0..1
    vowel     (T,) float32 how likely a vowel is heard, 0..1
    level_db  (T,) float32 loudness, decibels of full scale
    ringing_db  (T,) float32 loudness where open vowels ring, decibels
    """

    phones: np.ndarray
    spoken: np.ndarray
    shares: np.ndarray
    shut: np.ndarray
    vowel: np.ndarray
    level_db: np.ndarray
    ringing_db: np.ndarray


class Listener:
    """Takes samples in and keeps what is heard."""

    def __init__(
        self, model: AcousticModel, context: ContextNetwork, bigram_weight: float = 1.0
    ) -> None:
        self._model = model
        self._context = context
        self._bigram_weight = bigram_weight
        self._samples = np.zeros(0, np.float32)
        self._margin = 0  # rows at the beginning of _samples that were told already
        self._loudest = 0.0
        self._mean: np.ndarray | None = None
        self._mean_rows = 0.0
        self._random = np.random.default_rng(0)
        self._parts: list[Heard] = []
        self._shut = [model.phones.index(name) for name in SHUT_PHONES]
        self._vowels = [model.phones.index(name) for name in VOWELS]
        quiet = {SILENCE, *NOISES}
        self._quiet = [index for index, name in enumerate(model.phones) if name in quiet]

    def feed(self, samples: np.ndarray) -> None:
        """Take in (N,) float32 samples in -1..1 at features.RATE."""
        self._samples = np.concatenate([self._samples, samples.astype(np.float32)])
        wanted = self._margin + PIECE_ROWS + MARGIN_ROWS
        while features.row_count(len(self._samples)) >= wanted:
            self._hear(wanted, PIECE_ROWS)
            done = self._margin + PIECE_ROWS - MARGIN_ROWS
            self._samples = self._samples[done * HOP :]
            self._margin = MARGIN_ROWS
            wanted = self._margin + PIECE_ROWS + MARGIN_ROWS

    def finish(self) -> Heard:
        """What was heard, to the last whole window."""
        rows = features.row_count(len(self._samples))
        if rows > self._margin:
            self._hear(rows, rows - self._margin)
        self._samples = np.zeros(0, np.float32)
        if not self._parts:
            nothing = np.zeros(0, np.float32)
            some = np.zeros((0, LIKELY), np.uint8)
            return Heard(nothing.astype(np.int16), some, some, *[nothing] * 4)
        return Heard(*(np.concatenate(arrays) for arrays in zip(*self._parts, strict=True)))

    def _hear(self, rows: int, wanted: int) -> None:
        samples = self._samples[: features.WINDOW + (rows - 1) * HOP]
        levels = _levels(samples, rows)
        self._loudest = max(0.9 * self._loudest, float(np.percentile(levels, 95.0)))
        floor = max(self._loudest * 10.0 ** (-FLOOR_DB / 20.0), _LEAST_LEVEL)
        noise = self._random.standard_normal(len(samples)).astype(np.float32)
        bands = features.spectra(samples + floor * noise)
        cepstra = features.cepstra(bands)
        centred = cepstra - self._centre(cepstra)
        scores = self._model.scores(features.streams(centred))
        evidence = self._context.evidence(centred)
        shares = phone_shares(self._model, scores, evidence, self._bigram_weight)
        kept = slice(self._margin, self._margin + wanted)
        spoken = shares[kept].copy()
        spoken[:, self._quiet] = 0.0
        likely = np.argsort(spoken, axis=1)[:, : -LIKELY - 1 : -1]
        self._parts.append(
            Heard(
                shares[kept].argmax(axis=1).astype(np.int16),
                likely.astype(np.uint8),
                np.rint(255.0 * np.take_along_axis(spoken, likely, axis=1)).astype(np.uint8),
                shares[kept][:, self._shut].sum(axis=1),
                shares[kept][:, self._vowels].sum(axis=1),
                (20.0 * np.log10(np.maximum(levels, _LEAST_LEVEL)))[kept].astype(np.float32),
                _decibels(bands[kept, RINGING]),
            )
        )

    def _centre(self, cepstra: np.ndarray) -> np.ndarray:
        """The mean cepstrum of this piece and those before it."""
        mean, count = cepstra.mean(axis=0), float(len(cepstra))
        if self._mean is not None:
            past = min(self._mean_rows, float(MEMORY_ROWS))
            mean = (self._mean * past + mean * count) / (past + count)
            count += past
        self._mean, self._mean_rows = mean, count
        return mean


def _decibels(bands: np.ndarray) -> np.ndarray:
    """(T,) float32 of the mean energy of some bands."""
    return (10.0 * np.log10(np.exp(bands).mean(axis=1))).astype(np.float32)


def _levels(samples: np.ndarray, rows: int) -> np.ndarray:
    """(rows,) root mean square of each window."""
    squares = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    starts = np.arange(rows) * HOP
    return np.sqrt((squares[starts + features.WINDOW] - squares[starts]) / features.WINDOW)


def moment_s(row: float) -> float:
    """Seconds at which a row's window is in its middle, less half a step: where the row begins."""
    return row * STEP_S + features.CENTRE_S - STEP_S / 2


__all__ = ["RATE", "Heard", "Listener", "moment_s"]
