"""Files that hold a performance as numbers, each with its reader, told apart by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import arkit, mouth_files, performance_file
from .performance import Performance, PerformanceError
from .template import TemplateError, read_template

TEMPLATE_SUFFIX = ".pkl"
SUFFIXES = (TEMPLATE_SUFFIX, performance_file.SUFFIX, arkit.SUFFIX, *mouth_files.SUFFIXES)
TEMPLATE_HINT = "Choose a motion template (.pkl) that LivePortrait has written."

Report = Callable[[float, str], None]


def read_file(
    path: Path,
    arkit_table: Path | None = None,
    report: Report | None = None,
    frame_rate: float = 0.0,
) -> Performance:
    """Read one of SUFFIXES; any other name is taken for a template.

    arkit_table  a table of the user's for ARKit's shapes
    frame_rate   of files that count frames without saying how many a second has; 0 for the usual
    Raises PerformanceError for other content and damage, OSError for file trouble.
    """
    suffix = path.suffix.lower()
    if suffix == performance_file.SUFFIX:
        return performance_file.read_performance_file(path)
    if suffix == arkit.SUFFIX:
        return arkit.read_arkit(path, arkit_table, report)
    if suffix in mouth_files.SUFFIXES:
        return mouth_files.read_mouth_file(path, frame_rate)
    try:
        return Performance.from_template(read_template(path))
    except TemplateError as error:
        raise PerformanceError(str(error), TEMPLATE_HINT) from error
