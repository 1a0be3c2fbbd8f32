"""W and G as the pair that runs for every frame: the seam between the networks and devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from .generator import SpadeGenerator
from .warping import Warped, WarpingModule

LoadPair = Callable[[], tuple[WarpingModule, SpadeGenerator]]


class Frames(NamedTuple):
    """Decoded frames: image (B, 3, 512, 512) RGB 0..1, and what W found; float32."""

    image: Tensor
    warped: Warped


class Decoder(Protocol):
    """Runs W and G on one device."""

    def prepare(self, feature_3d: Tensor) -> Any:
        """What depends on the source alone, from F's (1, 32, 16, 64, 64) float32."""
        ...

    def warp(self, prepared: Any, kp_source: Tensor, kp_driving: Tensor) -> Warped:
        """W for kp_source (1, 21, 3) and kp_driving (B, 21, 3), float32."""
        ...

    def generate(self, features: Tensor) -> Tensor:
        """G: (B, 256, 64, 64) -> (B, 3, 512, 512) RGB 0..1, float32."""
        ...

    def release_memory(self) -> None:
        """Give back what can be made again, when memory is short."""
        ...


class PlainDecoder:
    """The networks as the paper draws them, float32: the yardstick, and the last resort.

    load  makes both again; where it is given they can be forgotten until they are needed
    """

    def __init__(
        self, warping: WarpingModule, generator: SpadeGenerator, load: LoadPair | None = None
    ) -> None:
        self._pair: tuple[WarpingModule, SpadeGenerator] | None = (warping, generator)
        self._load = load

    def forget(self) -> None:
        """Let the weights go until they are needed, if they can be loaded again."""
        if self._load is not None:
            self._pair = None

    @property
    def pair(self) -> tuple[WarpingModule, SpadeGenerator]:
        """W and G."""
        if self._pair is None:
            assert self._load is not None, "only what can be loaded is forgotten"
            self._pair = self._load()
        return self._pair

    def prepare(self, feature_3d: Tensor) -> Tensor:
        return feature_3d

    def warp(self, prepared: Tensor, kp_source: Tensor, kp_driving: Tensor) -> Warped:
        count = len(kp_driving)
        volume = prepared.expand(count, -1, -1, -1, -1)
        warping, _ = self.pair
        return warping(volume, kp_driving, kp_source.expand(count, -1, -1))

    def generate(self, features: Tensor) -> Tensor:
        _, generator = self.pair
        return generator(features)

    def release_memory(self) -> None:
        """Nothing here is kept for later."""

    def to(self, device: torch.device) -> PlainDecoder:
        """Move the weights."""
        for network in self.pair:
            network.to(device)
        return self


def decode_frames(decoder: Decoder, prepared: Any, kp_source: Tensor, kp_driving: Tensor) -> Frames:
    """Both halves of a decoder, B frames."""
    warped = decoder.warp(prepared, kp_source, kp_driving)
    return Frames(decoder.generate(warped.features), warped)
