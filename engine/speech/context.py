"""Which phone a moment belongs to, told by a quarter of a second around it: a second ear.

The acoustic model hears 40 ms at once, and knows people. Machines that speak by formants have no
bursts and hardly a murmur; what tells their B from their L is how the sound goes into it and out
of it. A small network that was trained on many machine voices, in noise and in music, hears that
(scripts/train_speech_context.py). Both together are better than each, for people, too.
"""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path

import numpy as np

from ..renderer import ReportedError

NETWORK = Path(__file__).with_name("context.npz")
# Rows around a moment whose cepstra are looked at.
OFFSETS = (-12, -9, -7, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 9, 12)
LAYERS = 3
# Of how often a phone comes: how far the network's knowledge of that is taken back, and at most.
RARITY, RAREST = 0.7, 2e-4
_HINT = "Install the extension again."


class ContextNetwork:
    """Two hidden layers, from cepstra around a moment to the phones of hearing.AcousticModel."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as arrays:
            self._scale = arrays["scale"].astype(np.float32)
            self._layers = [
                (arrays[f"weight_{n}"].astype(np.float32), arrays[f"bias_{n}"].astype(np.float32))
                for n in range(LAYERS)
            ]
            shares = np.maximum(arrays["shares"].astype(np.float32), RAREST)
        self._usual = RARITY * np.log(shares)

    def evidence(self, centred: np.ndarray) -> np.ndarray:
        """(T, P) float32 log likelihood of each phone, up to a number for each row.

        centred  (T, features.CEPSTRA) cepstra without their mean
        """
        rows = np.arange(len(centred))[:, None] + np.array(OFFSETS)
        scaled = centred.astype(np.float32) / self._scale
        values = scaled[np.clip(rows, 0, max(0, len(centred) - 1))].reshape(len(centred), -1)
        for number, (weight, bias) in enumerate(self._layers):
            values = values @ weight + bias
            if number < LAYERS - 1:
                values = np.maximum(values, 0.0)
        values -= values.max(axis=1, keepdims=True)
        return values - np.log(np.exp(values).sum(axis=1, keepdims=True)) - self._usual


@cache
def context_network() -> ContextNetwork:
    """The network, read once per process. Raises ReportedError "no_models"."""
    try:
        return ContextNetwork(NETWORK)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        text = f"'{NETWORK.name}' of speech is missing or damaged: {error}."
        raise ReportedError("no_models", text, _HINT) from error
