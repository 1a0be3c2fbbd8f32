"""Capturing: a performance is read from a file and becomes the takes of faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .motion import Face
from .performance.performance import Performance, PerformanceError
from .performance.performance_file import SUFFIX, read_performance_file
from .performance.template import TemplateError, read_template
from .renderer import ReportedError
from .take import PerformanceSource, TakeOptions
from .taking import Taken, make_takes

TEMPLATE_HINT = "Choose a motion template (.pkl) that LivePortrait has written."

Report = Callable[[float, str], None]


def capture(
    source: PerformanceSource, faces: Sequence[Face], options: TakeOptions, report: Report
) -> Taken:
    """Read a performance and make the takes of faces. Raises ReportedError (bad_performance)."""
    path = Path(source.path)
    report(0.0, f"Reading '{path.name}'")
    performance = read_performance(source)
    report(0.7, f"Fitting {len(performance)} frames")
    return make_takes(performance, faces, options)


def read_performance(source: PerformanceSource) -> Performance:
    """A performance from a file. Raises ReportedError (bad_performance)."""
    path = Path(source.path)
    try:
        if path.suffix.lower() == SUFFIX:
            return read_performance_file(path)
        return Performance.from_template(read_template(path))
    except PerformanceError as error:
        raise ReportedError("bad_performance", str(error), error.hint) from error
    except TemplateError as error:
        raise ReportedError("bad_performance", str(error), TEMPLATE_HINT) from error
    except OSError as error:
        text = f"'{path.name}' cannot be read: {error.strerror or error}."
        raise ReportedError("bad_performance", text, "Choose another file.") from error
