"""Capturing: a performance is read from a file and becomes the takes of faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .motion import Face
from .performance.files import read_file
from .performance.performance import Performance, PerformanceError
from .renderer import ReportedError
from .take import PerformanceSource, TakeOptions
from .taking import Taken, make_takes

Report = Callable[[float, str], None]


def capture(
    source: PerformanceSource, faces: Sequence[Face], options: TakeOptions, report: Report
) -> Taken:
    """Read a performance and make the takes of faces. Raises ReportedError (bad_performance)."""
    path = Path(source.path)
    report(0.0, f"Reading '{path.name}'")
    performance = read_performance(source, report)
    report(0.7, f"Fitting {len(performance)} frames")
    return make_takes(performance, faces, options)


def read_performance(source: PerformanceSource, report: Report | None = None) -> Performance:
    """A performance from a file. Raises ReportedError (bad_performance)."""
    path = Path(source.path)
    table = Path(source.arkit_table) if source.arkit_table else None
    try:
        return read_file(path, table, report)
    except PerformanceError as error:
        raise ReportedError("bad_performance", str(error), error.hint) from error
    except OSError as error:
        text = f"'{path.name}' cannot be read: {error.strerror or error}."
        raise ReportedError("bad_performance", text, "Choose another file.") from error
