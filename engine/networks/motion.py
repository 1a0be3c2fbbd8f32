"""M, the motion extractor: a ConvNeXt V2 (tiny) with seven linear heads."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from .retargeting import KEYPOINT_COUNT

DEPTHS = (3, 3, 9, 3)
WIDTHS = (96, 192, 384, 768)
ANGLE_BINS = 66
HEADS = {
    "kp": 3 * KEYPOINT_COUNT,
    "scale": 1,
    "pitch": ANGLE_BINS,
    "yaw": ANGLE_BINS,
    "roll": ANGLE_BINS,
    "t": 3,
    "exp": 3 * KEYPOINT_COUNT,
}
EPSILON = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel of a (B, C, H, W) map."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GlobalResponseNorm(nn.Module):
    """GRN: each channel weighs itself by its share of the total response; x is (B, H, W, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        # Half precision overflows in the sum of squares over a whole feature map.
        response = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True, dtype=torch.float32)
        share = response / (response.mean(dim=-1, keepdim=True) + EPSILON)
        return self.gamma * (x * share.to(x.dtype)) + self.beta + x


class ConvNextBlock(nn.Module):
    """Depthwise 7x7, norm, pointwise x4, GELU, GRN, pointwise; added to (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.grn = GlobalResponseNorm(4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.pwconv2(self.grn(self.act(self.pwconv1(y))))
        return x + y.permute(0, 3, 1, 2)


class ConvNextV2(nn.Module):
    """The backbone and its heads: (B, 3, 256, 256) RGB 0..1 -> {head: (B, n)} as HEADS says."""

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, WIDTHS[0], 4, stride=4), ChannelNorm(WIDTHS[0]))
        self.downsample_layers = nn.ModuleList([stem])
        for narrow, wide in pairwise(WIDTHS):
            self.downsample_layers.append(
                nn.Sequential(ChannelNorm(narrow), nn.Conv2d(narrow, wide, 2, stride=2))
            )
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNextBlock(width) for _ in range(depth)))
            for depth, width in zip(DEPTHS, WIDTHS, strict=True)
        )
        self.norm = nn.LayerNorm(WIDTHS[-1], eps=EPSILON)
        for name, size in HEADS.items():
            self.add_module(f"fc_{name}", nn.Linear(WIDTHS[-1], size))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = image
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
        x = self.norm(x.mean(dim=(2, 3)))
        return {name: self.get_submodule(f"fc_{name}")(x) for name in HEADS}


class MotionExtractor(nn.Module):
    """Picture -> raw heads {pitch, yaw, roll (B, 66); kp, exp (B, 63); t (B, 3); scale (B, 1)}.

    forward takes (B, 3, 256, 256) RGB 0..1 without mean or deviation normalisation. The angle
    heads are logits of 66 bins of 3 degrees.
    """

    def __init__(self) -> None:
        super().__init__()
        self.detector = ConvNextV2()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return self.detector(image)
