"""W with less arithmetic and the same result: 342 -> about 180 GFLOP per frame.

What changes against warping.py, all of it exact but for rounding:

* the sparse motions are pure translations, so sampling under them is three small matrix products
  (one per axis) and a heatmap is a product of three 1-D bells;
* batch norms are folded into the convolutions before them;
* up blocks convolve the small map, phase by phase (phases.py);
* the mask convolution goes through Fourier space where that pays (spectral.py);
* the occlusion's 7x7 convolution to one channel becomes a 1x1 to 49 and a sum of shifted maps,
  which no longer wastes vector lanes on 15 absent output channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .blocks import DownBlock3d, UpBlock3d
from .phases import UpConv3d
from .spectral import SpectralConv3d
from .torch_parts import MixedPrecision
from .warping import HEATMAP_VARIANCE, DenseMotionNetwork, WarpingModule

GRID_SIZE = (16, 64, 64)
# Of five; the other two do little arithmetic and decide much.
BF16_UP_BLOCKS = 3


def folded(conv: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution and the batch norm behind it."""
    weight, bias = fuse_conv_bn_weights(
        conv.weight.double(),
        conv.bias.double(),
        norm.running_mean.double(),
        norm.running_var.double(),
        norm.eps,
        norm.weight.double(),
        norm.bias.double(),
    )
    return weight.detach().float(), bias.detach().float()


def folded_conv(conv: nn.Module, norm: nn.Module) -> nn.Module:
    """The folded pair as one convolution of the same kind."""
    weight, bias = folded(conv, norm)
    with torch.device("meta"):
        result = type(conv)(
            conv.in_channels, conv.out_channels, conv.kernel_size, padding=conv.padding
        )
    result.weight = nn.Parameter(weight, requires_grad=False)
    result.bias = nn.Parameter(bias, requires_grad=False)
    return result


def hat_weights(shift: Tensor, size: int) -> Tensor:
    """(…, size, size) matrices that sample one axis of a volume moved by `shift` (…).

    Row j holds the linear weights of the samples around coordinate j's moved position; what falls
    outside the volume has weight 0, as warping.sample_volume has it.
    """
    axis = torch.linspace(-1, 1, size, device=shift.device, dtype=shift.dtype)
    position = ((axis + shift[..., None] + 1) * size - 1) / 2
    samples = torch.arange(size, device=shift.device, dtype=shift.dtype)
    return fn.relu(1 - (position[..., None] - samples).abs())


def sample_shifted(volume: Tensor, shift: Tensor) -> Tensor:
    """Sample volume (B or 1, C, D, H, W) under translations (B, K, 3) -> (B, K, C, D, H, W)."""
    _, channels, depth, height, width = volume.shape
    batch, count, _ = shift.shape
    x, y, z = (hat_weights(shift[..., i], n) for i, n in enumerate((width, height, depth)))
    rows = volume.reshape(-1, 1, channels * depth * height, width) @ x.transpose(2, 3)
    rows = rows.reshape(batch, count, channels * depth, height, width)
    columns = y[:, :, None] @ rows
    columns = columns.reshape(batch, count, channels, depth, height * width)
    return (z[:, :, None] @ columns).reshape(batch, count, channels, depth, height, width)


def separable_heatmaps(keypoints: Tensor, size: tuple[int, int, int]) -> Tensor:
    """warping.gaussian_heatmaps as products of bells: (B, K, 3) -> (B, K, D, H, W)."""
    bells: list[Tensor] = []
    for index, count in enumerate(reversed(size)):
        axis = torch.linspace(-1, 1, count, device=keypoints.device, dtype=keypoints.dtype)
        offset = axis - keypoints[..., index : index + 1]
        bells.append(torch.exp(-0.5 / HEATMAP_VARIANCE * offset.square()))
    x, y, z = bells
    plane = y[..., :, None] * x[..., None, :]
    return z[..., None, None] * plane[..., None, :, :]


class FastDownBlock(nn.Module):
    """DownBlock3d with its norm folded."""

    def __init__(self, block: DownBlock3d) -> None:
        super().__init__()
        self.conv = folded_conv(block.conv, block.norm)

    def forward(self, x: Tensor) -> Tensor:
        x = fn.relu(self.conv(x.to(self.conv.weight.dtype)))
        # torch cannot average bfloat16 volumes on a CPU.
        return fn.avg_pool3d(x.float(), (1, 2, 2)).to(x.dtype)


class FastUpBlock(nn.Module):
    """UpBlock3d on the small map."""

    def __init__(self, block: UpBlock3d) -> None:
        super().__init__()
        self.conv = UpConv3d(*folded(block.conv, block.norm))

    def forward(self, x: Tensor) -> Tensor:
        return fn.relu(self.conv(x.to(self.conv.bias.dtype)))


class OcclusionHead(nn.Module):
    """A 7x7 convolution to one channel and its sigmoid: (B, C, H, W) -> (B, 1, H, W)."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        taps = conv.kernel_size[0] * conv.kernel_size[1]
        # (1, C, 7, 7) -> one 1x1 output channel per tap
        weight = conv.weight[0].flatten(1).transpose(0, 1)[:, :, None, None].contiguous()
        self.taps = nn.Parameter(weight, requires_grad=False)
        shifts = torch.eye(taps).reshape(1, taps, *conv.kernel_size)
        self.register_buffer("shifts", shifts, persistent=False)
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        per_tap = fn.conv2d(x, self.taps)
        return torch.sigmoid(fn.conv2d(per_tap, self.get_buffer("shifts"), self.bias, padding=3))


class MotionStack(nn.Module):
    """What the hourglass looks at: the prepared source under every sparse motion.

    Coordinates need all of float32's digits, so this part never runs in half precision.
    """

    def __init__(self, network: DenseMotionNetwork) -> None:
        super().__init__()
        self.compress = folded_conv(network.compress, network.norm)

    def prepare(self, feature_3d: Tensor) -> tuple[Tensor, Tensor]:
        """What depends on the source alone: the compressed volume (B, 4, 16, 64, 64), and the
        five channels of the motion "stay" (B, 5, 16, 64, 64)."""
        compressed = fn.relu(self.compress(feature_3d))
        still = sample_shifted(compressed, compressed.new_zeros(len(compressed), 1, 3))[:, 0]
        return compressed, torch.cat([torch.zeros_like(still[:, :1]), still], dim=1)

    def forward(
        self, compressed: Tensor, still: Tensor, kp_source: Tensor, kp_driving: Tensor
    ) -> Tensor:
        """prepare's arrays, (1, 21, 3) and (B, 21, 3) keypoints -> (B, 110, 16, 64, 64)."""
        deformed = sample_shifted(compressed, kp_source - kp_driving)
        heatmaps = separable_heatmaps(kp_driving, GRID_SIZE)
        heatmaps = heatmaps - separable_heatmaps(kp_source, GRID_SIZE)
        moved = torch.cat([heatmaps[:, :, None], deformed], dim=2).flatten(1, 2)
        return torch.cat([still.expand(len(moved), -1, -1, -1, -1), moved], dim=1)


class MotionHourglass(MixedPrecision):
    """MotionStack's output -> how much each motion counts (B, 22, 16, 64, 64), occlusion.

    use_spectral_mask  the mask convolution in Fourier space: a tenth of the arithmetic, but more
                       memory traffic and 240 MB of constants
    """

    def __init__(self, network: DenseMotionNetwork, *, use_spectral_mask: bool) -> None:
        super().__init__()
        encoder, decoder = network.hourglass.encoder, network.hourglass.decoder
        self.down = nn.ModuleList(FastDownBlock(block) for block in encoder.down_blocks)
        self.up = nn.ModuleList(FastUpBlock(block) for block in decoder.up_blocks)
        self.conv = folded_conv(decoder.conv, decoder.norm)
        self.mask = SpectralConv3d(network.mask) if use_spectral_mask else network.mask
        self.occlusion = OcclusionHead(network.occlusion)

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Round the maps; bfloat16 is too coarse for the masks and for the last, thin up blocks."""
        is_coarse = dtype is torch.bfloat16
        rounded = [*self.down, *(self.up[:BF16_UP_BLOCKS] if is_coarse else self.up), self.conv]
        if not is_coarse:
            rounded.append(self.occlusion)
            # Spectra are sums of thousands of numbers: they would overflow.
            if not isinstance(self.mask, SpectralConv3d):
                rounded.append(self.mask)
        for part in rounded:
            part.to(dtype)

    def forward(self, stack: Tensor) -> tuple[Tensor, Tensor]:
        levels = [stack]
        for block in self.down:
            levels.append(block(levels[-1]))
        x = levels.pop()
        for block in self.up:
            x = block(x)
            x = torch.cat([x, levels.pop().to(x.dtype)], dim=1)
        prediction = fn.relu(self.conv(x.to(self.conv.weight.dtype)))
        batch, channels, depth, height, width = prediction.shape
        flat = prediction.reshape(batch, channels * depth, height, width)
        mask = self.mask(prediction.to(self.mask.bias.dtype)).float()
        occlusion = self.occlusion(flat.to(self.occlusion.bias.dtype)).float()
        return fn.softmax(mask, dim=1), occlusion


def deformation_of(mask: Tensor, grid: Tensor, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
    """The sparse motions mixed by `mask` (B, 22, D, H, W) -> (B, D, H, W, 3).

    All motions are the grid plus a translation and the weights add up to 1, so only the
    translations need mixing.
    """
    shift = (kp_source - kp_driving).expand(len(mask), -1, -1)
    offset = torch.bmm(mask[:, 1:].flatten(2).transpose(1, 2), shift)
    return grid + offset.reshape(-1, *mask.shape[2:], 3)


class FastWarpedFeatures(MixedPrecision):
    """The end of W: warped volume (B, 512, 64, 64), occlusion -> features (B, 256, 64, 64)."""

    def __init__(self, warping: WarpingModule) -> None:
        super().__init__()
        self.third = folded_conv(warping.third.conv, warping.third.norm)
        self.fourth = warping.fourth

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Round the maps; bfloat16 is too coarse for the features, which all of G looks at."""
        if dtype is not torch.bfloat16:
            self.to(dtype)

    def forward(self, warped: Tensor, occlusion: Tensor) -> Tensor:
        hidden = fn.leaky_relu(self.third(warped.to(self.third.weight.dtype)), 0.01)
        return self.fourth(hidden).float() * occlusion
