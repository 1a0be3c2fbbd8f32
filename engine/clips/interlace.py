"""Interlaced frames become whole ones; the combs would be taken for motion of a face."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from .errors import load_av


def deinterlaced(frames: Iterator[Any]) -> Iterator[Any]:
    """The same av.VideoFrames with their times; those that are interlaced are made whole.

    What an interlaced frame becomes follows from it and its two neighbours alone.
    """
    graph: Any = None
    before: Any = None
    shape = None
    unwanted = 0  # results of frames that were given already
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            before = frame
            continue
        if graph is None or shape != _shape(frame):
            if graph is not None:
                yield from _left(graph)
            graph, shape = _graph(frame), _shape(frame)
            if before is not None and _shape(before) == shape:
                graph.push(before)
                unwanted = 1
            before = None
        graph.push(frame)
        for whole in _ready(graph):
            if not unwanted:
                yield whole
            unwanted = 0
    if graph is not None:
        yield from itertools.islice(_left(graph), unwanted, None)


def _shape(frame: Any) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _graph(frame: Any) -> Any:
    graph = load_av().filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    # One frame for each; what is not marked as interlaced passes as it is.
    whole = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(whole)
    whole.link_to(sink)
    graph.configure()
    return graph


def _ready(graph: Any) -> Iterator[Any]:
    av = load_av()
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _left(graph: Any) -> Iterator[Any]:
    graph.push(None)
    yield from _ready(graph)
