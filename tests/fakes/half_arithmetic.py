"""Half precision as graphics cards do it, on a CPU that would take minutes for it.

Tensor cores multiply halves, add up in float32 and round the sum; so does this. Everything else
runs in torch's own half precision.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

HALVES = (torch.float16, torch.bfloat16)
# Operators that add up many products or many numbers; slow or missing in half precision on CPUs.
SUMMING = {"convolution", "bmm", "mm", "addmm", "native_batch_norm", "avg_pool3d", "avg_pool2d"}
# The others that can make a number larger.
GROWING = {"add", "addcmul", "mul", "div", "exp"}


class HalfArithmetic(TorchDispatchMode):
    """Enter together with torch.no_grad: inference mode does not take operators apart.

    largest  the largest magnitude that a rounded map held
    rounded  names of the operators whose sums were rounded
    """

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0.0
        self.rounded: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        dtype = next((t.dtype for t in _tensors((args, kwargs)) if t.dtype in HALVES), None)
        name = str(func).split(".")[1]
        if dtype is None:
            return func(*args, **kwargs)
        if name in SUMMING:
            self.rounded.add(name)
            args, kwargs = tree_map(_widened, (args, kwargs))
            result = tree_map(lambda x: _rounded(x, dtype), func(*args, **kwargs))
        else:
            result = func(*args, **kwargs)
        # Not views: memory that is yet to be filled holds anything.
        for tensor in _tensors(result) if name in SUMMING | GROWING else ():
            if tensor.dtype in HALVES:
                self.largest = max(self.largest, float(tensor.abs().max()))
        return result


def _widened(value: Any) -> Any:
    is_half = isinstance(value, Tensor) and value.dtype in HALVES
    return value.float() if is_half else value


def _rounded(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
