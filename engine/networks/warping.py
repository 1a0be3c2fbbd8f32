"""W, the warping module: dense motion from keypoints, and the feature volume warped by it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from .appearance import FEATURE_CHANNELS, FEATURE_DEPTH
from .blocks import Hourglass, SameBlock2d
from .retargeting import KEYPOINT_COUNT

COMPRESSED_CHANNELS = 4
MOTION_COUNT = KEYPOINT_COUNT + 1
HEATMAP_VARIANCE = 0.01


class Warped(NamedTuple):
    """What W makes of one pair of keypoint sets.

    features     (B, 256, 64, 64), the generator's input
    occlusion    (B, 1, 64, 64), 0 where the generator must invent
    deformation  (B, 16, 64, 64, 3), where each voxel is taken from: x, y, z, each -1..1
    """

    features: Tensor
    occlusion: Tensor
    deformation: Tensor


def coordinate_grid(depth: int, height: int, width: int, like: Tensor) -> Tensor:
    """(D, H, W, 3) coordinates x, y, z of the voxels, -1..1 with the end points included."""
    axes = [
        torch.linspace(-1, 1, size, device=like.device, dtype=like.dtype)
        for size in (depth, height, width)
    ]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, y, z], dim=-1)


def sample_volume(volume: Tensor, grid: Tensor) -> Tensor:
    """Trilinear look-up, zeros outside: (B, C, D, H, W) at (B, d, h, w, 3) -> (B, C, d, h, w).

    align_corners is off although coordinate_grid includes the end points: so were the networks
    trained, even the identity grid blurs a little.
    """
    return fn.grid_sample(volume, grid, padding_mode="zeros", align_corners=False)


def gaussian_heatmaps(keypoints: Tensor, grid: Tensor) -> Tensor:
    """(B, K, 3) keypoints on a (D, H, W, 3) grid -> (B, K, D, H, W), 1 at the keypoint."""
    offset = grid - keypoints[:, :, None, None, None, :]
    return torch.exp(-0.5 * offset.square().sum(dim=-1) / HEATMAP_VARIANCE)


class DenseMotionNetwork(nn.Module):
    """Feature volume and keypoints -> deformation and occlusion.

    Every keypoint votes for the translation that would move it home; the hourglass looks at the
    volume under each vote and decides, per voxel, how to mix the 22 (the first is "stay").
    """

    def __init__(self) -> None:
        super().__init__()
        self.compress = nn.Conv3d(FEATURE_CHANNELS, COMPRESSED_CHANNELS, 1)
        self.norm = nn.BatchNorm3d(COMPRESSED_CHANNELS)
        self.hourglass = Hourglass(MOTION_COUNT * (1 + COMPRESSED_CHANNELS))
        channels = self.hourglass.out_channels
        self.mask = nn.Conv3d(channels, MOTION_COUNT, 7, padding=3)
        self.occlusion = nn.Conv2d(channels * FEATURE_DEPTH, 1, 7, padding=3)

    def forward(self, feature_3d: Tensor, kp_driving: Tensor, kp_source: Tensor) -> list[Tensor]:
        """(B, 32, 16, 64, 64), two of (B, 21, 3) -> [deformation, occlusion] as in Warped."""
        batch, _, depth, height, width = feature_3d.shape
        grid = coordinate_grid(depth, height, width, feature_3d)
        motions = self.sparse_motions(grid, kp_driving, kp_source)
        deformed = self.deformed_volumes(feature_3d, motions)
        heatmaps = gaussian_heatmaps(kp_driving, grid) - gaussian_heatmaps(kp_source, grid)
        heatmaps = torch.cat([torch.zeros_like(heatmaps[:, :1]), heatmaps], dim=1)
        stacked = torch.cat([heatmaps[:, :, None], deformed], dim=2)
        prediction = self.hourglass(stacked.flatten(1, 2))
        mask = fn.softmax(self.mask(prediction), dim=1)
        deformation = torch.einsum("bkdhw,bkdhwc->bdhwc", mask, motions)
        flat = prediction.reshape(batch, -1, height, width)
        return [deformation, torch.sigmoid(self.occlusion(flat))]

    @staticmethod
    def sparse_motions(grid: Tensor, kp_driving: Tensor, kp_source: Tensor) -> Tensor:
        """(B, 22, D, H, W, 3): the identity, then the grid moved by each keypoint's way home."""
        shift = (kp_source - kp_driving)[:, :, None, None, None, :]
        still = torch.zeros_like(shift[:, :1])
        return grid + torch.cat([still, shift], dim=1)

    def deformed_volumes(self, feature_3d: Tensor, motions: Tensor) -> Tensor:
        """(B, 22, 4, D, H, W): the compressed volume as seen under each motion."""
        compressed = fn.relu(self.norm(self.compress(feature_3d)))
        repeated = compressed.repeat_interleave(MOTION_COUNT, dim=0)
        sampled = sample_volume(repeated, motions.flatten(0, 1))
        return sampled.unflatten(0, (-1, MOTION_COUNT))


class WarpingModule(nn.Module):
    """Moves the feature volume from the source keypoints to the driving keypoints."""

    def __init__(self) -> None:
        super().__init__()
        self.dense_motion_network = DenseMotionNetwork()
        self.third = SameBlock2d(FEATURE_CHANNELS * FEATURE_DEPTH, 256, nn.LeakyReLU(0.01))
        self.fourth = nn.Conv2d(256, 256, 1)

    def forward(self, feature_3d: Tensor, kp_driving: Tensor, kp_source: Tensor) -> Warped:
        """feature_3d (B, 32, 16, 64, 64) of F; keypoints (B, 21, 3) each."""
        deformation, occlusion = self.dense_motion_network(feature_3d, kp_driving, kp_source)
        warped = sample_volume(feature_3d, deformation).flatten(1, 2)
        features = self.fourth(self.third(warped)) * occlusion
        return Warped(features, occlusion, deformation)
