"""Runs a torch module on any device, partly in a lower precision."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

# Takes and returns float32 tensors on one device, whatever happens inside.
Part = Callable[..., tuple[Tensor, ...]]
CHANNELS_LAST_DEVICES = ("cuda", "cpu")


class MixedPrecision(nn.Module):
    """A module that knows which of its maps may be rounded; float32 in and out."""

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Compute in float16 or bfloat16 where that does no visible harm."""
        raise NotImplementedError


Module = TypeVar("Module", bound=MixedPrecision)


def own_copy(module: Module, device: torch.device, dtype: torch.dtype) -> Module:
    """The module with weights of its own on `device`, laid out for cuDNN and oneDNN.

    dtype  float32 to leave the weights as they are
    """
    module = copy.deepcopy(module).to(device)
    if dtype is not torch.float32:
        module.lower_precision(dtype)
    for parameter in module.parameters():
        parameter.data = _channels_last(parameter.data)
    return module


def eager_part(module: nn.Module) -> Part:
    """The module as it is; channels last where that is faster, and always a tuple."""

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = module(*(_channels_last(x) for x in inputs))
        return outputs if isinstance(outputs, tuple) else (outputs,)

    return run


def _channels_last(tensor: Tensor) -> Tensor:
    if tensor.device.type not in CHANNELS_LAST_DEVICES:
        return tensor
    if tensor.ndim == 4:
        return tensor.contiguous(memory_format=torch.channels_last)
    if tensor.ndim == 5:
        return tensor.contiguous(memory_format=torch.channels_last_3d)
    return tensor
