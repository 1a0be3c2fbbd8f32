"""Which phones a sound may be made of: the Gaussian mixtures of an acoustic model."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from ..renderer import ReportedError
from .features import CEPSTRA

MODEL = Path(__file__).resolve().parent.parent / "models" / "speech_phones.npz"
STATES = 3
SILENCE = "SIL"
NOISES = ("+NSN+", "+SPN+")
# Mixture weights are minus a logarithm to this base, in steps of 1024.
_WEIGHT_STEP = 1024 * np.log(1.0001)
_ROWS = 512  # at once, so that little memory is used
_HINT = "Install the extension again, or run `make models` in a source checkout."


class AcousticModel:
    """Phones and how they sound; of scripts/fetch_speech_model.py.

    phones  their names: ARPAbet without stress, SILENCE and NOISES
    stay    (P, STATES) log probability that the next row belongs to the same state
    leave   (P, STATES) that it does not
    bigram  (P, P) log probability of the second phone after the first
    """

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            self.phones = tuple(name.decode("ascii") for name in arrays["phones"])
            self.bigram = arrays["bigram"]
            stay = arrays["stay"].astype(np.float64)
            means = arrays["means"].astype(np.float32)
            variances = arrays["variances"].astype(np.float32)
            weights = arrays["weights"].astype(np.float32)
        self.stay, self.leave = np.log(stay), np.log(1.0 - stay)
        count, self._streams, self._densities, _ = means.shape
        # The exponent is linear in a row, its squares and 1.
        precise = 1.0 / variances
        norm = np.log(2.0 * np.pi * variances).sum(-1) + (means**2 * precise).sum(-1)
        linear, square = (part.transpose(1, 3, 0, 2) for part in (means * precise, -0.5 * precise))
        constant = -0.5 * norm.transpose(1, 0, 2)[:, None]
        exponents = np.concatenate([linear, square, constant], axis=1)
        self._exponents = exponents.reshape(self._streams, 2 * CEPSTRA + 1, -1)
        mixed = np.exp(-weights * _WEIGHT_STEP)
        shape = (self._streams, self._densities, count, STATES)
        self._weights = np.ascontiguousarray(mixed.reshape(shape).transpose(0, 2, 1, 3))

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """(T, P, STATES) float32 log likelihoods of rows of features.streams()."""
        parts = [self._block(rows[start : start + _ROWS]) for start in range(0, len(rows), _ROWS)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.phones), STATES), "f4")

    def _block(self, rows: np.ndarray) -> np.ndarray:
        phones = len(self.phones)
        total = np.zeros((phones, len(rows), STATES), np.float32)
        ones = np.ones((len(rows), 1), np.float32)
        for stream in range(self._streams):
            values = rows[:, stream]
            flat = np.concatenate([values, values**2, ones], axis=1) @ self._exponents[stream]
            by_phone = flat.reshape(len(rows), phones, -1)
            peaks = by_phone.max(-1, keepdims=True)
            by_phone -= peaks
            likelihoods = np.exp(by_phone, out=by_phone).transpose(1, 0, 2)
            total += np.log(likelihoods @ self._weights[stream] + 1e-30)
            total += peaks.transpose(1, 0, 2)
        return total.transpose(1, 0, 2)


@cache
def acoustic_model() -> AcousticModel:
    """The model, read once per process. Raises ReportedError "no_models"."""
    try:
        return AcousticModel(MODEL)
    except (OSError, ValueError, KeyError) as error:
        text = f"The speech model '{MODEL.name}' is missing or damaged: {error}."
        raise ReportedError("no_models", text, _HINT) from error
