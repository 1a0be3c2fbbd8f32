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
    """rate * rate maps (B, C, H, W), row phases slowest -> (B, C, rate * H, rate * W)."""
    batch, channels, height, width = phases[0].shape
    grid = torch.cat(phases, dim=1).reshape(batch, rate, rate, channels, height, width)
    return grid.permute(0, 3, 4, 1, 5, 2).reshape(batch, channels, rate * height, rate * width)


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
        starts = {max(taps.start, 0) for taps in self.axis_taps}
        crops = {(row, column): x[:, :, row:, column:] for row in starts for column in starts}
        kernels = iter(self.kernels)
        outputs: list[Tensor] = []
        for rows in self.axis_taps:
            for columns in self.axis_taps:
                crop = crops[max(rows.start, 0), max(columns.start, 0)]
                padding = (
                    *self._padding(columns, crop.shape[3], width),
                    *self._padding(rows, crop.shape[2], height),
                )
                padded = fn.pad(crop, padding) if any(padding) else crop
                outputs.append(fn.conv2d(padded, next(kernels), self.bias, stride=self.stride))
        return outputs

    def _padding(self, taps: Taps, size: int, count: int) -> tuple[int, int]:
        """Zeros before and after one axis for `count` outputs; a surplus at the end stays."""
        before = max(-taps.start, 0)
        needed = (count - 1) * self.stride + len(taps.groups)
        return before, max(needed - before - size, 0)


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
        batch, channels, depth, height, width = phases[0].shape
        grid = torch.cat(phases, dim=1).reshape(batch, 2, 2, channels, depth, height, width)
        grid = grid.permute(0, 3, 4, 5, 1, 6, 2)
        return grid.reshape(batch, channels, depth, 2 * height, 2 * width)
