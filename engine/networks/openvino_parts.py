"""Runs a traced torch module in OpenVINO, which knows CPUs better than torch does. Optional."""

from __future__ import annotations

import copy
import importlib.util
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .devices import Precision
from .memory import weights_on_disk
from .torch_parts import MixedPrecision, Part


def has_openvino() -> bool:
    """Whether the optional package is installed."""
    return importlib.util.find_spec("openvino") is not None


def openvino_part(
    module: MixedPrecision,
    shapes: tuple[tuple[int, ...], ...],
    precision: Precision,
    traced_size: int | None = None,
    folder: Path | None = None,
) -> Part:
    """Compile a module for this CPU.

    shapes       of the inputs, batch 1; larger batches run one by one
    precision    FP32, or BF16 for what may be rounded; FP16 counts as BF16, since CPUs that
                 multiply halves are rare
    traced_size  height and width to trace with, for modules that take any: a trace runs the
                 module once, and torch needs seconds for the real size
    folder       see memory.weights_on_disk: OpenVINO keeps weights in an order of its own, and
                 the module's for ever beside them

    The result takes and returns float32 tensors.
    """
    # Without this package the converter stays silent. With it, it reports every conversion to its
    # makers over the network and writes an identifier into the user's home, without asking.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    if precision is not Precision.FP32:
        module = copy.deepcopy(module)
        module.lower_precision(torch.bfloat16)
    with weights_on_disk(module, folder) as give_back:
        compiled = _compiled(module, shapes, precision, traced_size, give_back)
    request = compiled.create_infer_request()

    def run_one(*inputs: Tensor) -> tuple[Tensor, ...]:
        arrays = [tensor.contiguous().numpy() for tensor in inputs]
        results = request.infer(arrays, share_inputs=True)
        # The parts never run at the same time: each would keep its maps for the next frame.
        if hasattr(compiled, "release_memory"):
            compiled.release_memory()
        return tuple(torch.from_numpy(results[i]) for i in range(len(results)))

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        if len(inputs[0]) == 1:
            return run_one(*inputs)
        frames = [run_one(*frame) for frame in zip(*(x.split(1) for x in inputs), strict=True)]
        return tuple(torch.cat(outputs) for outputs in zip(*frames, strict=True))

    return run


def _compiled(
    module: MixedPrecision,
    shapes: tuple[tuple[int, ...], ...],
    precision: Precision,
    traced_size: int | None,
    give_back: Callable[[], None],
) -> Any:
    """The module compiled by OpenVINO, see openvino_part.

    give_back  lets weights go that were read, see memory.weights_on_disk
    """
    import openvino

    examples = tuple(
        torch.zeros((*shape[:-2], traced_size, traced_size) if traced_size else shape)
        for shape in shapes
    )
    with torch.inference_mode(), warnings.catch_warnings():
        # Some sizes become constants of the trace, which is what fixed shapes are for.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(module, examples, check_trace=False)
        model = openvino.convert_model(traced, example_input=examples, input=list(shapes))
    del traced
    give_back()
    settings = {
        # Every map in the type that the module gives it.
        "INFERENCE_PRECISION_HINT": "f32" if precision is Precision.FP32 else "dynamic",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    return openvino.Core().compile_model(model, "CPU", settings)
