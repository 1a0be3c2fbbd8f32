"""W and G as one step, the part that runs for every frame; the plain one is here."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from torch import Tensor

from .generator import SpadeGenerator
from .warping import Warped, WarpingModule


class Frames(NamedTuple):
    """Decoded frames: image (B, 3, 512, 512) RGB 0..1, and W's own outputs."""

    image: Tensor
    warped: Warped


class Decoder(Protocol):
    """Runs W and G on one device; `prepare` does once what depends on the source alone."""

    def prepare(self, feature_3d: Tensor) -> Any:
        """feature_3d (1, 32, 16, 64, 64) float32 of F -> whatever decode wants to have."""
        ...

    def decode(self, prepared: Any, kp_source: Tensor, kp_driving: Tensor) -> Frames:
        """kp_source (1, 21, 3) and kp_driving (B, 21, 3) float32 -> B frames, float32."""
        ...


class PlainDecoder:
    """The networks as the paper draws them, float32: the yardstick, and the last resort."""

    def __init__(self, warping: WarpingModule, generator: SpadeGenerator) -> None:
        self.warping = warping
        self.generator = generator

    def prepare(self, feature_3d: Tensor) -> Tensor:
        return feature_3d

    def decode(self, prepared: Tensor, kp_source: Tensor, kp_driving: Tensor) -> Frames:
        count = len(kp_driving)
        volume = prepared.expand(count, -1, -1, -1, -1)
        warped = self.warping(volume, kp_driving, kp_source.expand(count, -1, -1))
        return Frames(self.generator(warped.features), warped)
