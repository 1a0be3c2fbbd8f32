"""Takes of long performances of rigs and of speech, made piece by piece.

What is fitted together takes ten times the memory of its result. A performance that knows its
sliders and its rest has nothing to fit beyond its keys, so pieces of it can be made one after the
other; where they meet there is a key.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from .motion import Face
from .performance.performance import Performance
from .take import TakeOptions
from .taking import KNOWN_REST, Taken, make_takes, reference_frame

PIECE_ROWS = 6000

_BY_FRAME = ("values", "keys", "slopes", "expression", "translation")


def make_long_takes(
    performance: Performance,
    faces: Sequence[Face],
    options: TakeOptions,
    tick: Callable[[], None] | None = None,
) -> Taken:
    """As make_takes, in pieces where that is long and possible."""
    count = len(performance)
    has_pieces = performance.sliders and not performance.cuts
    if (
        count <= 2 * PIECE_ROWS
        or not has_pieces
        or reference_frame(performance, options) != KNOWN_REST
    ):
        return make_takes(performance, faces, options, tick=tick)
    edges = np.linspace(0, count, count // PIECE_ROWS + 1).astype(int).tolist()
    arrays: dict[str, np.ndarray] = {}
    first: Taken | None = None
    for start, end in itertools.pairwise(edges):
        piece = make_takes(performance.rows(slice(start, end)), faces, options, tick=tick)
        first = first or piece
        for name in _BY_FRAME:
            found: np.ndarray = getattr(piece, name)
            if name not in arrays:
                shape = (len(faces), count, *found.shape[2:])
                arrays[name] = np.zeros(shape, found.dtype)
            arrays[name][:, start:end] = found
    if first is None:
        raise ValueError("a performance without a moment")
    return replace(first, times=performance.times, is_seen=performance.is_seen, **arrays)
