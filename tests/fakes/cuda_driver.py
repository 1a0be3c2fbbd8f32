"""torch.cuda's streams and graphs without a card: a recording is a list of operators.

Tensors stay on the CPU and keep their numbers, so a replay is as right or wrong as the recording:
what a graph must not depend on (other weights, another portrait) shows in its output.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Operators that read a value from the card.
WAITING = {"item", "_local_scalar_dense", "is_nonzero", "nonzero"}


class CudaDriver:
    """What the fake driver saw.

    recorded, replayed  how often
    pools               pool handles of the recordings
    refusal             raised by the next recordings, in the middle and again at their end
    streams             the current stream is the last
    """

    def __init__(self) -> None:
        self.recorded = 0
        self.replayed = 0
        self.pools: list[object] = []
        self.refusal: Exception | None = None
        self.streams: list[_Stream] = [_Stream()]

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the fakes into torch.cuda."""
        for name, fake in {
            "Stream": _Stream,
            "CUDAGraph": _Graph,
            "current_stream": lambda: self.streams[-1],
            "stream": self._stream,
            "graph": self._graph,
            "graph_pool_handle": object,
            "empty_cache": lambda: None,
        }.items():
            monkeypatch.setattr(torch.cuda, name, fake)

    @contextmanager
    def _stream(self, stream: _Stream) -> Iterator[None]:
        height = len(self.streams)
        self.streams.append(stream)
        try:
            yield
        finally:
            del self.streams[height:]

    @contextmanager
    def _graph(self, graph: _Graph, pool: object, stream: _Stream) -> Iterator[None]:
        self.streams.append(stream)
        self.pools.append(pool)
        if self.refusal is not None:
            try:
                raise self.refusal
            finally:
                # As torch does: the first error is hidden, and the stream stays.
                raise RuntimeError("operation failed due to a previous error during capture")
        graph.driver = self
        with graph.tape:
            yield
        self.recorded += 1
        self.streams.pop()


class _Stream:
    def wait_stream(self, other: _Stream) -> None:
        assert isinstance(other, _Stream)


class _Graph:
    driver: CudaDriver

    def __init__(self) -> None:
        self.tape = _Tape()

    def replay(self) -> None:
        self.driver.replayed += 1
        self.tape.repeat()


class _Tape(TorchDispatchMode):
    """Notes every operator with its operands and results, and does them again in place."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[Any, tuple, dict, list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if str(func).split(".")[1] in WAITING:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        result = func(*args, **(kwargs or {}))
        self._calls.append((func, args, kwargs or {}, _tensors(result)))
        return result

    def repeat(self) -> None:
        for func, args, kwargs, results in self._calls:
            given = {tensor.untyped_storage().data_ptr() for tensor in _tensors((args, kwargs))}
            fresh = _tensors(func(*args, **kwargs))
            for mine, new in zip(results, fresh, strict=True):
                if mine.untyped_storage().data_ptr() not in given:
                    mine.copy_(new)


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
