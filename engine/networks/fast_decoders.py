"""The fast W and G on one device: torch anywhere, OpenVINO on CPUs, CUDA graphs on NVIDIA."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .cuda_parts import RecordedGraphs, compiled_part, graphed_part
from .devices import Placement
from .fast_generator import FastGenerator
from .fast_warping import (
    GRID_SIZE,
    FastWarpedFeatures,
    MotionHourglass,
    MotionStack,
    deformation_of,
)
from .generator import SpadeGenerator
from .openvino_parts import has_openvino, openvino_part
from .torch_parts import MixedPrecision, Part, eager_part, own_copy
from .warping import Warped, WarpingModule, coordinate_grid, sample_volume

log = logging.getLogger(__name__)

ACCELERATIONS = ("auto", "none", "openvino", "graphs", "compile")
COMPILING = ", compiled for this card (a minute)"
PART_NAMES = ("the motion network", "the warping network", "the generator")
HOURGLASS_INPUTS = ((1, 110, *GRID_SIZE),)
FEATURES_INPUTS = ((1, 512, 64, 64), (1, 1, 64, 64))
GENERATOR_INPUTS = ((1, 256, 64, 64),)


class PreparedSource(NamedTuple):
    """f_s and what MotionStack.prepare makes of it."""

    volume: Tensor
    compressed: Tensor
    still: Tensor


class FastDecoder:
    """W and G of fast_warping.py and fast_generator.py around three exchangeable parts.

    The two samplings of 5-D volumes and all coordinates stay in torch and float32; the parts are
    convolutions, which each device runs in its own way.
    """

    def __init__(
        self,
        stack: MotionStack,
        hourglass: Part,
        features: Part,
        generator: Part,
        device: torch.device,
        graphs: RecordedGraphs | None = None,
    ) -> None:
        self._stack = stack
        self._graphs = graphs
        self._hourglass = hourglass
        self._features = features
        self._generator = generator
        self._grid = coordinate_grid(*GRID_SIZE, torch.zeros((), device=device))

    def prepare(self, feature_3d: Tensor) -> PreparedSource:
        return PreparedSource(feature_3d, *self._stack.prepare(feature_3d))

    def warp(self, prepared: PreparedSource, kp_source: Tensor, kp_driving: Tensor) -> Warped:
        stack = self._stack(prepared.compressed, prepared.still, kp_source, kp_driving)
        mask, occlusion = self._hourglass(stack)
        deformation = deformation_of(mask, self._grid, kp_source, kp_driving)
        volume = prepared.volume.expand(len(kp_driving), -1, -1, -1, -1)
        warped = sample_volume(volume, deformation).flatten(1, 2)
        (features,) = self._features(warped, occlusion)
        return Warped(features, occlusion, deformation)

    def generate(self, features: Tensor) -> Tensor:
        return self._generator(features)[0]

    def release_memory(self) -> None:
        if self._graphs is not None:
            self._graphs.release()


def fast_decoder(
    warping: WarpingModule,
    generator: SpadeGenerator,
    placement: Placement,
    acceleration: str = "auto",
    progress: Callable[[str, float], None] | None = None,
    folder: Path | None = None,
) -> FastDecoder:
    """Build the fast decoder for a device.

    warping, generator  on the CPU, float32; their weights may be shared, never changed
    acceleration        "auto": OpenVINO on a CPU if it is installed, CUDA graphs on CUDA;
                        "none": torch alone; or one of ACCELERATIONS by name
    progress            called with (part's name, 0..1) before each part
    folder              see memory.weights_on_disk
    """
    device = placement.device
    if acceleration == "auto":
        by_device = {"cuda": "graphs", "cpu": "openvino" if has_openvino() else "none"}
        acceleration = by_device.get(device.type, "none")
    # Tensor cores multiply faster than Fourier space can save; elsewhere arithmetic is dear.
    use_spectral_mask = device.type != "cuda"
    # One at a time: what a part was made from goes before the next is made.
    modules: tuple[Callable[[], MixedPrecision], ...] = (
        lambda: MotionHourglass(warping.dense_motion_network, use_spectral_mask=use_spectral_mask),
        lambda: FastWarpedFeatures(warping),
        lambda: FastGenerator(generator),
    )
    inputs = (HOURGLASS_INPUTS, FEATURES_INPUTS, GENERATOR_INPUTS)
    graphs = RecordedGraphs()
    parts: list[Part] = []
    for number, (build, shapes) in enumerate(zip(modules, inputs, strict=True)):
        if progress is not None:
            is_compiled = device.type == "cuda" and acceleration == "compile"
            name = PART_NAMES[number] + (COMPILING if is_compiled else "")
            progress(name, number / len(modules))
        if acceleration == "openvino":
            parts.append(_openvino_or_torch_part(build(), shapes, placement, folder))
        else:
            parts.append(_torch_part(build(), placement, acceleration, graphs))
        if device.type != "cpu":
            # Compile and record now, where there is progress to see, and not at the first frame;
            # what a device cannot do shows here, too.
            with torch.inference_mode():
                parts[-1](*(torch.zeros(shape, device=device) for shape in shapes))
    stack = MotionStack(warping.dense_motion_network).to(device)
    hourglass, features, generate = parts
    return FastDecoder(stack, hourglass, features, generate, device, graphs)


def _openvino_or_torch_part(
    module: MixedPrecision,
    shapes: tuple[tuple[int, ...], ...],
    placement: Placement,
    folder: Path | None = None,
) -> Part:
    # The hourglass holds Fourier matrices of its size, the others take any.
    traced_size = None if isinstance(module, MotionHourglass) else 8
    try:
        return openvino_part(module, shapes, placement.precision, traced_size, folder)
    except (ImportError, RuntimeError) as error:
        log.warning("OpenVINO does not work here, continuing with torch alone: %s", error)
        return _torch_part(module, placement, "none", RecordedGraphs())


def _torch_part(
    module: MixedPrecision, placement: Placement, acceleration: str, graphs: RecordedGraphs
) -> Part:
    own = own_copy(module, placement.device, placement.precision.dtype)
    if placement.device.type == "cuda" and acceleration == "compile":
        return compiled_part(own, graphs)
    if placement.device.type == "cuda" and acceleration == "graphs":
        return graphed_part(own, graphs)
    return eager_part(own)
