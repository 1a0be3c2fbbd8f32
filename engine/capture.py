"""Capturing: a performance is read from a file and becomes the takes of faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .motion import Face
from .reading import read_performance
from .take import PerformanceSource, TakeOptions
from .taking import Taken, make_takes

__all__ = ["capture", "read_performance"]

Report = Callable[[float, str], None]

_READ_SHARE = 0.9  # of the time; the rest goes into fitting


def capture(
    source: PerformanceSource, faces: Sequence[Face], options: TakeOptions, report: Report
) -> Taken:
    """Read a performance and make the takes of faces. Raises ReportedError (bad_performance…)."""
    report(0.0, f"Reading '{Path(source.path).name}'")
    performance = read_performance(source, lambda part, text: report(_READ_SHARE * part, text))
    report(_READ_SHARE, f"Fitting {len(performance)} frames")
    return make_takes(performance, faces, options)
