"""Convolution blocks that F and W share; BN is batch norm with its stored statistics."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as fn


class SameBlock2d(nn.Module):
    """3x3 convolution, BN, activation: (B, Cin, H, W) -> (B, Cout, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, activation: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.ac = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.ac(self.norm(self.conv(x)))


class DownBlock2d(nn.Module):
    """3x3 convolution, BN, ReLU, average of 2x2: (B, Cin, H, W) -> (B, Cout, H/2, W/2)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(fn.relu(self.norm(self.conv(x))))


class ResBlock3d(nn.Module):
    """Two pre-activated 3x3x3 convolutions added to the input, shape (B, C, D, H, W) kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm3d(channels)
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm2 = nn.BatchNorm3d(channels)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(fn.relu(self.norm1(x)))
        return x + self.conv2(fn.relu(self.norm2(y)))


class DownBlock3d(nn.Module):
    """3x3x3 convolution, BN, ReLU, average of 1x2x2.

    (B, Cin, D, H, W) -> (B, Cout, D, H/2, W/2); depth is never reduced.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm3d(out_channels)
        self.pool = nn.AvgPool3d((1, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(fn.relu(self.norm(self.conv(x))))


class UpBlock3d(nn.Module):
    """Nearest up by 1x2x2, 3x3x3 convolution, BN, ReLU.

    (B, Cin, D, H, W) -> (B, Cout, D, 2H, 2W)
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        up = fn.interpolate(x, scale_factor=(1, 2, 2))
        return fn.relu(self.norm(self.conv(up)))


class Hourglass(nn.Module):
    """3-D U-net of the dense motion network.

    (B, Cin, D, H, W) -> (B, 32 + Cin, D, H, W); H and W must be multiples of 32.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.encoder = HourglassEncoder(in_channels)
        self.decoder = HourglassDecoder(in_channels)
        self.out_channels = 32 + in_channels

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class HourglassEncoder(nn.Module):
    """Five DownBlock3d; returns the input and all five outputs, finest first."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        sizes = [in_channels, 64, 128, 256, 512, 1024]
        self.down_blocks = nn.ModuleList(DownBlock3d(i, o) for i, o in pairwise(sizes))

    def forward(self, x: Tensor) -> list[Tensor]:
        levels = [x]
        for block in self.down_blocks:
            levels.append(block(levels[-1]))
        return levels


class HourglassDecoder(nn.Module):
    """Five UpBlock3d, each joined with the encoder's level of its size, and a last convolution."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        sizes = [(1024, 512), (1024, 256), (512, 128), (256, 64), (128, 32)]
        self.up_blocks = nn.ModuleList(UpBlock3d(i, o) for i, o in sizes)
        self.conv = nn.Conv3d(32 + in_channels, 32 + in_channels, 3, padding=1)
        self.norm = nn.BatchNorm3d(32 + in_channels)

    def forward(self, levels: list[Tensor]) -> Tensor:
        x = levels[-1]
        for block, skip in zip(self.up_blocks, reversed(levels[:-1]), strict=True):
            x = torch.cat([block(x), skip], dim=1)
        return fn.relu(self.norm(self.conv(x)))
