"""F, the appearance feature extractor: once per source picture."""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import DownBlock2d, ResBlock3d, SameBlock2d

FEATURE_CHANNELS = 32
FEATURE_DEPTH = 16


class AppearanceFeatureExtractor(nn.Module):
    """Source picture -> the 3-D appearance feature volume f_s.

    forward: (B, 3, 256, 256) RGB 0..1 -> (B, 32, 16, 64, 64)
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = SameBlock2d(3, 64, nn.ReLU())
        self.down_blocks = nn.ModuleList([DownBlock2d(64, 128), DownBlock2d(128, 256)])
        self.second = nn.Conv2d(256, FEATURE_CHANNELS * FEATURE_DEPTH, 1)
        self.resblocks_3d = nn.Sequential()
        for index in range(6):
            self.resblocks_3d.add_module(f"3dr{index}", ResBlock3d(FEATURE_CHANNELS))

    def forward(self, image: Tensor) -> Tensor:
        x = self.first(image)
        for block in self.down_blocks:
            x = block(x)
        x = self.second(x)
        batch, _, height, width = x.shape
        volume = x.reshape(batch, FEATURE_CHANNELS, FEATURE_DEPTH, height, width)
        return self.resblocks_3d(volume)
