"""Runs a torch module on an NVIDIA card: half precision, channels last, CUDA graphs or a compiler.

The eager module is the fallback of both accelerations: a driver or compiler that refuses costs
speed, never a frame.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)

WARM_UP_RUNS = 3
Part = Callable[..., tuple[Tensor, ...]]


def half_precision_copy(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The module with its own weights on `device` in `dtype`, laid out as cuDNN likes them."""
    module = copy.deepcopy(module).to(device=device, dtype=dtype)
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        elif parameter.ndim == 5:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    return module


def eager_part(module: nn.Module, dtype: torch.dtype) -> Part:
    """float32 in, float32 out around a module in another precision."""

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = module(*(_converted(x, dtype) for x in inputs))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return tuple(output.float() for output in outputs)

    return run


def compiled_part(module: nn.Module, dtype: torch.dtype) -> Part:
    """torch.compile; falls back to the eager module when the compiler gives up."""
    compiled = eager_part(torch.compile(module, dynamic=False), dtype)
    return _with_fallback(compiled, eager_part(module, dtype), "torch.compile")


def graphed_part(module: nn.Module, dtype: torch.dtype, *, use_graphs: bool = True) -> Part:
    """Replays recorded CUDA graphs, one per batch size; falls back to the eager module."""
    eager = eager_part(module, dtype)
    return _with_fallback(_GraphCache(eager), eager, "CUDA graphs") if use_graphs else eager


class _GraphCache:
    """Records a part once per batch size and replays it."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._graphs: dict[int, _Graph] = {}

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        batch = len(inputs[0])
        if batch not in self._graphs:
            self._graphs[batch] = _Graph(self._part, inputs)
        return self._graphs[batch].replay(inputs)


class _Graph:
    """One recorded run with its own input and output memory."""

    def __init__(self, part: Part, inputs: tuple[Tensor, ...]) -> None:
        self._inputs = tuple(x.clone() for x in inputs)
        # Libraries choose their algorithms and allocate workspace in the first runs; neither may
        # happen while recording, and a side stream keeps them out of the default one.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_RUNS):
                part(*self._inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = part(*self._inputs)

    def replay(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for mine, theirs in zip(self._inputs, inputs, strict=True):
            mine.copy_(theirs)
        self._graph.replay()
        # The next replay overwrites the recorded outputs.
        return tuple(output.clone() for output in self._outputs)


def _with_fallback(part: Part, fallback: Part, name: str) -> Part:
    """`part` until it raises, then `fallback` for good; running out of memory is passed on."""
    parts = [part]

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        try:
            return parts[0](*inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if parts[0] is fallback:
                raise
            log.warning("%s does not work here, continuing without: %s", name, error)
            parts[0] = fallback
            return fallback(*inputs)

    return run


def _converted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if tensor.ndim == 4:
        return tensor.to(dtype, memory_format=torch.channels_last)
    return tensor.to(dtype, memory_format=torch.channels_last_3d)
