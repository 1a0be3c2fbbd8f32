"""Performances are read from files here, whatever they lie in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .clip_reading import read_clip
from .performance.files import SUFFIXES, read_file
from .performance.performance import Performance, PerformanceError
from .renderer import ReportedError
from .renderers import missing_module
from .speech_reading import read_speech
from .still_reading import read_still
from .take import NETWORKS, PerformanceSource

if TYPE_CHECKING:
    from .network_reading import FindReader

Report = Callable[[float, str], None]


def read_performance(
    source: PerformanceSource,
    report: Report | None = None,
    find_reader: FindReader | None = None,
) -> Performance:
    """A performance from a file; what has no suffix of performance.files is read as a clip, and
    as a sound where source.speech is set.

    report  is told (0..1, text) and may raise to stop
    find_reader  gives LivePortrait's networks, for clips that they shall read
    Raises ReportedError (bad_performance, no_models, not_installed).
    """
    path = Path(source.path)
    if source.speech is not None:
        return read_speech(source, report or _quiet)
    if source.is_still:
        return read_still(source, report or _quiet)
    if path.suffix.lower() not in SUFFIXES:
        if source.reader == NETWORKS:
            return _read_by_networks(source, report or _quiet, find_reader)
        return read_clip(source, report or _quiet)
    table = Path(source.arkit_table) if source.arkit_table else None
    try:
        performance = read_file(path, table, report, source.frame_rate)
    except PerformanceError as error:
        raise ReportedError("bad_performance", str(error), error.hint) from error
    except OSError as error:
        text = f"'{path.name}' cannot be read: {error.strerror or error}."
        raise ReportedError("bad_performance", text, "Choose another file.") from error
    try:
        return performance.part(source.start_s, source.end_s)
    except PerformanceError as error:
        text = f"'{path.name}': {error}."
        raise ReportedError("bad_performance", text, error.hint) from error


def _read_by_networks(
    source: PerformanceSource, report: Report, find_reader: FindReader | None
) -> Performance:
    try:
        # Not every edition has what this needs.
        from .network_reading import read_clip_by_networks
    except ImportError as error:
        raise missing_module(error) from error
    return read_clip_by_networks(source, report, find_reader)


def _quiet(_fraction: float, _text: str) -> None:
    """Nobody listens."""
