"""Runs a torch module faster on an NVIDIA card: recorded as a CUDA graph, or compiled.

The eager module is the last fallback of both accelerations: a driver or compiler that refuses
costs speed, never a frame.
"""

from __future__ import annotations

import logging
import subprocess

import torch
from torch import Tensor, nn

from .memory import is_out_of_memory
from .torch_parts import Part, eager_part

log = logging.getLogger(__name__)

WARM_UP_RUNS = 3
# A compiler also fails for want of Triton, of a C compiler or of a folder to write to.
COMPILER_ERRORS = (
    RuntimeError,
    OSError,
    ImportError,
    subprocess.SubprocessError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


def compiled_part(module: nn.Module, graphs: RecordedGraphs) -> Part:
    """torch.compile; falls back to recorded graphs when the compiler gives up."""
    compiled: list[Part] = []

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        if not compiled:
            compiled.append(eager_part(torch.compile(module, dynamic=False)))
        return compiled[0](*inputs)

    return _with_fallback(run, graphed_part(module, graphs), "torch.compile")


def graphed_part(module: nn.Module, graphs: RecordedGraphs) -> Part:
    """Replays recorded CUDA graphs, one per batch size; falls back to the eager module."""
    eager = eager_part(module)
    return _with_fallback(lambda *inputs: graphs.run(eager, inputs), eager, "CUDA graphs")


class RecordedGraphs:
    """The CUDA graphs of one decoder, one per part and batch size.

    They run one after the other and their outputs are copied at once, so that all of them may
    use the same memory: that of the largest, not the sum.
    """

    def __init__(self) -> None:
        self._graphs: dict[tuple[Part, int], _Graph] = {}
        self._stream: torch.cuda.Stream | None = None
        self._pool: object = None

    def run(self, part: Part, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The part's outputs; the first run of a batch size records it."""
        key = part, len(inputs[0])
        if key not in self._graphs:
            self._stream = self._stream or torch.cuda.Stream()
            # A recording that fails may leave its pool in disorder: the next one takes another.
            pool, self._pool = self._pool or torch.cuda.graph_pool_handle(), None
            self._graphs[key] = _Graph(part, inputs, self._stream, pool)
            self._pool = pool
        return self._graphs[key].replay(inputs)

    def release(self) -> None:
        """Forget all graphs and with them their memory."""
        self._graphs.clear()
        self._pool = None


class _Graph:
    """One recorded run with its own input and output memory."""

    def __init__(
        self, part: Part, inputs: tuple[Tensor, ...], stream: torch.cuda.Stream, pool: object
    ) -> None:
        self._inputs = tuple(x.clone() for x in inputs)
        # Libraries choose their algorithms and allocate workspace in the first runs; neither may
        # happen while recording, and a side stream keeps them out of the current one.
        current = torch.cuda.current_stream()
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_RUNS):
                part(*self._inputs)
        current.wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        # A recording that fails leaves its own stream in place; the outer block puts ours back.
        recording = torch.cuda.graph(self._graph, pool=pool, stream=stream)
        with torch.cuda.stream(current), recording:
            self._outputs = part(*self._inputs)

    def replay(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for mine, theirs in zip(self._inputs, inputs, strict=True):
            mine.copy_(theirs)
        self._graph.replay()
        # The next replay of any graph overwrites the recorded outputs.
        return tuple(output.clone() for output in self._outputs)


def _with_fallback(part: Part, fallback: Part, name: str) -> Part:
    """`part` until it raises, then `fallback` for good; running out of memory is passed on."""
    parts = [part]

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        if parts[0] is not fallback:
            try:
                return parts[0](*inputs)
            except COMPILER_ERRORS as error:
                if is_out_of_memory(error):
                    raise
                log.warning("%s does not work here, continuing without: %s", name, error)
            # Outside of the handler: its error keeps the failed run's tensors alive.
            parts[0] = fallback
        return fallback(*inputs)

    return run
