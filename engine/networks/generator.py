"""G, the SPADE generator: warped features -> picture."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as fn

SEG_CHANNELS = 256
HIDDEN_CHANNELS = 128
LEAKY_SLOPE = 0.2


class Spade(nn.Module):
    """Instance norm whose scale and offset are painted by a conditioning map.

    forward: x (B, C, H, W), seg (B, 256, h, w) -> (B, C, H, W); seg is resized to x (nearest).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.param_free_norm = nn.InstanceNorm2d(channels)
        self.mlp_shared = nn.Sequential(
            nn.Conv2d(SEG_CHANNELS, HIDDEN_CHANNELS, 3, padding=1), nn.ReLU()
        )
        self.mlp_gamma = nn.Conv2d(HIDDEN_CHANNELS, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(HIDDEN_CHANNELS, channels, 3, padding=1)

    def forward(self, x: Tensor, seg: Tensor) -> Tensor:
        resized = fn.interpolate(seg, size=x.shape[2:])
        hidden = self.mlp_shared(resized)
        return self.param_free_norm(x) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)


class SpadeResnetBlock(nn.Module):
    """Two SPADE-conditioned 3x3 convolutions: x (B, Cin, H, W), seg -> (B, Cout, H, W).

    The published weights carry spectral norm on conv_0, conv_1 and conv_s; it is a constant
    factor at inference and is divided out when they are loaded.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        self.has_learned_shortcut = in_channels != out_channels
        self.conv_0 = nn.Conv2d(in_channels, middle, 3, padding=1)
        self.conv_1 = nn.Conv2d(middle, out_channels, 3, padding=1)
        self.norm_0 = Spade(in_channels)
        self.norm_1 = Spade(middle)
        if self.has_learned_shortcut:
            self.conv_s = nn.Conv2d(in_channels, out_channels, 1, bias=False)
            self.norm_s = Spade(in_channels)

    def forward(self, x: Tensor, seg: Tensor) -> Tensor:
        shortcut = self.conv_s(self.norm_s(x, seg)) if self.has_learned_shortcut else x
        dx = self.conv_0(fn.leaky_relu(self.norm_0(x, seg), LEAKY_SLOPE))
        dx = self.conv_1(fn.leaky_relu(self.norm_1(dx, seg), LEAKY_SLOPE))
        return shortcut + dx


class SpadeGenerator(nn.Module):
    """W's features, used both as the start and as the conditioning map, -> the picture.

    forward: (B, 256, 64, 64) -> (B, 3, 512, 512) RGB 0..1
    """

    MIDDLE_BLOCKS = 6

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Conv2d(SEG_CHANNELS, 512, 3, padding=1)
        for index in range(self.MIDDLE_BLOCKS):
            self.add_module(f"G_middle_{index}", SpadeResnetBlock(512, 512))
        self.up_0 = SpadeResnetBlock(512, 256)
        self.up_1 = SpadeResnetBlock(256, 64)
        self.up = nn.Upsample(scale_factor=2)
        self.conv_img = nn.Sequential(nn.Conv2d(64, 12, 3, padding=1), nn.PixelShuffle(2))

    @property
    def middle_blocks(self) -> list[SpadeResnetBlock]:
        """G_middle_0 … G_middle_5, all 512 -> 512 at 64x64."""
        blocks = [self.get_submodule(f"G_middle_{i}") for i in range(self.MIDDLE_BLOCKS)]
        return [block for block in blocks if isinstance(block, SpadeResnetBlock)]

    def forward(self, feature: Tensor) -> Tensor:
        x = self.fc(feature)
        for block in self.middle_blocks:
            x = block(x, feature)
        x = self.up_0(self.up(x), feature)
        x = self.up_1(self.up(x), feature)
        return self.conv_img(fn.leaky_relu(x, LEAKY_SLOPE)).sigmoid()
