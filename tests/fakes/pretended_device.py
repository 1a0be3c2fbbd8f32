"""A graphics card that is not there: torch's operators run on shapes, dtypes and devices alone.

Built on torch's FakeTensorMode, which knows no numbers and therefore needs no card. It already
refuses operands on two devices; this adds what it lets pass: operands of two dtypes, float64 on
Apple's devices, and whatever must not happen while a CUDA graph is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
# These take operands of two dtypes, or of two devices, on purpose.
CONVERTING = {aten.copy_.default, aten._to_copy.default}
UNKNOWN_TO_MPS = {torch.float64, torch.complex128}


class PretendedDeviceError(AssertionError):
    """Something that a real card would refuse."""


class PretendedDevice(FakeTensorMode):
    """While entered, tensors may claim to live on a card.

    operators     names of the operators that ran on the card
    is_recording  nothing may then touch another device or wait for the card
    answers       what bool() of a tensor says, the last one for good: there are no numbers
    """

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.operators: set[str] = set()
        self.is_recording = False
        self.answers = [True]
        self._is_inside = False
        self._functions = _PythonBindings(self)

    def __deepcopy__(self, _memo: dict[int, Any]) -> PretendedDevice:
        return self

    def __enter__(self) -> PretendedDevice:
        self._functions.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._functions.__exit__(*exception)

    def dispatch(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        operands = tensors_of((args, kwargs))
        # How an operator is taken apart inside is torch's affair.
        is_outermost, self._is_inside = not self._is_inside, True
        try:
            with torch._C.DisableTorchFunction():
                result = super().dispatch(func, types, args, kwargs)
        finally:
            self._is_inside = not is_outermost
        if is_outermost:
            self._check(func, operands, tensors_of(result))
        return result

    def _check(self, func: Any, operands: list[Tensor], results: list[Tensor]) -> None:
        everything = [*operands, *results]
        devices = {tensor.device.type for tensor in everything}
        if devices <= {"cpu", "meta"}:
            return
        self.operators.add(str(func))
        if self.is_recording and len(devices) > 1:
            raise PretendedDeviceError(f"{func} between {devices} while a graph is recorded")
        if func not in CONVERTING:
            kinds = {tensor.dtype for tensor in operands if tensor.is_floating_point()}
            if len(kinds) > 1:
                raise PretendedDeviceError(f"{func} of {kinds}")
        if "mps" in devices:
            # A copy from the CPU may start with float64, but Apple's device may not hold it.
            wide = [t for t in everything if t.device.type == "mps" and t.dtype in UNKNOWN_TO_MPS]
            if wide:
                raise PretendedDeviceError(f"{func} in {wide[0].dtype} on mps")

    def wait(self, name: str) -> None:
        """What reads a value waits for the card."""
        if self.is_recording:
            raise PretendedDeviceError(f"{name} waits for the card while a graph is recorded")


class _PythonBindings(TorchFunctionMode):
    """Python methods whose C++ code asks for a driver, or for numbers, that are not there."""

    def __init__(self, device: PretendedDevice) -> None:
        self._device = device
        self._own = {
            Tensor.__getitem__: _item,
            Tensor.__setitem__: lambda tensor, index, value: aten.copy_(
                _item(tensor, index), value
            ),
            Tensor.contiguous: _contiguous,
            Tensor.copy_: lambda mine, other, **_: aten.copy_(mine, other),
            Tensor.numpy: self._numpy,
            Tensor.__bool__: self._truth,
        }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args = [_numbered(value) for value in args]
        kwargs = {name: _numbered(value) for name, value in (kwargs or {}).items()}
        return self._own.get(func, func)(*args, **kwargs)

    def _numpy(self, tensor: Tensor) -> np.ndarray:
        if tensor.device.type != "cpu":
            raise PretendedDeviceError(f"numpy() of a tensor on {tensor.device}")
        if tensor.dtype is torch.bfloat16:
            raise PretendedDeviceError("numpy knows no bfloat16")
        return np.zeros(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))

    def _truth(self, _tensor: Tensor) -> bool:
        self._device.wait("bool()")
        answers = self._device.answers
        return answers.pop(0) if len(answers) > 1 else answers[0]


def _numbered(value: Any) -> Any:
    """Devices need a number, or torch asks the driver for the current one."""
    if isinstance(value, str | torch.device) and str(value) in ("cuda", "mps"):
        return torch.device(f"{value}:0")
    return value


def tensors_of(values: Any) -> list[Tensor]:
    """The tensors in any nest of tuples, lists and dictionaries."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _item(tensor: Tensor, index: Any) -> Tensor:
    """tensor[index] for integers, slices, None and an ellipsis."""
    index = index if isinstance(index, tuple) else (index,)
    axis = 0
    for entry in index:
        if entry is Ellipsis:
            axis += tensor.ndim - axis - _axes_after_ellipsis(index)
        elif entry is None:
            tensor, axis = aten.unsqueeze(tensor, axis), axis + 1
        elif isinstance(entry, slice):
            bounds = (entry.start or 0, entry.stop if entry.stop is not None else 2**62)
            tensor, axis = aten.slice(tensor, axis, *bounds, entry.step or 1), axis + 1
        elif isinstance(entry, int):
            tensor = aten.select(tensor, axis, entry)
        else:
            raise PretendedDeviceError(f"index {entry!r} reads values")
    return tensor


def _axes_after_ellipsis(index: tuple[Any, ...]) -> int:
    return sum(entry is not None for entry in index[index.index(Ellipsis) + 1 :])


def _contiguous(tensor: Tensor, memory_format: Any = torch.contiguous_format) -> Tensor:
    if aten.is_contiguous.memory_format(tensor, memory_format=memory_format):
        return tensor
    return aten.clone(tensor, memory_format=memory_format)


@contextmanager
def pretended_device() -> Iterator[PretendedDevice]:
    """A PretendedDevice, entered, in which modules can be moved."""
    replaced = [(nn.Module, "_apply", _apply), (torch, "inference_mode", _no_grad)]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    for owner, name, ours in replaced:
        setattr(owner, name, ours)
    try:
        with PretendedDevice() as device:
            yield device
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def _no_grad(mode: bool = True) -> Any:
    """Inference mode would hand composite operators on as a whole: less to check."""
    return torch.no_grad() if mode else nullcontext()


def _apply(module: nn.Module, function: Any, recurse: bool = True) -> nn.Module:
    """torch moves parameters by exchanging their C++ halves, which fake ones do not allow."""
    for child in module.children() if recurse else ():
        child._apply(function)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            moved = function(parameter.detach())
            module._parameters[name] = nn.Parameter(moved, requires_grad=False)
    for name, buffer in module._buffers.items():
        module._buffers[name] = None if buffer is None else function(buffer)
    return module
