"""S and R, the stitching and retargeting networks: small perceptrons on keypoints."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

KEYPOINT_COUNT = 21
SHAPES = {
    "retarget_shoulder": (126, 128, 128, 64, 65),
    "retarget_mouth": (65, 128, 128, 64, 63),
    "retarget_eye": (66, 256, 256, 128, 128, 64, 63),
}


class Perceptron(nn.Module):
    """Linear layers with ReLU between them: (B, sizes[0]) -> (B, sizes[-1])."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.mlp = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)


class StitchingRetargeting(nn.Module):
    """The three perceptrons of one checkpoint.

    Keypoints are (B, 21, 3); every method returns offsets, nothing is added for the caller.
    """

    def __init__(self) -> None:
        super().__init__()
        for name, sizes in SHAPES.items():
            self.add_module(name, Perceptron(sizes))

    def stitching(self, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
        """(B, 65): 63 keypoint offsets (x, y, z per keypoint), then one shift in x and y."""
        pair = torch.cat([kp_source.flatten(1), kp_driving.flatten(1)], dim=1)
        return self.get_submodule("retarget_shoulder")(pair)

    def eye_retargeting(self, kp_source: Tensor, ratios: Tensor) -> Tensor:
        """(B, 63) offsets; ratios (B, 3): source's left and right eye opening, wanted opening."""
        return self.get_submodule("retarget_eye")(torch.cat([kp_source.flatten(1), ratios], dim=1))

    def lip_retargeting(self, kp_source: Tensor, ratios: Tensor) -> Tensor:
        """(B, 63) offsets; ratios (B, 2): source's lip opening, wanted opening."""
        return self.get_submodule("retarget_mouth")(
            torch.cat([kp_source.flatten(1), ratios], dim=1)
        )
