"""Capturing: a performance is read from a file and becomes the takes of faces."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .long_takes import make_long_takes
from .motion import Face
from .performance.performance import Performance, PerformanceError
from .performance.resampling import on_frames
from .reading import read_performance
from .renderer import ReportedError
from .take import PerformanceSource, TakeOptions
from .taking import Taken

if TYPE_CHECKING:
    from .network_reading import FindReader

__all__ = ["capture", "read_performance"]

Report = Callable[[float, str], None]

_REPORT_S = 0.02  # between two reports while curves are fitted
_READ_SHARE = 0.9  # of the time; the rest goes into fitting


def capture(
    source: PerformanceSource,
    faces: Sequence[Face],
    options: TakeOptions,
    report: Report,
    find_reader: FindReader | None = None,
) -> Taken:
    """Read a performance and make the takes of faces. Raises ReportedError (bad_performance…).

    find_reader  gives LivePortrait's networks, for sources that they shall read
    """
    report(0.0, f"Reading '{Path(source.path).name}'")
    performance = read_performance(
        source, lambda part, text: report(_READ_SHARE * part, text), find_reader
    )
    if options.fps:
        performance = _on_frames(performance, source, options)
    text = f"Fitting {len(performance)} frames"
    told_s = -_REPORT_S

    def tick() -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= _REPORT_S:
            report(_READ_SHARE, text)
            told_s = time.monotonic()

    tick()
    return make_long_takes(performance, faces, options, tick)


def _on_frames(
    performance: Performance, source: PerformanceSource, options: TakeOptions
) -> Performance:
    """With moments where a scene has frames: a key that is moved to one makes its curve swing."""
    try:
        return on_frames(performance, options.first_frame_s, options.fps)
    except PerformanceError as error:
        text = f"'{Path(source.path).name}' is too long: {error}"
        raise ReportedError("bad_performance", text, error.hint) from error
