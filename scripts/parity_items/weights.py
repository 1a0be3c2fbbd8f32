"""weights_checksums.json: are the rebuilt weights the recorded ones?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from scheme_weights import scheme_tensors

from .golden import Golden, Row

SUM_TOLERANCE = 1e-5
# A BLAS product is part of these, so their last bits differ between machines.
INEXACT_LEAVES = ("weight_u", "weight_v")


def rows(golden: Golden) -> Iterator[Row]:
    """One row per checkpoint: hashes must match, sums of the inexact ones to SUM_TOLERANCE."""
    for checkpoint, recorded in (golden.table("weights_checksums.json") or {}).items():
        worst, notes, seen = 0.0, [], set()
        for key, array in scheme_tensors(golden.seed, checkpoint, golden.shapes[checkpoint]):
            if key not in recorded:
                continue
            seen.add(key)
            error = _checksum_error(key, array, recorded[key])
            if not error <= SUM_TOLERANCE:
                notes.append(key)
            worst = max(worst, error)
        notes += [f"{key} (missing)" for key in recorded if key not in seen]
        worst = np.inf if len(seen) < len(recorded) else worst
        yield Row(f"weights/{checkpoint}", worst, SUM_TOLERANCE, ", ".join(notes[:3]))


def _checksum_error(key: str, array: np.ndarray, recorded: list) -> float:
    digest, total, absolute = recorded
    if key.rpartition(".")[2] not in INEXACT_LEAVES:
        return 0.0 if hashlib.sha256(array.tobytes()).hexdigest()[:16] == digest else np.inf
    values = array.astype(np.float64)
    sums = values.sum(), np.abs(values).sum()
    return max(abs(sums[0] - total), abs(sums[1] - absolute))
