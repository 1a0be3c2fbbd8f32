"""Convolutions of nearest-upsampled maps, computed on the small map.

After nearest upsampling by n, the pixels that came from one small pixel fall into n x n phases.
A kernel that reads such a map reads equal values several times; adding up their weights first
gives one smaller kernel per phase that reads the small map instead. The result is the same but
for rounding. "Interleaving" puts the phases back between each other.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn


class Taps(NamedTuple):
    """One axis of a phase's kernel: where it starts, relative to the small pixel's first sample,
    and which of the three original taps add up to each of its own taps."""

    start: int
    groups: tuple[tuple[int, ...], ...]

    def padding(self, stride: int) -> tuple[int, int]:
        """(zeros on both sides, outputs to skip) that make a convolution start here.

        Zeros on one side only would cost a copy of the map; a surplus output costs next to
        nothing.
        """
        pad = max(-self.start, self.start + len(self.groups) - stride, 0)
        while (self.start + pad) % stride:
            pad += 1
        return pad, (self.start + pad) // stride


# Upsampling by 2: phase 0 sees the previous pixel once and its own twice, phase 1 the reverse.
UP_2 = (Taps(-1, ((0,), (1, 2))), Taps(0, ((0, 1), (2,))))
# Upsampling by 4: phases 1 and 2 see only their own pixel, so one map serves both.
UP_4 = (Taps(-1, ((0,), (1, 2))), Taps(0, ((0, 1, 2),)), Taps(0, ((0, 1), (2,))))
# A second kernel on a map with UP_4's three distinct samples (first, middle twice, last) per
# small pixel: what each of the four phases reads of it, stride 3.
AFTER_UP_4 = (
    Taps(-1, ((0,), (1,), (2,))),
    Taps(0, ((0,), (1, 2))),
    Taps(1, ((0, 1), (2,))),
    Taps(1, ((0,), (1,), (2,))),
)


def merged_taps(weight: Tensor, taps: Taps, axis: int) -> Tensor:
    """Sum the groups of a kernel's three taps along one axis: size 3 -> len(taps.groups)."""
    parts = [weight.index_select(axis, torch.tensor(g)).sum(axis, True) for g in taps.groups]
    return torch.cat(parts, dim=axis)


def interleave(phases: list[Tensor], rate: int) -> Tensor:
    """rate * rate maps (B, C, …, H, W), row phases slowest -> (B, C, …, rate * H, rate * W).

    The result is laid out as the maps are, channels last or not.
    """
    first = phases[0]
    batch, channels, *depth, height, width = first.shape
    if torch.jit.is_tracing():
        grid = torch.cat(phases, dim=1).reshape(batch, rate, rate, channels, *depth, height, width)
        grid = grid.movedim((1, 2), (-3, -1))
        return grid.reshape(batch, channels, *depth, rate * height, rate * width)
    # Written in place, each map is copied once; OpenVINO would copy everything each time.
    fine = (height, rate, width, rate)
    if first.stride(1) == 1:
        result = first.new_empty(batch, *depth, *fine, channels).movedim(-1, 1)
    else:
        result = first.new_empty(batch, channels, *depth, *fine)
    for number, phase in enumerate(phases):
        result[..., number // rate, :, number % rate] = phase
    return result.reshape(batch, channels, *depth, rate * height, rate * width)


class PhaseConv2d(nn.Module):
    """A 3x3 convolution (padding 1) cut into phases.

    forward: (B, Cin, H, W) -> the phases' maps, row phases slowest, each (B, Cout, H', W').
    With `stride` 1 the input is the small map; with 3 it is UP_4's interleaved output.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, axis_taps: tuple[Taps, ...], stride: int = 1
    ) -> None:
        super().__init__()
        self.axis_taps = axis_taps
        self.stride = stride
        kernels = [
            merged_taps(merged_taps(weight, rows, 2), columns, 3)
            for rows in axis_taps
            for columns in axis_taps
        ]
        self.kernels = nn.ParameterList(nn.Parameter(k, requires_grad=False) for k in kernels)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        height, width = x.shape[2] // self.stride, x.shape[3] // self.stride
        places = [taps.padding(self.stride) for taps in self.axis_taps]
        kernels = iter(self.kernels)
        outputs: list[Tensor] = []
        for pad_rows, top in places:
            for pad_columns, left in places:
                padding = (pad_rows, pad_columns)
                maps = fn.conv2d(x, next(kernels), self.bias, self.stride, padding)
                outputs.append(maps[:, :, top : top + height, left : left + width])
        return outputs


class UpConv3d(nn.Module):
    """UpBlock3d without norm: (B, Cin, D, H, W) -> (B, Cout, D, 2H, 2W)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        kernels = [
            merged_taps(merged_taps(weight, rows, 3), columns, 4)
            for rows in UP_2
            for columns in UP_2
        ]
        self.kernels = nn.ParameterList(nn.Parameter(k, requires_grad=False) for k in kernels)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        # Phase 0 reads from the pixel before, phase 1 to the pixel after.
        pads = ((1, 0), (0, 1))
        kernels = iter(self.kernels)
        phases = [
            fn.conv3d(fn.pad(x, (*columns, *rows, 1, 1)), next(kernels), self.bias)
            for rows in pads
            for columns in pads
        ]
        return interleave(phases, 2)
